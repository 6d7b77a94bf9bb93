#!/usr/bin/env bash
# Refresh the lock files, tell which versions changed, install them by hash and run the tests.
#   update-dependencies.sh            all of it
#   update-dependencies.sh diff OLD NEW    only tell what differs between two folders of lock files
#   update-dependencies.sh images     only tell which images are pinned by a digest that their tag has left behind; what
#                                     it prints goes into the Dockerfiles, docker-compose.yml and deploy/kubernetes
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)

pins() { sed -nE 's/^([A-Za-z0-9._-]+)==([^ ;\\]+).*/\1 \2/p' "$1" | sort -u; }

tell() {
  local lock changed=0
  for lock in "$2"/*.lock; do
    [ -f "$1/$(basename "$lock")" ] || continue
    while read -r name old new; do
      echo "$(basename "$lock" .lock): $name $old -> $new"
      changed=1
    done < <(join -a1 -a2 -e none -o 0,1.2,2.2 <(pins "$1/$(basename "$lock")") <(pins "$lock") | awk '$2 != $3')
  done
  [ "$changed" = 1 ] || echo "nothing changed"
}

# A composition may not name a tag beside a digest; there it is a comment.
images() {
  local image pinned published changed=0
  while IFS=@ read -r image pinned; do
    published=$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$image")
    [ "$published" != "$pinned" ] || continue
    echo "$image: $pinned -> $published"
    changed=1
  done < <(grep -rhE '@sha256:[0-9a-f]{64}' "$root/docker-compose.yml" "$root/deploy" | sort -u | sed -nE \
    -e 's/^.*(FROM|image:) ([^ @]+:[^ @]+@sha256:[0-9a-f]{64}).*/\2/p' \
    -e 's/^.*image: ([^ :@]+)(@sha256:[0-9a-f]{64}) # (\S+)$/\1:\3\2/p' | sort -u)
  [ "$changed" = 1 ] || echo "nothing changed"
}

case ${1:-} in
  diff) tell "$2" "$3"; exit ;;
  images) images; exit ;;
esac
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp "$root"/requirements/*.lock "$before"
make -C "$root" lock
tell "$before" "$root/requirements"
make -C "$root" test
