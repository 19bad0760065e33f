# arm64 is built on any machine; it is read here, not run.
# shellcheck shell=bash

both_platforms() {
  local image tag n
  mkdir -p "$WORK/p" && chown 10101:10101 "$WORK/p"
  (cd "$WORK/p" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" build base-java postgresql patroni --distro debian --platform all --output refs >"$WORK/p/refs")
  for image in base-java postgresql patroni; do
    tag=$(sed -nE "s#^.*/$image:([^@]*)@.*#\\1#p" "$WORK/p/refs" | head -n 1)
    mkdir -p "$WORK/p/one"
    skopeo --insecure-policy --override-arch arm64 copy -q "oci:$WORK/p/shudl-images/$image:$tag" "oci:$WORK/p/one/$image:$tag"
    umoci unpack --image "$WORK/p/one/$image:$tag" "$WORK/p/bundle-$image"
    n=$(elf_machines "$WORK/p/bundle-$image/rootfs")
    figure "$image for arm64: $n ELF files, none of another architecture"
  done
}

# elf_machines counts ELF files of AArch64 (machine 183) and fails on others.
elf_machines() {
  python3 - "$1" <<'PY'
import os, struct, sys
count, wrong = 0, []
for root, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(root, name)
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            head = f.read(20)
        if head[:4] != b"\x7fELF":
            continue
        count += 1
        if struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])[0] != 183:
            wrong.append(path)
if wrong or count == 0:
    sys.exit("files of another architecture: %s (of %d)" % (wrong, count))
print(count)
PY
}

# go_programs builds a program with the caches of the machine and with empty
# ones, and for arm64: equal bytes from nothing.
go_programs() {
  SHUDL_TEST_NETWORK=1 go test -count=1 -timeout 30m -v -run '^TestBuild$' ./rootfs/gobin | tee "$WORK/gobin.log" | grep -E '^ *(---|ok|FAIL)'
  grep -q -e '--- PASS: TestBuild/fresh_caches' "$WORK/gobin.log" && ! grep -q -e '--- SKIP' "$WORK/gobin.log"
}
