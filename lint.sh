#!/usr/bin/env bash
# Every check that needs no running server, in the order of their cost. Stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
step() { echo "lint: $1"; shift; "$@"; }

step "format" ruff format --check --quiet .
step "style" ruff check --quiet .
step "import rules" lint-imports --no-logo
step "contracts" buf lint protos/gen/bazaruto/descriptors.binpb
step "shell scripts" bash -c 'git ls-files -z "*.sh" .ci/run | xargs -0 shellcheck'
step "types" mypy .
