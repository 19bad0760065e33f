"""Holds the SBOM of an unpacked Debian image to the packages' own checksums.

    owners.py SPDX ROOT

Every file that a package's md5sums list and the image has must be owned by
that package in the SBOM, and every file of the SBOM must have one owner.
"""

import collections
import json
import os
import sys


def owners(document):
    """Names of the packages that contain a file, by its path."""
    names = {p["SPDXID"]: p["name"] for p in document["packages"]}
    paths = {f["SPDXID"]: f["fileName"].removeprefix("./") for f in document["files"]}
    found = collections.defaultdict(list)
    for r in document["relationships"]:
        if r["relationshipType"] == "CONTAINS" and r["relatedSpdxElement"] in paths:
            found[paths[r["relatedSpdxElement"]]].append(names[r["spdxElementId"]])
    return found, paths


def main():
    found, paths = owners(json.load(open(sys.argv[1])))
    root, wrong, packaged = sys.argv[2], [], 0
    for path in paths.values():
        if len(found[path]) != 1:
            wrong.append(f"{path}: owned by {found[path]}")
    status = os.path.join(root, "var/lib/dpkg/status.d")
    for name in sorted(os.listdir(status)):
        if not name.endswith(".md5sums"):
            continue
        for line in open(os.path.join(status, name), encoding="utf-8", errors="surrogateescape"):
            path = line.rstrip("\n").split(None, 1)[1]
            if not os.path.isfile(os.path.join(root, path)):
                continue
            # A folder such as bin may be a link to usr/bin.
            path = os.path.relpath(os.path.realpath(os.path.join(root, path)), os.path.realpath(root))
            packaged += 1
            if name.removesuffix(".md5sums") not in found[path]:
                wrong.append(f"{path}: of {name.removesuffix('.md5sums')}, owned by {found[path]} in the SBOM")
    print(f"files {len(paths)}, each with one owner; {packaged} of packages, {len(paths) - packaged} of artefacts and recipes")
    for text in wrong:
        print("  " + text)
    sys.exit(bool(wrong) or packaged < 100)


main()
