#!/usr/bin/env bash
# Creates the passwords of a head machine, once, and the files from which its services and drivers read them.
#
#   deploy/secrets.sh ROOT [FOLDER [POSTGRES_PORT [MLFLOW_PORT]]]
#
# ROOT is the location of artifacts and checkpoints: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, or a shared folder.
# FOLDER (default ~/.bimt) gets these files, readable only by this user:
#
#   secrets/        the passwords; all other files are made from these. To renew one, delete it and run this again.
#   service.env     the environment of drivers: the head's Ray is started with it, the workers' Ray is not
#   pgpass          the password of the study database, for libpq
#   mlflow.env      the environment of the MLflow server, with mlflow.ini and mlflow.pgpass
#   client/         files for a user's own machine: pgpass and MLflow's credentials
#
# A second run changes nothing. No secret is printed or put on a command line.
set -euo pipefail
umask 077

root=${1:?usage: deploy/secrets.sh ROOT [FOLDER [POSTGRES_PORT [MLFLOW_PORT]]]}
folder=${2:-$HOME/.bimt}
postgres_port=${3:-5432}
mlflow_port=${4:-5000}
user=bimt # of the study database and of MLflow

case $root in
  *CHANGE*) echo "deploy/secrets.sh: ROOT must be your own bucket or folder, got $root" >&2 && exit 2 ;;
  s3://?* | gs://?* | /*) root=${root%/} ;;
  *) echo "deploy/secrets.sh: ROOT must be s3://..., gs://... or an absolute folder, got $root" >&2 && exit 2 ;;
esac

mkdir -p "$folder/secrets" "$folder/client"
chmod 700 "$folder" "$folder/secrets" "$folder/client"

# Prints a password of 256 random bits; creates it if it does not exist.
secret() {
  local file=$folder/secrets/$1
  if [ ! -s "$file" ]; then
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$file.new"
    mv "$file.new" "$file"
  fi
  cat "$file"
}

# Writes standard input to a file atomically, and only if the file changes.
put() {
  local file=$folder/$1
  cat > "$file.new"
  if cmp -s "$file.new" "$file"; then rm "$file.new"; else mv "$file.new" "$file"; fi
}

# Prints one line of a shell file.
setting() { printf '%s=%q\n' "$1" "$2"; }

study_password=$(secret study)
tables_password=$(secret mlflow_tables)
login_password=$(secret mlflow_login)
flask_key=$(secret mlflow_flask)

# Any port: a tunnel may use another one.
echo "127.0.0.1:*:*:$user:$study_password" | put pgpass
put client/pgpass < "$folder/pgpass"
echo "127.0.0.1:*:*:mlflow:$tables_password" | put mlflow.pgpass

{
  setting BIMT_STORE "$HOME/bimt-store"
  setting BIMT_STORAGE "postgresql://$user@127.0.0.1:$postgres_port/bimt"
  setting BIMT_CHECKPOINTS "$root/checkpoints"
  setting PGPASSFILE "$folder/pgpass"
  setting MLFLOW_TRACKING_URI "http://127.0.0.1:$mlflow_port"
  setting MLFLOW_TRACKING_USERNAME "$user"
  setting MLFLOW_TRACKING_PASSWORD "$login_password"
} | put service.env

put client/credentials << END
[mlflow]
mlflow_tracking_username = $user
mlflow_tracking_password = $login_password
END

# READ: all accounts can see all sweeps but change none; NO_PERMISSIONS would hide sweeps until they are shared.
# Checking the password of a request takes a tenth of a second of CPU time, so the result is cached for a minute.
put mlflow.ini << END
[mlflow]
default_permission = READ
database_uri = postgresql://mlflow@127.0.0.1:$postgres_port/mlflow_accounts
admin_username = $user
admin_password = $login_password
auth_cache_ttl_seconds = 60
END

{
  setting MLFLOW_BACKEND_STORE_URI "postgresql://mlflow@127.0.0.1:$postgres_port/mlflow"
  setting MLFLOW_ARTIFACTS_DESTINATION "$root/artifacts"
  setting MLFLOW_AUTH_CONFIG_PATH "$folder/mlflow.ini"
  setting MLFLOW_FLASK_SERVER_SECRET_KEY "$flask_key"
  setting MLFLOW_HOST 127.0.0.1
  setting MLFLOW_PORT "$mlflow_port"
  setting MLFLOW_SERVER_ALLOWED_HOSTS "127.0.0.1:*,localhost:*"
  setting MLFLOW_SERVER_ENABLE_JOB_EXECUTION false # sweeps do not need it, and it takes a gigabyte
  setting MLFLOW_DISABLE_TELEMETRY true
  setting PGPASSFILE "$folder/mlflow.pgpass"
} | put mlflow.env
