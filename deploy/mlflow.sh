#!/usr/bin/env bash
# Runs the MLflow server of a head machine in the foreground: accounts in PostgreSQL, artifacts in ROOT.
#
#   deploy/mlflow.sh [FOLDER]
#
# FOLDER (default ~/.bimt) is the one of deploy/secrets.sh. The server listens on 127.0.0.1; users connect through SSH.
set -euo pipefail

set -a
# shellcheck source=/dev/null
. "${1:-$HOME/.bimt}/mlflow.env"
set +a
exec mlflow server --app-name basic-auth --workers 2
