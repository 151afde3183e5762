#!/bin/sh
# Sending from the shell with "wshub ctl", or with nc if there is no wshub. Each
# line is one object, and each reply is one line.
#
# wshub: ISC licence, see LICENSE.
#
#     send.sh multicast DATA                 DATA is any JSON value
#     send.sh channel CHANNEL DATA
#     send.sh device DEVICE DATA
#     send.sh subscribe DEVICE CHANNEL
#     send.sh unsubscribe DEVICE CHANNEL
#
# WSHUB_SOCK is the hub's control socket (default wshub.sock), WSHUB the
# program (default wshub, or nc if that is not found). send.sh prints the reply
# and exits with 0 if it is OK.

sock=${WSHUB_SOCK:-wshub.sock}
wshub=${WSHUB:-wshub}

# Prints the argument as a JSON string. Control characters are not escaped: the
# hub replies ERR to them.
string() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# JSON may have several lines, but the hub expects one object per line.
value() {
	printf '%s' "$1" | tr '\n' ' '
}

# ctl takes objects as arguments, or as lines on standard input.
by_ctl() {
	"$wshub" ctl -s "$sock" "$1"
}

# nc: -U connects to a Unix socket. -N shuts down writing at the end of input,
# so that the hub closes the connection after its reply. Without the newline the
# reply would be a bare "OK". Another tool: socat - UNIX-CONNECT:wshub.sock
by_nc() {
	answer=$(printf '%s\n' "$1" | nc -N -U "$sock") || return 1
	printf '%s\n' "$answer"
	case $answer in OK*) ;; *) return 1 ;; esac
}

case $1,$# in
multicast,2)
	json="{\"action\":\"multicast\",\"data\":$(value "$2")}" ;;
channel,3)
	json="{\"action\":\"sendToChannel\",\"channel\":$(string "$2"),\"data\":$(value "$3")}" ;;
device,3)
	json="{\"action\":\"sendToDevice\",\"device\":$(string "$2"),\"data\":$(value "$3")}" ;;
subscribe,3 | unsubscribe,3)
	json="{\"action\":\"$1\",\"device\":$(string "$2"),\"channel\":$(string "$3")}" ;;
*)
	sed -n '/^#     send/s/^#     /usage: /p' "$0" >&2
	exit 2 ;;
esac

if command -v "$wshub" >/dev/null; then
	by_ctl "$json"
else
	by_nc "$json"
fi
