#!/bin/sh
# What a build needs from the system. wshub: ISC licence, see LICENSE.
#
#     deps.sh flags FILE TLS BEARSSL CC [SETTING...]    for make: finds BearSSL
#     deps.sh install TLS BEARSSL CC                    make deps
#
# FILE gets lines that make's recipes read: "tls:", the source of the TLS part
# and what its compiler needs, "lib:", what the linker needs, and "for:", the
# arguments. It is left alone while those are the same, so that everything can
# depend on it and is built anew only when a setting changes.

set -u

say() {
	echo "wshub: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# compiles FLAG...: whether the C program on standard input does.
compiles() {
	dir=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1
	cat >"$dir/try.c"
	# shellcheck disable=SC2086 # CC may be a compiler with its options
	$CC -o "$dir/try" "$dir/try.c" "$@" >/dev/null 2>&1
	status=$?
	rm -rf "$dir"
	return $status
}

have_compiler() {
	compiles <<-END
	#include <stdio.h>
	int main(void) { return printf("") != 0; }
	END
}

has_bearssl() {
	compiles "$@" <<-END
	#include <bearssl.h>
	int main(void)
	{ static br_ssl_server_context c; br_ssl_server_zero(&c); return 0; }
	END
}

# Sets inc and lib for the BearSSL in the directory $BEARSSL.
use_tree() {
	[ -d "$BEARSSL" ] || die "BEARSSL=$BEARSSL: no such directory"
	tree=$(cd "$BEARSSL" && pwd)
	case $tree in *[[:space:]]*)
		die "BEARSSL=$BEARSSL: white space in its path is too much" ;;
	esac
	if [ -f "$tree/inc/bearssl.h" ]; then
		if [ ! -f "$tree/build/libbearssl.a" ]; then
			say "building BearSSL in $tree"
			(
				unset MAKEFLAGS MFLAGS MAKELEVEL
				cd "$tree" && ${MAKE:-make} -j2 CC="$CC" lib
			) >/dev/null || die "BEARSSL=$BEARSSL: make has failed there"
		fi
		inc="-isystem $tree/inc" lib=$tree/build/libbearssl.a
	elif [ -f "$tree/include/bearssl.h" ]; then
		inc="-isystem $tree/include" lib="-L$tree/lib -lbearssl"
	else
		die "BEARSSL=$BEARSSL: neither BearSSL's sources (inc/bearssl.h)" \
		    "nor an installed one (include/bearssl.h)"
	fi
	# shellcheck disable=SC2086 # words on purpose
	has_bearssl $inc $lib ||
	    die "BEARSSL=$BEARSSL: $CC cannot link with the BearSSL there"
}

# Sets inc and lib for the BearSSL of the system, wherever its packages go.
find_bearssl() {
	inc='' lib=-lbearssl
	has_bearssl $lib && return
	for dir in /usr/local /usr/pkg /opt/homebrew /opt/local; do
		[ -f $dir/include/bearssl.h ] || continue
		inc="-isystem $dir/include" lib="-L$dir/lib -lbearssl"
		# shellcheck disable=SC2086 # words on purpose
		has_bearssl $inc $lib && return
	done
	return 1
}

flags() {
	file=$1
	shift
	settings="for: $*"
	[ "$(sed -n '/^for:/p' "$file" 2>/dev/null)" = "$settings" ] && return
	TLS=$1 BEARSSL=$2 CC=$3
	case $TLS in
	no)
		source=notls.c inc='' lib='' ;;
	yes)
		source=tls.c
		if [ -n "$BEARSSL" ]; then
			use_tree
		elif ! find_bearssl; then
			have_compiler || die "$CC makes no programs here:" \
			    "try \"make deps\", or set CC="
			die "no BearSSL here: try \"make deps\" (Debian:" \
			    "libbearssl-dev, Alpine: bearssl-dev), or set" \
			    "BEARSSL=DIR to its sources, or TLS=no"
		fi ;;
	*)
		die "TLS=$TLS: that is yes or no" ;;
	esac
	# Some makes see only seconds: what was built just now must be older.
	[ ! -f "$file" ] || sleep 1
	printf '%s\n' "tls: $inc $source" "lib: $lib" "$settings" >"$file"
}

# ------------------------------------------------------------------ install

# as_root COMMAND...: says it and does it, or says who could.
as_root() {
	echo "+ $*"
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v doas >/dev/null; then
		if [ -t 0 ]; then doas "$@"; else doas -n "$@"; fi
	elif command -v sudo >/dev/null; then
		if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
	else
		false
	fi || die "that did not work; run it as root: $*"
}

no_package() {
	die "still no BearSSL: unpack its sources and set BEARSSL=DIR, or build" \
	    "without wss:// with TLS=no"
}

install() {
	TLS=$1 BEARSSL=$2 CC=$3
	compiler='' make='' bearssl=''
	have_compiler || compiler=1
	command -v make >/dev/null || command -v bmake >/dev/null ||
	    command -v gmake >/dev/null || make=1
	if [ "$TLS" != no ] && [ -z "$BEARSSL" ]; then
		find_bearssl || bearssl=1
	fi
	if [ -z "$compiler$make$bearssl" ]; then
		echo "wshub: everything it needs is here"
		return
	fi
	echo "wshub: missing here:${compiler:+ a C compiler}${make:+ make}${bearssl:+ BearSSL}"
	set --
	if command -v apt-get >/dev/null; then
		set -- ${compiler:+gcc libc6-dev} ${make:+make} \
		    ${bearssl:+libbearssl-dev}
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy \
		    --no-install-recommends install "$@" </dev/null
	elif command -v apk >/dev/null; then
		set -- ${compiler:+gcc musl-dev} ${make:+make} \
		    ${bearssl:+bearssl-dev}
		as_root apk add "$@"
	elif command -v pkg_add >/dev/null; then
		[ -z "$compiler" ] || die "no compiler: it is in the comp set"
		as_root pkg_add -I bearssl
	elif command -v pkg >/dev/null; then
		[ -z "$compiler" ] || die "no compiler: it is in the base system"
		as_root pkg install -y bearssl
	else
		die "no apt-get, apk, pkg_add or pkg: install it by hand"
	fi
	[ -z "$compiler" ] || have_compiler ||
	    die "$CC still makes no programs: set CC="
	[ -z "$bearssl" ] || find_bearssl || no_package
}

case $#,${1-} in
[5-9],flags | 4,install)
	"$@" ;;
*)
	sed -n '/^#  /s/^#  */usage: /p' "$0" >&2
	exit 2 ;;
esac
