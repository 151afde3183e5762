# wshub: ISC licence, see LICENSE.
.POSIX:
CC = cc
CFLAGS = -O2 -g
