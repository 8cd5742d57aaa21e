#!/bin/sh
# Puts together what .deb, .rpm and tarball hold: stage.sh x64 | arm64 makes packages/stage-ARCH, a root directory.
#
# The Node comes from npm's node-linux-ARCH, pinned with its integrity in packaging/runtime. sd-notify is compiled for
# it, which works for the architecture of this machine alone; koffi comes compiled.
# The same sources give the same bytes: SOURCE_DATE_EPOCH is the time of all files, by default that of the last commit.
#
#   NODE, NPM   of this machine, which do the work
set -eu
umask 022
export LC_ALL=C TZ=UTC

NODE=${NODE:-node}
NPM=${NPM:-npm}
arch=${1:-x64}
case $arch in
  x64 | arm64) ;;
  *) echo "stage.sh: unknown architecture: $arch; expected x64 or arm64" >&2; exit 64 ;;
esac
host=$("$NODE" -p process.arch)
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || "$NODE" -p 'Math.floor(fs.statSync("package.json").mtimeMs / 1000)')}"
export SOURCE_DATE_EPOCH

work=$PWD/packages/work-$arch
stage=$PWD/packages/stage-$arch
payload=$stage/usr/lib/rom-agent/package
doc=$stage/usr/share/doc/rom-agent

main() {
  [ -f dist/cli/main.js ] || fail 'dist/cli/main.js does not exist: run "npm ci && npm run build" first'
  rm -rf "$stage" "$work/app"
  mkdir -p "$payload" "$doc" "$work"
  fetch_node
  fetch_modules
  put_payload
  put_shared
  put_copyright
  # Names, owners and times that do not depend on this machine. Owners are up to what packs the tree.
  chmod -R u=rwX,go=rX "$stage"
  find "$stage" -type f -perm /100 ! -path "$payload/node" ! -path "$stage/usr/bin/*" -exec chmod 644 {} +
  find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  if [ "$arch" = "$host" ]; then try_payload; fi
  echo "staged: $stage ($version, Node $node_version, $(cat "$work/tree"))"
}

