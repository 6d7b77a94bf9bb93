# shellcheck shell=bash
# How every backup of this folder is kept: made under a temporary name, sealed, summed, given its name at once,
# uploaded, counted, and pruned. Sourced by the scripts beside it; does nothing by itself.
#
#   BACKUP_DIR             where backups lie (/backups)
#   BACKUP_BUCKET          where they are uploaded (s3://bazaruto-backups/); empty: nowhere
#   S3_ENDPOINT_URL        another S3 than Amazon's. An option of the command, because old ones ignore the variable.
#   BACKUP_KEEP_DAYS       days that a local copy is kept (30)
#   DB_PASSWORD_FILE       the password of DB_USER. For files that PGPASSFILE refuses because others may read them, as
#                          those of mounted secrets
#   PG_FOLDER              instead of DB_HOST and DB_PORT: the data folder of a server on this machine, which knows its
#                          port, as that of `bazarutod up`
#   AGE_RECIPIENTS_FILE    public keys: seal with age. This machine then cannot open what it has written.
#   AGE_IDENTITY_FILE      the private key, only where backups are opened
#   GPG_PASSPHRASE_FILE    without age: seal with gpg and this passphrase
#   METRICS_DIR            of node_exporter's textfile collector; by default Debian's, where it exists

BACKUP_DIR=${BACKUP_DIR:-/backups}
BACKUP_BUCKET=${BACKUP_BUCKET-s3://bazaruto-backups/}
BACKUP_KEEP_DAYS=${BACKUP_KEEP_DAYS:-30}
METRICS_DIR=${METRICS_DIR-}
DEBIAN_METRICS=/var/lib/prometheus/node-exporter
begun=$(date +%s)

tell() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() {
  tell "$*"
  exit 1
}

if [ -n "${PG_FOLDER:-}" ]; then
  export DB_HOST=127.0.0.1 DB_PORT
  DB_PORT=$(sed -n 4p "$PG_FOLDER/postmaster.pid" 2>/dev/null) || fail "no server runs on $PG_FOLDER"
fi

# A program of PostgreSQL: from PG_BIN when it is set, because a dump needs a client as new as its server.
pg() {
  local program=$1
  shift
  if [ -n "${DB_PASSWORD_FILE:-}" ]; then
    local PGPASSWORD # for this program alone
    PGPASSWORD=$(<"$DB_PASSWORD_FILE") || fail "there is no password in $DB_PASSWORD_FILE"
    export PGPASSWORD
  fi
  "${PG_BIN:+$PG_BIN/}$program" "$@"
}

# Take a folder beside the final place, so that giving the final name is one rename. It goes away in any case: that of
# a backup that was killed when the next one begins. No program of that one is left, for it would still hold the lock.
begin_work() {
  mkdir -p "$BACKUP_DIR"
  exec 9>"$BACKUP_DIR/.lock"
  flock -n 9 || fail "another backup runs in $BACKUP_DIR"
  rm -rf "$BACKUP_DIR"/.unfinished.*
  work=$(mktemp -d "$BACKUP_DIR/.unfinished.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

must_be_sealed() {
  [ -n "${AGE_RECIPIENTS_FILE:-}${GPG_PASSPHRASE_FILE:-}" ] ||
    fail "this holds secrets: set AGE_RECIPIENTS_FILE or GPG_PASSPHRASE_FILE"
}

# No agent is started: it would outlive the backup. It is asked only how much work to put into the passphrase, so that
# is said here, the most there is.
passphrase_gpg() {
  local home code=0
  home=$(mktemp -d)
  gpg --homedir "$home" --no-autostart --batch --quiet --no-tty --pinentry-mode loopback --no-symkey-cache \
    --passphrase-file "$GPG_PASSPHRASE_FILE" --s2k-digest-algo SHA512 --s2k-count 65011712 "$@" || code=$?
  rm -rf "$home"
  return "$code"
}

# Encrypt a file where it lies; prints its new name. Without a key it stays as it is.
seal() {
  local file=$1
  if [ -n "${AGE_RECIPIENTS_FILE:-}" ]; then
    age --encrypt --recipients-file "$AGE_RECIPIENTS_FILE" --output "$file.age" "$file" || return
    rm "$file"
    echo "$file.age"
  elif [ -n "${GPG_PASSPHRASE_FILE:-}" ]; then
    [ -s "$GPG_PASSPHRASE_FILE" ] || fail "there is no passphrase in $GPG_PASSPHRASE_FILE"
    passphrase_gpg --symmetric --cipher-algo AES256 --output "$file.gpg" "$file" || return
    rm "$file"
    echo "$file.gpg"
  else
    echo "$file"
  fi
}

# Print what a file held before it was sealed.
unseal() {
  case $1 in
    *.age) age --decrypt --identity "${AGE_IDENTITY_FILE:?needed to open $1}" "$1" ;;
    *.gpg)
      : "${GPG_PASSPHRASE_FILE:?needed to open $1}"
      passphrase_gpg --decrypt "$1"
      ;;
    *) cat -- "$1" ;;
  esac
}

