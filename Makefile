# wshub: ISC licence, see LICENSE.
#
#   make             the hub
#   make check       its tests: a C compiler, make and sh are enough
#   make check-all   and those that need more (browser, PHP, valgrind ...)
#   make deps        installs what is missing, make demo shows it at work
#   make install     PREFIX=/usr/local, DESTDIR=
#
#   TLS=no           without wss://, and without BearSSL
#   BEARSSL=DIR      BearSSL's source or install tree, where it is no package

.POSIX:
.SUFFIXES:
.SUFFIXES: .c .o

CC = cc
CFLAGS = -O2 -g
LDFLAGS =
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
WARN = -Wall -Wextra -Wshadow -Wconversion
TLS = yes
BEARSSL =

OBJ = main.o ctl.o loop.o client.o poll.o listen.o hub.o json.o ws.o
TESTS = ws json hub tls loop

all: wshub

# What TLS and BEARSSL come to is a question for sh: see test/flags.
wshub: $(OBJ) tls.o notls.o
	$(CC) $(LDFLAGS) -o $@ $(OBJ) `sh test/flags link "$(TLS)" "$(BEARSSL)"`

.c.o:
	$(CC) -std=c99 $(WARN) $(CFLAGS) -c -o $@ $<

tls.o: tls.c ws.h
	$(CC) -std=c99 $(WARN) $(CFLAGS) `sh test/flags compile "$(TLS)" "$(BEARSSL)"` -c -o $@ tls.c

main.o ctl.o loop.o client.o poll.o listen.o hub.o json.o ws.o notls.o: ws.h
