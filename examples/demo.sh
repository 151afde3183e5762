#!/bin/sh
# A demo of the hub: "make demo", or demo.sh WSHUB LISTEN [PORT [SECONDS]].
# wshub: ISC licence, see LICENSE.
#
# Starts the hub on 127.0.0.1, connects a client to it (listen.c), and sends a
# message every second as a backend would. It ends after SECONDS or at ^C, and
# stops all processes that it has started.

wshub=$1 listen=$2 port=${3:-8080} seconds=${4:-0}
here=$(cd "$(dirname "$0")" && pwd)
hub='' client=''

die() {
	printf 'demo: %s\n' "$@" >&2
	exit 1
}

case $port$seconds in
*[!0-9]*) die "PORT=$port SECONDS=$seconds: not numbers" ;;
esac
[ "$port" -ge 1 ] && [ "$port" -le 65535 ] ||
    die "PORT=$port: a port is a number from 1 to 65535"

dir=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1

finish() {
	status=$?
	trap '' HUP INT TERM
	# The hub closes its connections, so the client also exits by itself.
	for pid in $hub $client; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	rm -rf "$dir"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

# The default control socket, unless another hub uses it.
sock=wshub.sock
"$wshub" ctl -s $sock </dev/null 2>/dev/null && sock=wshub-$port.sock

set -- -l "127.0.0.1:$port" -s "$sock" --drain 1
echo "\$ $wshub $*"
"$wshub" "$@" 2>"$dir/log" &
hub=$!
until "$wshub" ctl -s "$sock" </dev/null 2>/dev/null; do
	if ! kill -0 $hub 2>/dev/null; then
		hub=''
		cat "$dir/log" >&2
		if grep -qi 'address.* in use' "$dir/log"; then
			die "port $port is taken: choose another, as in" \
			    "    make demo PORT=$((port < 65535 ? port + 1 : 8081))"
		fi
		die "the hub did not start"
	fi
	sleep 0.1 2>/dev/null || sleep 1
done

url=ws://127.0.0.1:$port/
query=''
[ "$port" = 8080 ] || query="?url=$url"
cat <<END
\$ $listen $url

Open this page to receive as well:   file://$here/browser.html$query
Send a message from a shell:         $wshub ctl -s $sock '{"action":"multicast","data":"hello"}'
Stop the demo:                       ^C

END
"$listen" "$url" 2>&1 | while IFS= read -r line; do
	printf '    received  %s\n' "$line"
done &
client=$!

n=0
# If the parent has exited, nobody is left to stop the demo.
while kill -0 $PPID 2>/dev/null; do
	sleep 1
	kill -0 $hub 2>/dev/null || {
		cat "$dir/log" >&2
		die "the hub has exited"
	}
	n=$((n + 1))
	data="{\"action\":\"message\",\"data\":{\"n\":$n,\"time\":\"$(date +%H:%M:%S)\"}}"
	echo "sent          $data"
	answer=$("$wshub" ctl -s "$sock" "{\"action\":\"multicast\",\"data\":$data}")
	echo "    answered  $answer"
	[ "$n" != "$seconds" ] || break
done
