package deploy

// rolesScript makes the exporter's role or gives it its password anew. Neither
// a command line nor the server's log shows one, at no log level.
const rolesScript = `until pg_isready -q -h {postgresql}; do sleep 1; done
PGPASSWORD=$(cat /run/secrets/postgresql-password)
PGOPTIONS='-c client_min_messages=warning'
export PGPASSWORD PGOPTIONS
role() {
  psql -qX -v ON_ERROR_STOP=1 -v role="$1" -h {postgresql} -U postgres <<'SQL'
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
\getenv key ROLE_KEY
SELECT format('CREATE ROLE %I', :'role') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" LOGIN PASSWORD :'key';
SQL
}
ROLE_KEY=$(cat /run/secrets/exporter-password) role exporter
psql -qX -v ON_ERROR_STOP=1 -h {postgresql} -U postgres -c 'GRANT pg_monitor TO exporter'
`

// nessieScript goes on with the catalog's role and its database.
const nessieScript = `ROLE_KEY=$(cat /run/secrets/nessie-password) role nessie
psql -qX -v ON_ERROR_STOP=1 -h {postgresql} -U postgres <<'SQL'
SELECT 'CREATE DATABASE nessie OWNER nessie' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'nessie') \gexec
SQL
`

// bucketScript makes the bucket, and a user who has that bucket and nothing
// else; keys go by standard input, and a second run changes nothing.
const bucketScript = `until curl -fsS -o /dev/null http://{minio}:9000/minio/health/ready; do sleep 1; done
{ echo admin; cat /run/secrets/minio-password; } | mc -q alias set here http://{minio}:9000
mc -q mb --ignore-existing here/lake
cat >/tmp/policy.json <<'JSON'
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"]}]}
JSON
mc -q admin policy create here lake /tmp/policy.json
{ echo lake; cat /run/secrets/lake-password; } | mc -q admin user add here
mc -q admin policy attach here lake --user lake || mc admin user info here lake | grep -qx "PolicyName: lake"
`
