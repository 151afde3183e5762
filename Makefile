# wshub: ISC licence, see LICENSE.
#
#   make             the hub
#   make deps        installs what is missing: sh setup, where make is
#   make demo        shows it at work [PORT=8080 SECONDS=]
#   make check       its tests: a C compiler, make and sh are enough
#                    [TESTS="ws e2e": only these; SLOW=yes: also those that
#                    meet every failure of memory and every bad packet]
#   make tests       builds them, and does not run them
#   make check-all   and those that need more (valgrind, PHP, a browser ...)
#   make fuzz        looks for more: clang with libFuzzer [SECONDS=60]
#   make bench       what a delivery costs, beside a bare send and other servers
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
# CC, CFLAGS, LDFLAGS, AR: as ever. A change of these builds everything anew.

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
TESTS =
SLOW =
PREFIX = /usr/local
MANDIR = $(PREFIX)/share/man
DESTDIR =

# Only with TLS=yes.
CERT_yes = cert.o
FAKE_CERT_yes = $(B)/w-cert.o

OBJ = main.o keeper.o privdrop.o sandbox.o log.o ctl.o mint.o service.o \
    loop.o metrics.o backend.o client.o lines.o send.o flush.o admit.o \
    resume.o peer.o proxy.o wheel.o poll.o listen.o control.o stream.o \
    command.o watch.o hub.o queue.o json.o token.o siphash.o http.o ws.o \
    pem.o tls.o $(CERT_$(TLS)) entropy.o memory.o signals.o relay.o connect.o \
    bridge.o link.o broker.o deliver.o interest.o local.o topic.o mqtt.o
C = $(CC) -std=c99 $(WARN) $(CFLAGS)

all: wshub

wshub: $(OBJ)
	$(C) $(LDFLAGS) -o $@ $(OBJ) `sed -n s/^lib://p .flags`

$(OBJ): ws.h relay.h .flags

.c.o:
	$(C) -c -o $@ $<

# From tls.c, or from notls.c if TLS=no.
tls.o: tls.c notls.c cert.h
	$(C) -c -o $@ `sed -n s/^tls://p .flags`

cert.o: cert.c cert.h
	$(C) -c -o $@ $(BEAR_INC) cert.c

# The settings; touched only when they change.
.flags: FORCE
	@MAKE="$(MAKE)" sh deps.sh flags $@ "$(TLS)" "$(BEARSSL)" "$(CC)" \
	    "$(CFLAGS)" "$(LDFLAGS)" "$(WARN)"

FORCE:

# ------------------------------------------------------------------- tests

# Built and run, they take the least time without optimisation. The compilers of
# check-all have theirs: TEST_CFLAGS= (nothing).
TEST_CFLAGS = -O0 -U_FORTIFY_SOURCE
# A third of the time to build the tests would be for symbols: TEST_DEBUG=-g.
TEST_DEBUG = -g0
TEST_C = $(C) $(TEST_DEBUG)
B = test/build
INCLUDE = $(B)/ws $(B)/json $(B)/siphash $(B)/queue $(B)/memory $(B)/poll \
    $(B)/wheel $(B)/log $(B)/proxy
E2E_RELAY = $(B)/e2e_relay $(B)/e2e_relay_lost $(B)/e2e_relay_hostile
E2E = $(B)/service $(B)/e2e $(B)/e2e_limits $(B)/e2e_hostile $(B)/e2e_ops \
    $(B)/e2e_calm $(B)/e2e_watch $(B)/e2e_metrics $(B)/e2e_proxy $(E2E_RELAY)
SIGN = $(B)/e2e_cli $(B)/e2e_sessions
MOST = $(INCLUDE) $(E2E) $(SIGN) $(B)/http $(B)/token $(B)/hub \
    $(B)/watch $(B)/local $(B)/mqtt $(B)/topic $(B)/interest \
    $(B)/broker $(B)/connect \
    $(B)/metrics $(B)/tls $(B)/conformance $(B)/sandbox $(B)/e2e_tls $(B)/echo
