#!/usr/bin/env bash
# Refresh the lock files, tell which versions changed, install them by hash and run the tests.
#   update-dependencies.sh            all of it
#   update-dependencies.sh diff OLD NEW    only tell what differs between two folders of lock files
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

if [ "${1:-}" = diff ]; then
  tell "$2" "$3"
  exit
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp "$root"/requirements/*.lock "$before"
make -C "$root" lock
tell "$before" "$root/requirements"
make -C "$root" test
