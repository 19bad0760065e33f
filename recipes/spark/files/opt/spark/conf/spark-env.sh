# shellcheck shell=bash
# Read by every Spark program before it starts, also by those that docker exec
# starts. Programs below this one find the keys in their defaults.
export SPARK_CONF_DIR
SPARK_CONF_DIR=$(spark-conf) || exit 1
unset SPARK_S3_ACCESS_KEY SPARK_S3_SECRET_KEY SPARK_S3_ACCESS_KEY_FILE SPARK_S3_SECRET_KEY_FILE