# A third of the time of all, in check-all or with SLOW=yes.
PROGRAMS = $(MOST) $(B)/fault $(B)/bounds $(B)/replay
TRY = SLOW="$(SLOW)" WSHUB_WRAP="$${WSHUB_WRAP:-$(RUN)}" RUN="$(RUN)" TESTS="$(TESTS)" \
    TLS="$(TLS)" MAKE="$(MAKE)" CC="$(CC)" BEARSSL="$(BEARSSL)" sh test/all.sh
LINK = @mkdir -p $(B); echo link $@; \
    $(TEST_C) $(TEST_CFLAGS) $(LDFLAGS) -o $@
BEAR_INC = `sed -n 's/^tls:\(.*\) [^ ]*$$/\1/p' .flags`
BEAR = `test "$(TLS)" = no || echo -DWITH_TLS` $(BEAR_INC)
LIB = `sed -n s/^lib://p .flags`

# Two at a time, unless it was said how many.
check:
	@goals=quick; \
	[ -z "$(SLOW)" ] || goals=tests; \
	[ -z "$(TESTS)" ] || goals="wshub $(B)/echo"; \
	for test in $(TESTS); do \
		goals="$$goals $(B)/$$test"; \
	done; \
	case " $$MAKEFLAGS " in *" -j"*) $(MAKE) $$goals ;; \
	*) $(MAKE) -j2 $$goals ;; esac
	@$(TRY) units

check-all:
	@$(MAKE) tests
	@$(TRY) units all

quick: wshub $(MOST)

# What check-all runs, for machines where it cannot be run.
tests: wshub $(PROGRAMS)

$(PROGRAMS): test/test.h ws.h .flags

# Those that include the file they are named after.
$(INCLUDE):
	$(LINK) test/$(@F).c

$(B)/ws: test/ws.c ws.c
$(B)/json: test/json.c json.c
$(B)/siphash: test/siphash.c siphash.c
$(B)/queue: test/queue.c test/alloc.h queue.c
$(B)/memory: test/memory.c memory.c
$(B)/poll: test/poll.c poll.c
$(B)/wheel: test/wheel.c wheel.c
$(B)/log: test/log.c log.c
$(B)/proxy: test/proxy.c proxy.c
$(B)/mqtt: test/mqtt.c mqtt.c relay.h ws.o
	$(LINK) test/mqtt.c ws.o

$(B)/http: test/http.c http.c ws.o
	$(LINK) test/http.c ws.o

$(B)/token: test/token.c token.c json.o ws.o log.o
	$(LINK) test/token.c json.o ws.o log.o

# A hub without connections.
HUB_O = watch.o control.o stream.o command.o hub.o json.o siphash.o ws.o \
    log.o entropy.o wheel.o

$(B)/metrics: test/metrics.c metrics.c $(HUB_O)
	$(LINK) test/metrics.c $(HUB_O)

WITH_HUB = stream.o command.o json.o siphash.o ws.o log.o

$(B)/hub: test/hub.c test/alloc.h hub.c control.c watch.c $(WITH_HUB)
	$(LINK) test/hub.c $(WITH_HUB)

$(B)/watch: test/watch.c $(HUB_O)
	$(LINK) test/watch.c $(HUB_O)

WITH_TOPIC = control.o stream.o command.o hub.o json.o siphash.o ws.o log.o \
    entropy.o wheel.o
WITH_LOCAL = topic.o $(WITH_TOPIC)

$(B)/topic: test/topic.c topic.c relay.h watch.o $(WITH_TOPIC)
	$(LINK) test/topic.c watch.o $(WITH_TOPIC)

$(B)/local: test/local.c test/alloc.h local.c watch.c relay.h $(WITH_LOCAL)
	$(LINK) test/local.c $(WITH_LOCAL)

$(B)/broker: test/broker.c broker.c interest.o relay.h watch.o topic.o mqtt.o \
    $(WITH_TOPIC)
	$(LINK) test/broker.c interest.o watch.o topic.o mqtt.o $(WITH_TOPIC)

$(B)/interest: test/interest.c interest.c relay.h watch.o topic.o mqtt.o \
    $(WITH_TOPIC)
	$(LINK) test/interest.c watch.o topic.o mqtt.o $(WITH_TOPIC)

