#!/usr/bin/env bash
# Install the Debian programs that a folder of tests runs: install.sh ops|deploy
# What is there already is left alone; services are not started.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"  # where people who are not root do not look
# PROGRAM=PACKAGE
case ${1:-} in
  ops) programs=(amtool=prometheus-alertmanager chromium=chromium go=golang-go pgbouncer=pgbouncer
    prometheus=prometheus prometheus-alertmanager=prometheus-alertmanager
    prometheus-node-exporter=prometheus-node-exporter prometheus-postgres-exporter=prometheus-postgres-exporter
    prometheus-redis-exporter=prometheus-redis-exporter promtool=prometheus) ;;
  deploy) programs=(age=age buildah=buildah crun=crun curl=curl debootstrap=debootstrap free=procps gpg=gnupg jq=jq
    openssl=openssl psql=postgresql-client systemd-analyze=systemd) ;;
  *) echo "install.sh: ops or deploy?" >&2; exit 2 ;;
esac

missing=()
for program in "${programs[@]}"; do
  command -v "${program%=*}" >/dev/null || missing+=("${program#*=}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Install these once: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# Debian starts what it installs. The tests start their own on ports of their own, so that nothing may start here.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
echo "Installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
