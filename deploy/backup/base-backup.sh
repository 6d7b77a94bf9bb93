#!/usr/bin/env bash
# Copy the data folder of a running server, as the start of a point-in-time recovery (pitr-restore.sh).
#
#   DB_HOST DB_USER        a role with REPLICATION (DB_PORT, and PGPASSFILE for a password)
#   PG_BIN                 folder of PostgreSQL's programs; they must be of the server's version
#   WAL_ARCHIVE            the archive of wal-archive.sh: what is older than every kept base backup is removed from it
#   BACKUP_DIR and others  see storing.sh
#
# Leaves BACKUP_DIR/base_YYYYmmdd_HHMMSS/ with base.tar.gz, pg_wal.tar.gz, backup_manifest, START_WAL and SHA256SUMS.
# Before it gets that name it is unpacked once and verified: every file against the manifest, and its WAL to the end.
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"

: "${DB_HOST:?the server}" "${DB_USER:?a role with REPLICATION}"
begin_work
name=base_$(date +%Y%m%d_%H%M%S)
copy=$work/$name
pg pg_basebackup --host "$DB_HOST" --port "${DB_PORT:-5432}" --username "$DB_USER" --no-password \
  -D "$copy" -Ft -z -P --checkpoint=fast --wal-method=stream --manifest-checksums=SHA256 ||
  fail "the base backup failed"
[ -z "$(find "$copy" -name '[0-9]*.tar.gz')" ] || fail "the server has tablespaces, which pitr-restore.sh cannot place"

mkdir -p "$work/unpacked/pg_wal"
tar -xzf "$copy/base.tar.gz" -C "$work/unpacked"
tar -xzf "$copy/pg_wal.tar.gz" -C "$work/unpacked/pg_wal"
pg pg_verifybackup --quiet --manifest-path "$copy/backup_manifest" "$work/unpacked" || fail "the copy is not whole"
first=$(sed -nE 's/^START WAL LOCATION.*\(file ([0-9A-F]{24})\)$/\1/p' "$work/unpacked/backup_label")
rm -rf "$work/unpacked"

for file in "$copy"/*; do seal "$file" >/dev/null || fail "${file##*/} could not be sealed"; done
echo "$first" >"$copy/START_WAL" # in the clear, so that the archive can be tidied without the key
(cd "$copy" && sha256sum -- * >SHA256SUMS)
chmod -R u=rwX,go= "$copy"
sync "$copy"/*
mv "$copy" "$BACKUP_DIR/$name"
sync "$BACKUP_DIR"
published_bytes=$(du -sb "$BACKUP_DIR/$name" | cut -f1)
tell "wrote $BACKUP_DIR/$name"
for file in "$BACKUP_DIR/$name"/*; do upload "$name/${file##*/}"; done
prune 'base_*'
if [ -n "${WAL_ARCHIVE:-}" ]; then
  oldest=$(find "$BACKUP_DIR" -maxdepth 1 -name 'base_*' | sort | head -n 1)
  pg pg_archivecleanup "$WAL_ARCHIVE" "$(cat "$oldest/START_WAL")" || fail "$WAL_ARCHIVE could not be tidied"
fi
report_success base
