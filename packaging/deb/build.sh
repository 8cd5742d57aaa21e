#!/bin/sh
# Packs packages/stage-ARCH as a .deb: build.sh x64 | arm64. Prints the file's path.
#
#   DEB_REVISION     1
#   DEB_MAINTAINER   name and address in the control file
#   DEB_COMPRESSION  of dpkg-deb: -Zxz
#   STAGE            the tree to pack, instead of packages/stage-ARCH
set -eu
. packaging/staged.sh
staged "${1:-x64}" amd64 arm64

# 1.0.0-rc.1 comes before 1.0.0.
version=$(printf %s "$upstream" | tr - '~')-${DEB_REVISION:-1}
maintainer=${DEB_MAINTAINER:-The maintainers of rom-agent <maintainers@rom-agent.invalid>}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
cp -al "$stage/." "$root/" 2>/dev/null || cp -a "$stage/." "$root/"
mkdir "$root/DEBIAN"

for script in postinst prerm postrm; do
  sed -e '/^@LIFECYCLE@$/{' -e 'r packaging/lifecycle.sh' -e 'd' -e '}' "packaging/deb/$script" |
    sed -e "s|@TREE@|$tree|" >"$root/DEBIAN/$script"
  chmod 755 "$root/DEBIAN/$script"
done
echo /etc/rom-agent/rom-agent.toml >"$root/DEBIAN/conffiles"

doc=$root/usr/share/doc/rom-agent
printf 'rom-agent (%s) unstable; urgency=medium\n\n  * What is new: changelog.gz\n\n -- %s  %s\n' \
  "$version" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9nc >"$doc/changelog.Debian.gz"
${NODE:-node} packaging/deb/copyright.mjs "$doc/copyright" LICENSE >"$root/DEBIAN/copyright"
mv "$root/DEBIAN/copyright" "$doc/copyright"
mkdir -p "$root/usr/share/lintian/overrides"
cp packaging/deb/lintian-overrides "$root/usr/share/lintian/overrides/rom-agent"

systemd_library=
if [ -d "$payload/node_modules/sd-notify" ]; then systemd_library=', libsystemd0 (>= 246)'; fi
cat >"$root/DEBIAN/control" <<END
Package: rom-agent
Version: $version
Architecture: $machine
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
Depends: libc6 (>= 2.28), libgcc-s1 (>= 3.4), libstdc++6 (>= 5.2)$systemd_library
Recommends: systemd (>= 252)
Suggests: libnss-systemd
Section: web
Priority: optional
Homepage: https://www.npmjs.com/package/rom-agent
Description: runs Node.js web services on every core, as native services
 The daemon hosts an unmodified Node.js app in a master and workers under
 systemd: readiness, watchdog, reloads without a lost request, drained stops,
 a hardened unit.
 .
 The package brings a Node.js of its own. Nothing is started when it is
 installed; each app is a service of its own, rom-agent@NAME.service.
END
(cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/DEBIAN/"p*
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

file=packages/rom-agent_${version}_$machine.deb
# shellcheck disable=SC2086
dpkg-deb ${DEB_COMPRESSION:--Zxz} --root-owner-group --build "$root" "$file" >/dev/null
echo "$file"
