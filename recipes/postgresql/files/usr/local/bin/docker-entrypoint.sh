#!/usr/bin/env bash
# Makes a database cluster in an empty PGDATA and starts PostgreSQL, by the
# contract of the official image: POSTGRES_* variables, each also as *_FILE,
# and /docker-entrypoint-initdb.d.
set -Eeuo pipefail

fail() {
	say FATAL "$*"
	exit 1
}

# say SEVERITY TEXT writes a line of this script, in the format of the log.
say() {
	local text="docker-entrypoint.sh: $2"
	if [ "${SHUDL_LOG_FORMAT:-text}" = json ]; then
		json_line "$1" "$text" >&2
	else
		echo "$text" >&2
	fi
}

# json_line SEVERITY TEXT writes an object with the keys of PostgreSQL's own.
json_line() {
	local now=$EPOCHREALTIME stamp text=${2//\\/\\\\}
	TZ=UTC printf -v stamp '%(%Y-%m-%d %H:%M:%S)T' "${now%.*}"
	text=${text//\"/\\\"}
	printf '{"timestamp":"%s.%s UTC","error_severity":"%s","message":"%s","backend_type":"entrypoint"}\n' \
		"$stamp" "${now: -6:3}" "$1" "${text//[[:cntrl:]]/ }"
}

# json_lines turns the text of other programs into such objects, until one says
# that it was the last: what a user's script left behind may hold the pipe.
LAST_LINE="docker-entrypoint.sh: end of $$"
json_lines() {
	local line
	while IFS= read -r line || [ -n "$line" ]; do
		case "$line" in
		"$LAST_LINE") return ;;
		'{"timestamp":'*) printf '%s\n' "$line" ;;
		?*) json_line LOG "$line" ;;
		esac
	done
}

# file_env NAME [DEFAULT]: sets NAME from the file that NAME_FILE names.
file_env() {
	local name=$1 file=$1_FILE
	[ -z "${!name:-}" ] || [ -z "${!file:-}" ] || fail "both $name and $file are set, but they exclude each other"
	local value=${2:-}
	if [ -n "${!name:-}" ]; then
		value=${!name}
	elif [ -n "${!file:-}" ]; then
		[ -r "${!file}" ] || fail "$file=${!file} cannot be read by uid $(id -u)"
		value=$(<"${!file}")
	fi
	export "$name=$value"
	unset "$file"
}

# step_down runs this script again as postgres, once root has made the folders
# that postgres cannot make, and has given it what json_collector opens again.
step_down() {
	mkdir -p "$PGDATA" /run/postgresql
	chmod 700 "$PGDATA" || true
	find "$PGDATA" \! -user postgres -exec chown postgres:postgres '{}' +
	find /run/postgresql \! -user postgres -exec chown postgres:postgres '{}' + 2>/dev/null || true
	if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then
		mkdir -p "$POSTGRES_INITDB_WALDIR"
		chmod 700 "$POSTGRES_INITDB_WALDIR"
		find "$POSTGRES_INITDB_WALDIR" \! -user postgres -exec chown postgres:postgres '{}' +
	fi
	[ "${SHUDL_LOG_FORMAT:-text}" != json ] || chown postgres /proc/self/fd/9 9>&2 2>/dev/null || true
	export HOME=/var/lib/postgresql
	if command -v su-exec >/dev/null; then
		exec su-exec postgres "$0" "$@"
	fi
	exec chroot --userspec=postgres --skip-chdir / "$0" "$@"
}

# named makes a passwd entry for a uid that has none: initdb insists on one.
named() {
	getent passwd "$(id -u)" >/dev/null && return
	local wrapper
	for wrapper in /usr/lib/*/libnss_wrapper.so /usr/lib/libnss_wrapper.so; do
		[ -s "$wrapper" ] || continue
		NSS_WRAPPER_PASSWD=$(mktemp)
		NSS_WRAPPER_GROUP=$(mktemp)
		echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
		echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
		export NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP LD_PRELOAD=$wrapper
		return
	done
}

unnamed() {
	[ -z "${NSS_WRAPPER_PASSWD:-}" ] || rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
	unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

check_password() {
	case "$POSTGRES_HOST_AUTH_METHOD" in
	trust)
		say WARNING "POSTGRES_HOST_AUTH_METHOD=trust: everyone who reaches the port is superuser without a password"
		;;
	*)
		[ -n "$POSTGRES_PASSWORD" ] || fail "the database is empty and there is no superuser password:" \
			"set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, or POSTGRES_HOST_AUTH_METHOD=trust to allow all connections without one"
		;;
	esac
}

# no_other_cluster refuses to make a cluster beside one that somebody expects to
# find: a volume of another image, or one that is mounted elsewhere.
no_other_cluster() {
	local version folder volume=/var/lib/postgresql/data
	for version in "$volume"/PG_VERSION "$volume"/*/PG_VERSION "${PGDATA%/*}"/PG_VERSION "${PGDATA%/*}"/*/PG_VERSION "$PGDATA"/*/PG_VERSION; do
		folder=${version%/PG_VERSION}
		if [ -s "$version" ] && [ "$folder" != "$PGDATA" ]; then
			fail "PGDATA=$PGDATA is empty, but $folder holds a cluster of PostgreSQL $(<"$version"):" \
				"set PGDATA=$folder to use it, or take it away to begin anew"
		fi
	done
}

