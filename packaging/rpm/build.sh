#!/bin/sh
# Packs packages/stage-ARCH as an .rpm: build.sh x64 | arm64. Prints the file's path. STAGE names another tree.
set -eu
umask 022
export LC_ALL=C TZ=UTC

arch=${1:-x64}
stage=${STAGE:-packages/stage-$arch}
case $arch in
  x64) machine=x86_64 ;;
  arm64) machine=aarch64 ;;
  *) echo "build.sh: unknown architecture: $arch; expected x64 or arm64" >&2; exit 64 ;;
esac
[ -d "$stage/usr/lib/rom-agent/package" ] || { echo "build.sh: there is no $stage: run packaging/stage.sh $arch first" >&2; exit 1; }
stage=$(readlink -f "$stage")
payload=$stage/usr/lib/rom-agent/package
version=$(sed -n 's/^  "version": "\(.*\)",*$/\1/p' "$payload/package.json" | tr - '~')
SOURCE_DATE_EPOCH=$(stat -c %Y "$payload/package.json")
export SOURCE_DATE_EPOCH
tree=$(${NODE:-node} packaging/name-of-tree.mjs "$payload")
systemd=
if [ -d "$payload/node_modules/sd-notify" ]; then systemd='libsystemd.so.0()(64bit)'; fi

top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
sed -e '/^@LIFECYCLE@$/{' -e 'r packaging/lifecycle.sh' -e 'd' -e '}' packaging/rpm/rom-agent.spec |
  sed -e "s|@TREE@|$tree|" -e "s|@VERSION@|$version|" -e "s|@STAGE@|$stage|" -e "s|@SYSTEMD@|$systemd|" >"$top/rom-agent.spec"
rpmbuild -bb --quiet --target "$machine-linux" --define "_topdir $top" --define "_rpmdir $top/rpms" \
  --define "_binary_payload ${RPM_PAYLOAD:-w9.xzdio}" "$top/rom-agent.spec" >"$top/log" 2>&1 || {
  tail -20 "$top/log" >&2
  exit 1
}
mv "$top/rpms/$machine/rom-agent-$version-1.$machine.rpm" packages/
echo "packages/rom-agent-$version-1.$machine.rpm"
