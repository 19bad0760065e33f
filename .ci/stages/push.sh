# The real thing: all images, twice, as two users who agree on nothing but
# the download store and the key.
# shellcheck shell=bash

IMAGES_A=$WORK/a/shudl-images
IMAGES_B=$WORK/b/shudl-images

# as_user ID UMASK TZ PROCS COMMAND...: runs as an unprivileged user with a
# home of its own below $WORK/homes.
as_user() {
  local id=$1 mask=$2 zone=$3 procs=$4 home
  shift 4
  home=$WORK/homes/$id
  mkdir -p "$home"
  chown "$id:$id" "$home"
  setpriv --reuid "$id" --regid "$id" --clear-groups \
    env -i PATH="$PATH" HOME="$home" TZ="$zone" GOMAXPROCS="$procs" LANG=C.UTF-8 CI=true \
    GOPROXY="$(go env GOPROXY)" GOFLAGS="$(go env GOFLAGS)" SSL_CERT_FILE="${SSL_CERT_FILE:-}" \
    SHUDL_MIRROR_DEBIAN="$(debian_mirror)" \
    bash -c "umask $mask; exec \"\$@\"" -- "$@"
}

# push_first fills the store: everything is downloaded and MinIO compiled.
push_first() {
  mkdir -p "$WORK/a" && chown 10101:10101 "$WORK/a"
  (cd "$WORK/a" && as_user 10101 022 UTC 2 /usr/bin/time -v -o "$WORK/a/time" \
    "$BIN/shudl-assemble" push --all --distro debian --output refs | tee "$WORK/a/refs")
  figure "first push, nothing cached: $(awk -F': ' '/Elapsed/ {print $2} /Maximum resident/ {printf "peak %d MB (largest process, compilers included)", $2/1000}' "$WORK/a/time" | tr '\n' ' ')"
  [ "$(wc -l <"$WORK/a/refs")" -ge 9 ]
}

# lend_store ID gives a user the first user's store as hard links, without
# what was made from it: layers, images and SBOMs are made anew.
lend_store() {
  local cache=$WORK/homes/$1/.cache
  mkdir -p "$cache"
  cp -al "$WORK/homes/10101/.cache/shudl-assemble" "$cache/"
  rm -rf "$cache"/shudl-assemble/{locks,tmp,partial} "$cache"/shudl-assemble/records/{layer,member,image,sbom,sbom-layer,evidence}
  find "$WORK/homes/$1" -type d -exec chown "$1:$1" {} +
}

# as_second COMMAND...: runs as another user with another umask, zone and
# processor count, who takes over downloads and key but no layer.
as_second() {
  mkdir -p "$WORK/b" && chown 10202:10202 "$WORK/b"
  if [ ! -d "$WORK/homes/10202" ]; then
    lend_store 10202
    mkdir -p "$WORK/homes/10202/.config"
    cp -a "$WORK/homes/10101/.config/shudl-assemble" "$WORK/homes/10202/.config/"
    chown -R 10202:10202 "$WORK/homes/10202/.config"
  fi
  (cd "$WORK/b" && as_user 10202 077 Pacific/Chatham 1 "$@")
}

push_second() {
  as_second /usr/bin/time -v -o "$WORK/b/time" "$BIN/shudl-assemble" push --all --distro debian --output refs >"$WORK/b.refs"
  mv "$WORK/b.refs" "$WORK/b/refs"
  figure "second push, downloads kept, no layers: $(awk -F': ' '/Elapsed/ {print $2} /Maximum resident/ {printf "peak %d MB", $2/1000}' "$WORK/b/time" | tr '\n' ' ')"
  diff "$WORK/a/refs" "$WORK/b/refs"
  local i
  for i in "$IMAGES_A"/*/; do
    cmp "$i/index.json" "$IMAGES_B/$(basename "$i")/index.json"
  done
  figure "images equal as two users: $(wc -l <"$WORK/a/refs")"
  rm -rf "$WORK/b/shudl-images" "$WORK/homes/10202"
}

# push_again changes nothing and must write nothing: seen from outside, by
# the inode, size and time of every file of the layout.
push_again() {
  find "$WORK/a/shudl-images" -type f -printf '%p %i %s %T@\n' | sort >"$WORK/a/before"
  (cd "$WORK/a" && as_user 10101 022 UTC 2 /usr/bin/time -v -o "$WORK/a/time2" \
    "$BIN/shudl-assemble" push --all --distro debian --output refs >"$WORK/a/refs2")
  find "$WORK/a/shudl-images" -type f -printf '%p %i %s %T@\n' | sort >"$WORK/a/after"
  figure "push again, nothing changed: $(awk -F': ' '/Elapsed/ {print $2} /Maximum resident/ {printf "peak %d MB", $2/1000}' "$WORK/a/time2" | tr '\n' ' ')"
  diff "$WORK/a/refs" "$WORK/a/refs2"
  diff "$WORK/a/before" "$WORK/a/after"
}
