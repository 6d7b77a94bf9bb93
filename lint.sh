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

# From here on contracts only grow: what was before it may differ.
starting_point=b2a541f0bf5ad9848f0523bf84d519bab64af7d3

# What callers rely on: the last release; before there is one, what a branch began from; on main, and with changes that
# are not committed yet, what was there before the last change of the contracts.
before() {
  local change
  git describe --tags --abbrev=0 2>/dev/null && return
  change=$(git merge-base HEAD main 2>/dev/null || true)
  if [[ -n $change && $change != $(git rev-parse HEAD) ]] || ! git diff --quiet HEAD -- 'protos/bazaruto/*.proto'; then
    echo "${change:-HEAD}"
    return
  fi
  change=$(git log -1 --format=%H -- 'protos/bazaruto/*.proto')
  git rev-parse --verify --quiet "$change^"
}

# The contracts against those of before, built as they were.
breaking() {
  local before folder
  before=$(before) || true
  # Of a clone that does not reach back, nothing is asked.
  if git cat-file -e "$starting_point^{commit}" 2>/dev/null &&
    { [[ -z $before ]] || git merge-base --is-ancestor "$before" "$starting_point"; }; then
    before=$starting_point
  fi
  if [[ -z $before ]]; then
    echo "lint: this clone does not reach back to earlier contracts; nothing is compared (git fetch --unshallow)"
    return
  fi
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
step "contracts against those of before" breaking
step "shell scripts" bash -c 'git ls-files -z "*.sh" .ci/run | xargs -0 shellcheck'
step "types" mypy --no-error-summary .
echo "lint: everything is in order"
