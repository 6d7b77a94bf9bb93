#!/usr/bin/env bash
# List what is shipped, and look for known weaknesses and for secrets. Every part that did not run says so and fails:
# exit 0 all clean, 1 something was found, 3 something could not be looked at.
#   scan.sh [sbom|dependencies|secrets|container]     all four without an argument
# REPORTS is the folder for the results, IMAGE the image to look into.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# What is installed on the machine goes before what `make .venv/.security` and `make .venv/.deploy` install.
PATH="$PATH:$root/.venv/security/bin:$root/.venv/deploy/bin"
REPORTS=${REPORTS:-$root/.run/security}
IMAGE=${IMAGE:-bazaruto:latest}
locks=(image run)
not_run=3

judge() { python3 "$here/verdicts.py" "$@"; }

missing() {
  command -v "$1" >/dev/null && return 1
  echo "$2: not run: there is no $1 ($3)"
}

# A CycloneDX list of every package of the image, with the hashes that installing checks.
sbom() {
  missing cyclonedx-py sbom "make .venv/.security" && return "$not_run"
  cyclonedx-py requirements "$root/requirements/image.lock" --pyproject "$root/pyproject.toml" --output-reproducible \
    --output-format JSON --output-file "$REPORTS/sbom.cdx.json"
  judge sbom "$REPORTS/sbom.cdx.json" "$root/requirements/image.lock"
}

# One package that is known to be weak goes first: a source of advisories that knows nothing of it knows nothing.
dependencies() {
  local lock worst=0 found
  missing pip-audit dependencies "make .venv/.security" && return "$not_run"
  audit "$here/known-weak.txt" "$REPORTS/known-weak.json"
  judge canary "$REPORTS/known-weak.json" || return $?
  for lock in "${locks[@]}"; do
    audit "$root/requirements/$lock.lock" "$REPORTS/$lock.json"
    found=0
    judge advisories "$REPORTS/$lock.json" "$root/requirements/$lock.lock" || found=$?
    [ "$found" -le "$worst" ] || worst=$found
  done
  return "$worst"
}

# Its exit code says too little: 1 means weak, unreachable and skipped alike. What it wrote is judged instead.
audit() {
  rm -f "$2"
  pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement "$1" \
    --format json --output "$2" || true
}

# Passwords of test users are no secrets, but a key of a cloud is one wherever it stands.
secrets() {
  missing detect-secrets secrets "make .venv/.security" && return "$not_run"
  cd "$root"
  git ls-files -z -- . ':!requirements/*.lock' ':!tests' |
    xargs -0 detect-secrets scan --no-verify >"$REPORTS/secrets.json"
  git ls-files -z -- tests |
    xargs -0 detect-secrets scan --no-verify --disable-plugin KeywordDetector \
      --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString >"$REPORTS/secrets-in-tests.json"
  judge secrets "$here/reviewed-secrets.txt" "$REPORTS/secrets.json" "$REPORTS/secrets-in-tests.json"
}

# The recipe is checked anywhere; the image itself where there is one.
container() {
  missing hadolint container "make .venv/.deploy" && return "$not_run"
  hadolint "$root/deploy/docker/Dockerfile"
  if missing trivy container "https://trivy.dev, or aquasec/trivy as an image"; then
    return "$not_run"
  fi
  trivy image --exit-code 1 --severity HIGH,CRITICAL --ignore-unfixed --format table "$IMAGE"
}

mkdir -p "$REPORTS"
case ${1:-all} in
  sbom) sbom ;;
  dependencies) dependencies ;;
  secrets) secrets ;;
  container) container ;;
  all)
    # Each in a process of its own, so that one that breaks off does not keep the others from running.
    result=0
    for part in sbom dependencies secrets container; do
      code=0
      "$0" "$part" || code=$?
      [ "$code" -le "$result" ] || result=$code
    done
    exit "$result"
    ;;
  *)
    sed -n '2,5s/^# //p' "$0"
    exit 2
    ;;
esac
