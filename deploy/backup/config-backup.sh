#!/bin/sh
# Back up config.yaml and secrets/, sealed; leaves config_backup_YYYYmmdd.tar.gz.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup config "$@"
