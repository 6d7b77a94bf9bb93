#!/usr/bin/env bash
# Every check that needs no running server. Stops at the first that fails, with the tool's own words.
set -euo pipefail
cd "$(dirname "$0")"
PATH="$PWD/.venv/bin:$PATH"
image=protos/gen/bazaruto/descriptors.binpb

step() {
  echo "lint: $1"
  shift
  "$@"
}

# The contracts of the last release, or of the last commit on main, built as they were.
breaking() {
  local before folder
  before=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify --quiet main || git rev-parse HEAD)
  folder=$(mktemp -d)
  git archive "$before" protos | tar -x -C "$folder"
  # Only the descriptor set is wanted: the generator of today builds the contracts of then.
  cp protos/generate.py "$folder/protos/generate.py"
  python "$folder/protos/generate.py"
  buf breaking --config buf.yaml "$image" --against "$folder/$image"
  rm -rf "$folder"
}

step "format" ruff format --check --quiet .
step "style" ruff check --quiet .
step "import rules" lint-imports --no-logo
step "contracts" buf lint --config buf.yaml "$image"
step "contracts against the last release" breaking
step "shell scripts" bash -c 'git ls-files -z "*.sh" .ci/run | xargs -0 shellcheck'
step "types" mypy --no-error-summary .
echo "lint: everything is in order"