# known_locales refuses a cluster whose configuration names a locale that libc
# does not know: the server would only call the name an invalid value and end.
known_locales() {
	local setting name
	local -A names=() # the last line of a setting counts
	command -v locale >/dev/null || return 0 # musl takes any name
	while read -r setting name; do
		names[${setting,,}]=$name
	done < <(sed -nE "s/^[[:space:]]*(lc_[a-z]+)[[:space:]]*=?[[:space:]]*'?([^'#[:space:]]+).*/\1 \2/Ip" \
		"$PGDATA/postgresql.conf" "$PGDATA/postgresql.auto.conf" 2>/dev/null)
	for setting in lc_messages lc_monetary lc_numeric lc_time; do
		name=${names[$setting]:-C}
		[ -z "$(env -i LC_ALL="$name" locale 2>&1 >/dev/null)" ] ||
			fail "the configuration in $PGDATA sets $setting to the locale $name, which this image does not have" \
				"(it has $(locale -a | paste -sd ' ')): start the image that made the cluster, dump there, and restore into a new cluster" \
				"with ICU, or build base-postgresql with that locale"
	done
}

make_cluster() {
	local -a args=(--username="$POSTGRES_USER" --encoding=UTF8 --data-checksums --auth-local=trust
		-c "listen_addresses=*" -c jit=off)
	case "$POSTGRES_HOST_AUTH_METHOD" in
	trust) args+=(--auth-host=trust) ;;
	*) args+=(--auth-host=scram-sha-256) ;;
	esac
	args+=(--locale=C.UTF-8)
	case "$POSTGRES_INITDB_ARGS" in
	*--locale=* | *"--locale "* | *--lc-collate* | *--lc-ctype*) ;; # of libc, as in the official image
	*) [ "$PG_MAJOR" -lt 17 ] || args+=(--locale-provider=builtin) ;;
	esac
	[ -z "${POSTGRES_INITDB_WALDIR:-}" ] || args+=(--waldir="$POSTGRES_INITDB_WALDIR")
	named
	# POSTGRES_INITDB_ARGS is a list of words, as in the official image.
	eval 'initdb "${args[@]}" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD") '"$POSTGRES_INITDB_ARGS"' "$PGDATA"'
	unnamed
	printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
}

# docker_process_sql runs psql on the temporary server, which listens on a socket
# only. Scripts that are sourced call it by this name of the official image.
docker_process_sql() {
	PGHOST=$SOCKETS PGPASSWORD=$POSTGRES_PASSWORD psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc \
		--username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"
}

