#!/usr/bin/env bash
# Make a data folder that recovers to a moment when it is started:
#
#   pitr-restore.sh /backups/base_20240115_120000 /wal-archive '2024-01-15 14:29:00+00' /var/lib/postgresql/18/main
#
# Without a moment ('') it recovers to the end of the archive. As root the folder is given to PG_OWNER (postgres).
# Checked before the folder is made: the sums, the manifest, and that no file of the log is missing or cut off from
# the backup to the end of the archive. A moment that the archive does not reach makes the server refuse to start.
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"

base=${1:?the folder of a base backup} archive=${2:?the folder of the archived log}
moment=${3?a moment with its zone, or ''} data=${4:?the data folder to make}
[ -f "$base/SHA256SUMS" ] || fail "$base is no base backup: it has no SHA256SUMS"
[ -d "$archive" ] || fail "there is no archive $archive"
[[ $archive != *[\"\'%]* ]] || fail "$archive: quotes and % would be misread by the server"
[ ! -e "$data" ] || [ -z "$(ls -A "$data")" ] || fail "$data is not empty; move the old folder away, do not delete it"
if [ -n "$moment" ]; then
  [[ $moment =~ ([+-][0-9:]+|Z|UTC)$ ]] || fail "$moment has no zone: write it as 2024-01-15 14:29:00+00"
  date -d "$moment" >/dev/null 2>&1 || fail "$moment is no moment"
fi
(cd "$base" && sha256sum --check --quiet --strict SHA256SUMS) || fail "$base is damaged; nothing was changed"

mkdir -p "$(dirname "$data")"
work=$(mktemp -d "$(dirname "$data")/.restoring.XXXXXX")
trap 'rm -rf "$work"' EXIT
part() { find "$base" -maxdepth 1 \( -name "$1" -o -name "$1.age" -o -name "$1.gpg" \) -print -quit; }
mkdir "$work/data"
unseal "$(part base.tar.gz)" | tar -xz -C "$work/data" || fail "$base/base.tar.gz cannot be unpacked"
mkdir -p "$work/data/pg_wal"
unseal "$(part pg_wal.tar.gz)" | tar -xz -C "$work/data/pg_wal" || fail "$base/pg_wal.tar.gz cannot be unpacked"
unseal "$(part backup_manifest)" >"$work/backup_manifest"
pg pg_verifybackup --quiet --manifest-path "$work/backup_manifest" "$work/data" ||
  fail "$base is not what its manifest says; nothing was changed"

# The log must go on without a gap from where the backup began.
size=$(LC_ALL=C pg pg_controldata "$work/data" | sed -n 's/^Bytes per WAL segment: *//p')
first=$(sed -nE 's/^START WAL LOCATION.*\(file ([0-9A-F]{24})\)$/\1/p' "$work/data/backup_label")
last=$(find "$archive" -maxdepth 1 -regextype egrep -regex ".*/${first:0:8}[0-9A-F]{16}" -printf '%f\n' | sort | tail -n 1)
per_log=$((0x100000000 / size))
number() { echo $((0x${1:8:8} * per_log + 0x${1:16:8})); }
if [ -n "$last" ]; then
  for ((n = $(number "$first"); n <= $(number "$last"); n++)); do
    name=$(printf '%s%08X%08X' "${first:0:8}" $((n / per_log)) $((n % per_log)))
    if [ ! -f "$archive/$name" ]; then
      [ ! -f "$work/data/pg_wal/$name" ] || continue # the backup brought it along
      fail "the archive has a gap: $name is missing, and $last is there; nothing was changed"
    fi
    [ "$(stat -c %s "$archive/$name")" = "$size" ] || fail "$archive/$name is cut off; nothing was changed"
  done
fi

{
  echo "restore_command = 'cp \"$archive/%f\" \"%p\"'"
  echo "recovery_target_action = 'promote'"
  [ -z "$moment" ] || echo "recovery_target_time = '$moment'"
} >>"$work/data/postgresql.auto.conf"
touch "$work/data/recovery.signal"
chmod 700 "$work/data"
[ "$(id -u)" != 0 ] || chown -R "${PG_OWNER:-postgres}:" "$work/data"
[ ! -d "$data" ] || rmdir "$data"
mv -T "$work/data" "$data"
tell "$data recovers ${moment:+to $moment }when the server is started on it"
