#!/bin/sh
# Packs packages/stage-ARCH as an .rpm: build.sh x64 | arm64. Prints the file's path. STAGE names another tree.
set -eu
. packaging/staged.sh
staged "${1:-x64}" x86_64 aarch64
version=$(printf %s "$upstream" | tr - '~')
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
