package deploy

import (
	"github.com/shudl/shudl-assemble/recipes"
)

// The stacks that can be deployed.
const (
	StackHA         = "ha"         // Patroni, some members
	StackStandalone = "standalone" // one PostgreSQL with its metrics
	StackLakehouse  = "lakehouse"  // that, with MinIO, Nessie, Trino and Spark
)

// Stacks lists the stacks that can be deployed.
func Stacks() []string { return []string{StackStandalone, StackHA, StackLakehouse} }

// part is one service of a stack, as compose and Kubernetes both write it. In
// its variables and its script, {NAME} is the address of the part of that
// name.
type part struct {
	name  string
	image string // the recipe's name
	// args stand for the image's own command. A part with a script runs that
	// by sh instead, and ends.
	args   []string
	script string
	env    []recipes.Variable
	// address names a variable with the address that others reach this
	// container at.
	address string
	secrets []secret
	// keeps is the size of the volume of a part that has data to keep. The
	// volumes of all others begin empty wherever the container is made anew.
	keeps string
	// memory is the limit, in Mi; the JVMs take their heap from it. shm is how
	// much of it /dev/shm may be, tmp how much may lie in /tmp.
	memory, shm, tmp int
	// cpu is what it asks of a processor, in thousandths, where 100 is too
	// little to start in time beside busy neighbours: Nessie takes about 15 s
	// of processor time for it, Trino 40 s.
	cpu   int
	files int // how many files may be open, 0 for what is usual
	ports []port
	// needs are parts that are well, or have ended, before this one starts.
	needs []string
	// ready is where the service itself says whether it can work, where that
	// is another question than whether it is alive.
	ready *ready
	// waits says that a slow start is no failure: recovery after a crash takes
	// as long as it takes, and to be killed for it does not make it shorter.
	waits bool
	// json says that the logs can be JSON.
	json bool
	// beside is the part in whose pod this one runs.
	beside string
}

// secret is a password that a part reads from a file: variable is set to the
// file's path. Without a variable the part's script knows the path.
type secret struct{ key, variable string }

// port is one that a part listens on.
type port struct {
	name   string
	number int32
	// host is the port of the loopback that compose publishes it at, 0 for none.
	host int
	// from are the parts that may reach it; none means all of the namespace.
	from []string
	// metrics is the path of its metrics where it has nothing else, and every
	// namespace may ask.
	metrics string
	// measured says that it has metrics beside what it is there for, which asks
	// for a password.
	measured bool
}

type ready struct{ port, path string }

// secretsFolder is where the passwords are mounted, as in Docker.
const secretsFolder = "/run/secrets/"

// parts are the services of a stack, each after those that it needs.
func parts(stack string) []part {
	if stack == StackLakehouse {
		return append(database(true), lake()...)
	}
	return database(false)
}

// database is a PostgreSQL, its exporter, and what makes their roles. In a
// lakehouse only the catalog has business with it.
func database(inLakehouse bool) []part {
	listen := port{name: "postgresql", number: 5432, host: 5432}
	roles := part{name: "roles", image: "postgresql", script: rolesScript, memory: 128, tmp: 16, needs: []string{"postgresql"},
		secrets: []secret{{key: "postgresql-password"}, {key: "exporter-password"}}}
	if inLakehouse {
		listen.host, listen.from = 0, []string{"roles", "nessie"}
		roles.script += nessieScript
		roles.secrets = append(roles.secrets, secret{key: "nessie-password"})
	}
	return []part{
		{name: "postgresql", image: "postgresql", keeps: "10Gi", memory: 1024, shm: 256, tmp: 64, waits: true, ports: []port{listen},
			secrets: []secret{{"postgresql-password", "POSTGRES_PASSWORD_FILE"}}},
		roles,
		{name: "exporter", image: "postgres-exporter", beside: "postgresql", memory: 128, tmp: 16, json: true, needs: []string{"roles"},
			ports:   []port{{name: "metrics", number: 9187, metrics: "/metrics"}},
			env:     []recipes.Variable{{Name: "DATA_SOURCE_URI", Value: "{postgresql}:5432/postgres?sslmode=disable"}, {Name: "DATA_SOURCE_USER", Value: "exporter"}},
			secrets: []secret{{"exporter-password", "DATA_SOURCE_PASS_FILE"}}},
	}
}

