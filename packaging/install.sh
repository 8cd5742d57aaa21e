#!/bin/sh
# Installs the built daemon as a service of systemd or launchd, and removes it: install.sh install | uninstall.
#
#   DESTDIR        put before every path, for packagers; nothing on the running system is touched then
#   PREFIX         /usr/local
#   NODE           the node that the service runs; the one beside this project, which the tarball has, or the first one
#                  in PATH
#   UNAME          Linux or Darwin; that of this machine
#   SERVICE_USER, SERVICE_GROUP   Darwin: who the daemon runs as; _www, the web server's account of macOS
#
# $LIBDIR/install-manifest lists what lies outside $LIBDIR, so that uninstall removes that and nothing else.
#
# Each version has a directory of its own, $LIBDIR/versions/VERSION-HASH, and $LIBDIR/current points at the last one: a
# service that runs goes on with the files that it was started from. Those that nobody runs are removed.
set -eu
umask 022

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/usr/local}
UNAME=${UNAME:-$(uname -s)}
SERVICE_USER=${SERVICE_USER:-_www}
SERVICE_GROUP=${SERVICE_GROUP:-$SERVICE_USER}
bundled=no
if [ -z "${NODE:-}" ] && [ -x ./node ]; then
  bundled=yes
  NODE=$PWD/node
fi
NODE=$(command -v "${NODE:-node}" || true)

LIBDIR=$PREFIX/lib/rom-agent
CURRENT=$LIBDIR/current
# The one of the tarball is installed with each version.
RUN_NODE=$NODE
if [ $bundled = yes ]; then RUN_NODE=$CURRENT/node; fi
CONFIG=/etc/rom-agent/rom-agent.toml
MANIFEST=$LIBDIR/install-manifest
LABEL=org.rom-agent
LOGDIR=/var/log/rom-agent
LOGFILE=$LOGDIR/rom-agent.log
STATEDIR=/var/db/rom-agent
# systemd searches these two prefixes; from any other only /etc is left.
case $PREFIX in
  /usr | /usr/local) UNITDIR=$PREFIX/lib/systemd/system ;;
  *) UNITDIR=/etc/systemd/system ;;
esac

main() {
  case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *) fail "usage: install.sh install | uninstall" ;;
  esac
}

install_all() {
  check_arguments
  check_tree
  check_node
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  : >"$scratch/manifest"
  # What an earlier version put there is still ours to remove.
  if [ -f "$DESTDIR$MANIFEST" ]; then cp "$DESTDIR$MANIFEST" "$scratch/manifest"; fi
  install_library
  install_wrapper
  install_shared
  install_config
  case $UNAME in
    Linux) install_systemd ;;
    Darwin) install_launchd ;;
  esac
  install -m 644 "$scratch/manifest" "$DESTDIR$MANIFEST"
  remove_old_versions
  say_next
}

uninstall_all() {
  [ -f "$DESTDIR$MANIFEST" ] || fail "$DESTDIR$MANIFEST does not exist: nothing was installed there (same DESTDIR and PREFIX as at make install?)"
  stop_service
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  cp "$DESTDIR$MANIFEST" "$scratch/manifest"
  sed -n 's/^file //p' "$scratch/manifest" | while IFS= read -r path; do rm -f "$DESTDIR$path"; done
  # The installer made it, empty.
  if [ "$UNAME" = Darwin ] && [ ! -s "$DESTDIR$LOGFILE" ]; then rm -f "$DESTDIR$LOGFILE"; fi
  sed -n 's/^config //p' "$scratch/manifest" | while IFS= read -r path; do remove_config "$path"; done
  rm -rf "$DESTDIR$LIBDIR"
  # The deepest first; a directory that holds anything else stays.
  sed -n 's/^dir //p' "$scratch/manifest" | sort -r | while IFS= read -r path; do remove_directory "$path"; done
  reload_systemd
  echo "rom-agent is removed from $DESTDIR$PREFIX"
}

