# Checks that need no network once the tools are there.
# shellcheck shell=bash

STATICCHECK=honnef.co/go/tools/cmd/staticcheck@v0.8.2
ACTIONLINT=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GORELEASER=github.com/goreleaser/goreleaser/v2@v2.16.0

lint_go() {
  local unformatted
  unformatted=$(git ls-files '*.go' | xargs -r gofmt -l)
  [ -z "$unformatted" ] || {
    printf 'not gofmt-ed:\n%s\n' "$unformatted"
    return 1
  }
  go vet ./...
  # It asks for the modules of other modules' tests, which nothing else needs.
  [ -z "${SHUDL_TEST_FULL:-}" ] || go mod tidy -diff
  GOBIN="$BIN" go install "$STATICCHECK"
  "$BIN/staticcheck" ./...
  local module
  for module in .ci/trust .ci/tools; do
    (cd "$module" && go vet ./... && "$BIN/staticcheck" ./...)
  done
}

# lint_size holds files to 400 lines; functions are left to reviewers.
lint_size() {
  local big
  big=$(git ls-files '*.go' | xargs -r wc -l | awk '$2 != "total" && $1 > 400')
  [ -z "$big" ] || {
    printf 'over 400 lines:\n%s\n' "$big"
    return 1
  }
}

lint_shell() {
  git ls-files | while read -r f; do
    case $f in
    *.sh) printf '%s\n' "$f" ;;
    *) head -c 64 "$f" 2>/dev/null | head -n 1 | grep -qE '^#!.*\b(sh|bash)\b' || continue
      printf '%s\n' "$f" ;;
    esac
  done | xargs -r shellcheck -x
}

lint_workflows() {
  GOBIN="$BIN" go install "$ACTIONLINT"
  "$BIN/actionlint"
  python3 -m venv "$WORK/venv"
  "$WORK/venv/bin/pip" -q install zizmor==1.32.0
  "$WORK/venv/bin/zizmor" --offline --quiet .github/workflows
}

lint_release() {
  GOBIN="$BIN" go install "$GORELEASER"
  # It wants a remote, whichever it is.
  git remote get-url origin >/dev/null 2>&1 || git remote add origin https://github.com/shudl/shudl-assemble
  "$BIN/goreleaser" check
}

# lint_hosts looks for the host names of package registries, which it takes
# from this machine's own clients, since none may stand in the repository.
lint_hosts() {
  local hosts bad h
  hosts=$({
    # shellcheck disable=SC2016 # apt expands it
    apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null
    go env GOPROXY | sed 's/[,|]/\n/g'
    python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.url); print("//" + PyPI.file_storage_domain)' 2>/dev/null
    unzip -p /usr/share/maven/lib/maven-model-builder*.jar org/apache/maven/model/pom-4.0.0.xml 2>/dev/null | grep -oE 'https?://[^/<]+'
  } | sed -E 's#^.*//##; s#/.*##' | grep -F . | grep -vE '^(packages\.cloud|deb\.nodesource|maven\.apache|snapshot\.debian|www\.apache)' | sort -u || true)
  [ -n "$hosts" ] || {
    echo 'found no host to look for'
    return 1
  }
  bad=$(for h in $hosts; do git grep -lF -- "$h" || true; done | sort -u)
  [ -z "$bad" ] || {
    printf 'a package registry is named by its host in:\n%s\n' "$bad"
    return 1
  }
}
