#!/bin/sh
# Copy what changed since the last copy of the server; leaves incremental_YYYYmmdd_HHMMSS/.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup base --incremental "$@"
