#!/usr/bin/env bash
# Back up config.yaml and secrets/ into config_backup_YYYYmmdd.tar.gz, sealed: without a key it refuses.
#
#   CONFIG_DIR             the folder that holds both (/etc/bazaruto)
#   BACKUP_DIR and others  see storing.sh
set -euo pipefail
umask 077
# shellcheck source-path=SCRIPTDIR source=storing.sh
. "$(dirname "${BASH_SOURCE[0]}")/storing.sh"

must_be_sealed
begin_work
file=$work/config_backup_$(date +%Y%m%d).tar.gz
tar -czf "$file" -C "${CONFIG_DIR:-/etc/bazaruto}" config.yaml secrets/ || fail "the configuration could not be read"
tar -tzf "$file" >/dev/null || fail "the archive is not whole"
file=$(seal "$file") || fail "the archive could not be sealed"
publish "$file"
upload_with_sum "${file##*/}"
prune 'config_backup_*.tar.gz*'
report_success config
