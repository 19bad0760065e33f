// Package provenance says how an image came to be: a SLSA provenance
// predicate, version 1 (https://slsa.dev/spec/v1.0/provenance), of the build
// type that is documented here. The same build has the same predicate, byte
// for byte: it holds no time and no id that changes from run to run.
//
// # Build type https://github.com/shudl/shudl-assemble/buildtypes/image/v1
//
// One build makes one image of one platform: it takes the locked artefacts
// that a recipe names, lays them out as file trees without running anything
// of theirs (Go programs are compiled), and packs these as layers on top of
// the parent image's. Whoever has the recipe, the lock and a release of the
// program with the same formats and encoder gets the same bytes;
// `shudl-assemble reproduce` does that.
//
// externalParameters are what the person or job that ran the build chose:
//
//	image        the recipe's name: postgresql
//	stream       its version line: "17"; absent for a recipe without streams
//	distro       alpine or debian
//	platform     linux/amd64 or linux/arm64
//	compression  of layers: gzip or zstd
//	sourceDate   the one date of everything (SOURCE_DATE_EPOCH), in UTC; absent
//	             where dates come from the lock
//
// internalParameters are what else decides the bytes:
//
//	recipes   the recipe of the image and of each ancestor, the base first:
//	          name as IMAGE[:STREAM], and the sha256 of the expanded recipe
//	          with its files, as the program computes it
//	version   the upstream version that the tags carry
//	buildId   the part of the tag that never moves after the version
//	release   the distro's own release
//	lockDate  date of the newest package index that the image or an ancestor
//	          was resolved from, and the date of the image
//	formats   version numbers: buildId of what a build id covers, lock of the
//	          lock, layer of the bytes of layers
//	encoder   the compressor: its name, and the sha256 of its golden stream
//	go        the Go version that compiled programs; absent where there are none
//
// resolvedDependencies are every locked artefact of the image and of its
// ancestors, and the parent image:
//
//	uri         a purl. It never names a mirror: where an artefact was fetched
//	            from does not change what it is
//	digest      sha256 of the file; of the parent, that of its manifest
//	name        of an artefact, its name in the lock; of the parent, IMAGE[:STREAM]
//	downloadLocation  only where the recipe itself names the artefact by address
//	annotations image and layer that an artefact went into; kind, which is
//	            parent for the parent image
//
// builder.id is the workflow (GitHub Actions) or the project's CI
// configuration (GitLab) that ran the program, or
// https://github.com/shudl/shudl-assemble/local anywhere else. It is what the
// environment says: only a signature by that workflow's own identity makes it
// more than a claim. builder.version has the version of shudl-assemble.
package provenance
