#!/bin/sh
# Copy the data folder of a running server; leaves base_YYYYmmdd_HHMMSS/.
PATH="$PATH:/opt/bazaruto/bin:$(dirname "$0")/../../.venv/bin" # of an installation, or of this checkout
exec bazarutod backup base "$@"
