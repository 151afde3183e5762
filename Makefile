# wshub: ISC licence, see LICENSE.
#
#   make             the hub
#   make deps        installs what is missing
#   make demo        shows it at work [PORT=8080 SECONDS=]
#   make check       its tests: a C compiler, make and sh are enough
#   make check-all   and those that need more (valgrind, PHP, a browser ...)
#   make fuzz        looks for more: clang with libFuzzer [SECONDS=60]
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
UNITS = $(B)/ws $(B)/json $(B)/tls $(B)/conformance \
    $(B)/fault $(B)/replay

check: wshub $(UNITS)
	@sh test/run $(B)/ws $(B)/json \
	    `test "$(TLS)" = no || echo $(B)/tls` \
	    "$(B)/conformance $(B)/echo" $(B)/fault \
	    "$(B)/replay test/fuzz/corpus"

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

# The hub's files in a world of the tests' own: test/world.h.
WORLD = $(B)/world.o $(B)/w-poll.o $(B)/w-client.o $(B)/w-loop.o $(B)/w-tls.o
PART = @mkdir -p $(B); echo part $@; $(C) -c -o $@

$(WORLD) $(B)/w-hub.o: test/world.h test/part.c ws.h .flags

$(B)/world.o: test/world.c
	$(PART) test/world.c

$(B)/w-hub.o: hub.c
	$(PART) -DPART='"../hub.c"' test/part.c

$(B)/w-poll.o: poll.c
	$(PART) -DPART='"../poll.c"' test/part.c

$(B)/w-client.o: client.c
	$(PART) -DPART='"../client.c"' test/part.c

$(B)/w-loop.o: loop.c
	$(PART) -DPART='"../loop.c"' test/part.c

$(B)/w-tls.o: tls.c notls.c
	$(PART) `sed -n 's/^tls:\(.*\) \([^ ]*\)$$/\1 -DPART="..\/\2"/p' .flags | sed 's/"/\\"/g'` test/part.c

$(B)/fault: test/fault.c test/people.h $(WORLD) $(B)/w-hub.o ws.o json.o listen.o
	$(C) $(LDFLAGS) `test "$(TLS)" = no || sed -n 's/^tls:\(.*\) [^ ]*$$/-DWITH_TLS\1/p' .flags` -o $@ test/fault.c $(WORLD) $(B)/w-hub.o ws.o json.o listen.o `sed -n s/^lib://p .flags`

FUZZ = test/fuzz/control.c test/fuzz/frames.c test/fuzz/head.c \
    test/fuzz/hub.c test/fuzz/json.c test/fuzz/loop.c test/fuzz/pem.c \
    test/fuzz/tls.c

$(B)/replay: test/fuzz/replay.c $(FUZZ) test/fuzz/fuzz.h test/plain.h $(WORLD) hub.c ws.o json.o listen.o
	$(C) $(LDFLAGS) -o $@ test/fuzz/replay.c $(FUZZ) $(WORLD) ws.o json.o listen.o `sed -n s/^lib://p .flags`

# libFuzzer on each target for SECONDS (60).
fuzz: .flags
	@sh test/fuzz/run $(SECONDS)

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

.PHONY: all check check-all clean demo deps fuzz install uninstall
