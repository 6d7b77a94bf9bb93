#!/bin/sh
# Gives every service a database and a role of its own, the exporter one that may only look, and the backups one that
# may read everything and copy the server. The image of PostgreSQL runs it once, when its data folder is empty; running
# it again makes what is missing and changes the passwords to those of the files.
set -eu
secrets=${SECRETS:-/run/secrets}

role() { # NAME PASSWORD_FILE
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set name="$1" --set password="$(cat "$2")" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'name')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
ALTER ROLE :"name" PASSWORD :'password';
SQL
}

database() { # NAME
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set name="$1" <<'SQL'
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
}

role bazaruto_backup "$secrets/db-password-backup"
for service in users quotes policies payments; do
  role "bazaruto_$service" "$secrets/db-password-$service"
  database "bazaruto_$service"
  psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --command "GRANT CONNECT ON DATABASE bazaruto_$service TO bazaruto_backup"
done

role bazaruto_monitor "$secrets/db-password-monitor"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --command 'GRANT pg_monitor TO bazaruto_monitor' \
  --command 'ALTER ROLE bazaruto_backup REPLICATION' --command 'GRANT pg_read_all_data TO bazaruto_backup' \
  --command 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