check_arguments() {
  case $UNAME in
    Linux | Darwin) ;;
    *) fail "UNAME is \"$UNAME\": rom-agent installs on Linux and Darwin only" ;;
  esac
  for path in "$PREFIX" "$NODE"; do
    case $path in
      /*) ;;
      "") fail "there is no node in PATH (sudo resets it); name one: make install NODE=/path/to/node" ;;
      *) fail "\"$path\" must be an absolute path" ;;
    esac
  done
  # These words are written into a unit, a plist and a shell script, each with quoting of its own.
  case "$PREFIX$RUN_NODE$SERVICE_USER$SERVICE_GROUP" in
    *[!A-Za-z0-9._/@+-]*) fail "PREFIX, NODE and SERVICE_USER may hold letters, digits and . _ / @ + - only" ;;
  esac
}

check_tree() {
  [ -f package.json ] && [ -d packaging ] || fail "run this in the project's directory"
  [ -f dist/cli/main.js ] || fail "dist/cli/main.js does not exist: run \"npm ci && npm run build\" first"
}

check_node() {
  [ -x "$NODE" ] || fail "NODE is \"$NODE\", which cannot be executed"
  "$NODE" -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
    fail "$NODE is version $("$NODE" --version): rom-agent needs 20.19 or later"
  check_addon
  reason=
  if [ $bundled = no ]; then reason=$(unreachable "$("$NODE" -p 'require("node:fs").realpathSync(process.execPath)')"); fi
  if [ -n "$reason" ]; then
    object "$reason. Install node for all users (a package of the system, or a tarball in /usr/local) and name it: make install NODE=/usr/local/bin/node"
  fi
  reason=$(hidden "$LIBDIR")
  if [ -n "$reason" ]; then object "$reason. Choose another PREFIX, such as /usr/local"; fi
}

# Without it systemd is not told READY=1: a start would hang until TimeoutStartSec= is over, and fail.
check_addon() {
  [ "$UNAME" = Linux ] || return 0
  reason=$("$NODE" -e 'try { require("sd-notify") } catch (error) { try { require("koffi") } catch { console.log(error.message.split("\n")[0]); process.exit(1) } }') && return 0
  object "$NODE cannot load sd-notify ($reason), nor koffi, without which systemd waits for the service in vain. Install a compiler and the headers of systemd (Debian: sudo apt install build-essential python3 libsystemd-dev), run \"npm ci\" with this node, then make install again"
}

# The machine that a package is built on may differ from the one that it is installed on.
object() {
  if [ -n "$DESTDIR" ]; then echo "warning: $*" >&2; else fail "$*"; fi
}

# Says why an account without rights cannot execute the file, or nothing.
unreachable() {
  reason=$(hidden "$1")
  if [ -n "$reason" ]; then
    echo "$reason"
    return
  fi
  case $(ls -ldL "$1") in
    -????????x*) ;;
    *) echo "$1 may not be executed by others, and the service runs as an account of its own" && return ;;
  esac
  directory=$(dirname "$1")
  while [ "$directory" != / ]; do
    case $(ls -ldL "$directory") in
      d????????[xt]*) ;;
      *) echo "$1 is out of reach for the service's account: others may not enter $directory" && return ;;
    esac
    directory=$(dirname "$directory")
  done
}

# The unit hides these from the service: ProtectHome=yes and PrivateTmp=yes.
hidden() {
  [ "$UNAME" = Linux ] || return 0
  case $1/ in
    /home/* | /root/* | /run/user/*) echo "$1 is hidden from the service (ProtectHome=yes in its unit)" ;;
    /tmp/* | /var/tmp/*) echo "$1 is hidden from the service (PrivateTmp=yes in its unit)" ;;
  esac
}

# A whole new directory, then a switch of the link: an install that fails half-way leaves the old one, and so does one of
# what is installed already.
install_library() {
  make_directory "$PREFIX/lib"
  mkdir -p "$DESTDIR$LIBDIR/versions"
  chmod 755 "$DESTDIR$LIBDIR" "$DESTDIR$LIBDIR/versions"
  new=$DESTDIR$LIBDIR/versions/.new
  rm -rf "$new"
  mkdir "$new"
  # `rom-agent install` writes services from the last ones.
  case $UNAME in
    Linux) shipped=systemd ;;
    Darwin) shipped=launchd ;;
  esac
  for part in dist package.json LICENSE README.md SECURITY.md CHANGELOG.md docs $shipped; do
    if [ -e "$part" ]; then cp -R "$part" "$new/"; fi
  done
  if [ "$UNAME" = Darwin ]; then
    mkdir "$new/packaging"
    cp packaging/newsyslog.conf "$new/packaging/"
  fi
  if [ $bundled = yes ]; then cp -R node node_modules copyright "$new/"; else copy_modules "$new"; fi
  # A clone made with umask 077 would be out of reach for the service's account.
  chmod -R u=rwX,go=rX "$new"
  if [ "$(id -u)" = 0 ]; then chown -R 0:0 "$new"; fi
  version=$("$NODE" packaging/name-of-tree.mjs "$new")
  if [ -d "$DESTDIR$LIBDIR/versions/$version" ]; then
    rm -rf "$new"
  else
    mv "$new" "$DESTDIR$LIBDIR/versions/$version"
  fi
  if [ -f packaging/rom-agent.toml ]; then
    install -m 644 packaging/rom-agent.toml "$DESTDIR$LIBDIR/rom-agent.toml.example"
  fi
  before=$(readlink "$DESTDIR$CURRENT" || true)
  rm -f "$DESTDIR$CURRENT.new"
  ln -s "versions/$version" "$DESTDIR$CURRENT.new"
  # rename(2): mv would put it into the directory that the old link points at.
  "$NODE" -e 'require("node:fs").renameSync(...process.argv.slice(1))' "$DESTDIR$CURRENT.new" "$DESTDIR$CURRENT"
}

# Versions that nobody runs: neither the last one, nor the one before, nor one that a worker is of (its command line
# names it). Of a version of before there were versions the same holds.
remove_old_versions() {
  running=$(command_lines)
  # Nobody can tell what runs.
  if [ -z "$running" ]; then return 0; fi
  for path in "$DESTDIR$LIBDIR"/versions/*; do
    name=${path##*/}
    if [ "$name" = "$version" ] || [ "versions/$name" = "$before" ]; then continue; fi
    if is_run "$LIBDIR/versions/$name/"; then
      echo "kept: $path, which a service runs; the next install after its restart removes it"
    else
      rm -rf "$path"
    fi
  done
  if [ -L "$DESTDIR$LIBDIR/dist" ]; then return 0; fi
  if [ -d "$DESTDIR$LIBDIR/dist" ] && is_run "$LIBDIR/dist/"; then
    echo "kept: $DESTDIR$LIBDIR/dist, which a service runs; the next install after its restart removes it"
  else
    for part in dist node_modules package.json LICENSE README.md CHANGELOG.md docs; do
      rm -rf "$DESTDIR${LIBDIR:?}/$part"
    done
    # Where units of before there were versions look for it.
    ln -s current/dist "$DESTDIR$LIBDIR/dist"
  fi
}

