#!/bin/sh
# Makes a tarball or a copy of the sources. wshub: ISC licence, see LICENSE.
#
#     dist.sh             makes wshub-VERSION.tar.gz in this directory
#     dist.sh copy DIR    copies the files to DIR
#
# In a git work tree the sources are the tracked files (for copy also untracked
# files that are not ignored). Elsewhere they are all files that make has not
# built. With GNU tar, the same commit gives the same bytes.

set -u
from=$(pwd)
cd "$(dirname "$0")" || exit 1

die() {
	echo "wshub: $*" >&2
	exit 1
}

in_git() {
	[ -e .git ] && command -v git >/dev/null &&
	    git rev-parse --git-dir >/dev/null 2>&1
}

# list OPTION...: prints the names of the files; options are for git ls-files.
list() {
	if in_git; then
		git ls-files "$@" | while read -r file; do
			[ ! -f "$file" ] || echo "$file"
		done
	else
		find . \( -path ./build -o -path ./test/build \) -prune -o \
		    -type f ! -name '*.o' ! -name '*.a' ! -name '*.sock' \
		    ! -name .flags ! -path ./wshub ! -path ./examples/listen \
		    ! -name 'wshub-*.tar.gz' -print | sed 's|^\./||'
	fi | LC_ALL=C sort
}

# copy DIR OPTION...: copies the files of list OPTION...
copy() {
	dir=$1
	shift
	list "$@" | while read -r file; do
		case $file in */*)
			mkdir -p "$dir/${file%/*}" || exit 1 ;;
		esac
		cp -p "$file" "$dir/$file" || exit 1
	done
}

dist() {
	version=$(sed -n 's/^#define WS_VERSION "\(.*\)"/\1/p' ws.h)
	[ -n "$version" ] || die "ws.h: no WS_VERSION in it"
	name=wshub-$version
	date=197001010000.00
	if in_git; then
		date=$(TZ=UTC0 git log -1 --date=format-local:%Y%m%d%H%M.%S \
		    --format=%cd)
		[ -z "$(git status --porcelain)" ] ||
		    echo "wshub: warning: uncommitted changes" >&2
	fi
	temp=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1
	trap 'rm -rf "$temp"' EXIT
	trap 'exit 1' HUP INT TERM
	mkdir "$temp/$name" && copy "$temp/$name" || exit 1
	chmod -R u+rwX,go+rX,go-w "$temp/$name"
	find "$temp/$name" -exec env TZ=UTC0 touch -t "$date" {} +
	set --
	if tar --version 2>/dev/null | grep -q GNU; then
		set -- --sort=name --owner=0 --group=0 --numeric-owner \
		    --format=ustar
	fi
	tar -C "$temp" "$@" -cf "$temp/tar" "$name" &&
	    gzip -9n <"$temp/tar" >"$name.tar.gz" || exit 1
	echo "wshub: $name.tar.gz, $(wc -c <"$name.tar.gz" | tr -d ' ') bytes"
}

case $#,${1-} in
0,)
	dist ;;
2,copy)
	case $2 in /*) to=$2 ;; *) to=$from/$2 ;; esac
	mkdir -p "$to" && copy "$to" -co --exclude-standard ;;
*)
	sed -n '/^#  /s/^#  */usage: /p' "$0" >&2
	exit 2 ;;
esac
