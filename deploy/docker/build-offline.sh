#!/usr/bin/env bash
# Build the image without an image registry: the base is made by debootstrap from Debian's packages, and buildah does
# the rest without a daemon. Needs root, and once: apt-get install --no-install-recommends buildah crun debootstrap
#
#   build-offline.sh [TAG]      bazaruto:latest by default
#
# WORK is where roots and layers are kept, ARCHIVE an OCI archive to write besides. FILE is another Dockerfile, to be
# built on the same base. The chroot isolation asks for no namespaces, so that this also runs
# inside a container.
set -euo pipefail
cd "$(dirname "$0")/../.."
tag=${1:-bazaruto:latest}
work=${WORK:-/var/tmp/bazaruto-image}
file=${FILE:-deploy/docker/Dockerfile}
suite=bookworm
base=localhost/bazaruto-base:$suite

for program in buildah debootstrap; do
  command -v "$program" >/dev/null || { echo "build-offline.sh: $program is missing; apt-get install $program" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "build-offline.sh: debootstrap needs root" >&2; exit 1; }

mkdir -p "$work"
store=(buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs)

if ! "${store[@]}" inspect --type image "$base" >/dev/null 2>&1; then
  if [ ! -e "$work/root.done" ]; then
    rm -rf "$work/root"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv "$suite" "$work/root" >"$work/debootstrap.log"
    rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/*
    touch "$work/root.done"
  fi
  container=$("${store[@]}" from scratch)
  "${store[@]}" add --quiet "$container" "$work/root" /
  "${store[@]}" commit --quiet --rm "$container" "$base"
fi

# How this machine reaches its package index is lent to the build as a file, and does not stay in the image.
setting() { [ ! -f /etc/pip.conf ] || sed -n "/^$1 *= */{s///p;q}" /etc/pip.conf; }
index=${PIP_INDEX_URL:-$(setting index-url)}
certificates=${PIP_CERT:-$(setting cert)}
{
  echo "[global]"
  [ -z "$index" ] || echo "index-url = $index"
  [ -z "$certificates" ] || echo "cert = /etc/pip-certificates.pem"
} >"$work/pip.conf"
volumes=(--volume "$work/pip.conf:/etc/pip.conf:ro")
[ -z "$certificates" ] || volumes+=(--volume "$certificates:/etc/pip-certificates.pem:ro")

"${store[@]}" build --isolation chroot --network host --pull=never --format docker --from "$base" \
  --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" \
  "${volumes[@]}" --file "$file" --ignorefile .dockerignore --tag "$tag" .

[ -z "${ARCHIVE:-}" ] || "${store[@]}" push --quiet "$tag" "oci-archive:$ARCHIVE:$tag"
echo "built $tag in $work/store"