# The sum is beside each backup. A file without one is not trusted.
check_sum() {
  local file=$1
  [ -f "$file" ] || fail "there is no file $file"
  [ -s "$file" ] || fail "$file is empty"
  [ -f "$file.sha256" ] || fail "$file has no $file.sha256 beside it; make one only if you know the file is whole"
  (cd "$(dirname "$file")" && sha256sum --check --status "${file##*/}.sha256") ||
    fail "$file is damaged: its checksum is another one"
}

# Give a finished file of the work folder its place, then upload it.
publish() {
  local file=$1 name=${1##*/}
  [ -s "$file" ] || fail "$name is empty"
  (cd "${file%/*}" && sha256sum "$name" >"$name.sha256")
  chmod 600 "$file" "$file.sha256"
  sync "$file" "$file.sha256"
  mv "$file.sha256" "$BACKUP_DIR/$name.sha256"
  mv "$file" "$BACKUP_DIR/$name"
  sync "$BACKUP_DIR"
  published_bytes=$((${published_bytes:-0} + $(stat -c %s "$BACKUP_DIR/$name")))
  tell "wrote $BACKUP_DIR/$name"
}

# Upload files of BACKUP_DIR, and ask the store how much of the first has arrived.
upload() {
  [ -n "$BACKUP_BUCKET" ] || return 0
  local name there path arrived
  for name in "$@"; do
    s3 s3 cp --only-show-errors "$BACKUP_DIR/$name" "${BACKUP_BUCKET%/}/$name" ||
      fail "$name was not uploaded to $BACKUP_BUCKET"
  done
  there=${BACKUP_BUCKET%/}/$1 path=${BACKUP_BUCKET#s3://}
  path=${path%/}/$1
  arrived=$(s3 s3api head-object --bucket "${path%%/*}" --key "${path#*/}" --query ContentLength --output text) ||
    fail "$there cannot be looked at"
  [ "$arrived" = "$(stat -c %s "$BACKUP_DIR/$1")" ] || fail "$there has $arrived bytes, which is not all of it"
}

# What a backup of one file consists of.
upload_with_sum() { upload "$1" "$1.sha256"; }

s3() { aws ${S3_ENDPOINT_URL:+--endpoint-url "$S3_ENDPOINT_URL"} "$@"; }

# Forget old local copies. Called last, so that a night without a new backup costs no old one.
prune() {
  local pattern
  for pattern in "$@"; do
    find "$BACKUP_DIR" -maxdepth 1 -name "$pattern" -mtime +"$BACKUP_KEEP_DAYS" -exec rm -rf {} +
  done
}

# Tell the monitoring that all of it went well. BackupStale looks at this number.
report_success() {
  local kind=$1 folder=$METRICS_DIR file
  if [ -z "$folder" ]; then
    [ -d "$DEBIAN_METRICS" ] || return 0
    folder=$DEBIAN_METRICS
  fi
  file=$folder/bazaruto_backup_$kind.prom
  cat >"$file.$$" <<METRICS
# HELP bazaruto_backup_last_success_timestamp_seconds When a backup of this kind was last made and stored in full.
# TYPE bazaruto_backup_last_success_timestamp_seconds gauge
bazaruto_backup_last_success_timestamp_seconds{kind="$kind"} $(date +%s)
# HELP bazaruto_backup_size_bytes Bytes of the last good backup of this kind.
# TYPE bazaruto_backup_size_bytes gauge
bazaruto_backup_size_bytes{kind="$kind"} ${published_bytes:-0}
# HELP bazaruto_backup_duration_seconds Seconds that the last good backup of this kind took.
# TYPE bazaruto_backup_duration_seconds gauge
bazaruto_backup_duration_seconds{kind="$kind"} $(($(date +%s) - begun))
METRICS
  chmod 644 "$file.$$"
  mv "$file.$$" "$file"
}