# Of all processes, with spaces between the words; not each system has ps.
command_lines() {
  if [ -r /proc/self/cmdline ]; then
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' || true
  else
    ps -A -o command= 2>/dev/null || true
  fi
}

is_run() {
  case $running in
    *" $1"* | *" $DESTDIR$1"*) return 0 ;;
    *) return 1 ;;
  esac
}

copy_modules() {
  "$NODE" packaging/production-modules.mjs >"$scratch/modules" || fail "the production dependencies are not complete"
  # One inside another package's node_modules comes along with that package.
  grep -v '/node_modules/' "$scratch/modules" | while IFS= read -r module; do
    mkdir -p "$1/$(dirname "$module")"
    cp -R "$module" "$1/$module"
  done
  # What is left of compiling an addon, with paths of the machine that it was built on.
  rm -rf "$1"/node_modules/*/build/Release/.deps "$1"/node_modules/*/build/Release/obj.target \
    "$1"/node_modules/*/build/Makefile "$1"/node_modules/*/build/*Makefile "$1"/node_modules/*/build/*.mk \
    "$1"/node_modules/*/build/config.gypi
}

install_wrapper() {
  printf '#!/bin/sh\nexec %s %s/dist/cli/main.js "$@"\n' "$RUN_NODE" "$CURRENT" >"$scratch/wrapper"
  install_file 755 "$scratch/wrapper" "$PREFIX/bin/rom-agent"
}