fetch_node() {
  mkdir -p "$work/runtime"
  runtime=$work/runtime/node_modules/node-linux-$arch
  if ! cmp -s packaging/runtime/package-lock.json "$work/runtime/package-lock.json" || [ ! -x "$runtime/bin/node" ]; then
    cp packaging/runtime/package.json packaging/runtime/package-lock.json "$work/runtime/"
    (cd "$work/runtime" && "$NPM" ci --os=linux "--cpu=$arch" --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
      fail "npm ci in packaging/runtime: $(tail -3 "$work/runtime/npm.log")"
  fi
  [ -x "$runtime/bin/node" ] || fail "npm has installed no node-linux-$arch: see $work/runtime/npm.log"
  node_version=$(sed -n 's/^  "version": "\(.*\)",*$/\1/p' "$runtime/package.json")
}

# Fresh ones: node_modules of a checkout holds addons for the node and the machine that it was installed with.
fetch_modules() {
  mkdir -p "$work/app"
  cp package.json package-lock.json "$work/app/"
  (cd "$work/app" && "$NPM" ci --omit=dev --os=linux --libc=glibc "--cpu=$arch" --ignore-scripts --no-audit --no-fund >npm.log 2>&1) ||
    fail "npm ci: $(tail -3 "$work/app/npm.log")"
  if [ "$arch" = "$host" ]; then compile_addon; else rm -rf "$work/app/node_modules/sd-notify"; fi
}

compile_addon() {
  gyp=$(dirname "$(readlink -f "$(command -v "$NPM")")")/../node_modules/node-gyp/bin/node-gyp.js
  # Paths of this machine are not to be in the addon. The rest is what Debian builds with.
  (cd "$work/app/node_modules/sd-notify" &&
    CXXFLAGS="-ffile-prefix-map=$work=. -fstack-protector-strong -D_FORTIFY_SOURCE=2" \
    LDFLAGS='-Wl,--build-id=none -Wl,-z,relro -Wl,-z,now' \
      "$runtime/bin/node" "$gyp" rebuild --release "--nodedir=$runtime" >build.log 2>&1) ||
    fail "sd-notify cannot be compiled (Debian: apt install g++ make python3 libsystemd-dev): $(tail -3 "$work/app/node_modules/sd-notify/build.log")"
  strip --strip-unneeded "$work/app/node_modules/sd-notify/build/Release/notify.node"
}

put_payload() {
  # As it is published, so that its hash can be compared.
  cp "$runtime/bin/node" "$payload/node"
  cp -R dist package.json systemd "$payload/"
  version=$(sed -n 's/^  "version": "\(.*\)",*$/\1/p' package.json)
  # What the bundler leaves outside of dist; the rest of the dependencies is in it.
  modules=$(cd "$work/app" && "$NODE" "$OLDPWD/packaging/production-modules.mjs" pino sd-notify koffi "@koromix/koffi-linux-$arch")
  for module in $modules; do
    case $module in */node_modules/*) continue ;; esac
    mkdir -p "$payload/$(dirname "$module")"
    cp -R "$work/app/$module" "$payload/$module"
  done
  # These are in the copyright file.
  rm -f "$payload/dist/third-party-licenses.txt"
  # /usr/bin/rom-agent names the node; a line of its own keeps the numbers of the source map.
  sed -i '1s/^#!.*//' "$payload/dist/cli/main.js"
  prune_modules
  "$NODE" packaging/name-of-tree.mjs "$payload" >"$work/tree"
}

# Documents, types, tests and sources of addons: nothing of it is loaded.
prune_modules() {
  inside=$payload/node_modules
  if [ -f "$inside/sd-notify/build/Release/notify.node" ]; then
    mv "$inside/sd-notify/build/Release/notify.node" "$work/notify.node"
    rm -rf "$inside/sd-notify/build"
    mkdir -p "$inside/sd-notify/build/Release"
    mv "$work/notify.node" "$inside/sd-notify/build/Release/"
  fi
  rm -rf "$inside/koffi/vendor" "$inside/koffi/doc" "$inside/koffi/lib" "$inside/koffi/cnoke.cjs" "$inside"/@koromix/*/musl_* \
    "$inside/koffi/src/koffi/src/trampolines.cjs" "$inside/pino/bin.js"
  find "$inside" -type d \( -name test -o -name tests -o -name docs -o -name example -o -name examples -o -name benchmarks \
    -o -name '.github' -o -name '.husky' \) -prune -exec rm -rf {} +
  find "$inside" -type f \( -iname '*.md' -o -iname 'license*' -o -name AUTHORS -o -name '*.ts' -o -name '*.mts' -o -name '*.cts' \
    -o -name '*.map' -o -name '*.cc' -o -name '*.hh' -o -name '*.h' -o -name '*.S' -o -name '*.asm' -o -name '*.log' \
    -o -name '*.gyp' -o -name CMakeLists.txt -o -name '.*' -o -name 'bench*.js' -o -name 'test.js' -o -name 'example.js' \
    -o -name 'eslint.config.*' -o -name 'tsconfig*.json' -o -name '*.sh' -o -name '*.html' -o -name '*.ico' -o -name CNAME \) -exec rm -f {} +
  find "$inside" -name '*.node' -exec chmod 644 {} +
  find "$inside" -depth -type d -empty -exec rmdir {} +
}

put_shared() {
  mkdir -p "$stage/usr/bin" "$stage/usr/lib/systemd/system" "$stage/usr/share/man/man1" "$stage/etc/rom-agent" \
    "$stage/usr/share/bash-completion/completions" "$stage/usr/share/zsh/vendor-completions" \
    "$stage/usr/share/fish/vendor_completions.d"
  printf '#!/bin/sh\nexec %s/node %s/dist/cli/main.js "$@"\n' /usr/lib/rom-agent/current /usr/lib/rom-agent/current \
    >"$stage/usr/bin/rom-agent"
  chmod 755 "$stage/usr/bin/rom-agent"
  for unit in rom-agent.service rom-agent.socket rom-agent@.service rom-agent@.socket; do
    sed -e 's|@NODE@|/usr/lib/rom-agent/current/node|g' -e 's|@LIBDIR@|/usr/lib/rom-agent/current|g' \
      -e 's|^# `make install` puts the paths in\. |# |' "systemd/$unit" >"$stage/usr/lib/systemd/system/$unit"
  done
  cp packaging/rom-agent.toml "$stage/etc/rom-agent/rom-agent.toml"
  gzip -9nc packaging/man/rom-agent.1 >"$stage/usr/share/man/man1/rom-agent.1.gz"
  cp packaging/completion/rom-agent.bash "$stage/usr/share/bash-completion/completions/rom-agent"
  cp packaging/completion/_rom-agent "$stage/usr/share/zsh/vendor-completions/_rom-agent"
  cp packaging/completion/rom-agent.fish "$stage/usr/share/fish/vendor_completions.d/rom-agent.fish"
  gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
  cp -R README.md SECURITY.md docs "$doc/"
}

# Of everything that is inside, the packed dependencies included.
put_copyright() {
  {
    printf 'rom-agent %s\n\nCopyright the authors of rom-agent. Licensed under the Apache License, Version 2.0, which is in\n' "$version"
    printf '/usr/share/common-licenses/Apache-2.0 on Debian, and at https://www.apache.org/licenses/LICENSE-2.0 elsewhere.\n'
    printf '\nThis package also holds Node.js %s as it is published, and packages from npm, in node_modules or packed\ninto dist. Their licenses follow.\n\n' "$node_version"
    cat dist/third-party-licenses.txt
    for module in $modules; do
      manifest=$work/app/$module/package.json
      printf '\n\n== %s\n\n' "$("$NODE" -p 'const { name, version, license } = JSON.parse(fs.readFileSync(process.argv[1])); `${name} ${version} (${license})`' "$manifest")"
      license=$(find "$work/app/$module" -maxdepth 1 -type f -iname 'licen[cs]e*' | sort | head -1)
      if [ -n "$license" ]; then tr -d '\r' <"$license"; else echo 'No text of the license is published with it.'; fi
    done
    printf '\n\n== Node.js %s\n\n' "$node_version"
    cat "$runtime/LICENSE"
  } >"$doc/copyright"
}

# The packed daemon, by its own node, with both ways to systemd.
try_payload() {
  [ "$("$payload/node" "$payload/dist/cli/main.js" --version | grep -c "$version")" != 0 ] || fail "the staged daemon does not run"
  (cd "$payload" && ./node -e 'for (const name of ["pino", "sd-notify", "koffi"]) require(name)') || fail "the staged packages are not complete"
}

fail() {
  echo "stage.sh: $*" >&2
  exit 1
}

main
