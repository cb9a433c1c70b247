#!/usr/bin/env bash
# Runs a head machine's MLflow server, in the foreground: accounts in PostgreSQL, artifacts passed through to ROOT.
#
#   deploy/mlflow.sh [FOLDER]
#
# FOLDER (default ~/.bimt) is what deploy/secrets.sh has made. It listens on 127.0.0.1; people come through SSH.
set -euo pipefail

set -a
# shellcheck source=/dev/null
. "${1:-$HOME/.bimt}/mlflow.env"
set +a
exec mlflow server --app-name basic-auth --workers 2
