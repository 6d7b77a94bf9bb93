#!/usr/bin/env bash
# Restore one dump into an empty database: restore.sh backup_20240115_120000.sql.gz
#
#   DB_HOST DB_USER DB_NAME, PG_BIN   as for backup.sh; DB_NAME is one database, made beforehand and empty
#   AGE_IDENTITY_FILE, GPG_PASSPHRASE_FILE   to open a sealed file; see storing.sh
#
# The file is checked to its last byte before the server is asked for anything. Then all of it happens in one
# transaction: when a statement fails, the database is as empty as before. `restore.sh roles_….sql.gz` makes the
# roles that the server lacks; a new server needs that first.
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"
# shellcheck source-path=SCRIPTDIR source=dumps.sh
. "$(dirname "${BASH_SOURCE[0]}")/dumps.sh"

file=${1:?the backup to restore}
check_sum "$file"
check_dump "$file" || fail "$file is damaged, or no dump, or its key is another one; nothing was changed"

ask() { pg psql "${login[@]}" -X -A -t -v ON_ERROR_STOP=1 --dbname "$1" -c "$2"; }
run() { pg psql "${login[@]}" -X -q -o /dev/null -v ON_ERROR_STOP=1 --dbname "$1" --single-transaction; }

if [[ ${file##*/} == roles_* ]]; then
  there=$(ask postgres 'SELECT quote_ident(rolname) FROM pg_roles') || fail "the server $DB_HOST does not answer"
  # Roles that are there keep their rights.
  unseal "$file" | gzip -dc | THERE=$there awk '
    BEGIN { split(ENVIRON["THERE"], names, "\n"); for (i in names) known[names[i]] = 1 }
    /^(CREATE|ALTER) ROLE / { name = $3; sub(/;$/, "", name); if (name in known) next }
    { print }' | run postgres || fail "the roles were not restored"
  tell "the server has the roles of ${file##*/}; give them passwords"
  exit 0
fi

database=${DB_NAME:-bazaruto}
relations=$(ask "$database" "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')") ||
  fail "the database $database cannot be reached; make it first: createdb --owner=ROLE $database"
[ "$relations" = 0 ] || fail "the database $database is not empty; restore into a new one and swap the names"
unseal "$file" | gzip -dc | run "$database" || fail "the restore failed; $database is as empty as before"
tell "restored ${file##*/} into $database"
