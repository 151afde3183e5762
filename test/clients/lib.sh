# What the tests with real clients share. wshub: ISC licence, see LICENSE.
#
# A script sets "set -u", reads this with ". ${0%/*}/lib.sh", calls begin
# "$@", then start_hub as often as it likes, then its cases, then finish.
#
#     dir      a directory of its own, removed at the end
#     hub      the program under test, as an absolute path
#     sock     its control socket
#     port     its ws:// port, tls_port its wss:// port
#     here     this directory, top the one of the sources
#
# Cases speak as test/test.h has it: "ok - NAME", or what was tried and what
# came back and "not ok - NAME", or "skip - NAME: REASON".

passed=0 failed=0 skipped=0 began=$(date +%s)
dir='' hub_pid='' hub_options='' children=''

ok() {
	echo "ok - $1"
	passed=$((passed + 1))
}

# not_ok NAME WHAT...: each WHAT is a line that says what went wrong.
not_ok() {
	name=$1
	shift
	for line; do
		printf '%s: %s\n' "${0##*/}" "$line" | sed 's/^/    /'
	done
	echo "not ok - $name"
	failed=$((failed + 1))
}

skip() {
	echo "skip - $1: $2"
	skipped=$((skipped + 1))
}

# same NAME WANTED GOT WHAT: a case that two strings are equal.
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "$4: wanted \"$2\", got \"$(printf '%.300s' "$3")\""
	fi
}

# matches NAME PATTERN TEXT WHAT: a case that a shell pattern fits.
matches() {
	# shellcheck disable=SC2254 # a pattern is what it is
	case $3 in
	$2) ok "$1" ;;
	*) not_ok "$1" "$4: wanted $2, got \"$(printf '%.300s' "$3")\"" ;;
	esac
}

# cases NAME COMMAND...: runs a program that prints cases, and counts them. It
# may write a signal's name to $dir/restart: the hub gets that signal and is
# started again, and then the file is gone.
cases() {
	name=$1
	shift
	"$@" >"$dir/cases" 2>&1 &
	cases_pid=$!
	child "$cases_pid"
	while kill -0 "$cases_pid" 2>/dev/null; do
		if [ -s "$dir/restart" ]; then
			kill -s "$(cat "$dir/restart")" "$hub_pid"
			# A second TERM would end it at once.
			until_true 100 down
			stop_hub
			until_true 20 run_again || break
			rm "$dir/restart"
		fi
		sleep 0.1
	done
	wait "$cases_pid"
	status=$?
	children=${children%" $cases_pid"}
	cat "$dir/cases"
	passed=$((passed + $(grep -c '^ok - ' "$dir/cases")))
	bad=$(grep -c '^not ok - ' "$dir/cases")
	failed=$((failed + bad))
	skipped=$((skipped + $(grep -c '^skip - ' "$dir/cases")))
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		not_ok "$name" "ended with status $status"
	fi
}

# The last lines, and the exit status: for scripts that end early, too.
total() {
	echo "# in $(($(date +%s) - began)) s"
	if [ "$skipped" = 0 ]; then
		echo "# $passed passed, $failed failed"
	else
		echo "# $passed passed, $failed failed, $skipped skipped"
	fi
	[ "$failed" = 0 ]
	exit
}

