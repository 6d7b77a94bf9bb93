#!/usr/bin/env bash
# Back up the application's data into app_data_backup_YYYYmmdd.tar.gz.
#
#   APP_DATA_DIR           the folder (/var/lib/bazaruto)
#   BACKUP_DIR and others  see storing.sh
#
# Data folders of PostgreSQL are left out: a copy of one in use is worthless. backup.sh and base-backup.sh are for them.
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"

folder=${APP_DATA_DIR:-/var/lib/bazaruto}
begin_work
file=$work/app_data_backup_$(date +%Y%m%d).tar.gz
code=0
tar -czf "$file" --exclude-tag-all=PG_VERSION -C "$(dirname "$folder")" "$(basename "$folder")" || code=$?
# 1 says that a file grew while it was read, as logs do; it has been told above. All else is a failure.
[ "$code" -le 1 ] || fail "$folder could not be read"
tar -tzf "$file" >/dev/null || fail "the archive is not whole"
file=$(seal "$file") || fail "the archive could not be sealed"
publish "$file"
upload_with_sum "${file##*/}"
prune 'app_data_backup_*.tar.gz*'
report_success app_data
