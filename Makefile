# wshub: ISC licence, see LICENSE.
#
#   make             the hub
#   make deps        installs what is missing
#   make demo        shows it at work [PORT=8080 SECONDS=]
#   make check       its tests: a C compiler, make and sh are enough
#   make check-all   and those that need more (valgrind, PHP, a browser ...)
#   make static      one small file that needs no library, not even libc's
#   make dist        wshub-VERSION.tar.gz
#   make install     PREFIX=/usr/local DESTDIR=
#
#   TLS=no           without wss://, and without BearSSL
#   BEARSSL=DIR      BearSSL's source or install tree, where it is no package
#
#   RUN=COMMAND      goes before programs that are for another machine:
#                    make check CC=arm-linux-gnueabihf-gcc BEARSSL=DIR \
#                        RUN="qemu-arm -L /usr/arm-linux-gnueabihf"
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
RUN =
EXTRA =
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
DESTDIR =

OBJ = main.o ctl.o service.o loop.o client.o poll.o listen.o hub.o json.o \
    ws.o tls.o
C = $(CC) -std=c99 $(WARN) $(CFLAGS)

all: wshub

wshub: $(OBJ) $(EXTRA)
	$(C) $(LDFLAGS) -o $@ $(OBJ) $(EXTRA) `sed -n s/^lib://p .flags`

$(OBJ) $(EXTRA): ws.h .flags

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
UNITS = $(B)/ws $(B)/json $(B)/tls $(B)/service

check: wshub $(UNITS)
	@tls=tls; test "$(TLS)" != no || tls=; \
	    WSHUB_WRAP="$${WSHUB_WRAP:-$(RUN)}" sh test/run \
	    "$(RUN) $(B)/ws" "$(RUN) $(B)/json" $${tls:+"$(RUN) $(B)/tls"} \
	    "$(RUN) $(B)/service ./wshub $$tls"

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

$(B)/service: test/service.c test/hub.h
	@mkdir -p $(B)
	$(C) $(LDFLAGS) -o $@ test/service.c

# --------------------------------------------------- for elsewhere: see deps.sh

# In wshub's place: "make static install" installs it. CC is musl-gcc if it is
# not set and there is one.
static:
	@MAKE="$(MAKE)" sh deps.sh static "$(TLS)" "$(BEARSSL)" "$(CC)" "$(CFLAGS)" "$(LDFLAGS)"

dist:
	@sh dist.sh

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
	rm -f wshub .flags examples/listen $(OBJ) small.o
	rm -rf $(B) build

.PHONY: all check check-all clean demo deps dist install static uninstall
