# For deb/build.sh and rpm/build.sh, which source it: what both need of the tree that they pack.

# staged ARCH NAME-OF-X64 NAME-OF-ARM64: sets arch, machine (its name in that package format), stage (or takes it from STAGE),
# payload, upstream (the version), tree, and SOURCE_DATE_EPOCH.
staged() {
  umask 022
  export LC_ALL=C TZ=UTC
  arch=$1
  stage=${STAGE:-packages/stage-$arch}
  case $arch in
    x64) machine=$2 ;;
    arm64) machine=$3 ;;
    *) echo "build.sh: unknown architecture: $arch; expected x64 or arm64" >&2; exit 64 ;;
  esac
  [ -d "$stage/usr/lib/rom-agent/package" ] || {
    echo "build.sh: there is no $stage: run packaging/stage.sh $arch first" >&2
    exit 1
  }
  stage=$(readlink -f "$stage")
  payload=$stage/usr/lib/rom-agent/package
  upstream=$(sed -n 's/^  "version": "\(.*\)",*$/\1/p' "$payload/package.json")
  SOURCE_DATE_EPOCH=$(stat -c %Y "$payload/package.json")
  export SOURCE_DATE_EPOCH
  tree=$(${NODE:-node} packaging/name-of-tree.mjs "$payload")
}
