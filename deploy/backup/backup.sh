#!/usr/bin/env bash
# Dump databases, check the dumps, seal and upload them, and only then forget old ones.
#
#   DB_HOST DB_USER        the server and the role, as for psql (DB_PORT, and PGPASSFILE for a password)
#   DB_NAME                one name, several, or "all": every database of the suite (bazaruto)
#   PG_BIN                 folder of pg_dump and psql, when those of the system are older than the server
#   BACKUP_DIR and others  see storing.sh
#
# Leaves backup_YYYYmmdd_HHMMSS.sql.gz; with several databases one file each, with the name of the database at the
# end. Ends with another code than 0 when anything failed. Nothing half written is left, and no old backup is gone.
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"
# shellcheck source-path=SCRIPTDIR source=dumps.sh
. "$(dirname "${BASH_SOURCE[0]}")/dumps.sh"

names=${DB_NAME:-bazaruto}
[ "$names" != all ] || names="bazaruto_users bazaruto_quotes bazaruto_policies bazaruto_payments"
read -ra databases <<<"${names//,/ }"
stamp=$(date +%Y%m%d_%H%M%S)
check_client
begin_work

finished=()
for database in "${databases[@]}"; do
  file=$work/backup_$stamp.sql.gz
  [ "${#databases[@]}" = 1 ] || file=$work/backup_${stamp}_$database.sql.gz
  pg pg_dump "${login[@]}" --dbname "$database" | gzip >"$file" || fail "the dump of $database failed"
  check_dump "$file" || fail "the dump of $database is not whole"
  sealed=$(seal "$file") || fail "the dump of $database could not be sealed"
  finished+=("$sealed")
done
# The roles belong to the server and are in no dump; without them no dump can be restored on a new server.
roles=$work/roles_$stamp.sql.gz
pg pg_dumpall "${login[@]}" --roles-only --no-role-passwords | gzip >"$roles" || fail "the dump of the roles failed"
check_dump "$roles" || fail "the dump of the roles is not whole"
sealed=$(seal "$roles") || fail "the dump of the roles could not be sealed"
finished+=("$sealed")

for file in "${finished[@]}"; do publish "$file"; done
for file in "${finished[@]}"; do upload_with_sum "${file##*/}"; done
prune 'backup_*.sql.gz*' 'roles_*.sql.gz*'
report_success dump
