#!/usr/bin/env bash
# Nessie to ready, with its state in our PostgreSQL and a warehouse in our
# MinIO.
. "$(dirname "$0")/lib.sh"

container db postgresql POSTGRES_USER=nessie POSTGRES_PASSWORD=secret --mount "$(volume db "$(user_of postgresql)"):/var/lib/postgresql/data"
start db
container s3 minio MINIO_ROOT_USER=admin-user MINIO_ROOT_PASSWORD=admin-secret --mount "$(volume s3 "$(user_of minio)"):/data"
start s3
alive db 120 inside db pg_isready -q -h 127.0.0.1 -U postgres
alive s3 60 curl -fs http://127.0.0.1:9000/minio/health/ready
inside s3 sh -ec 'mc alias set here http://127.0.0.1:9000 admin-user admin-secret >/dev/null; mc mb here/lake'

printf secret >"$BOOT/password"
printf admin-secret >"$BOOT/s3-secret"
chmod 644 "$BOOT/password" "$BOOT/s3-secret"
container nessie nessie NESSIE_JDBC_URL=jdbc:postgresql://127.0.0.1:5432/nessie NESSIE_JDBC_USERNAME=nessie \
  --mount "$BOOT/password:/mnt/password" --mount "$BOOT/s3-secret:/mnt/s3-secret" NESSIE_JDBC_PASSWORD_FILE=/mnt/password \
  NESSIE_WAREHOUSE_LOCATION=s3://lake/warehouse NESSIE_S3_ENDPOINT=http://127.0.0.1:9000/ \
  nessie.server.default-branch=trunk NESSIE_S3_ACCESS_KEY=admin-user NESSIE_S3_SECRET_KEY_FILE=/mnt/s3-secret JAVA_OPTS=-Xmx512m
start nessie
alive nessie 240 curl -fs http://127.0.0.1:19121/q/health/ready
prove "ready with JDBC on our PostgreSQL and a warehouse on our MinIO, as uid $(user_of nessie | cut -d: -f1), read-only root"
curl -fs http://127.0.0.1:19120/api/v2/config | jq -e '.defaultBranch == "trunk"' >/dev/null
curl -fs 'http://127.0.0.1:19120/iceberg/v1/config?warehouse=warehouse' | jq -e '.defaults.warehouse // .overrides.warehouse' >/dev/null
curl -fs -X POST -H 'Content-Type: application/json' 'http://127.0.0.1:19120/api/v2/trees?name=dev&type=BRANCH' \
  -d "$(curl -fs http://127.0.0.1:19120/api/v2/trees/trunk | jq .reference)" | jq -e '.reference.name == "dev"' >/dev/null
curl -fs -X POST -H 'Content-Type: application/json' http://127.0.0.1:19120/iceberg/v1/trunk/namespaces -d '{"namespace":["demo"]}' >/dev/null
[ "$(inside db psql -h /tmp -U nessie -Atc 'SELECT count(*) > 0 FROM objs2')" = t ]
answers '^jvm_' http://127.0.0.1:19121/q/metrics
prove "a branch and an Iceberg namespace are kept in PostgreSQL; metrics"
stopped nessie SIGTERM 30
