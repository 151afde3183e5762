/* wshub: ISC licence, see LICENSE. */
/*
 * What the tests of the relay share, after hub.h: a broker that does what its
 * test says, packet by packet, and relays to start.
 *
 * A session with a relay is a struct client, of which only the bytes are used:
 * the broker reads MQTT from it. It shares no code with mqtt.c. A relay is a
 * struct hub, whose control socket is the relay's own.
 */
#ifndef TEST_BROKER_H
#define TEST_BROKER_H

#include "hub.h"

#define BYTES(literal) literal, sizeof(literal) - 1

/* First bytes of packets. */
enum {
	CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBLISH_1 = 0x32,
	RETAINED_1 = 0x33, REPEATED_1 = 0x3a, PUBACK = 0x40, SUBSCRIBE = 0x82,
	SUBACK = 0x90, UNSUBSCRIBE = 0xa2, UNSUBACK = 0xb0, PINGREQ = 0xc0,
	DISCONNECT = 0xe0
};

struct broker {
	int fd, port;
	char url[160];
};

/* A packet of the relay; body and payload stay until the next one is read. */
struct packet {
	int first; /* or what need says */
	unsigned char *body, *payload;
	size_t len, payload_len;
	unsigned id;
	char topic[1200]; /* the client identifier, in a CONNECT */
};

