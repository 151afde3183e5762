#!/bin/sh
# The picture: plot.sh ROWS SVG, from what bench wrote. wshub: ISC licence.
#
# CPU of the server a delivery, over the number of clients; both axes are
# logarithmic. A server with no row has no line.
set -u
rows=$1 svg=$2
command -v gnuplot >/dev/null || {
	echo "no picture: no gnuplot" >&2
	exit
}

# lines KIND: the arguments of a plot.
lines() {
	for server in ours bare nchan mosquitto; do
		grep -q "^$1 [0-9]* $server " "$rows" || continue
		printf '%s"<grep \\"^%s [0-9]* %s \\" %s" %s' "${comma-}" "$1" \
		    "$server" "$rows" "using 2:4 with linespoints title \"$server\""
		comma=', '
	done
	comma=''
}

gnuplot <<END
set terminal svg size 900,360 font "sans,12" background "white"
set output "$svg"
set multiplot layout 1,2
set logscale xy
set xlabel "clients connected"
set ylabel "server CPU, us"
set format x "%g"
set format y "%g"
set yrange [1:2000]
set grid
set key top left
set style increment user
set style line 1 lw 2 pt 7 ps 0.6 lc rgb "#c03030"
set style line 2 lw 2 pt 5 ps 0.6 lc rgb "#606060"
set style line 3 lw 1 pt 9 ps 0.6 lc rgb "#3060c0"
set style line 4 lw 1 pt 11 ps 0.6 lc rgb "#30a030"
set title "a delivery of a fan-out to all of them, 200 B"
plot $(lines fan-out)
set title "a sendToDevice to one of them, 200 B, 16 ahead"
plot $(lines sendToDevice)
END
