// Package recipes decides what each image is made of: the recipe of every
// image, the graph from bases to services, and the lock that pins each
// artefact. It fetches nothing and knows nothing of tar or registries.
//
// # A recipe
//
// Each folder with a recipe.yaml is a recipe. The file is one YAML document
// without anchors, aliases, tags or merge keys; unknown and duplicate keys are
// errors. All keys, with an example of each value:
//
//	name: postgresql                 # as the folder
//	summary: one line
//	from: base-postgresql            # NAME[:STREAM]; base = base-<distro>; absent = a base
//	distros: [alpine, debian]        # optional: the distros that it is made for
//	streams:                         # optional
//	  "17": {distros: [debian], default: true, vars: {major: "17"}}
//	  "16": {distros: [alpine], vars: {major: "16"}}
//	version: "476"                   # exactly one of these two
//	version-of: postgresql-${major}  # name of a locked artefact, of the image or an ancestor, or "release"
//	layers:
//	  - name: server                 # lower case; "state" is taken
//	    packages: [postgresql-17, "curl=8.5.0-r0", {name: libfoo, distros: [debian]}]
//	    exclude: {perl: "why"}       # packages that the closure would pull in
//	    drop:                        # from the layer's packages; each pattern must match something
//	      - {path: "usr/lib/**/bitcode/**", reason: "why"}
//	      - {path: "usr/lib/locale/**", keep: ["usr/lib/locale/en_US.utf8/**"], reason: "why"}  # all but these, and what their links lead to
//	    tarballs:                    # exactly one of url, archive with path, release
//	      - {name: jq, version: "1.8", license: MIT, supplier: The jq project, url: "https://…", sha256: …,
//	         apk-root: false,       # a root with apk's database; never by url
//	         inner: "*.txz",        # go on with an archive inside the archive; then
//	         strip: 1, select: ["bin/**"], drop: [{path: "bin/x", reason: "why"}],
//	         into: usr, owner: "0:0", mode: "0644"}
//	    maven:
//	      - {artifact: "g:a:v[:classifier][@type]", license: Apache-2.0, supplier: Who, extract: true, rename: a.jar, …}
//	    pypi:
//	      - {requirement: "patroni==4.1.5", license: MIT, sdist: false, …}
//	    go:
//	      - {package: github.com/minio/minio, module: github.com/minio/minio, version: v0.0.0-…,
//	         license: AGPL-3.0-only, ldflags: ["-s"], into: usr/bin/minio}
//	    files: files/                # the folder's tree, or a list of
//	      - {source: files/x, path: etc/x, owner: "0:0", mode: "0644"}
//	    accounts:
//	      - {name: postgres, uid: 999, gid: 999, home: /var/lib/postgresql, shell: /bin/bash,
//	         comment: PostgreSQL, groups: [ssl-cert]}
//	    directories: [{path: var/lib/postgresql, owner: "999:999", mode: "0700"}]
//	    links: [{path: usr/bin/psql, target: ../lib/postgresql/17/bin/psql}]
//	    generate: [base-files, ca-bundle, java-cacerts, busybox-applets, alternatives, shells, nsswitch, timezone]
//	config:
//	  user: postgres
//	  entrypoint: [docker-entrypoint.sh]
//	  cmd: [postgres]
//	  env: {PGDATA: /var/lib/postgresql/data}
//	  ports: [5432/tcp]
//	  volumes: [/var/lib/postgresql/data]
//	  working-dir: /
//	  stop-signal: SIGINT
//	  labels: {key: value}
//	  healthcheck: {test: [pg_isready, -q], interval: 10s, timeout: 5s, start-period: 30s, retries: 3}
//	budget: 155MB                    # 10^6 bytes of compressed layers, the parent's included
//
// The module that a Go program is built in lies in go/<program>/go.mod.txt and
// go.sum.txt of the recipe's folder; lock writes it.
//
// # What is known of vulnerabilities
//
// The folder vex of a recipe holds OpenVEX 0.2.0 documents, *.json, which are
// published beside the image as one signed document. Each product is written
// as a purl: pkg:oci/NAME for the image, whatever its digest, or that of a
// package in it; a part of an artefact, such as a jar within a jar, is a
// subcomponent of pkg:oci/NAME. A package that is not in the lock is an error,
// so that statements on a version that has moved are looked at again; a
// statement reaches the platforms and the distro that have what it speaks of.
// It changes neither the image nor its build id. To take a statement back,
// state the new status: a document that is only removed stays beside images
// that were published with it.
//
// # Paths
//
// Paths of files, directories, links and into are relative to the root of the
// image and clean; sources are below the recipe's folder files, are no symbolic
// links, and land with owner 0:0 and mode 0644, or 0755 where they begin with
// "#!". Home, shell, volumes and working-dir begin with a slash.
//
// # What differs per distro, platform and stream
//
// Wherever a value stands, a mapping with no other keys than alpine and debian
// may stand instead: each distro takes its own, or nothing where it has no key.
// A layer, and every list item written as a mapping, may carry the filters
// distros: [debian] and platforms: [linux/amd64]. The variables ${arch.deb}
// (amd64), ${arch.apk} (x86_64), ${arch.go} (amd64), ${distro}, ${stream} and
// the stream's vars stand in any string; $${ is a literal ${. A part that no
// distro or platform can reach is an error.
//
// A recipe with several streams for a distro marks one of them as default; a
// single one is. A from without stream means the default stream.
//
// # What an image inherits
//
// Config that a recipe does not set is its parent's. Env and labels are merged
// name by name; an entrypoint of its own clears the parent's cmd; any other
// value that the recipe sets, an empty list too, replaces the parent's.
//
// # Contracts
//
// The file test.yaml beside a recipe says what its image is held to by
// `shudl-assemble test`. It is read as strictly as a recipe, with the same
// variables, filters and per-distro values, and is no part of the image's
// digest. All keys, with an example of each value:
//
//	user: "999:999"                  # who the image runs as, in numbers
//	healthy: 60s                     # the first start, until its own health check succeeds
//	stop: 10s                        # from its stop signal to its end
//	writable: [/run/postgresql]      # world-writable folders beside /tmp and /var/tmp
//	cases:                           # each begins with fresh volumes
//	  - name: it serves
//	    programs: [{name: etcd, run: [etcd, --data-dir, data], ready: "http://127.0.0.1:2379/health", install: install etcd-server}]
//	    network: separate            # each container has its own, and is known by name; absent = all share one loopback
//	    authority: {port: 8443, file: /mnt/ca.crt}  # an HTTPS server whose authority nobody trusts, and its PEM
//	    containers:                  # or the keys of one container right here, which is then named main
//	      - name: db
//	        image: postgresql        # another image that helps; absent = the image itself
//	        env: {POSTGRES_PASSWORD: secret}
//	        cmd: [-c, work_mem=7MB]  # absent = the image's own
//	        user: "4711:4711"        # absent = the image's own
//	        capabilities: [CHOWN]    # none is the rule
//	        files: [{path: /mnt/a.sql, content: SELECT 1, compress: gzip, mode: "0755"}]
//	        volumes: [{path: /data, name: shared, owner: "0:0", mode: "0700"}]
//	        exits: 0                 # it ends by itself; otherwise it becomes healthy and is stopped at the end
//	        stop: 30s                # how long that may take here, where it is not the image's own time
//	        says: [^done$]           # patterns that its log matches by then
//	        log: json                # every line of the log is a JSON object
//	        plain: [{line: ^WARNING, reason: the JVM's own}]
//	    steps:
//	      - {name: it answers, run: [psql, -Atc, SELECT 1], in: db, env: {PGUSER: postgres}, status: 0, prints: "1", matches: ^1, within: 30s}
//	      - {name: it lists, http: "http://127.0.0.1:8080/v1", method: POST, headers: {X-User: a}, data: "", status: 200, json: {"list[0].name": b}}
//	      - {name: metrics, metrics: "http://127.0.0.1:8080/metrics", has: [up]}
//	      - {name: it says so, says: ready, in: db}
//	      - {start: db}              # where it does not start at the beginning
//	      - {restart: db, cmd: [-c, work_mem=8MB]}
//	      - {stop: db}
//	      - {kill: db}               # all its processes at once; start brings it back
//	      - {cut: db}                # nothing reaches it, and it reaches nobody; needs network: separate
//	      - {heal: db}
//	      - {name: rows are written, writes: "postgres://postgres:secret@127.0.0.1:5432/postgres"}  # in the background
//	      - {resumed: db is killed, within: 60s}  # they are acknowledged again; how long they were not is printed
//	      - {name: they are all there, kept: "postgres://postgres:secret@127.0.0.1:5432/postgres"}  # writing ends
//
// Patterns are those of package regexp, with ^ and $ at lines. A step with
// within is tried until it succeeds or that time is over; a line of the log is
// waited for some seconds in any case.
//
// Where networks are separate, the addresses of steps name containers, as in
// http://db:8080/, and /etc/hosts of each container knows all of them and the
// programs, which run outside: a program listens on 0.0.0.0, and its name is
// its address. These networks end in the sandbox. A container that is cut
// keeps its loopback, so that run still works in it, and stays cut through a
// restart.
//
// A stack, stacks/NAME.yaml, is a summary, distros where it is not made for
// all, and cases in which every container names its image.
package recipes
