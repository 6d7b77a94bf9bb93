#!/usr/bin/env bash
# Run backup.sh every night and base-backup.sh every week where nothing else keeps a schedule, as in a composition.
# Runs until SIGTERM; systemd and Kubernetes have schedules of their own, and do not need it.
#
#   BACKUP_AT              when the night's backup begins, HH:MM (02:00)
#   RETRY_AFTER            seconds until one that failed is tried again (3600)
#   METRICS_DIR and others see storing.sh
#
# What is due follows from what was told to the monitoring, so that a night that was missed is made up for at once.
set -euo pipefail
folder=$(dirname "${BASH_SOURCE[0]}")
: "${METRICS_DIR:?where the last success of each backup is told}"
at=${BACKUP_AT:-02:00} retry=${RETRY_AFTER:-3600}
week=$((7 * 86400 - 43200)) # half a day less: a night's backup takes longer or shorter

child=
stop() {
  [ -z "$child" ] || kill -- "-$child" 2>/dev/null || true
  wait
  exit 0
}
trap stop TERM INT

# In the background, because a trap waits for what is in the foreground; as a group, because so does the script's: only
# when pg_dump is told to end too does the script go on, and remove what is unfinished.
set -m
run() {
  "$@" &
  child=$!
  local code=0
  wait "$child" || code=$?
  child=
  return "$code"
}

last_success() { # KIND
  local file=$METRICS_DIR/bazaruto_backup_$1.prom
  if [ -f "$file" ]; then sed -n 's/^bazaruto_backup_last_success_timestamp_seconds{.*} //p' "$file"; else echo 0; fi
}

last_moment() {
  local today
  today=$(date --date "today $at" +%s)
  if [ "$today" -le "$(date +%s)" ]; then echo "$today"; else echo $((today - 86400)); fi
}

date --date "today $at" >/dev/null 2>&1 || {
  echo "schedule.sh: BACKUP_AT: $at is no time of the day" >&2
  exit 2
}
# Both are tried, each for itself: without base backups the archive of the log grows until the disk is full.
while :; do
  wait_for=60
  # Not inside $((...)): bash 5.2 does not understand its trap when the signal comes while it computes that.
  due=$(last_moment)
  if [ "$(last_success dump)" -lt "$due" ]; then
    run "$folder/backup.sh" || wait_for=$retry
  fi
  if [ "$(last_success base)" -lt $((due - week)) ]; then
    run "$folder/base-backup.sh" || wait_for=$retry
  fi
  run sleep "$wait_for"
done
