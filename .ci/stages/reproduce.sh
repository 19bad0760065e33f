# Published images, built again from their provenance and the lock.
# shellcheck shell=bash

# reproduce_images REF...: IMAGE:TAG each. Of what the first user has, only
# downloads are taken: layers are made anew and programs compiled anew.
reproduce_images() {
  local ref
  for ref in "$@"; do
    (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" reproduce "oci:$IMAGES_A/$ref" --progress quiet \
      --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub") | tee -a "$WORK/a/reproduced"
  done
  figure "built again with the same digests: $(grep -c '^ok ' "$WORK/a/reproduced") of $# images"
  [ "$(grep -c '^ok ' "$WORK/a/reproduced")" -eq "$#" ]
}

# reproduce_all does so with every image that was pushed.
reproduce_all() {
  local refs
  mapfile -t refs < <(tags | awk '{ print $2 ":" $3 }')
  reproduce_images "${refs[@]}"
}
