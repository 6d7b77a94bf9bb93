#!/usr/bin/env bash
# Refresh the lock files: hashes for every platform, no index address. uv is installed apart from the project.
set -euo pipefail
cd "$(dirname "$0")"
[ -x .venv/uv/bin/uv ] || { .venv/bin/python -m venv .venv/uv && .venv/uv/bin/pip install --quiet uv; }
compile() {
  .venv/uv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --only-binary :all: --quiet --upgrade "$@"
}
compile pyproject.toml --extra embedded --output-file requirements/run.lock
compile pyproject.toml --constraint requirements/run.lock --output-file requirements/image.lock
compile pyproject.toml --extra embedded --extra dev --constraint requirements/run.lock --output-file requirements/dev.lock
compile pyproject.toml --extra embedded --extra dev --extra bench --constraint requirements/dev.lock \
  --output-file requirements/bench.lock
compile --group pyproject.toml:deploy --output-file requirements/deploy.lock
compile --group pyproject.toml:security --output-file requirements/security.lock
