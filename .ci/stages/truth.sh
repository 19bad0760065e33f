# What the lock says, what the SBOM says and what a scanner finds are one.
# shellcheck shell=bash

# locked_packages TAG lists "name version" of the distro packages that the
# lock has for the image with this tag and for its ancestors.
locked_packages() {
  python3 - "$WORK/plan.json" "$ROOT/recipes/debian.lock" "$1" <<'PY'
import json, sys
plan, lock, tag = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), sys.argv[3]
images = {p["image"]: p for p in plan["images"]}
image = next(p["image"] for p in plan["images"] if p["tag"] == tag)
while image:
    for locked in lock["images"]:
        if locked["image"] == image and locked["platform"] == "linux/amd64":
            for a in locked["artifacts"]:
                if a["kind"] == "deb":
                    print(a["name"], a["version"])
    image = images[image].get("parent")
PY
}

# distro_packages compares names and versions of distro packages three times
# over: the lock with the parents', the SBOM, and what syft finds.
distro_packages() {
  local folder image tag dir
  (cd "$ROOT" && "$BIN/shudl-assemble" plan --all --distro debian --platform linux/amd64 --format json >"$WORK/plan.json")
  mkdir -p "$WORK/truth"
  tags | while read -r folder image tag; do
    dir=$(one_tag "$folder" "$image" "$tag")
    "$BIN/shudl-assemble" sbom --key "$WORK/homes/10101/.config/shudl-assemble/cosign.pub" --format spdx-json "oci:$IMAGES_A/$image:$tag" >"$WORK/truth/$folder.spdx.json"
    jq -r '.packages[] | select(any(.externalRefs[]?; .referenceType == "purl" and (.referenceLocator | startswith("pkg:deb/")))) | "\(.name) \(.versionInfo)"' \
      "$WORK/truth/$folder.spdx.json" | LC_ALL=C sort >"$WORK/truth/$folder.sbom"
    SYFT_CHECK_FOR_APP_UPDATE=false syft scan -q "oci-dir:$dir" --override-default-catalogers dpkg -o json |
      jq -r '.artifacts[] | select(.type == "deb") | "\(.name) \(.version)"' | LC_ALL=C sort >"$WORK/truth/$folder.syft"
    locked_packages "$tag" | LC_ALL=C sort >"$WORK/truth/$folder.lock"
    figure "distro packages of $folder: lock $(wc -l <"$WORK/truth/$folder.lock"), SBOM $(wc -l <"$WORK/truth/$folder.sbom"), syft $(wc -l <"$WORK/truth/$folder.syft")"
    diff "$WORK/truth/$folder.lock" "$WORK/truth/$folder.sbom"
    diff "$WORK/truth/$folder.lock" "$WORK/truth/$folder.syft"
    [ -s "$WORK/truth/$folder.lock" ]
  done
}

# package_files holds every file of a package to the package's own checksums,
# in the unpacked image.
package_files() {
  local image n
  for image in "$WORK"/bundle/*/; do
    (cd "$image/rootfs" && cat var/lib/dpkg/status.d/*.md5sums) >"$WORK/md5sums"
    n=$(cd "$image/rootfs" && awk '{print $2}' "$WORK/md5sums" | while read -r f; do if [ -f "$f" ]; then echo; fi; done | wc -l)
    # What the recipe drops is not there; what is there must be equal.
    (cd "$image/rootfs" && md5sum -c --quiet --ignore-missing "$WORK/md5sums")
    figure "files of $(basename "$image") equal to their packages' checksums: $n"
    [ "$n" -gt 100 ]
  done
}