# The man page and what completes the command in a shell, where bash, zsh and fish look for them.
install_shared() {
  share packaging/man/rom-agent.1 man/man1/rom-agent.1
  share packaging/completion/rom-agent.bash bash-completion/completions/rom-agent
  share packaging/completion/_rom-agent zsh/site-functions/_rom-agent
  share packaging/completion/rom-agent.fish fish/vendor_completions.d/rom-agent.fish
}

share() {
  if [ -f "$1" ]; then install_file 644 "$1" "$PREFIX/share/$2"; fi
}

install_config() {
  [ -f packaging/rom-agent.toml ] || return 0
  if [ -e "$DESTDIR$CONFIG" ]; then
    echo "kept: $DESTDIR$CONFIG (the shipped example is $LIBDIR/rom-agent.toml.example)"
    return
  fi
  make_directory "$(dirname "$CONFIG")"
  install -m 644 packaging/rom-agent.toml "$DESTDIR$CONFIG"
  record config "$CONFIG"
}

install_systemd() {
  # rom-agent@ are the templates of services that have a name. All are only installed: the operator enables them.
  for unit in rom-agent.service rom-agent.socket rom-agent@.service rom-agent@.socket; do
    fill "systemd/$unit" >"$scratch/unit"
    install_file 644 "$scratch/unit" "$UNITDIR/$unit"
  done
  reload_systemd
}

install_launchd() {
  fill launchd/$LABEL.plist >"$scratch/plist"
  install_file 644 "$scratch/plist" "/Library/LaunchDaemons/$LABEL.plist"
  fill packaging/newsyslog.conf >"$scratch/newsyslog"
  install_file 644 "$scratch/newsyslog" /etc/newsyslog.d/rom-agent.conf
  # Of the account: its parent is root's, and nothing below it is touched here.
  make_directory "$STATEDIR"
  chmod 750 "$DESTDIR$STATEDIR"
  give "$SERVICE_USER:$SERVICE_GROUP" "$DESTDIR$STATEDIR"
  install_log_directory
}

# newsyslog renames, creates and changes owners there as root, by name: a link that the service's account could put there
# would give it any file. So the directory is root's, and the file alone is the account's.
install_log_directory() {
  if [ -d "$DESTDIR$LOGDIR" ] && [ "$(id -u)" = 0 ] && [ "$(owner_of "$DESTDIR$LOGDIR")" != 0 ]; then
    # An earlier version gave it to the account, which may have left anything in it.
    aside=$LOGDIR.$(date +%Y%m%d%H%M%S)
    mv "$DESTDIR$LOGDIR" "$DESTDIR$aside"
    echo "kept: the earlier logs are in $DESTDIR$aside"
  fi
  make_directory "$LOGDIR"
  chmod 750 "$DESTDIR$LOGDIR"
  give "0:$SERVICE_GROUP" "$DESTDIR$LOGDIR"
  if [ ! -e "$DESTDIR$LOGFILE" ]; then
    : >"$DESTDIR$LOGFILE"
    chmod 640 "$DESTDIR$LOGFILE"
  fi
  give "$SERVICE_USER:$SERVICE_GROUP" "$DESTDIR$LOGFILE"
}

