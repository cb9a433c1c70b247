#!/usr/bin/env bash
# Writes the databases of a head machine into one folder named after the time.
#
#   deploy/backup.sh ROOT [FOLDER [PORT]]
#
# ROOT: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a folder. FOLDER (default ~/.bimt) is the one of deploy/secrets.sh.
# Prints the folder of the backup. To restore a database: pg_restore --clean --if-exists --dbname DATABASE FILE
set -euo pipefail
umask 077

root=${1:?usage: deploy/backup.sh ROOT [FOLDER [PORT]]}
folder=${2:-$HOME/.bimt}
port=${3:-5432}
dumps=$(mktemp -d)
trap 'rm -rf "$dumps"' EXIT

dump() {
  PGPASSFILE=$folder/$2 pg_dump --no-password --host 127.0.0.1 --port "$port" --username "$1" \
    --format custom --file "$dumps/$3.dump" "$3"
}
dump bimt pgpass bimt
dump mlflow mlflow.pgpass mlflow
dump mlflow mlflow.pgpass mlflow_accounts

target=${root%/}/backups/$(date --utc +%Y-%m-%dT%H%M%SZ)
python - "$dumps" "$target" << 'END'
import sys

from pyarrow import fs

system, path = fs.FileSystem.from_uri(sys.argv[2])
system.create_dir(path)
fs.copy_files(sys.argv[1], path, destination_filesystem=system)
END
echo "$target"
