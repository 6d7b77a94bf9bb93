#!/usr/bin/env bash
# Bring the virtual environment to what a lock file pins: bootstrap.sh run|dev|bench
set -euo pipefail
cd "$(dirname "$0")"
wanted=${1:?run, dev or bench}
python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "bazaruto needs Python 3.11 or newer as '$python'; set PYTHON=/path/to/python3 to use another one." >&2
  exit 1
fi

# Debian splits the part of Python that makes virtual environments into a package of its own.
if [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing python3-venv, which this system leaves out of Python"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
  else
    echo "This Python cannot make virtual environments. Install it once: apt-get install python3-venv" >&2
    exit 1
  fi
fi

if [ ! -x .venv/bin/python ]; then
  echo "Making the virtual environment in .venv"
  "$python" -m venv .venv
fi
echo "Installing the packages of requirements/$wanted.lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
  --progress-bar on -r "requirements/$wanted.lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
touch ".venv/.$wanted"