begin() {
	if [ $# != 1 ] || ! [ -x "$1" ]; then
		echo "usage: sh $0 WSHUB_BINARY" >&2
		exit 2
	fi
	hub=$(cd "$(dirname "$1")" && pwd)/${1##*/}
	here=$(cd "$(dirname "$0")" && pwd)
	top=$(cd "$here/../.." && pwd)
	trap cleanup EXIT
	trap 'exit 1' HUP INT TERM
	dir=$(mktemp -d "${TMPDIR:-/tmp}/wshub.XXXXXX") || exit 1
	sock=$dir/hub.sock
	: >"$dir/log"
}

# Whatever way the script ends: nothing stays.
cleanup() {
	status=$?
	trap '' HUP INT TERM
	for pid in $children; do
		kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
	done
	stop_hub
	if [ -n "$dir" ]; then
		rm -rf "$dir"
	fi
	exit "$status"
}

# child PID: a process in the background that is ours to end.
child() {
	children="$children $1"
}

# A port that no system gives out by itself.
random_port() {
	echo $((10240 + $(od -An -N2 -tu2 /dev/urandom) % 22000))
}

# up: the hub answers on its control socket. down: its process has ended.
up() {
	[ -S "$sock" ] && "$hub" ctl -s "$sock" \
	    '{"action":"sendToDevice","device":"-","data":0}' >/dev/null 2>&1
}

down() {
	! kill -0 "$hub_pid" 2>/dev/null
}

# until_true TENTHS COMMAND...: waits so long for it to be true.
until_true() {
	tenths=$1
	shift
	until "$@"; do
		tenths=$((tenths - 1))
		[ "$tenths" -gt 0 ] || return 1
		sleep 0.1
	done
}

# start_hub OPTION...: with -l on a free port, and -L on another if a
# certificate was made. Another port is tried until the hub stays.
start_hub() {
	tries=9
	while [ "$tries" -gt 0 ]; do
		tries=$((tries - 1))
		port=$(random_port)
		set_tls=''
		if [ -f "$dir/cert.pem" ]; then
			tls_port=$(random_port)
			set_tls="-L 127.0.0.1:$tls_port -c $dir/cert.pem -k $dir/key.pem"
		fi
		if run_hub "$@"; then
			return
		fi
	done
	not_ok "the hub starts" "$hub -l 127.0.0.1:$port $set_tls -s $sock $*" \
	    "$(tail -n 3 "$dir/log")"
	total
}

# With the ports there are. run_again: with the same options.
run_hub() {
	hub_options=$*
	run_again
}

run_again() {
	# shellcheck disable=SC2086 # words on purpose
	"$hub" -l "127.0.0.1:$port" $set_tls -s "$sock" --drain 1 \
	    $hub_options 2>>"$dir/log" </dev/null &
	hub_pid=$!
	until_true 100 up_or_down && up && return
	stop_hub
	return 1
}

up_or_down() {
	down || up
}

# Ends the hub, if there is one, and sets hub_status. After 10 s it is killed.
stop_hub() {
	[ -n "$hub_pid" ] || return 0
	kill "$hub_pid" 2>/dev/null
	until_true 100 down || kill -9 "$hub_pid"
	wait "$hub_pid"
	hub_status=$?
	hub_pid=''
}

# The last cases of a script: how the hub ends.
finish() {
	if down; then
		stop_hub
		not_ok "the hub lives to the end" "ended with status $hub_status" \
		    "$(tail -n 5 "$dir/log")"
	else
		stop_hub
		same "SIGTERM ends the hub with status 0" 0 "$hub_status" "status"
	fi
	if [ -e "$sock" ]; then
		not_ok "its socket is gone" "$sock is still there"
	else
		ok "its socket is gone"
	fi
	if grep -E 'Sanitizer|runtime error:|Assertion' "$dir/log" >"$dir/bad"; then
		not_ok "its log has no fault" "$(head -n 3 "$dir/bad")"
	fi
	total
}

# A WebSocket client of nc alone: ws_open sends the request on descriptor 3, and
# what comes, heads of frames and all, is in $dir/ws. Sets device.
ws_open() {
	rm -f "$dir/ws.in"
	: >"$dir/ws"
	mkfifo "$dir/ws.in"
	nc 127.0.0.1 "$port" <"$dir/ws.in" >"$dir/ws" 2>"$dir/ws.err" &
	child $!
	exec 3>"$dir/ws.in"
	printf '%s\r\n' "GET / HTTP/1.1" "Host: localhost" "Upgrade: websocket" \
	    "Connection: Upgrade" "Sec-WebSocket-Version: 13" \
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" "" >&3
	until_true 50 ws_has '"device_id":"'
	device=$(ws_text | sed -n 's/.*"device_id":"\([^"]*\)".*/\1/p')
}

ws_text() {
	LC_ALL=C tr -cd '[:print:]\n' <"$dir/ws"
}

ws_has() {
	ws_text | grep -qF -e "$1"
}

# ws_gets NAME TEXT: a case that it comes.
ws_gets() {
	if until_true 50 ws_has "$2"; then
		ok "$1"
	else
		not_ok "$1" "waiting for $2 by ws://, got \"$(ws_text | tail -c 300)\""
	fi
}

# A web server of PHP's for the script $1, on web_port.
start_php() {
	tries=9
	while [ "$tries" -gt 0 ]; do
		tries=$((tries - 1))
		web_port=$(random_port)
		WSHUB_SOCK=$sock WSHUB_URL=ws://127.0.0.1:$port/ \
		    php -S "127.0.0.1:$web_port" "$1" \
		    >"$dir/php.log" 2>&1 </dev/null &
		child $!
		until_true 50 web_up && return
	done
	not_ok "php -S starts" "$(tail -n 3 "$dir/php.log")"
	total
}

web_up() {
	curl -s -o "$dir/web" "http://127.0.0.1:$web_port/" &&
	    kill -0 "${children##* }" 2>/dev/null
}

# A certificate for localhost and 127.0.0.1 by a CA of its own, both P-256:
# ca.pem, cert.pem (the chain), key.pem.
make_cert() {
	cat >"$dir/ext" <<-END
	basicConstraints=CA:FALSE
	keyUsage=digitalSignature
	extendedKeyUsage=serverAuth
	subjectAltName=DNS:localhost,IP:127.0.0.1
	END
	{
		openssl ecparam -name prime256v1 -genkey -noout -out "$dir/ca.key" &&
		openssl req -x509 -new -key "$dir/ca.key" -days 30 -sha256 \
		    -subj "/CN=wshub test CA" -out "$dir/ca.pem" &&
		openssl ecparam -name prime256v1 -genkey -noout -out "$dir/key.pem" &&
		openssl req -new -key "$dir/key.pem" -subj "/CN=localhost" \
		    -out "$dir/csr" &&
		openssl x509 -req -in "$dir/csr" -CA "$dir/ca.pem" \
		    -CAkey "$dir/ca.key" -set_serial 2 -days 30 -sha256 \
		    -extfile "$dir/ext" -out "$dir/cert.pem"
	} >"$dir/openssl.log" 2>&1 && cat "$dir/ca.pem" >>"$dir/cert.pem" && return
	rm -f "$dir/cert.pem"
	not_ok "openssl makes a certificate" "$(tail -n 3 "$dir/openssl.log")"
	total
}

# need TOOL NAME: ends the script with a skip if the tool is not there.
need() {
	command -v "$1" >/dev/null && return
	skip "$2" "no $1"
	total
}

# node_modules NAME: sets modules to a directory with what the script's
# directory's package-lock.json names, kept in test/build; ends the script with
# a skip if npm cannot.
node_modules() {
	need node "$1"
	need npm "$1"
	modules=$top/test/build/npm-${here##*/}
	if cmp -s "$here/package-lock.json" "$modules/package-lock.json"; then
		return
	fi
	fresh=$modules.$$
	if mkdir -p "$fresh" && cp "$here/package.json" \
	    "$here/package-lock.json" "$fresh" &&
	    npm ci --prefix "$fresh" --ignore-scripts --no-audit --no-fund \
	    >"$dir/npm.log" 2>&1; then
		rm -rf "$modules"
		mv "$fresh" "$modules" 2>/dev/null && return
		[ -d "$modules" ] && rm -rf "$fresh" && return
	fi
	rm -rf "$fresh"
	skip "$1" "npm cannot install what package-lock.json names"
	total
}
