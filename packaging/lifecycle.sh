# What the scripts of .deb and .rpm share. Their build.sh puts it where they say @LIFECYCLE@, and the name of the version for
# @TREE@. SYSTEMCTL is deb-systemd-invoke on Debian, which asks policy-rc.d.
#
# The package holds the daemon in /usr/lib/rom-agent/package, and nothing runs from there. Each version gets a directory
# of hard links to it, which no package manager knows: a service goes on with its files while the package is replaced.
lib=/usr/lib/rom-agent
tree=@TREE@

# Makes the directory of this version, and lets /usr/lib/rom-agent/current point at it.
activate() {
  own=$lib/versions/$tree
  mkdir -p "$lib/versions"
  if ! [ "$own/node" -ef "$lib/package/node" ]; then
    rm -rf "$lib/versions/.new" "$lib/versions/.old"
    # Where the file system has no hard links, it takes the space of a copy.
    cp -al "$lib/package" "$lib/versions/.new" 2>/dev/null || {
      rm -rf "$lib/versions/.new"
      cp -a "$lib/package" "$lib/versions/.new"
    }
    if [ -d "$own" ]; then mv -T "$own" "$lib/versions/.old"; fi
    mv -T "$lib/versions/.new" "$own"
    rm -rf "$lib/versions/.old"
  fi
  ln -sfn "versions/$tree" "$lib/current.new"
  mv -T "$lib/current.new" "$lib/current"
}

is_booted() { [ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ]; }

# units KIND STATES: the plain one and those from the template.
units() {
  systemctl list-units --plain --no-legend --no-pager --state="$2" "rom-agent.$1" "rom-agent@*.$1" | awk '{ print $1 }'
}

# Whether the master of the unit is of another version of this package. A service of `make install` is left alone.
is_outdated() {
  pid=$(systemctl show --property=MainPID --value "$1")
  case $(readlink "/proc/$pid/exe" 2>/dev/null || true) in
    "$lib/versions/$tree/"*) return 1 ;;
    "$lib"/*) return 0 ;;
    *) return 1 ;;
  esac
}

# A socket unit stays as it is, so that its service refuses nobody. What does not come back is named; the rest goes on.
restart_outdated() {
  if is_booted; then restart_units; fi
  remove_unused
}

restart_units() {
  systemctl daemon-reload || true
  outdated=
  for unit in $(units service active,reloading,activating); do
    if is_outdated "$unit" && ! is_upgraded "$unit"; then outdated="$outdated $unit"; fi
  done
  if [ -n "$outdated" ]; then
    # shellcheck disable=SC2086
    $SYSTEMCTL restart $outdated || echo "rom-agent: not all of these are back; see systemctl status:$outdated" >&2
  fi
}

# Has the daemon hand its place over to one of this version, while connections go on. Where it refuses, or is too old to know
# how, it is restarted; where this version does not serve, the one that does serves on.
is_upgraded() {
  # Who forbids a restart forbids this too; deb-systemd-invoke says so.
  if command -v policy-rc.d >/dev/null; then
    policy=0
    policy-rc.d "$1" restart >/dev/null 2>&1 || policy=$?
    if [ $policy = 101 ]; then return 1; fi
  fi
  name=${1#rom-agent}
  name=${name#@}
  name=${name%.service}
  code=0
  said=$("$lib/current/node" "$lib/current/dist/cli/main.js" upgrade ${name:+--name "$name"} 2>&1) || code=$?
  if [ $code = 70 ]; then
    echo "rom-agent: $1 goes on with the version before, since this one does not serve it: $(echo "$said" | tail -n 1)" >&2
    echo "rom-agent: once it is mended: rom-agent upgrade${name:+ --name $name}, or systemctl restart $1" >&2
  fi
  [ $code = 0 ] || [ $code = 70 ]
}

# Versions from which no process runs: one whose connections go on is removed with the next package.
remove_unused() {
  # Nobody can tell what runs.
  [ -e /proc/self/exe ] || return 0
  running=$(ls -l /proc/[0-9]*/exe 2>/dev/null || true)
  for directory in "$lib"/versions/*; do
    case $running in
      *"$directory/node"*) ;;
      *) if [ "${directory##*/}" != "$tree" ]; then rm -rf "$directory"; fi ;;
    esac
  done
}

# The sockets first: a connection would start the service again.
stop_all() {
  is_booted || return 0
  for kind in socket service; do
    found=$(units "$kind" active,activating,reloading,deactivating,failed)
    # shellcheck disable=SC2086
    if [ -n "$found" ]; then $SYSTEMCTL stop $found || true; fi
  done
}

remove_versions() {
  rm -rf "$lib/versions" "$lib/current" "$lib/current.new"
  if [ -d "$lib" ]; then rmdir --ignore-fail-on-non-empty "$lib"; fi
  if is_booted; then systemctl daemon-reload || true; fi
}
