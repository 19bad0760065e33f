#!/usr/bin/env bash
# MinIO and mc: put and get.
. "$(dirname "$0")/lib.sh"
user=$(user_of minio)

container minio minio MINIO_ROOT_USER=admin-user MINIO_ROOT_PASSWORD=admin-secret MINIO_PROMETHEUS_AUTH_TYPE=public SHUDL_LOG_FORMAT=json \
  --mount "$(volume minio "$user"):/data"
start minio
alive minio 60 curl -fs http://127.0.0.1:9000/minio/health/ready
# shellcheck disable=SC2016 # for the shell of the container
inside minio sh -ec 'echo "hello lake" >/tmp/hello
  mc alias set here http://127.0.0.1:9000 admin-user admin-secret >/dev/null
  mc mb here/bucket; mc cp /tmp/hello here/bucket/hello; test "$(mc cat here/bucket/hello)" = "hello lake"'
grep -m 1 '^{' "$BOOT/minio/log" | jq -e .message >/dev/null
prove "mc put and get as uid ${user%%:*}, read-only root"
inside minio minio --version | grep -q 2026-02-12
inside minio mc --version | grep -q 2025-03-13
answers '^minio_' http://127.0.0.1:9000/minio/v2/metrics/cluster
prove "$(inside minio minio --version | head -n 1)"
if inside minio mc ls "http://127.0.0.1:9000/bucket" >/dev/null 2>&1; then fail "the bucket is open"; fi
stopped minio SIGTERM 20
