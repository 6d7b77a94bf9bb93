#!/usr/bin/env bash
# Keep one file of the write-ahead log. The server calls it:
#
#   archive_mode = on
#   archive_timeout = 60s
#   archive_command = '/usr/lib/bazaruto/backup/wal-archive.sh %p %f /wal-archive'
#
# Success means that the file is on the disk under its name: the server may recycle it then. What is archived already
# is never replaced; the same content again is fine, because a server that crashed asks again.
set -euo pipefail
umask 077
path=${1:?%p} name=${2:?%f} archive=${3:?the folder of the archive}

if [ -e "$archive/$name" ]; then
  cmp --silent "$path" "$archive/$name" || {
    echo "wal-archive: $archive/$name exists with another content; is the archive another server's?" >&2
    exit 1
  }
  sync "$archive/$name" "$archive"
  exit 0
fi
unfinished=$(mktemp "$archive/.$name.XXXXXX")
trap 'rm -f "$unfinished"' EXIT
cp "$path" "$unfinished"
sync "$unfinished"
# A link, not a rename: it fails when somebody else was faster.
ln "$unfinished" "$archive/$name"
sync "$archive"