$(B)/connect: test/connect.c connect.c relay.h listen.o log.o
	$(LINK) test/connect.c listen.o log.o

WITH_TLS = pem.o token.o json.o ws.o entropy.o log.o

$(B)/tls: test/tls.c test/alloc.h tls.c cert.c cert.h $(WITH_TLS)
	@mkdir -p $(B)
	test "$(TLS)" = no || $(TEST_C) $(TEST_CFLAGS) $(LDFLAGS) -o $@ \
	    $(BEAR) test/tls.c $(WITH_TLS) $(LIB)

# Those that start wshub.
$(E2E): test/hub.h test/client.h test/group.h
	$(LINK) test/$(@F).c

# And make tokens.
$(SIGN): test/hub.h test/client.h test/group.h token.o json.o ws.o log.o
	$(LINK) test/$(@F).c token.o json.o ws.o log.o

$(B)/e2e_watch: test/e2e_watch.c
$(B)/e2e: test/e2e.c
$(B)/e2e_limits: test/e2e_limits.c
$(B)/e2e_hostile: test/e2e_hostile.c
$(B)/e2e_ops: test/e2e_ops.c
$(B)/e2e_calm: test/e2e_calm.c
$(B)/e2e_metrics: test/e2e_metrics.c
$(B)/e2e_proxy: test/e2e_proxy.c
$(B)/e2e_cli: test/e2e_cli.c
$(B)/e2e_sessions: test/e2e_sessions.c
$(B)/service: test/service.c
$(B)/e2e_relay: test/e2e_relay.c
$(B)/e2e_relay_lost: test/e2e_relay_lost.c
$(B)/e2e_relay_hostile: test/e2e_relay_hostile.c
$(E2E_RELAY): test/broker.h

$(B)/e2e_tls: test/e2e_tls.c test/hub.h test/client.h test/group.h
	$(LINK) $(BEAR) test/e2e_tls.c $(LIB)

$(B)/sandbox: test/sandbox.c sandbox.o
	$(LINK) test/sandbox.c sandbox.o

$(B)/echo: test/echo.c http.o ws.o
	$(LINK) test/echo.c http.o ws.o

$(B)/conformance: test/conformance.c test/client.h test/plain.h
	$(LINK) test/conformance.c

# The hub's files on a fake kernel: test/fake.h.
FAKE = $(B)/fake.o $(B)/w-queue.o $(B)/w-poll.o $(B)/w-client.o \
    $(B)/w-lines.o $(B)/w-send.o $(B)/w-flush.o $(B)/w-admit.o \
    $(B)/w-resume.o $(B)/w-peer.o $(B)/w-backend.o $(B)/w-loop.o \
    $(B)/w-control.o $(B)/w-watch.o $(B)/w-tls.o $(FAKE_CERT_$(TLS))
PLAIN = http.o proxy.o ws.o json.o stream.o command.o token.o siphash.o \
    listen.o wheel.o pem.o log.o metrics.o local.o topic.o mqtt.o
PART = @mkdir -p $(B); echo part $@; $(TEST_C) $(TEST_CFLAGS) -c -o $@

$(FAKE) $(B)/w-hub.o: test/fake.h test/part.c ws.h .flags

$(B)/fake.o: test/fake.c
	$(PART) test/fake.c

$(B)/w-hub.o: hub.c
	$(PART) -DPART='"../hub.c"' test/part.c

$(B)/w-control.o: control.c
	$(PART) -DPART='"../control.c"' test/part.c

$(B)/w-watch.o: watch.c
	$(PART) -DPART='"../watch.c"' test/part.c

$(B)/w-queue.o: queue.c
	$(PART) -DPART='"../queue.c"' test/part.c

$(B)/w-poll.o: poll.c
	$(PART) -DPART='"../poll.c"' test/part.c

$(B)/w-client.o: client.c
	$(PART) -DPART='"../client.c"' test/part.c

$(B)/w-lines.o: lines.c
	$(PART) -DPART='"../lines.c"' test/part.c

$(B)/w-send.o: send.c
	$(PART) -DPART='"../send.c"' test/part.c

$(B)/w-flush.o: flush.c
	$(PART) -DPART='"../flush.c"' test/part.c

