#!/bin/sh
# Back up the application's data; leaves app_data_backup_YYYYmmdd.tar.gz.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup app-data "$@"
