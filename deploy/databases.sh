#!/usr/bin/env bash
# Creates the databases of a head machine, and the two roles that own them, with the passwords of deploy/secrets.sh.
#
#   deploy/databases.sh FOLDER PORT PSQL...
#
# PSQL is a command that opens psql as a superuser of the server: sudo -u postgres psql
# Refuses a server that listens to other machines. A second run changes nothing.
set -euo pipefail
umask 077

folder=${1:?usage: deploy/databases.sh FOLDER PORT PSQL...}
port=${2:?usage: deploy/databases.sh FOLDER PORT PSQL...}
shift 2
cd /

# Reads SQL from standard input. Failing statements, which may contain a password, are kept out of the server's log.
administer() {
  { echo "SET log_min_error_statement = 'panic'; SET log_statement = 'none';" && cat; } |
    "$@" --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --port "$port" --dbname postgres
}

addresses=$(echo "SHOW listen_addresses" | administer "$@")
for address in ${addresses//,/ }; do
  case $address in
    localhost | 127.0.0.1 | ::1) ;;
    *) echo "databases.sh: PostgreSQL must listen only on this machine, but listen_addresses is '$addresses'" >&2 && exit 1 ;;
  esac
done

# opens ROLE DATABASE PASSFILE: tests the password of a role.
opens() {
  PGPASSFILE=$folder/$3 psql --no-password --no-psqlrc --quiet --host 127.0.0.1 --port "$port" \
    --username "$1" --dbname "$2" --command "" > /dev/null 2>&1
}

# make ROLE PASSWORD PASSFILE DATABASE PSQL...
make() {
  local role=$1 password=$folder/secrets/$2 passfile=$3 database=$4
  shift 4
  if opens "$role" "$database" "$passfile"; then return; fi
  administer "$@" << END
SET password_encryption = 'scram-sha-256';
SELECT 'CREATE ROLE $role LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$role') \gexec
ALTER ROLE $role PASSWORD '$(cat "$password")';
SELECT 'CREATE DATABASE $database OWNER $role'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$database') \gexec
REVOKE ALL ON DATABASE $database FROM PUBLIC;
END
  opens "$role" "$database" "$passfile" || { echo "databases.sh: $role cannot open $database on port $port" >&2 && exit 1; }
}

make bimt study pgpass bimt "$@"
make mlflow mlflow_tables mlflow.pgpass mlflow "$@"
make mlflow mlflow_tables mlflow.pgpass mlflow_accounts "$@"
