#!/usr/bin/env bash
# Make the secrets that docker-compose.yml and the Kubernetes overlays need: make-secrets.sh [FOLDER]
# What is there already is kept, so that it can be run again after an upgrade. DB_HOST is where PostgreSQL is.
set -euo pipefail
folder=${1:-secrets}
host=${DB_HOST:-postgres}
umask 077
mkdir -p "$folder/keys" "$folder/fields"

random() {
  [ -s "$folder/$1" ] || openssl rand -hex 32 | tr -d '\n' >"$folder/$1"
}

random internal
random grafana-admin-password
random db-password-postgres
random db-password-monitor
random db-password-backup
random backup-passphrase # without it no backup can be opened: keep it elsewhere too
for service in users quotes policies payments; do
  random "db-password-$service"
  printf 'postgresql://bazaruto_%s:%s@%s:5432/bazaruto_%s' "$service" "$(cat "$folder/db-password-$service")" "$host" "$service" \
    >"$folder/db-url-$service.new"
  mv -f "$folder/db-url-$service.new" "$folder/db-url-$service"
done
# Yours to fill in: the password of mail.username, and the credentials file of the store that backups are uploaded to.
for name in mail-password backup-aws; do
  [ -e "$folder/$name" ] || : >"$folder/$name"
done
compgen -G "$folder/keys/*.pem" >/dev/null || openssl genpkey -algorithm ed25519 -out "$folder/keys/$(date -u +%Y%m%d%H%M%S).pem"
compgen -G "$folder/fields/*.seal" >/dev/null || random "fields/$(date -u +%Y%m%d%H%M%S).seal"
random fields/search.hash # never replace it: nobody would be found by what it was used for

# Nobody else gets through the folder; the files are readable because each container has a user of its own.
find "$folder" -type f -exec chmod 0444 {} +
chmod 0700 "$folder"
chmod 0755 "$folder/keys" "$folder/fields"