$(B)/w-admit.o: admit.c
	$(PART) -DPART='"../admit.c"' test/part.c

$(B)/w-resume.o: resume.c
	$(PART) -DPART='"../resume.c"' test/part.c

$(B)/w-peer.o: peer.c
	$(PART) -DPART='"../peer.c"' test/part.c

$(B)/w-backend.o: backend.c
	$(PART) -DPART='"../backend.c"' test/part.c

$(B)/w-loop.o: loop.c
	$(PART) -DPART='"../loop.c"' test/part.c

$(B)/w-cert.o: cert.c cert.h
	$(PART) $(BEAR_INC) -DPART='"../cert.c"' test/part.c

$(B)/w-tls.o: tls.c notls.c cert.h
	$(PART) $(BEAR_INC) test/part.c \
	    -DPART="\"../`sed -n 's/^tls:.* //p' .flags`\""

FAULT = test/fault.c $(FAKE) $(B)/w-hub.o $(PLAIN)

$(B)/fault: $(FAULT) test/peers.h test/client.h
	$(LINK) $(BEAR) $(FAULT) $(LIB)

BOUNDS = test/bounds.c $(FAKE) $(B)/w-hub.o $(PLAIN)

$(B)/bounds: $(BOUNDS)
	$(LINK) $(BEAR) $(BOUNDS) $(LIB)

FUZZ = test/fuzz/control.c test/fuzz/frames.c test/fuzz/head.c \
    test/fuzz/hub.c test/fuzz/json.c test/fuzz/local.c test/fuzz/loop.c \
    test/fuzz/mqtt.c test/fuzz/pem.c test/fuzz/proxy.c test/fuzz/session.c \
    test/fuzz/tls.c test/fuzz/token.c test/fuzz/topic.c

REPLAY = test/fuzz/replay.c $(FUZZ) $(FAKE) $(PLAIN)

$(B)/replay: $(REPLAY) test/fuzz/fuzz.h test/fuzz/stream.h test/plain.h hub.c
	$(LINK) $(BEAR) $(REPLAY) $(LIB)

# What a delivery costs, beside other servers (Linux) [QUICK=quick], and beside
# another wshub [OLD=path].
bench: wshub $(B)/bench
	@$(B)/bench ./wshub `test "$(TLS)" = no && echo - || echo test/certs` \
	    $(B)/bench.rows $(QUICK)
	@sh test/bench/plot.sh $(B)/bench.rows $(B)/bench.svg

BENCH = test/bench/bench.c test/bench/hostile.c test/bench/sessions.c \
    test/bench/watch.c test/bench/relay.c test/bench/clients.c \
    test/bench/servers.c

$(B)/bench: $(BENCH) test/bench/bench.h test/client.h $(HUB_O) .flags
	@mkdir -p $(B)
	$(TEST_C) $(LDFLAGS) -o $@ $(BEAR) $(BENCH) $(HUB_O) $(LIB)

# libFuzzer on each target for SECONDS (60).
fuzz: .flags
	@MAKE="$(MAKE)" BEARSSL="$(BEARSSL)" sh test/fuzz/run $(SECONDS)

# --------------------------------------------------- for elsewhere: see deps.sh

# In wshub's place: "make static install" installs it. CC is musl-gcc if it is
# not set and there is one.
static:
	@MAKE="$(MAKE)" sh deps.sh static "$(TLS)" "$(BEARSSL)" "$(CC)" \
	    "$(CFLAGS)" "$(LDFLAGS)"

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
	for page in wshub.8 wshub-relay.8; do \
	    cp $$page "$(DESTDIR)$(MANDIR)/man8/$$page" && \
	    chmod 644 "$(DESTDIR)$(MANDIR)/man8/$$page" || exit 1; \
	done

uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/wshub" "$(DESTDIR)$(MANDIR)/man8/wshub.8" \
	    "$(DESTDIR)$(MANDIR)/man8/wshub-relay.8"

clean:
	rm -f wshub .flags examples/listen $(OBJ) cert.o
	rm -rf $(B) build

.PHONY: all bench check check-all clean demo deps dist fuzz install \
    quick static tests uninstall
