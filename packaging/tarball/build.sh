#!/bin/sh
# Packs packages/stage-ARCH as a tarball with an installer: build.sh x64 | arm64. Prints the file's path. The installer
# is packaging/install.sh, which finds the Node beside it.
set -eu
umask 022
export LC_ALL=C TZ=UTC

arch=${1:-x64}
stage=${STAGE:-packages/stage-$arch}
payload=$stage/usr/lib/rom-agent/package
[ -d "$payload" ] || { echo "build.sh: there is no $stage: run packaging/stage.sh $arch first" >&2; exit 1; }
version=$(sed -n 's/^  "version": "\(.*\)",*$/\1/p' "$payload/package.json")
name=rom-agent-$version-linux-$arch
time=$(stat -c %Y "$payload/package.json")

top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
root=$top/$name
mkdir -p "$root/packaging"
cp -a "$payload/." "$root/"
cp -a "$stage/usr/share/doc/rom-agent/." "$root/"
rm -f "$root/changelog.gz"
cp LICENSE CHANGELOG.md "$root/"
cp -R packaging/install.sh packaging/name-of-tree.mjs packaging/rom-agent.toml packaging/man packaging/completion "$root/packaging/"
cat >"$root/install.sh" <<'END'
#!/bin/sh
# Installs rom-agent below /usr/local, or PREFIX, and removes it again: sudo ./install.sh [install | uninstall]
set -eu
cd "$(dirname "$0")"
exec sh packaging/install.sh "${1:-install}"
END
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/install.sh"
tar -C "$top" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" -cf - "$name" | gzip "-${GZIP_LEVEL:-9}n" >"packages/$name.tar.gz"
echo "packages/$name.tar.gz"
