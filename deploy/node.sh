#!/usr/bin/env bash
# Installs this project, with the tested versions of all packages, on a machine of a cluster. Debian 12 or Ubuntu 24.04.
#
#   deploy/node.sh [VENV]
#
# VENV: default ~/bimt-venv. With an NVIDIA driver torch is the build on PyPI, with CUDA; else the build without.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${1:-$HOME/bimt-venv}

# gcc and Python's headers: torch compiles the training step of long runs.
needed=(python3-venv python3-dev gcc rsync)
if ! dpkg --status "${needed[@]}" > /dev/null 2>&1; then
  sudo apt-get -qq -o DPkg::Lock::Timeout=600 update
  sudo apt-get -qq -o DPkg::Lock::Timeout=600 install -y "${needed[@]}" > /dev/null
fi

[ -x "$venv/bin/pip" ] || python3 -m venv "$venv"
torch_without_cuda=()
if ! command -v nvidia-smi > /dev/null; then
  torch_without_cuda=(--extra-index-url https://download.pytorch.org/whl/cpu)
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check --constraint "$project/constraints.txt" \
  "${torch_without_cuda[@]}" --editable "${project}[cluster]"

# Ray's launcher runs its commands in a login shell and expects `ray` in the path.
line="export PATH=\"$venv/bin:\$PATH\""
grep -qsxF "$line" ~/.bashrc || echo "$line" >> ~/.bashrc

if [ -f ~/.ray/auth_token ]; then
  chmod 700 ~/.ray
  chmod 600 ~/.ray/auth_token
fi