// lake is all of a lakehouse but its database.
func lake() []part {
	catalog := recipes.Variable{Name: "SPARK_ICEBERG_REST_URI", Value: "http://{nessie}:19120/iceberg/"}
	master := recipes.Variable{Name: "SPARK_MASTER_URL", Value: "spark://{spark-master}:7077"}
	engines := []string{"spark-master", "spark-worker"}
	return []part{
		{name: "minio", image: "minio", keeps: "50Gi", memory: 1024, tmp: 64, json: true, waits: true,
			ports: []port{{name: "s3", number: 9000, measured: true, from: append([]string{"bucket", "nessie", "trino"}, engines...)}, {name: "console", number: 9001, host: 9001}},
			ready: &ready{"s3", "/minio/health/ready"},
			env:   []recipes.Variable{{Name: "MINIO_ROOT_USER", Value: "admin"}}, secrets: []secret{{"minio-password", "MINIO_ROOT_PASSWORD_FILE"}}},
		{name: "bucket", image: "minio", script: bucketScript, memory: 256, tmp: 16, needs: []string{"minio"},
			secrets: []secret{{key: "minio-password"}, {key: "lake-password"}}},
		{name: "nessie", image: "nessie", cpu: 250, memory: 1024, tmp: 256, needs: []string{"roles", "bucket"}, ready: &ready{"management", "/q/health/ready"},
			ports: []port{{name: "http", number: 19120, host: 19120}, {name: "management", number: 19121, metrics: "/q/metrics"}},
			env: []recipes.Variable{
				{Name: "NESSIE_JDBC_URL", Value: "jdbc:postgresql://{postgresql}:5432/nessie"}, {Name: "NESSIE_JDBC_USERNAME", Value: "nessie"},
				{Name: "NESSIE_WAREHOUSE_LOCATION", Value: "s3://lake/warehouse"}, {Name: "NESSIE_S3_ENDPOINT", Value: "http://{minio}:9000/"}, {Name: "NESSIE_S3_ACCESS_KEY", Value: "lake"}},
			secrets: []secret{{"nessie-password", "NESSIE_JDBC_PASSWORD_FILE"}, {"lake-password", "NESSIE_S3_SECRET_KEY_FILE"}}},
		{name: "trino", image: "trino", cpu: 500, memory: 2048, tmp: 512, files: 131072, json: true, needs: []string{"nessie"}, ports: []port{{name: "http", number: 8080, host: 8080}},
			env: []recipes.Variable{{Name: "TRINO_ICEBERG_REST_URI", Value: "http://{nessie}:19120/iceberg/"},
				{Name: "TRINO_S3_ENDPOINT", Value: "http://{minio}:9000"}, {Name: "TRINO_S3_ACCESS_KEY", Value: "lake"}},
			secrets: []secret{{"lake-password", "TRINO_S3_SECRET_KEY_FILE"}}},
		// Applications are submitted in the master's container, and executors
		// reach them there at any port.
		{name: "spark-master", image: "spark", cpu: 250, memory: 2048, tmp: 512, json: true, needs: []string{"nessie"}, address: "SPARK_DRIVER_HOST",
			ports: []port{{name: "master", number: 7077}, {name: "http", number: 8080, host: 8090}, {from: engines}},
			env: []recipes.Variable{master, catalog, {Name: "SPARK_DAEMON_MEMORY", Value: "512m"},
				{Name: "SPARK_DRIVER_MEMORY", Value: "768m"}, {Name: "SPARK_EXECUTOR_MEMORY", Value: "768m"}}},
		{name: "spark-worker", image: "spark", args: []string{"worker"}, cpu: 250, memory: 2048, tmp: 256, json: true, needs: []string{"spark-master"},
			ports: []port{{name: "http", number: 8081}, {from: engines}},
			// A master that comes back has another address: the worker asks for it
			// by its name, not where it was.
			env: []recipes.Variable{master, {Name: "SPARK_WORKER_OPTS", Value: "-Dspark.worker.preferConfiguredMasterAddress=true"}, {Name: "SPARK_DAEMON_MEMORY", Value: "384m"}, {Name: "SPARK_WORKER_MEMORY", Value: "1g"}, {Name: "SPARK_WORKER_CORES", Value: "2"},
				{Name: "SPARK_LOCAL_DIRS", Value: "/opt/spark/work-dir"}}},
	}
}
