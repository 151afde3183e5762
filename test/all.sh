#!/bin/sh
# What "make check" and "make check-all" run: all.sh [units] [all] [clients].
# wshub: ISC licence, see LICENSE.
#
# all includes clients.
# The Makefile gives TLS, RUN (goes before programs for another machine), and
# MAKE, CC, BEARSSL for those tests that build something themselves. TESTS, if
# set, names those of make check that are run: make check TESTS="ws e2e". SLOW
# and check-all add some to these.

set -u
build=test/build tls=tls
[ "${TLS:-yes}" != no ] || tls=''
units='' all='' clients=''
for word; do
	case $word in
	units | all | clients) eval "$word=yes" ;;
	*) echo "usage: sh test/all.sh [units] [all] [clients]" >&2; exit 2 ;;
	esac
done
set --

# What mostly waits is beside what computes, of which there are two.
if [ -n "$units" ]; then
	set -- "& e2e_hostile ./wshub $tls" "& e2e_calm ./wshub $tls" \
	    "& e2e_watch ./wshub $tls" "& e2e_sessions ./wshub $tls" \
	    "& sandbox" hub watch local mqtt topic interest broker connect http proxy \
	    "& e2e_ops ./wshub $tls" "& e2e_cli ./wshub $tls" \
	    "& e2e_metrics ./wshub $tls" "& e2e_relay_lost ./wshub" \
	    log metrics "& e2e_proxy ./wshub $tls" \
	    json ws ${tls:+tls} wheel token poll \
	    siphash queue memory "conformance $build/echo" \
	    "service ./wshub $tls" "e2e ./wshub $tls" \
	    "e2e_limits ./wshub $tls" "e2e_relay ./wshub" \
	    "e2e_tls ./wshub $tls"
fi
if [ -n "$all$units" ] && [ -n "$all${SLOW-}${TESTS-}" ]; then
	set -- "$@" "& fault" "& replay test/fuzz/corpus" bounds \
	    "& e2e_relay_hostile ./wshub"
fi
for test; do
	shift
	beside=''
	case $test in "& "*) beside='& ' test=${test#& } ;; esac
	case " ${TESTS:-${test%% *}} " in *" ${test%% *} "*)
		set -- "$@" "$beside${RUN:+$RUN }$build/$test" ;;
	esac
done
if [ -n "$all" ]; then
	export LIMIT="${LIMIT:-3000}" # cross has seven machines to be
	# Some streams, of which each waits as much as it works. EXCEPT names
	# checks that have been run before.
	for script in test/all/cross test/all/compilers test/all/sanitized \
	    test/all/valgrind test/all/bench test/all/[a-k]* \
	    clients test/all/static test/all/*; do
		beside=''
		case $script in
		*/*.*) continue ;; # what they share, and what they run
		esac
		case " ${EXCEPT-} " in *" ${script##*/} "*) continue ;; esac
		case " $* " in *" $script "*) continue ;; esac
		case ${script##*/} in
		cross) # in two streams, as it is the longest
			set -- "$@" "& sh $script ./wshub 1" \
			    "& sh $script ./wshub 2"
			continue ;;
		clients) # beside the second half of these
			set -- "$@" "& sh test/all.sh clients"
			continue ;;
		bench | compilers | sanitized | static | valgrind) beside='& ' ;;
		esac
		set -- "$@" "${beside}sh $script ./wshub"
	done
fi
if [ -n "$clients" ]; then
	for script in test/clients/*; do
		case $script in *.*) continue ;; esac
		set -- "$@" "sh $script ./wshub"
	done
fi
exec sh test/run "$@"
