#!/bin/sh
# Finds or installs what a build needs. wshub: ISC licence, see LICENSE.
#
#     deps.sh flags FILE TLS BEARSSL CC [SETTING...]    for make: finds BearSSL
#     deps.sh install TLS BEARSSL CC                    make deps
#     deps.sh static TLS BEARSSL CC CFLAGS LDFLAGS      make static
#
# "flags" writes lines to FILE that make's recipes read. "tls:" is the TLS
# source file and its compiler flags, "lib:" the linker flags, "for:" the
# arguments. FILE is not written if the arguments have not changed. All objects
# depend on FILE, so they are rebuilt only when a setting changes.
#
# BearSSL's sources are built in build/, once for each compiler and its flags.
# The source tree is not changed. AR, if set, is the archiver.

set -u
CFLAGS='' LDFLAGS=''

say() {
	echo "wshub: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# compiles FLAG...: whether the C program on standard input compiles and links.
compiles() {
	dir=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1
	cat >"$dir/try.c"
	# shellcheck disable=SC2086 # CC may be a compiler with its options
	$CC $CFLAGS $LDFLAGS -o "$dir/try" "$dir/try.c" "$@" >/dev/null 2>&1
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

# Reports a missing compiler and one without C99 as different errors.
check_compiler() {
	have_compiler || die "$CC makes no programs here: try \"make deps\"," \
	    "or set CC="
	compiles -std=c99 <<-END ||
	#include <poll.h>
	#include <stdint.h>
	#if !defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L
	#error
	#endif
	static inline int64_t f(const char *restrict p)
	{ struct { int a, b; } s = { .b = *p }; return s.b; }
	int main(void) { for (int i = 0; i < 1; i++) f(""); return 0; }
	END
	    die "$CC does not compile C99 (-std=c99): set CC= to one that does"
}

has_bearssl() {
	compiles "$@" <<-END
	#include <bearssl.h>
	int main(void)
	{ static br_ssl_server_context c; br_ssl_server_zero(&c); return 0; }
	END
}

# Builds the sources in $tree in a directory, and sets out to its name.
# Sanitizer flags are left out, as is -flto: plain ar cannot index LTO objects.
build_bearssl() {
	flags=''
	for flag in $CFLAGS; do
		case $flag in
		-flto* | -fsanitize* | -fno-sanitize* | --coverage) ;;
		-f*-sections) ;;
		*) flags="$flags $flag" ;;
		esac
	done
	flags="$flags -ffunction-sections -fdata-sections"
	out=$(pwd)/build/bearssl-$(printf '%s\n' "$tree ${AR-} $CC$flags" |
	    cksum | tr -d ' ')
	[ ! -f "$out/libbearssl.a" ] || return 0
	say "building BearSSL's $tree in ${out#"$(pwd)/"}"
	mkdir -p "$out" || exit 1
	ar=${AR:-$($CC -print-prog-name=ar 2>/dev/null)}
	if ! (
		unset MAKEFLAGS MFLAGS MAKELEVEL
		cd "$tree" && ${MAKE:-make} -j2 lib BUILD="$out" CC="$CC" \
		    CFLAGS="$flags" AR="${ar:-ar}"
	) >"$out/log" 2>&1; then
		rm -f "$out/libbearssl.a"
		die "BEARSSL=$BEARSSL: its make has failed, see" \
		    "${out#"$(pwd)/"}/log"
	fi
}

# Sets inc and lib for the BearSSL in the directory $BEARSSL.
use_tree() {
	[ -d "$BEARSSL" ] || die "BEARSSL=$BEARSSL: no such directory"
	tree=$(cd "$BEARSSL" && pwd)
	case $tree in *[[:space:]]*)
		die "BEARSSL=$BEARSSL: white space in its path: not allowed" ;;
	esac
	if [ -f "$tree/inc/bearssl.h" ]; then
		build_bearssl
		inc="-isystem $tree/inc" lib=$out/libbearssl.a
	elif [ -f "$tree/include/bearssl.h" ]; then
		inc="-isystem $tree/include" lib="-L$tree/lib -lbearssl"
	else
		die "BEARSSL=$BEARSSL: neither BearSSL's sources" \
		    "(inc/bearssl.h) nor an installed one (include/bearssl.h)"
	fi
	# shellcheck disable=SC2086 # several words
	has_bearssl $inc $lib ||
	    die "BEARSSL=$BEARSSL: $CC cannot link with the BearSSL there"
}

# Sets inc and lib for an installed BearSSL, where systems put their packages.
find_bearssl() {
	inc='' lib=-lbearssl
	has_bearssl $lib && return
	for dir in /usr/local /usr/pkg /opt/homebrew /opt/local; do
		[ -f $dir/include/bearssl.h ] || continue
		inc="-isystem $dir/include" lib="-L$dir/lib -lbearssl"
		# shellcheck disable=SC2086 # several words
		has_bearssl $inc $lib && return
	done
	return 1
}