# give OWNER PATH. In a package the machine that it is installed on does that, where this one has no such account.
give() {
  if [ "$(id -u)" != 0 ]; then return 0; fi
  chown -h "$1" "$2" 2>/dev/null || object "there is no account $1; see docs/how-to/launchd.md"
}

owner_of() { ls -ldn "$1" | awk '{ print $3 }'; }

install_file() {
  make_directory "$(dirname "$3")"
  install -m "$1" "$2" "$DESTDIR$3"
  record file "$3"
}

# Creates the directory and notes those that were not there before, which uninstall may remove.
make_directory() {
  if [ -d "$DESTDIR$1" ]; then return 0; fi
  if [ "$1" != / ]; then make_directory "$(dirname "$1")"; fi
  if [ ! -d "$DESTDIR$1" ]; then
    mkdir -p "$DESTDIR$1"
    record dir "$1"
  fi
}

record() {
  grep -qxF "$1 $2" "$scratch/manifest" || echo "$1 $2" >>"$scratch/manifest"
}

fill() {
  sed -e "s|@NODE@|$RUN_NODE|g" -e "s|@LIBDIR@|$CURRENT|g" -e "s|@USER@|$SERVICE_USER|g" \
    -e "s|@GROUP@|$SERVICE_GROUP|g" -e "s|@LOGDIR@|$LOGDIR|g" -e "s|@STATEDIR@|$STATEDIR|g" "$1"
}

remove_config() {
  if [ ! -e "$DESTDIR$1" ]; then return 0; fi
  if cmp -s "$DESTDIR$1" "$DESTDIR$LIBDIR/rom-agent.toml.example"; then
    rm -f "$DESTDIR$1"
  else
    echo "kept: $DESTDIR$1, which was edited"
  fi
}

remove_directory() {
  if [ ! -d "$DESTDIR$1" ]; then return 0; fi
  rmdir "$DESTDIR$1" 2>/dev/null || case $1 in
    "$LOGDIR" | "$STATEDIR") echo "kept: $DESTDIR$1, which is not empty" ;;
  esac
}

# The units made from a template that run or are enabled.
named_units() {
  {
    systemctl list-units --all --plain --no-legend "rom-agent@*.$1"
    systemctl list-unit-files --plain --no-legend "rom-agent@?*.$1"
  } | awk '{ print $1 }' | sort -u
}

runs_systemd() { [ -z "$DESTDIR" ] && [ "$UNAME" = Linux ] && [ -d /run/systemd/system ]; }
runs_launchd() { [ -z "$DESTDIR" ] && [ "$UNAME" = Darwin ] && [ "$(uname -s)" = Darwin ]; }

reload_systemd() {
  if runs_systemd; then systemctl daemon-reload; fi
}

# A service whose files are gone could neither restart nor be stopped by its name.
stop_service() {
  if runs_systemd; then
    # The sockets first: they would start the services again.
    for unit in $(named_units socket) rom-agent.socket $(named_units service) rom-agent.service; do
      systemctl disable --now "$unit" || true
    done
  fi
  if runs_launchd; then launchctl bootout system/$LABEL 2>/dev/null || true; fi
}

say_next() {
  echo "rom-agent is installed in $DESTDIR$LIBDIR"
  if [ -n "$DESTDIR" ]; then return 0; fi
  case $UNAME in
    Linux)
      if runs_systemd && systemctl is-active --quiet rom-agent.service; then
        printf 'Next:\n  systemctl restart rom-agent\n  systemctl status rom-agent\n'
      else
        printf 'Next:\n  systemctl enable --now rom-agent\n  systemctl status rom-agent\n'
      fi
      ;;
    Darwin)
      printf 'Next:\n  sudo launchctl bootstrap system /Library/LaunchDaemons/%s.plist\n  sudo launchctl print system/%s\n' $LABEL $LABEL
      ;;
  esac
}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

main "$@"
