#!/bin/sh
# Restore one dump into an empty database, or make the roles that a server lacks: restore.sh backup_….sql.gz
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup restore "$@"