run_files() {
	local file
	shopt -s nullglob
	for file in /docker-entrypoint-initdb.d/*; do
		case "$file" in
		*.sh)
			echo "docker-entrypoint.sh: $file"
			if [ -x "$file" ]; then
				PGHOST=$SOCKETS "$file"
			else
				# shellcheck disable=SC1090 # what the user mounts
				. "$file"
			fi
			;;
		*.sql) echo "docker-entrypoint.sh: $file" && docker_process_sql -f "$file" ;;
		*.sql.gz) echo "docker-entrypoint.sh: $file" && gunzip -c "$file" | docker_process_sql ;;
		*.sql.xz) echo "docker-entrypoint.sh: $file" && xzcat "$file" | docker_process_sql ;;
		*.sql.zst) echo "docker-entrypoint.sh: $file" && zstd -dc "$file" | docker_process_sql ;;
		*) echo "docker-entrypoint.sh: ignoring $file" ;;
		esac
	done
	shopt -u nullglob
}

# fill starts a server that nobody else reaches, makes the database and runs
# what the user mounted.
fill() {
	# The last of two settings counts: the user's are for the server that stays.
	pg_ctl -D "$PGDATA" -o "$(quoted "$@") -c listen_addresses='' -c unix_socket_directories='$SOCKETS' $(quoted -p "${PGPORT:-5432}")" -w start
	if [ "$POSTGRES_DB" != postgres ] &&
		[ -z "$(docker_process_sql --dbname postgres --set db="$POSTGRES_DB" -At <<<"SELECT 1 FROM pg_database WHERE datname = :'db';")" ]; then
		docker_process_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
	fi
	PGHOST=$SOCKETS run_files
	pg_ctl -D "$PGDATA" -m fast -w stop
}

quoted() {
	[ $# -eq 0 ] || printf '%q ' "$@"
}

# log_arguments turns the variables that all images have into PostgreSQL's.
log_arguments() {
	case "${SHUDL_LOG_LEVEL:-info}" in
	debug) LOG=(-c log_min_messages=debug1 -c log_statement=all -c log_connections=on) ;;
	info) LOG=() ;;
	warn) LOG=(-c log_min_messages=warning -c log_checkpoints=off) ;;
	error) LOG=(-c log_min_messages=error -c log_checkpoints=off) ;;
	*) fail "SHUDL_LOG_LEVEL=$SHUDL_LOG_LEVEL: want debug, info, warn or error" ;;
	esac
	case "${SHUDL_LOG_FORMAT:-text}" in
	text) ;;
	json) json_collector ;;
	*) fail "SHUDL_LOG_FORMAT=$SHUDL_LOG_FORMAT: want text or json" ;;
	esac
}

# json_collector adds what makes PostgreSQL write JSON. It does so to files only,
# by a process of its own, so its files are links to this script's standard
# error, kept open under a number that the postmaster does not change. They are
# never rotated.
json_collector() {
	local folder=${TMPDIR:-/tmp}/postgresql-log
	exec 9>&2
	if ! { : >>/proc/self/fd/9; } 2>/dev/null; then
		fail "SHUDL_LOG_FORMAT=json: standard error cannot be opened again by uid $(id -u), as PostgreSQL has to: it is a socket or another user's"
	fi
	mkdir -p "$folder"
	ln -sf /proc/self/fd/9 "$folder/postgresql.log"
	ln -sf /proc/self/fd/9 "$folder/postgresql.json"
	LOG+=(-c logging_collector=on -c log_destination=jsonlog -c "log_directory=$folder" -c log_filename=postgresql.log
		-c log_rotation_age=0 -c log_rotation_size=0 -c log_truncate_on_rotation=off)
}

# initialize makes the cluster and fills it.
initialize() {
	make_cluster
	fill "$@"
}

# prepare makes what is missing for a start, and checks what is there. Its
# arguments are the server's.
prepare() {
	mkdir -p "$PGDATA"
	chmod 700 "$PGDATA" 2>/dev/null || true # a volume of another owner; initdb says so
	if [ -s "$PGDATA/PG_VERSION" ]; then
		[ "$(<"$PGDATA/PG_VERSION")" = "$PG_MAJOR" ] ||
			fail "$PGDATA was made by PostgreSQL $(<"$PGDATA/PG_VERSION"), this image is PostgreSQL $PG_MAJOR:" \
				"use the stream of that version, or dump and restore"
		known_locales
		case "$SELF" in
		docker-enforce-initdb.sh) fail "$PGDATA holds a cluster already: $SELF wants to make it" ;;
		docker-ensure-initdb.sh) say LOG "$PGDATA holds a cluster already" ;;
		esac
		return
	fi
	file_env POSTGRES_PASSWORD
	file_env POSTGRES_USER postgres
	file_env POSTGRES_DB "$POSTGRES_USER"
	file_env POSTGRES_INITDB_ARGS
	: "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
	no_other_cluster
	check_password
	if [ "${SHUDL_LOG_FORMAT:-text}" != json ]; then
		initialize "$@"
		return
	fi
	{
		trap 'echo "$LAST_LINE"' EXIT
		initialize "$@"
	} 2>&1 | json_lines >&2
}

# main starts the server or any other command. By its names
# docker-ensure-initdb.sh and docker-enforce-initdb.sh it makes the cluster and
# ends; the second fails where there is one.
main() {
	local -a sockets=()
	SELF=${0##*/}
	case "$SELF" in
	docker-ensure-initdb.sh | docker-enforce-initdb.sh) [ "${1:-}" = postgres ] || set -- postgres "$@" ;;
	*) [ "${1:-}" = "${1#-}" ] || set -- postgres "$@" ;;
	esac
	if [ "${1:-}" != postgres ] || asks help "$@"; then
		exec "$@"
	fi
	[ "$(id -u)" -ne 0 ] || step_down "$@"
	if asks setting "$@"; then
		exec "$@"
	fi

	SOCKETS=/run/postgresql
	if [ ! -w "$SOCKETS" ]; then
		SOCKETS=${TMPDIR:-/tmp}
		sockets=(-c "unix_socket_directories=$SOCKETS")
	fi
	log_arguments
	prepare "${@:2}"
	case "$SELF" in docker-ensure-initdb.sh | docker-enforce-initdb.sh) exit 0 ;; esac
	unset POSTGRES_PASSWORD PGPASSWORD
	exec "$1" "${sockets[@]}" "${LOG[@]}" "${@:2}"
}

# asks WHAT ARGUMENTS... says whether postgres only prints: help, or with -C the
# value of a setting, for which it wants no root but the cluster.
asks() {
	local word what=$1
	shift
	for word; do
		case "$what $word" in
		"help -?" | "help --help" | "help --describe-config" | "help -V" | "help --version" | "setting -C"*) return 0 ;;
		esac
	done
	return 1
}

main "$@"
