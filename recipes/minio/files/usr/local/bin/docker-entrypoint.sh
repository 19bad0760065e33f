#!/bin/sh
# Reads MinIO's secrets from files and starts it, by the contract of the
# official image.
set -eu

# file_env NAME: sets NAME from the file that NAME_FILE names; a bare name is
# a Docker secret.
file_env() {
	eval "value=\${$1:-} file=\${$1_FILE:-}"
	[ -n "$file" ] || return 0
	case "$file" in /*) ;; *) file=/run/secrets/$file ;; esac
	if [ -n "$value" ]; then
		echo "docker-entrypoint.sh: both $1 and $1_FILE are set, but they exclude each other" >&2
		exit 1
	fi
	if [ ! -r "$file" ]; then
		echo "docker-entrypoint.sh: $1_FILE=$file cannot be read by uid $(id -u)" >&2
		exit 1
	fi
	export "$1=$(cat "$file")"
	unset "$1_FILE"
}

for name in MINIO_ROOT_USER MINIO_ROOT_PASSWORD MINIO_KMS_SECRET_KEY; do
	file_env "$name"
done

case "${1:-}" in
minio) shift ;;
server | gateway | --* | "") ;;
*) exec "$@" ;;
esac

# The variables that all images have.
case "${SHUDL_LOG_FORMAT:-text}" in
text) ;;
json) set -- "$@" --json ;;
*)
	echo "docker-entrypoint.sh: SHUDL_LOG_FORMAT=$SHUDL_LOG_FORMAT: want text or json" >&2
	exit 1
	;;
esac
case "${SHUDL_LOG_LEVEL:-info}" in
debug | info) ;;
warn | error) set -- "$@" --quiet ;;
*)
	echo "docker-entrypoint.sh: SHUDL_LOG_LEVEL=$SHUDL_LOG_LEVEL: want debug, info, warn or error" >&2
	exit 1
	;;
esac

# MinIO trusts what lies in the folder CAs beside its certificates.
if [ -n "${SHUDL_CA_FILE:-}" ] && [ "${1:-}" = server ]; then
	certs=$(mktemp -d "${TMPDIR:-/tmp}/minio-certs.XXXXXX")
	if [ -d "${MINIO_CERTS_DIR:-}" ]; then
		cp -R "$MINIO_CERTS_DIR/." "$certs"
	fi
	mkdir -p "$certs/CAs"
	cat "$SHUDL_CA_FILE" >"$certs/CAs/shudl.crt"
	set -- "$@" --certs-dir "$certs"
elif [ -n "${MINIO_CERTS_DIR:-}" ] && [ "${1:-}" = server ]; then
	set -- "$@" --certs-dir "$MINIO_CERTS_DIR"
fi

exec minio "$@"
