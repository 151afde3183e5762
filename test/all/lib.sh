# What the tests for elsewhere share, after clients/lib.sh. wshub: ISC licence.
#
# They build in copies of the sources, never here: ./wshub stays what it is.

make=${MAKE:-make}
unset MAKEFLAGS MFLAGS MAKELEVEL
LIMIT=400 # of a program in a make check, in seconds: then it is named
export LIMIT

# Sets bearssl to a directory of BearSSL's sources, or to nothing and why.
find_bearssl() {
	why="no sources of BearSSL (BEARSSL=DIR)"
	for bearssl in "${BEARSSL:-}" "$top"/build/bearssl-*; do
		[ ! -f "$bearssl/inc/bearssl.h" ] || return 0
	done
	# Debian's, where its sources are to be had. Others may be at it, too.
	fetch=$top/build/fetch.$$
	if command -v apt-get >/dev/null && command -v dpkg-source >/dev/null &&
	    mkdir -p "$fetch" && (cd "$fetch" &&
	    timeout 120 apt-get -q source bearssl) >"$dir/apt" 2>&1; then
		for bearssl in "$fetch"/bearssl-*/; do
			name=${bearssl%/}
			name=${name##*/}
			[ -d "$top/build/$name" ] ||
			    mv "$fetch/$name" "$top/build/$name"
		done
	fi
	rm -rf "$fetch"
	for bearssl in "$top"/build/bearssl-*; do
		[ ! -f "$bearssl/inc/bearssl.h" ] || return 0
	done
	bearssl=''
}

# copy NAME: the sources, in $dir/NAME.
copy() {
	sh "$top/dist.sh" copy "$dir/$1" || exit 1
}

# What a second look at the same sources runs of make check: all that depends on
# compiler and machine, and one test of the whole. The other tests of the whole
# prove what no compiler changes, and bounds and fault have a fake kernel, which
# makes them expensive to build: they are run by the compiler at hand, on 32 bits
# (cross: i386) and with sanitizers.
brief="ws http proxy json token siphash queue memory hub watch poll wheel log \
metrics tls mqtt topic local sandbox conformance e2e"

# causes FILE STATUS [SECONDS]: why a make check has failed, which timeout may
# have ended after so many.
causes() {
	grep -B4 -E '^not ok|error:' "$1" | head -n 30
	if [ "$2" = 124 ]; then
		echo "did not end within $3 s, after:"
		tail -n 10 "$1"
	else
		tail -n 2 "$1"
	fi
}

# sums FILE: what test/run said at the end.
sums() {
	tail -n 1 "$1"
}
