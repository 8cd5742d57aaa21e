#!/bin/sh
# Installs the system packages that are missing, where this is a Debian machine and we may.
# Usage: system-deps.sh run|test|bench|proxies|jobs|redis|dashboard|metrics|examples|container|packages
set -eu

case ${1:-run} in
run) packages='libsystemd-dev g++ make python3' ;;
test)
  packages='libsystemd-dev g++ make python3 systemd-container dbus debootstrap procps iproute2 nginx-light openssl'
  ;;
proxies) packages='nginx-light haproxy openssl' ;;
packages)
  packages='libsystemd-dev g++ make python3 binutils dpkg lintian rpm systemd-container dbus debootstrap procps iproute2'
  ;;
jobs) packages='user-mode-linux perl-base' ;;
redis) packages='redis-server iproute2 nginx-light git' ;;
dashboard) packages='chromium redis-server' ;;
metrics) packages=prometheus ;;
examples) packages=ruby ;;
container) packages='debootstrap buildah podman runc crun' ;;
bench)
  packages='libsystemd-dev g++ make python3 apache2-utils wrk nginx-light systemd-container dbus procps iproute2 libfaketime'
  ;;
*)
  echo "system-deps.sh: unknown purpose: $1; expected run, test, bench, proxies, jobs, redis, dashboard, metrics, examples, container or packages" >&2
  exit 64
  ;;
esac

[ "$(uname -s)" = Linux ] || exit 0
if ! command -v dpkg-query >/dev/null 2>&1; then
  echo "Not a Debian system. Where they are missing, install the equivalents of: $packages" >&2
  exit 0
fi

missing=
for package in $packages; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "Missing packages:$missing. Install them as root; without libsystemd-dev systemd is not notified." >&2
    exit 0
  fi
  as_root=sudo
fi
echo "Installing$missing" >&2
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >&2
