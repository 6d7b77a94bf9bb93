#!/bin/sh
# Make a data folder that recovers to a moment:
# pitr-restore.sh /backups/base_20240115_120000 /wal-archive '2024-01-15 14:29:00+00' /var/lib/postgresql/18/main
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup recover "$@"