flags() {
	file=$1
	shift
	settings="for: $*"
	[ "$(sed -n '/^for:/p' "$file" 2>/dev/null)" = "$settings" ] && return
	TLS=$1 BEARSSL=$2 CC=$3 CFLAGS=${4-} LDFLAGS=${5-}
	check_compiler
	case $TLS in
	no)
		source=notls.c inc='' lib='' ;;
	yes)
		source=tls.c
		if [ -n "$BEARSSL" ]; then
			use_tree
		elif ! find_bearssl; then
			die "no BearSSL for $CC here: try \"make deps\"" \
			    "(Debian: libbearssl-dev, Alpine: bearssl-dev)," \
			    "or set BEARSSL=DIR to its sources, or TLS=no"
		fi ;;
	*)
		die "TLS=$TLS: that is yes or no" ;;
	esac
	# Some makes compare whole seconds: existing objects must be older.
	[ ! -f "$file" ] || sleep 1
	printf '%s\n' "tls: $inc $source" "lib: $lib" "$settings" >"$file"
}

# ------------------------------------------------------------------- static

# Sets flags to those of its arguments that the compiler accepts.
usable() {
	flags=''
	for flag; do
		# shellcheck disable=SC2086 # " -Oz" is one flag
		echo 'int main(void) { return 0; }' |
		    compiles -static -Werror $flag && flags="$flags $flag"
	done
}

static() {
	TLS=$1 BEARSSL=$2 CC=$3
	[ "$CC" != cc ] || ! command -v musl-gcc >/dev/null || CC=musl-gcc
	check_compiler
	echo 'int main(void) { return 0; }' | compiles -static ||
	    die "$CC has no static C library: install musl-gcc (Debian: musl-tools)"
	usable -Oz
	usable "${flags:--Os}" -ffunction-sections -fdata-sections -fno-pie \
	    -fno-asynchronous-unwind-tables -fno-unwind-tables -flto \
	    -fno-jump-tables
	cflags="$4$flags"
	usable -no-pie -Wl,--gc-sections -Wl,--build-id=none \
	    -Wl,-z,noseparate-code -Wl,-z,norelro \
	    -Wl,-z,common-page-size=64
	${MAKE:-make} TLS="$TLS" BEARSSL="$BEARSSL" CC="$CC" CFLAGS="$cflags" \
	    LDFLAGS="$5 -static -s$flags" wshub || exit
	# Removes compiler names. strip may not support the target machine.
	strip -R .comment wshub 2>/dev/null
	echo "wshub: static, $(wc -c <wshub | tr -d ' ') bytes"
}

# ------------------------------------------------------------------ install

# Sets root to the command that runs others as root (empty if we are), or "no".
find_root() {
	root=''
	[ "$(id -u)" != 0 ] || return
	for root in doas sudo; do
		command -v $root >/dev/null || continue
		[ ! -t 0 ] || return 0 # it can ask for a password
		root="$root -n"
		$root true 2>/dev/null && return
	done
	root=no
}

# as_root COMMAND...: prints the command, and runs it if that is possible.
as_root() {
	echo "+ $*"
	[ "$root" = no ] || $root "$@"
}

no_package() {
	die "still no BearSSL: unpack its sources and set BEARSSL=DIR, or" \
	    "build without wss:// with TLS=no"
}

# BearSSL is installed last and alone, as not every system has a package of it.
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
		echo "wshub: everything needed is installed"
		return
	fi
	echo "wshub: missing:${compiler:+ a C compiler}${make:+ make}\
${bearssl:+ BearSSL}"
	find_root
	package=bearssl
	if command -v apt-get >/dev/null; then
		set -- ${compiler:+gcc libc6-dev} ${make:+make}
		add="env DEBIAN_FRONTEND=noninteractive apt-get -qy
		    --no-install-recommends install" package=libbearssl-dev
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update
	elif command -v apk >/dev/null; then
		set -- ${compiler:+gcc musl-dev} ${make:+make}
		add="apk add" package=bearssl-dev
	elif command -v pkg_add >/dev/null; then
		[ -z "$compiler" ] || die "no compiler: install the set comp"
		set --
		add="pkg_add -I"
	elif command -v pkg >/dev/null; then
		[ -z "$compiler" ] || die "no compiler: it is part of base"
		set --
		add="pkg install -y"
	else
		[ -n "$compiler$make" ] || no_package
		die "no apt-get, apk, pkg_add or pkg: install it by hand"
	fi
	# shellcheck disable=SC2086 # several words
	if [ $# != 0 ]; then
		as_root $add "$@" </dev/null || die "the last command failed"
	fi
	# shellcheck disable=SC2086 # several words
	if [ -n "$bearssl" ]; then
		as_root $add $package </dev/null || no_package
	fi
	[ "$root" != no ] || die "that is for root to do: neither doas nor" \
	    "sudo does it here"
	[ -z "$compiler" ] || have_compiler ||
	    die "$CC still makes no programs: set CC="
	[ -z "$bearssl" ] || find_bearssl || no_package
}

case $#,${1-} in
[5-9],flags | 4,install | 6,static)
	"$@" ;;
*)
	sed -n '/^#  /s/^#  */usage: /p' "$0" >&2
	exit 2 ;;
esac
