#!/usr/bin/env bash
# Renews the password of the account bimt in the MLflow of a head machine, which must be running.
#
#   deploy/mlflow_password.sh [FOLDER]
#
# MLflow keeps the password of its first start, so this script sends the new one to the server. Run deploy/head.sh
# afterwards to update the files that hold it. FOLDER (default ~/.bimt) is the one of deploy/secrets.sh.
set -euo pipefail
umask 077

folder=${1:-$HOME/.bimt}
set -a
# shellcheck source=/dev/null
. "$folder/service.env"
set +a

new=$folder/secrets/mlflow_login.new
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$new"
python - "$new" << 'END'
import os
import sys
from pathlib import Path

from mlflow.server.auth.client import AuthServiceClient

mlflow = AuthServiceClient(os.environ["MLFLOW_TRACKING_URI"])
old = os.environ["MLFLOW_TRACKING_PASSWORD"]
mlflow.update_user_password(os.environ["MLFLOW_TRACKING_USERNAME"], Path(sys.argv[1]).read_text(), old)
END
mv "$new" "$folder/secrets/mlflow_login"
echo "MLflow has a new password; now run deploy/head.sh"