static inline unsigned
two(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* Listens on a free port, or there, if path is not NULL. */
static inline void
broker_open(struct broker *b, const char *path)
{
	struct sockaddr_in in;
	struct sockaddr_un un;
	int on = 1, e;

	memset(&in, 0, sizeof in);
	in.sin_family = AF_INET;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memset(&un, 0, sizeof un);
	un.sun_family = AF_UNIX;
	if (path != NULL) {
		snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
		snprintf(b->url, sizeof b->url, "mqtt+unix:%s", path);
	}
	b->fd = socket(path != NULL ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
	if (b->fd == -1)
		give_up("socket");
	setsockopt(b->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	do {
		if (path == NULL && b->port == 0) {
			in.sin_port = htons((unsigned short)free_port());
			snprintf(b->url, sizeof b->url, "mqtt://127.0.0.1:%d",
			    ntohs(in.sin_port));
		} else if (path == NULL) {
			in.sin_port = htons((unsigned short)b->port);
		}
		e = path != NULL ?
		    bind(b->fd, (struct sockaddr *)&un, sizeof un) :
		    bind(b->fd, (struct sockaddr *)&in, sizeof in);
	} while (e != 0 && errno == EADDRINUSE && path == NULL && b->port == 0);
	b->port = ntohs(in.sin_port);
	if (e != 0 || listen(b->fd, 128) != 0)
		give_up("listen");
	limit_waits(b->fd);
}

/* The next connection: its bytes, or the group ends. */
static inline void
broker_accept(const struct broker *b, struct client *c)
{
	memset(c, 0, sizeof *c);
	c->fd = accept(b->fd, NULL, NULL);
	if (c->fd == -1)
		give_up("no relay connects to the broker");
	limit_waits(c->fd);
}

/* Reads a string of a packet: 0, or -1. */
static inline int
take_string(struct packet *p, size_t *at, char *to, size_t room)
{
	size_t n = p->len - *at < 2 ? p->len : two(p->body + *at);

	if (*at + 2 + n > p->len || n >= room)
		return -1;
	memcpy(to, p->body + *at + 2, n);
	to[n] = '\0';
	*at += 2 + n;
	return 0;
}

static inline void
get_any_packet(struct client *c, struct packet *p)
{
	size_t n = 0, at = 0;
	unsigned shift = 0, byte;

	memset(p, 0, sizeof *p);
	do {
		p->first = need(c, n + 2);
		if (p->first == 0 && n == 4)
			p->first = WRONG;
		if (p->first != 0)
			return;
		byte = c->buf[c->at + ++n];
		p->len |= (size_t)(byte & 127) << shift;
		shift += 7;
	} while (byte > 127);
	p->first = need(c, 1 + n + p->len);
	if (p->first != 0)
		return;
	p->body = c->buf + c->at + 1 + n;
	p->first = c->buf[c->at];
	c->at += 1 + n + p->len;
	switch (p->first) {
	case CONNECT:
		at = 10;
		if (p->len < 10 || take_string(p, &at, p->topic,
		    sizeof p->topic) != 0)
			p->first = WRONG;
		break;
	case PUBLISH_1:
		if (take_string(p, &at, p->topic, sizeof p->topic) != 0 ||
		    p->len - at < 2) {
			p->first = WRONG;
			break;
		}
		p->id = two(p->body + at);
		p->payload = p->body + at + 2;
		p->payload_len = p->len - at - 2;
		break;
	case PUBACK:
	case SUBSCRIBE:
	case UNSUBSCRIBE:
		if (p->len < 2 || (p->first == PUBACK && p->len != 2))
			p->first = WRONG;
		else
			p->id = two(p->body);
		break;
	}
}

/*
 * Reads a packet, and answers PINGREQ. p->first is WRONG if it is not as MQTT
 * has it. If none comes in time, the group ends.
 */
static inline void
get_packet(struct client *c, struct packet *p)
{
	for (;;) {
		get_any_packet(c, p);
		if (p->first == LATE)
			give_up("the relay sends nothing");
		if (p->first != PINGREQ)
			return;
		client_put(c, "\xd0\0", 2);
	}
}

/* Writes the fixed header of a packet of so many bytes: its length. */
static inline size_t
packet_head(unsigned char *out, unsigned first, size_t len)
{
	size_t n = 0;

	out[n++] = (unsigned char)first;
	do {
		out[n++] = (unsigned char)((len & 127) | (len > 127 ? 128 : 0));
		len >>= 7;
	} while (len > 0);
	return n;
}

/* Writes a PUBLISH to out; flags are its first byte. */
static inline size_t
publish_packet(unsigned char *out, unsigned first, const char *topic,
    unsigned id, const void *payload, size_t len)
{
	size_t topic_len = strlen(topic), with_id = (first & 6) != 0 ? 2 : 0;
	size_t n = packet_head(out, first, 2 + topic_len + with_id + len);

	out[n++] = (unsigned char)(topic_len >> 8);
	out[n++] = (unsigned char)topic_len;
	memcpy(out + n, topic, topic_len);
	n += topic_len;
	if (with_id) {
		out[n++] = (unsigned char)(id >> 8);
		out[n++] = (unsigned char)id;
	}
	if (len != 0)
		memcpy(out + n, payload, len);
	return n + len;
}

static inline int
publish(struct client *c, unsigned first, const char *topic, unsigned id,
    const void *payload, size_t len)
{
	unsigned char *p = malloc(strlen(topic) + len + 16);
	int e;

	if (p == NULL)
		give_up("memory");
	e = client_put(c, p, publish_packet(p, first, topic, id, payload, len));
	free(p);
	return e;
}

/* An acknowledgement without more than the identifier. */
static inline void
acknowledge(struct client *c, unsigned first, unsigned id)
{
	unsigned char p[4];

	p[0] = (unsigned char)first;
	p[1] = 2;
	p[2] = (unsigned char)(id >> 8);
	p[3] = (unsigned char)id;
	client_put(c, p, sizeof p);
}

/* The next packet begins with that byte, and has that identifier. */
#define PACKET(c, p, first, id) packet_is(__FILE__, __LINE__, c, p, first, id)
static inline int
packet_is(const char *file, int line, struct client *c, struct packet *p,
    int first, unsigned id)
{
	get_packet(c, p);
	test_expect(p->first == first && (id == 0 || p->id == id), file, line,
	    "packet %d (%#x) with identifier %u, not %#x with %u", p->first,
	    (unsigned)p->first, p->id, (unsigned)first, id);
	return p->first == first && (id == 0 || p->id == id);
}

/* The relay acknowledges that. */
#define ACKNOWLEDGED(c, id) do {                                              \
	struct packet p_;                                                     \
	PACKET(c, &p_, PUBACK, id);                                           \
} while (0)

/* The relay publishes that: its packet identifier, or 0. */
#define PUBLISHED(c, topic, payload) \
    published(__FILE__, __LINE__, c, topic, payload)
static inline unsigned
published(const char *file, int line, struct client *c, const char *topic,
    const char *payload)
{
	struct packet p;
	int right;

	get_packet(c, &p);
	right = p.first == PUBLISH_1 && p.id != 0 &&
	    strcmp(p.topic, topic) == 0 && p.payload_len == strlen(payload) &&
	    memcmp(p.payload, payload, p.payload_len) == 0;
	test_expect(right, file, line, "packet %d (%#x) \"%s\": \"%.*s\", not "
	    "\"%s\": \"%s\"", p.first, (unsigned)p.first, p.topic,
	    p.payload_len < 300 ? (int)p.payload_len : 300, (char *)p.payload,
	    topic, payload);
	return right ? p.id : 0;
}

/* Nothing more comes. */
#define HUNG_UP(c) do {                                                       \
	struct packet p_;                                                     \
	get_packet(c, &p_);                                                   \
	EXPECT(p_.first == AT_END || p_.first == RESET, "packet %d (%#x), "   \
	    "not the end", p_.first, (unsigned)p_.first);                     \
} while (0)

/* Reads the CONNECT of a relay with that identifier, if it is not NULL. */
static inline void
take_connect(struct client *c, const char *id)
{
	static const char head[] = "\0\4MQTT\4\0\0\74"; /* keep alive 60 s */
	struct packet p;

	get_packet(c, &p);
	EXPECT(p.first == CONNECT && memcmp(p.body, head, 10) == 0 &&
	    p.len == 12 + strlen(p.topic) &&
	    (id == NULL || strcmp(p.topic, id) == 0), "packet %d (%#x) of %zu "
	    "bytes \"%s\", not a CONNECT of \"%s\"", p.first,
	    (unsigned)p.first, p.len, p.topic, id);
	snprintf(c->id, sizeof c->id, "%.15s", p.topic);
}

/* What it subscribes to: "" or " " before each filter; its identifier. */
static inline unsigned
take_filters(struct client *c, int first, char *filters, size_t room)
{
	struct packet p;
	size_t at = 2, n = 0;

	*filters = '\0';
	if (!PACKET(c, &p, first, 0))
		return 0;
	while (at < p.len && n + 1 < room) {
		filters[n++] = ' ';
		if (take_string(&p, &at, filters + n, room - n) != 0 ||
		    (first == SUBSCRIBE && (at >= p.len || p.body[at++] != 1)))
			break;
		n += strlen(filters + n);
	}
	EXPECT(at == p.len && p.id != 0, "filters are not right after \"%s\"",
	    filters);
	return p.id;
}

#define SUBSCRIPTIONS(prefix) " " prefix "/all " prefix "/order " prefix \
    "/channel/+ " prefix "/device/+"

/* All is well until the relay has subscribed to that. */
static inline void
welcome_to(struct client *c, const char *want, const char *codes)
{
	unsigned char p[16] = { SUBACK };
	size_t n = strlen(codes);
	char filters[1024];
	unsigned id;

	client_put(c, "\x20\2\0\0", 4);
	id = take_filters(c, SUBSCRIBE, filters, sizeof filters);
	EXPECT(strcmp(filters, want) == 0, "it subscribes to%s, not%s",
	    filters, want);
	p[1] = (unsigned char)(2 + n);
	p[2] = (unsigned char)(id >> 8);
	p[3] = (unsigned char)id;
	memcpy(p + 4, codes, n);
	client_put(c, p, 4 + n);
}

static inline void
welcome(struct client *c)
{
	welcome_to(c, SUBSCRIPTIONS("wshub"), "\1\1\1\1");
}

/* From accept to SUBACK. */
static inline void
admit(const struct broker *b, struct client *c)
{
	broker_accept(b, c);
	take_connect(c, NULL);
	welcome(c);
}

/* ------------------------------------------------------------------ relays */

/* Starts one, and does not wait. More arguments are in args. */
static inline void
spawn_relay(struct hub *r, const char *hub, const char *broker, char **args)
{
	static unsigned count;
	char *argv[40];
	int n = 0, i;

	snprintf(r->log, sizeof r->log, "relay%u.log", ++count);
	snprintf(r->control, sizeof r->control, "relay%u.sock", count);
	argv[n++] = (char *)(uintptr_t)"relay";
	argv[n++] = (char *)(uintptr_t)"-s";
	argv[n++] = (char *)(uintptr_t)hub;
	argv[n++] = (char *)(uintptr_t)"-S";
	argv[n++] = r->control;
	for (i = 0; args[i] != NULL && n < 38; i++)
		argv[n++] = args[i];
	argv[n++] = (char *)(uintptr_t)broker;
	argv[n] = NULL;
	r->pid = spawn(argv, NULL, "relay.out", r->log, 0, 022);
}

/* Waits until backends can connect: 1, or 0 if it has ended. */
static inline int
relay_ready(struct hub *r)
{
	long long end = now() + patience;

	while (now() < end) {
		if (file_has(r->log, "backends write to"))
			return 1;
		if (waitpid(r->pid, NULL, WNOHANG) == r->pid)
			break;
		nap(2);
	}
	return 0;
}

/* One that must run, or the group ends. */
#define RELAY(r, hub, broker, ...) do {                                       \
	size_t len_;                                                          \
	spawn_relay(r, (hub)->control, (broker)->url, ARGS(__VA_ARGS__));     \
	if (!relay_ready(r)) {                                                \
		EXPECT(0, "no relay: \"%s\"", slurp((r)->log, &len_));        \
		test_close();                                                 \
		exit(1);                                                      \
	}                                                                     \
} while (0)

/* Its counter of that name, as USR1 has it in the log, becomes n. */
#define COUNTED(r, name, n) EXPECT(counted(r, name, n), "not \"" name ": " \
    #n "\"")
static inline int
counted(const struct hub *r, const char *name, long long n)
{
	char words[100];
	long long end = now() + patience;

	snprintf(words, sizeof words, "wshub: %s: %lld\n", name, n);
	while (!file_has(r->log, words)) {
		if (now() > end)
			return 0;
		kill(r->pid, SIGUSR1);
		nap(10);
	}
	return 1;
}

/* TERM: the broker gets DISCONNECT, and then the end; status 0. */
#define STOP_RELAY(r, c) do {                                                 \
	struct packet q_;                                                     \
	kill((r)->pid, SIGTERM);                                              \
	PACKET(c, &q_, DISCONNECT, 0);                                        \
	HUNG_UP(c);                                                           \
	ENDED(r, 0);                                                          \
	leave(c);                                                             \
} while (0)

#endif
