# shellcheck shell=bash
# What a dump must look like, and how the server is reached. Sourced by backup.sh and restore.sh, after storing.sh.

: "${DB_HOST:?the server of the database}" "${DB_USER:?the role to log in with}"
# shellcheck disable=SC2034 # used by the scripts that source this
login=(--host "$DB_HOST" --port "${DB_PORT:-5432}" --username "$DB_USER" --no-password)

# pg_dump refuses a server that is newer than itself, after it has begun. Here the reason is told with the remedy.
check_client() {
  local server client
  server=$(pg psql "${login[@]}" -X -A -t --dbname "${1:-postgres}" -c 'SHOW server_version_num') ||
    fail "the server $DB_HOST does not answer"
  client=$(pg pg_dump --version | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
  [ "$client" -ge "$((server / 10000))" ] ||
    fail "pg_dump $client is older than the server ($((server / 10000))); set PG_BIN to a folder with a newer one"
}

# Whether a file is a whole dump: sound to its last byte, with the first and the last line that pg_dump writes.
check_dump() {
  unseal "$1" | gzip -dc | LC_ALL=C awk '
    NR <= 10 && /^-- PostgreSQL database (cluster )?dump$/ { header = 1 }
    /^-- PostgreSQL database (cluster )?dump complete$/ { trailer = NR }
    END { exit !(header && trailer && NR - trailer <= 10) }'
}
