#!/usr/bin/env bash
# Sets up the head of a cluster: PostgreSQL, MLflow, their passwords, and backups. Debian 12 or Ubuntu 24.04.
#
#   deploy/head.sh ROOT
#
# ROOT is the location of artifacts, checkpoints and backups: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a shared folder.
# Run deploy/node.sh first. A second run keeps all data and passwords, and restarts MLflow.
set -euo pipefail

root=${1:?usage: deploy/head.sh ROOT}
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${VIRTUAL_ENV:-$HOME/bimt-venv}

sudo apt-get -qq -o DPkg::Lock::Timeout=600 install -y postgresql curl > /dev/null
bash "$project/deploy/secrets.sh" "$root"
bash "$project/deploy/databases.sh" "$HOME/.bimt" 5432 sudo -u postgres psql

for unit in bimt-mlflow.service bimt-backup.service bimt-backup.timer; do
  sed -e "s|@USER@|$(id -un)|g; s|@HOME@|$HOME|g; s|@VENV@|$venv|g; s|@PROJECT@|$project|g; s|@ROOT@|$root|g" \
    "$project/deploy/$unit" | sudo tee "/etc/systemd/system/$unit" > /dev/null
done
sudo systemctl daemon-reload
sudo systemctl enable --quiet bimt-mlflow.service bimt-backup.timer
sudo systemctl restart bimt-mlflow.service bimt-backup.timer

curl --silent --show-error --fail --retry 60 --retry-delay 2 --retry-all-errors --output /dev/null \
  http://127.0.0.1:5000/health
echo "PostgreSQL and MLflow listen on 127.0.0.1; backups go to $root/backups"
