#!/usr/bin/env bash
# A Spark job on master and worker, with Python workers and an Iceberg table.
. "$(dirname "$0")/lib.sh"
user=$(user_of spark)

container master spark SPARK_BIND_ADDRESS=127.0.0.1 SPARK_DAEMON_MEMORY=256m
start master
alive master 120 curl -fs http://127.0.0.1:8080/json/
container worker spark SPARK_BIND_ADDRESS=127.0.0.1 SPARK_DAEMON_MEMORY=256m SHUDL_LOG_FORMAT=json SPARK_WORKER_CORES=2 SPARK_WORKER_MEMORY=1g \
  --mount "$(volume worker "$user"):/opt/spark/work-dir" -- worker spark://127.0.0.1:7077
start worker
alive worker 120 sh -c 'curl -fs http://127.0.0.1:8080/json/ | jq -e ".aliveworkers == 1"'
inside master spark-health
inside worker spark-health
# shellcheck disable=SC2016 # for the inner shell
until_true 30 sh -c 'grep -m 1 "Successfully registered with master" "$1" | jq -e .message' - "$BOOT/worker/log"
prove "master and worker as uid ${user%%:*}, read-only root"

mkdir "$BOOT/job"
cat >"$BOOT/job/job.py" <<'PY'
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf

spark = SparkSession.builder.getOrCreate()
twice = udf(lambda n: 2 * n, "bigint")
total = spark.range(1000).select(twice("id").alias("n")).groupBy().sum("n").first()[0]
print("TOTAL", total)
spark.sql("CREATE TABLE local.db.t (id bigint, name string) USING iceberg")
spark.sql("INSERT INTO local.db.t VALUES (1, 'eins'), (2, 'zwei')")
spark.sql("UPDATE local.db.t SET name = 'deux' WHERE id = 2")
print("ROWS", [tuple(r) for r in spark.table("local.db.t").orderBy("id").collect()])
PY
chmod a+rX "$BOOT/job"
inside_job=(spark-submit --master spark://127.0.0.1:7077 --driver-memory 512m --executor-memory 512m
  --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1
  --conf spark.sql.catalog.local=org.apache.iceberg.spark.SparkCatalog --conf spark.sql.catalog.local.type=hadoop
  --conf spark.sql.catalog.local.warehouse=file:///opt/spark/work-dir/warehouse /mnt/job.py)
container job spark SPARK_LOCAL_IP=127.0.0.1 --mount "$BOOT/job:/mnt" --mount "$BOOT/volumes/worker:/opt/spark/work-dir" -- "${inside_job[@]}"
finishes job
grep -qx 'TOTAL 999000' "$BOOT/job/log"
grep -qx "ROWS \[(1, 'eins'), (2, 'deux')\]" "$BOOT/job/log"
prove "a job with Python workers, an Iceberg table written, updated and read"
answers '^metrics_' http://127.0.0.1:8080/metrics/master/prometheus/
answers '^metrics_' http://127.0.0.1:8081/metrics/prometheus/
stopped worker SIGTERM 30
stopped master SIGTERM 30
