#!/bin/sh
# Run backup.sh every night, base-backup.sh every week and incremental-backup.sh between, until SIGTERM.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup schedule "$@"
