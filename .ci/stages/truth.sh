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

# documents takes both SBOMs of every image, as they were signed, into
# $WORK/truth/FOLDER.{spdx,cdx}.json.
documents() {
  mkdir -p "$WORK/truth"
  tags | by_twos documents_of
}

# documents_of FOLDER IMAGE TAG takes those of one image.
documents_of() {
  local key=$WORK/homes/10101/.config/shudl-assemble/cosign.pub
  "$BIN/shudl-assemble" sbom --key "$key" --format spdx-json "oci:$IMAGES_A/$2:$3" >"$WORK/truth/$1.spdx.json"
  "$BIN/shudl-assemble" sbom --key "$key" --format cyclonedx-json "oci:$IMAGES_A/$2:$3" >"$WORK/truth/$1.cdx.json"
}

# syft_reads FILE converts a document by syft.
syft_reads() {
  SYFT_CHECK_FOR_APP_UPDATE=false syft convert -q "$1" -o syft-json | jq -e '.artifacts | length > 10' >/dev/null
}

# syft_scans FOLDER IMAGE TAG keeps what syft finds in an image.
syft_scans() {
  local dir
  dir=$(one_tag "$@")
  SYFT_CHECK_FOR_APP_UPDATE=false SYFT_FILE_METADATA_SELECTION=all SYFT_FILE_METADATA_DIGESTS=sha256 \
    syft scan -q "oci-dir:$dir" -o "json=$WORK/truth/$1.syft.json"
}

# sbom_formats holds every document to the SPDX project's validator, to the
# schema of CycloneDX 1.6, to grype's reader and to syft's conversion.
sbom_formats() {
  documents
  sbomcheck "$WORK"/truth/*.spdx.json "$WORK"/truth/*.cdx.json >"$WORK/truth/read"
  sed "s#^$WORK/truth/##" "$WORK/truth/read"
  "$WORK/venv/bin/python" "$ROOT/.ci/truth/validate.py" "$WORK"/truth/*.cdx.json
  printf '%s\n' "$WORK"/truth/*.spdx.json "$WORK"/truth/*.cdx.json | by_twos syft_reads
  figure "SBOMs valid as SPDX 2.3 or CycloneDX 1.6 and read by grype and syft: $(wc -l <"$WORK/truth/read")"
}

# sbom_truth compares what the SBOMs say with what syft finds, packages and
# files, both ways. A difference wants a line with its reason in allow.txt, and
# a line wants a difference.
sbom_truth() {
  local folder image tag failed=0 allow=$ROOT/.ci/truth/allow.txt
  : >"$WORK/truth/used"
  tags | by_twos syft_scans
  while read -r folder image tag; do
    python3 "$ROOT/.ci/truth/compare.py" "$allow" "$image" "$WORK/truth/$folder.spdx.json" "$WORK/truth/$folder.syft.json" >"$WORK/truth/$folder.compared" || failed=1
    figure "syft and SBOM: $(head -1 "$WORK/truth/$folder.compared")"
    sed -n '/^  /p' "$WORK/truth/$folder.compared"
    tail -1 "$WORK/truth/$folder.compared" | tr ' ' '\n' | grep -E '^[0-9]+$' >>"$WORK/truth/used" || true
  done < <(tags)
  # Reasons for what is no longer so.
  grep -nE '^[^#]' "$allow" | cut -d: -f1 | LC_ALL=C sort >"$WORK/truth/lines"
  LC_ALL=C sort -u "$WORK/truth/used" | LC_ALL=C comm -23 "$WORK/truth/lines" - | while read -r line; do
    echo "allow.txt:$line is not needed: $(sed -n "${line}p" "$allow")"
  done | tee "$WORK/truth/unneeded"
  [ "$failed" = 0 ] && [ ! -s "$WORK/truth/unneeded" ]
}

# distro_packages compares names and versions of distro packages three times
# over: the lock with the parents', the SBOM, and what syft found.
distro_packages() {
  local folder image tag
  (cd "$ROOT" && "$BIN/shudl-assemble" plan --all --distro debian --platform linux/amd64 --format json >"$WORK/plan.json")
  tags | while read -r folder image tag; do
    jq -r '.packages[] | select(any(.externalRefs[]?; .referenceType == "purl" and (.referenceLocator | startswith("pkg:deb/")))) | "\(.name) \(.versionInfo)"' \
      "$WORK/truth/$folder.spdx.json" | LC_ALL=C sort >"$WORK/truth/$folder.sbom"
    jq -r '.artifacts[] | select(.type == "deb") | "\(.name) \(.version)"' "$WORK/truth/$folder.syft.json" | LC_ALL=C sort >"$WORK/truth/$folder.syft"
    locked_packages "$tag" | LC_ALL=C sort >"$WORK/truth/$folder.lock"
    figure "distro packages of $folder: lock $(wc -l <"$WORK/truth/$folder.lock"), SBOM $(wc -l <"$WORK/truth/$folder.sbom"), syft $(wc -l <"$WORK/truth/$folder.syft")"
    diff "$WORK/truth/$folder.lock" "$WORK/truth/$folder.sbom"
    diff "$WORK/truth/$folder.lock" "$WORK/truth/$folder.syft"
    [ -s "$WORK/truth/$folder.lock" ]
  done
}

# package_files holds every file of a package to the package's own checksums,
# in the unpacked image, and the SBOM to who owns it.
package_files() {
  local image n
  for image in "$WORK"/bundle/*/; do
    (cd "$image/rootfs" && cat var/lib/dpkg/status.d/*.md5sums) >"$WORK/md5sums"
    n=$(cd "$image/rootfs" && awk '{print $2}' "$WORK/md5sums" | while read -r f; do if [ -f "$f" ]; then echo; fi; done | wc -l)
    # What the recipe drops is not there; what is there must be equal.
    (cd "$image/rootfs" && md5sum -c --quiet --ignore-missing "$WORK/md5sums")
    figure "files of $(basename "$image") equal to their packages' checksums: $n"
    python3 "$ROOT/.ci/truth/owners.py" "$WORK/truth/$(basename "$image").spdx.json" "$image/rootfs"
    [ "$n" -gt 100 ]
  done
}
