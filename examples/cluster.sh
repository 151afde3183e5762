#!/bin/sh
# Two hubs as on two machines, with a relay each and mosquitto between them:
# sh cluster.sh [WSHUB [LISTEN [SECONDS]]]. wshub: ISC licence, see LICENSE.
#
# A client is connected to each hub. Every second a backend writes a message to
# a relay, and both clients show it, until ^C or for SECONDS. Ports are PORT
# (8080) and the two after it.

wshub=${1:-./wshub} listen=${2:-examples/listen}
port=${PORT:-8080} seconds=${3:-0}
pids=''

die() {
	printf 'cluster: %s\n' "$@" >&2
	exit 1
}

command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ] ||
    die "mosquitto is not installed: apt-get install mosquitto"
PATH=$PATH:/usr/sbin
[ -x "$wshub" ] || die "no $wshub: make"
[ -x "$listen" ] || die "no $listen: make examples/listen"

dir=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1

finish() {
	status=$?
	trap '' HUP INT TERM
	for pid in $pids; do
		kill "$pid" 2>/dev/null
	done
	for pid in $pids; do
		wait "$pid" 2>/dev/null
	done
	rm -rf "$dir"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# start NAME COMMAND...: its output is in $dir/NAME.
start() {
	name=$1
	shift
	echo "\$ $*"
	"$@" >"$dir/$name" 2>&1 &
	pids="$! $pids" # the last one is ended first
}

# await FILE TEXT
await() {
	tries=100
	until grep -q "$2" "$dir/$1" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || die "no \"$2\" after 10 s:" "$(cat "$dir/$1")"
		sleep 0.1 2>/dev/null || sleep 1
	done
}

broker=$((port + 2))
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' $broker \
    >"$dir/mosquitto.conf"
start broker mosquitto -v -c "$dir/mosquitto.conf"
await broker 'running'
for n in 1 2; do
	start hub$n "$wshub" -l "127.0.0.1:$((port + n - 1))" \
	    -s "$dir/hub$n.sock"
	await hub$n 'backends write to'
	start relay$n "$wshub" relay -s "$dir/hub$n.sock" \
	    -S "$dir/relay$n.sock" --id cluster-$n "mqtt://127.0.0.1:$broker"
	await relay$n 'connected to the broker'
	"$listen" "ws://127.0.0.1:$((port + n - 1))" 2>/dev/null |
	    while IFS= read -r line; do
		printf '      client of hub %s  %s\n' $n "$line"
	done &
	pids="$! $pids"
done
sleep 1

count=0
while [ "$seconds" -eq 0 ] || [ $count -lt "$seconds" ]; do
	count=$((count + 1))
	object="{\"action\":\"multicast\",\"data\":{\"n\":$count}}"
	echo "\$ wshub ctl -s relay$((count % 2 + 1)).sock '$object'"
	"$wshub" ctl -s "$dir/relay$((count % 2 + 1)).sock" "$object" ||
	    die "the relay did not take it"
	sleep 1
done
