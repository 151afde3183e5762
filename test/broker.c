/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of broker.c: when it takes a broker for silent. The rest of it is tested
 * with a whole relay, see broker.h.
 */
#define _GNU_SOURCE
#include "../broker.c"
#include <unistd.h>
#include "test.h"

static struct ws_relay relay;
static struct ws_broker broker;
static struct ws_local local;
static int fd[2], full;
static unsigned messages, lost;

static int
take(struct ws_broker *b, const struct ws_mqtt_packet *p)
{
	(void)b;
	(void)p;
	messages += !full;
	return full ? -1 : 0;
}

static void
answered(struct ws_broker *b, struct ws_local *l, const char *error)
{
	(void)b;
	(void)l;
	lost += error != NULL;
}

/* The broker sends this at that time: 0, or -1. */
static int
sends(const char *bytes, size_t len, int64_t now)
{
	ssize_t n = write(fd[1], bytes, len);

	return n == (ssize_t)len ? ws_broker_read(&broker, fd[0], now) : -1;
}

#define CONNACK "\x20\2\0\0"
#define SUBACK "\x90\6\x80\0\1\1\1\1"
#define MESSAGE "\x30\x0c\0\x09wshub/all1"
#define SENDS(bytes, now) sends(bytes, sizeof(bytes) - 1, now)

static void
begin(void)
{
	memset(&broker, 0, sizeof broker);
	strcpy(relay.prefix, "wshub");
	strcpy(relay.id, "id");
	broker.r = &relay;
	broker.message = take;
	broker.acknowledged = answered;
	full = 0;
	messages = lost = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) != 0)
		abort();
	ws_broker_begin(&broker, 1);
	EXPECT(SENDS(CONNACK SUBACK, 1) == 0, "%s", broker.error);
	broker.out.len = 0;
}

static void
end(void)
{
	ws_broker_end(&broker, "end");
	ws_broker_free(&broker);
	close(fd[0]);
	close(fd[1]);
}

/*
 * Asks each second what is due, sends bytes if they are not NULL, and takes
 * what is written. Returns the second at which it fails, or 0; *pings: how many.
 */
static int
passes(int seconds, const char *bytes, size_t len, int *pings)
{
	int64_t next;
	int i;

	*pings = 0;
	for (i = 1; i <= seconds; i++) {
		next = INT64_MAX;
		if (ws_broker_check(&broker, 1000 * i, &next) != 0)
			return i;
		EXPECT(next > 1000 * i, "due before %d s", i);
		if (broker.out.len == 2 && broker.out.s[0] == '\xc0') {
			++*pings;
			broker.spoke = 1000 * i;
		}
		broker.out.len = 0;
		if (len != 0 && sends(bytes, len, 1000 * i) != 0)
			return -i;
	}
	return 0;
}

int
main(void)
{
	struct ws_text topic = { "all", 3 }, payload = { "1", 1 };
	int pings, at;

	CASE("broker: it is asked after 20 s, and has 15 s for an answer");
	begin();
	at = passes(100, NULL, 0, &pings);
	EXPECT(pings == 1 && at == 36, "%d times, %d s", pings, at);
	end();
	begin();
	at = passes(100, "\xd0\0", 2, &pings);
	EXPECT(pings == 4 && at == 0, "%d times, %d s", pings, at);
	end();

	CASE("broker: while it is not read, it is still asked, and not silent");
	begin();
	full = 1;
	EXPECT(SENDS(MESSAGE, 1) == 0 && broker.paused, "not paused");
	EXPECT(ws_broker_publish(&broker, &local, topic, payload) == 0,
	    "%s", broker.error);
	broker.out.len = 0;
	at = passes(300, NULL, 0, &pings);
	EXPECT(pings >= 13 && at == 0, "%d times, %d s", pings, at);
	full = 0;
	EXPECT(ws_broker_resume(&broker) == 0 && messages == 1, "%u messages",
	    messages);
	end();

	CASE("broker: one that sends, and acknowledges nothing for 60 s");
	begin();
	EXPECT(ws_broker_publish(&broker, &local, topic, payload) == 0,
	    "%s", broker.error);
	broker.out.len = 0;
	at = passes(100, MESSAGE, sizeof MESSAGE - 1, &pings);
	EXPECT(at == 61 && lost == 0, "%d s, %s", at, broker.error);
	end();
	EXPECT(lost == 1, "%u commands got an error", lost);

	CASE("broker: one that acknowledges some other in each 60 s");
	begin();
	EXPECT(ws_broker_publish(&broker, &local, topic, payload) == 0 &&
	    ws_broker_publish(&broker, &local, topic, payload) == 0, "%s",
	    broker.error);
	broker.out.len = 0;
	EXPECT(passes(50, MESSAGE, sizeof MESSAGE - 1, &pings) == 0 &&
	    SENDS("\x40\2\0\1", 50000) == 0, "%s", broker.error);
	at = passes(100, MESSAGE, sizeof MESSAGE - 1, &pings);
	EXPECT(at == 0, "%d s: %s", at, broker.error);
	end();
	return test_end();
}
