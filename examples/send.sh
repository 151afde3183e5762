#!/bin/sh
# Sending from the shell, two ways: wshub's own "ctl", and nc, which needs
# nothing of wshub's. One object a line, one answer a line.
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
# program (default wshub, and nc if there is none). Prints the answer; the exit
# status is 0 if that is OK.

sock=${WSHUB_SOCK:-wshub.sock}
wshub=${WSHUB:-wshub}

# A JSON string of the argument. (Control characters are not escaped: the hub
# answers ERR to them.)
string() {
	printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}

# JSON may stand on several lines; one object a line may not.
value() {
	printf '%s' "$1" | tr '\n' ' '
}

# With ctl: the object as an argument, or objects as lines on standard input.
by_ctl() {
	"$wshub" ctl -s "$sock" "$1"
}

# With nc: -U is a Unix socket, -N says that we are done, so that the hub
# closes when it has answered. Without the newline at the end the answer would
# be a bare "OK". Other tools: socat - UNIX-CONNECT:wshub.sock
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
