#!/bin/sh
# Dump databases and roles; leaves backup_YYYYmmdd_HHMMSS.sql.gz. `bazarutod backup --help` explains the variables.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup dump "$@"
