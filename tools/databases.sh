#!/usr/bin/env bash
# Fetches the databases that tests run beside the npm package's PostgreSQL 18, from Debian's packages into trees below
# $BIN/debian (default .bin/ of the repository), nothing of the machine's own being changed. A tree that is there is left
# alone, so a second call takes no time. What a tree runs sees it as its root; testing/debian.ts starts it.
#
#   tools/databases.sh [timescaledb | postgres15]...
#
# `timescaledb` is PostgreSQL 17 with TimescaleDB (Apache edition) and PgBouncer of Debian 13, `postgres15` is PostgreSQL 15
# and its PgBouncer of Debian 12. Needs root and debootstrap, which is installed where apt-get can; without them it says so
# and ends well, and the tests that need a tree are skipped. DEBIAN_MIRROR names another mirror than the machine's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
trees=${BIN:-$here/../.bin}/debian
mkdir -p "$trees"
trees=$(cd "$trees" && pwd)

skip() { echo "tools: $1: wanted $2; its tests are skipped" >&2; }

mirror() {
  # shellcheck disable=SC2016 # apt expands it
  local uri='$(REPO_URI)'
  [ -n "${DEBIAN_MIRROR:-}" ] && { echo "$DEBIAN_MIRROR"; return; }
  apt-get indextargets --format "$uri" 'Created-By: Packages' 2>/dev/null | grep '/debian/$' | head -1 || echo http://deb.debian.org/debian
}

# tree NAME SUITE PACKAGES
tree() {
  local name=$1 suite=$2 packages=$3 started=$SECONDS building=$trees/.building-$1 stamp="$2 $3" deb package
  [ "$(cat "$trees/$name/.stamp" 2>/dev/null)" = "$stamp" ] && return
  [ "$(id -u)" = 0 ] || { skip "$name" "root, to fetch Debian's packages, found user $(id -un)"; return; }
  command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap >/dev/null 2>&1 || true
  command -v debootstrap >/dev/null || { skip "$name" "debootstrap, found none"; return; }
  echo "tools: fetching $name from Debian $suite (once; kept in .bin/)" >&2
  rm -rf "$building" "${trees:?}/$name"
  # Nothing but libc6 is to be set up: a base system is not needed, and the first stage alone takes a quarter of the time.
  if ! nice -n 5 debootstrap --foreign --variant=minbase --force-check-gpg --include="$packages" "$suite" "$building" "$(mirror)" >"$trees/$name.log" 2>&1; then
    skip "$name" "packages of Debian $suite, found: $(tail -1 "$trees/$name.log")"
    rm -rf "$building"
    return
  fi
  for deb in "$building"/var/cache/apt/archives/*.deb; do
    package=$(basename "$deb"); package=${package%%_*}
    case $package in libllvm* | perl* | libperl* | locales) continue ;; esac
    grep -qwF -- "$package" "$building/debootstrap/required" && continue
    # /lib is a link, which must stay one where a package has it as a folder.
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$building"
  done
  rm -rf "$building"/{proc,var/cache/apt,debootstrap} "$building"/usr/share/{doc,man,info,locale}
  echo 'postgres:x:1000:1000::/:/bin/sh' >"$building/etc/passwd"
  echo 'postgres:x:1000:' >"$building/etc/group"
  echo "$stamp" >"$building/.stamp"
  mv "$building" "$trees/$name"
  echo "tools: fetched $name in $((SECONDS - started)) s" >&2
}

one() {
  case $1 in
    timescaledb) tree timescaledb trixie postgresql-17,postgresql-17-timescaledb,pgbouncer ;;
    postgres15) tree postgres15 bookworm postgresql-15,pgbouncer ;;
    *) echo "tools/databases.sh: unknown tree '$1'; known: timescaledb, postgres15" >&2; exit 2 ;;
  esac
}

[ $# -gt 0 ] || { sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
for name in "$@"; do one "$name"; done
