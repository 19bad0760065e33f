"""Compares an SPDX document of ours with what syft finds in the same image.

    compare.py ALLOW IMAGE SPDX SYFT

Packages are compared both ways by purl without qualifiers, files by path and
sha256. A difference is allowed where a line of ALLOW names it with a reason:

    IMAGE SIDE PATTERN  # reason

IMAGE and PATTERN are shell patterns; SIDE is `syft` for what only syft has,
`sbom` for what only the SBOM has, `filename` for what only the SBOM has and
says to be recognised by a file's name. Prints counts, each difference that no line
allows, and on the last line the numbers of the lines that were used.
"""

import fnmatch
import json
import re
import sys
import urllib.parse


def bare(purl):
    """A purl without qualifiers and subpath, decoded."""
    return urllib.parse.unquote(re.split("[?#]", purl)[0])


def ours(document):
    """Purls of packages with the side that they would be on alone, and digests
    of files by path."""
    purls, files, methods = {}, {}, {}
    for r in document["relationships"]:
        if r["relationshipType"] == "OTHER":
            methods.setdefault(r["spdxElementId"], set()).add(r["comment"])
    for package in document["packages"]:
        named = methods.get(package["SPDXID"]) == {"evident by filename"}
        for ref in package.get("externalRefs", []):
            if ref["referenceType"] == "purl" and not ref["referenceLocator"].startswith("pkg:oci/"):
                purls[bare(ref["referenceLocator"])] = "filename" if named else "sbom"
    for file in document["files"]:
        digests = {c["algorithm"]: c["checksumValue"] for c in file["checksums"]}
        files[file["fileName"].removeprefix(".")] = digests["SHA256"]
    return purls, files


def theirs(document):
    """The same of syft's own format."""
    purls = {bare(a["purl"]) for a in document["artifacts"] if a.get("purl")}
    files = {}
    for file in document["files"]:
        if file.get("metadata", {}).get("type") == "RegularFile":
            digests = {d["algorithm"]: d["value"] for d in file.get("digests", [])}
            files[file["location"]["path"]] = digests.get("sha256", "")
    return purls, files


def allowances(path):
    """The lines of the allow-list: number, image, side, pattern."""
    lines = []
    for number, line in enumerate(open(path), 1):
        entry, _, reason = line.partition("#")
        fields = entry.split()
        if not fields:
            continue
        if len(fields) != 3 or fields[1] not in ("syft", "sbom", "filename") or not reason.strip():
            sys.exit(f"{path}:{number}: want IMAGE SIDE PATTERN # reason")
        lines.append((number, *fields))
    return lines


def main():
    allow, image, spdx, syft = sys.argv[1:]
    lines, used, unexplained, explained = allowances(allow), set(), [], 0
    (purls, files), (seen, seen_files) = ours(json.load(open(spdx))), theirs(json.load(open(syft)))
    differences = [("syft", p) for p in sorted(seen - purls.keys())]
    differences += [(purls[p], p) for p in sorted(purls.keys() - seen)]
    for path in sorted(files.keys() | seen_files.keys()):
        if path not in files:
            differences.append(("syft", path))
        elif path not in seen_files:
            differences.append(("sbom", path))
        elif seen_files[path] and seen_files[path] != files[path]:
            unexplained.append(f"{path}: sha256 {files[path]} in the SBOM, {seen_files[path]} in the image")
    for side, what in differences:
        matching = [n for n, i, s, p in lines if s == side and fnmatch.fnmatchcase(image, i) and fnmatch.fnmatchcase(what, p)]
        if matching:
            used.update(matching)
            explained += 1
        else:
            unexplained.append(f"only in {side}: {what}")
    print(f"{image}: packages {len(purls)} in the SBOM, {len(seen)} by syft, {len(purls.keys() & seen)} in both; "
          f"files {len(files)} in the SBOM, {len(seen_files)} in the image; "
          f"{explained} differences with a reason, {len(unexplained)} without")
    for text in unexplained:
        print("  " + text)
    print("used", *sorted(used))
    sys.exit(bool(unexplained))


main()
