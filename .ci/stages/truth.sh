# What the lock says, what the SBOM says and what a scanner finds are one.
# shellcheck shell=bash

# distro_packages compares names and versions of distro packages three times
# over: the lock with the parents', the SBOM, and syft.
distro_packages() {
  local image tag dir n bad=0
  tags | while read -r image tag; do
    dir=$(one_tag "$image" "$tag")
    (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" sbom --format spdx-json "oci:shudl-images/$image:$tag" >"$WORK/sbom-$image.json")
    jq -r '.packages[].externalRefs[]? | select(.referenceType == "purl") | .referenceLocator | select(startswith("pkg:deb/"))' "$WORK/sbom-$image.json" |
      sed -E 's#^pkg:deb/[a-z]+/##; s#\?.*##; s#@# #' | python3 -c 'import sys, urllib.parse; print(urllib.parse.unquote(sys.stdin.read()), end="")' | sort -u >"$WORK/sbom-$image.txt"
    SYFT_CHECK_FOR_APP_UPDATE=false syft scan -q "oci-dir:$dir" --select-catalogers dpkg -o json |
      jq -r '.artifacts[] | select(.type == "deb") | "\(.name) \(.version)"' | sort -u >"$WORK/syft-$image.txt"
    (cd "$WORK/a" && as_user 10101 022 UTC 2 "$BIN/shudl-assemble" plan --distro debian --packages "$image" 2>/dev/null) | sort -u >"$WORK/lock-$image.txt" || true
    n=$(wc -l <"$WORK/sbom-$image.txt")
    diff "$WORK/sbom-$image.txt" "$WORK/syft-$image.txt" || bad=1
    diff "$WORK/sbom-$image.txt" "$WORK/lock-$image.txt" || bad=1
    figure "distro packages of $image: lock $(wc -l <"$WORK/lock-$image.txt"), SBOM $n, syft $(wc -l <"$WORK/syft-$image.txt")"
    [ "$n" -gt 0 ] && [ "$bad" -eq 0 ]
  done
}

# package_files holds every file of a package to the package's own checksums,
# in the unpacked image.
package_files() {
  local image n
  for image in "$WORK"/bundle/*/; do
    (cd "$image/rootfs" && cat var/lib/dpkg/status.d/*.md5sums) >"$WORK/md5sums"
    n=$(cd "$image/rootfs" && awk '{print $2}' "$WORK/md5sums" | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done | wc -l)
    # What the recipe drops is not there; what is there must be equal.
    (cd "$image/rootfs" && md5sum -c --quiet --ignore-missing "$WORK/md5sums")
    figure "files of $(basename "$image") equal to their packages' checksums: $n"
    [ "$n" -gt 100 ]
  done
}
