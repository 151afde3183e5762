# wshub: ISC licence, see LICENSE.
#
#   make             the hub
#   make deps        installs what is missing
#   make demo        shows it at work [PORT=8080 SECONDS=]
#   make check       its tests: a C compiler, make and sh are enough
#   make check-all   and those that need more (valgrind, PHP, a browser ...)
#   make install     PREFIX=/usr/local DESTDIR=
#
#   TLS=no           without wss://, and without BearSSL
#   BEARSSL=DIR      BearSSL's source or install tree, where it is no package
#
# CC, CFLAGS, LDFLAGS: as ever. A change of these builds everything anew.

.POSIX:
.SUFFIXES:
.SUFFIXES: .c .o

CC = cc
CFLAGS = -O2 -g
LDFLAGS =
WARN = -Wall -Wextra -Wshadow -Wconversion
TLS = yes
BEARSSL =
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
DESTDIR =

OBJ = main.o ctl.o loop.o client.o poll.o listen.o hub.o json.o ws.o tls.o
C = $(CC) -std=c99 $(WARN) $(CFLAGS)

all: wshub

wshub: $(OBJ)
	$(C) $(LDFLAGS) -o $@ $(OBJ) `sed -n s/^lib://p .flags`

$(OBJ): ws.h .flags

.c.o:
	$(C) -c -o $@ $<

# From tls.c, or from notls.c if TLS=no.
tls.o: tls.c notls.c
	$(C) -c -o $@ `sed -n s/^tls://p .flags`

# The settings; touched only when they change.
.flags: FORCE
	@MAKE="$(MAKE)" sh deps.sh flags $@ "$(TLS)" "$(BEARSSL)" "$(CC)" "$(CFLAGS)" "$(LDFLAGS)" "$(WARN)"

FORCE:

# ------------------------------------------------------------------- tests

B = test/build
UNITS = $(B)/ws $(B)/json $(B)/tls $(B)/conformance

check: wshub $(UNITS)
	@sh test/run $(B)/ws $(B)/json \
	    `test "$(TLS)" = no || echo $(B)/tls` \
	    "$(B)/conformance $(B)/echo"

$(UNITS): test/test.h ws.h .flags

$(B)/ws: test/ws.c ws.c
	@mkdir -p $(B)
	$(C) $(LDFLAGS) -o $@ test/ws.c

$(B)/json: test/json.c json.c
	@mkdir -p $(B)
	$(C) $(LDFLAGS) -o $@ test/json.c

$(B)/tls: test/tls.c tls.c
	@mkdir -p $(B)
	test "$(TLS)" = no || $(C) $(LDFLAGS) -o $@ `sed -n 's/^tls:\(.*\) [^ ]*$$/\1/p' .flags` test/tls.c `sed -n s/^lib://p .flags`

$(B)/echo: test/echo.c ws.o
	@mkdir -p $(B)
	$(C) $(LDFLAGS) -o $@ test/echo.c ws.o

$(B)/conformance: test/conformance.c test/plain.h ws.o $(B)/echo
	$(C) $(LDFLAGS) -o $@ test/conformance.c ws.o

# ----------------------------------------------------------------- the rest

# The file of that name in examples/ is a program of its own use.
examples/listen: examples/listen.c ws.o ws.h .flags
	$(C) $(LDFLAGS) -o $@ examples/listen.c ws.o

demo: wshub examples/listen
	@sh examples/demo.sh ./wshub examples/listen "$(PORT)" "$(SECONDS)"

deps:
	@sh deps.sh install "$(TLS)" "$(BEARSSL)" "$(CC)"

install:
	test -x wshub || $(MAKE) wshub
	mkdir -p "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(MANDIR)/man8"
	cp wshub "$(DESTDIR)$(PREFIX)/bin/wshub"
	chmod 755 "$(DESTDIR)$(PREFIX)/bin/wshub"
	cp wshub.8 "$(DESTDIR)$(MANDIR)/man8/wshub.8"
	chmod 644 "$(DESTDIR)$(MANDIR)/man8/wshub.8"

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/wshub" "$(DESTDIR)$(MANDIR)/man8/wshub.8"

clean:
	rm -f wshub .flags examples/listen $(OBJ)
	rm -rf $(B)

.PHONY: all check check-all clean demo deps install uninstall
