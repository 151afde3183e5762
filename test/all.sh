#!/bin/sh
# What "make check" and "make check-all" run: all.sh [units] [all].
# wshub: ISC licence, see LICENSE.
#
# The Makefile gives TLS, RUN (goes before programs for another machine), and
# MAKE, CC, BEARSSL for those tests that build something themselves.

set -u
build=test/build tls=tls
[ "${TLS:-yes}" != no ] || tls=''
set -- "${1-}" "${2-}"
units=$1 all=$2
set --

if [ -n "$units" ]; then
	# What waits for a deadline of 10 s begins first.
	for test in "e2e_hostile ./wshub $tls" ws http json token siphash \
	    queue memory hub poll wheel \
	    ${tls:+tls} "conformance $build/echo" fault bounds \
	    "replay test/fuzz/corpus" sandbox "service ./wshub $tls" \
	    "e2e ./wshub $tls" "e2e_cli ./wshub $tls" \
	    "e2e_limits ./wshub $tls" "e2e_tls ./wshub $tls" \
	    "e2e_ops ./wshub $tls" "e2e_calm ./wshub $tls"; do
		case $test in
		e2e_hostile*) beside='& ' ;;
		*) beside='' ;;
		esac
		set -- "$@" "$beside${RUN:+$RUN }$build/$test"
	done
fi
if [ -n "$all" ]; then
	export LIMIT="${LIMIT:-3000}" # cross has nine machines to be
	# What measures is alone. Then many a make check, which waits as much
	# as it works, beside all others; half of the machines a bit later, for
	# the two of them to end together.
	set -- "$@" "sh test/all/bench ./wshub" \
	    "& sh test/all/compilers ./wshub" "& sh test/all/cross ./wshub 1"
	for script in test/all/* test/clients/*; do
		case ${script##*/} in
		*.*) ;; # what they share, and what they run
		bench | compilers | cross) ;;
		sanitized) set -- "$@" "& sh test/all/cross ./wshub 2" \
		    "sh $script ./wshub" ;;
		*) set -- "$@" "sh $script ./wshub" ;;
		esac
	done
fi
exec sh test/run "$@"
