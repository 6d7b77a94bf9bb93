#!/bin/sh
# Gives every service a database and a role of its own, and the exporter one that may only look. The image of
# PostgreSQL runs it once, when its data folder is empty; running it again changes the passwords to those of the files.
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

for service in users quotes policies payments; do
  role "bazaruto_$service" "$secrets/db-password-$service"
  database "bazaruto_$service"
done

role bazaruto_monitor "$secrets/db-password-monitor"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
  --command 'GRANT pg_monitor TO bazaruto_monitor' --command 'CREATE EXTENSION IF NOT EXISTS pg_stat_statements'
