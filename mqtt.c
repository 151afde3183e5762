/* wshub: ISC licence, see LICENSE. */
/*
 * MQTT 3.1.1 (OASIS standard, 29 October 2014): packets, for a client.
 *
 * A packet is a fixed header (a type, four flags and the remaining length,
 * section 2.2), a variable header and a payload. Numbers are big endian, and a
 * string has its length in two bytes before it (section 1.5).
 */
#include <sys/types.h>
#include <string.h>

#include "relay.h"

#define PROTOCOL_LEVEL 4 /* 3.1.1, section 3.1.2.2 */

/* ---------------------------------------------------------------- reading */

static int
fail(struct ws_mqtt_packet *p, const char *error)
{
	p->error = error;
	return WS_BAD;
}

static unsigned
read16(const unsigned char *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

/*
 * What a server may send, by type: the flags (section 2.2.2) and the remaining
 * length, if they are fixed. Types without a name are not for clients.
 */
static const struct {
	const char *name;
	unsigned char flags;
	unsigned char len; /* 0: fixed by other rules */
} types[16] = {
	[WS_MQTT_CONNACK] = { "CONNACK", 0, 2 },
	[WS_MQTT_PUBLISH] = { "PUBLISH", 0, 0 },
	[WS_MQTT_PUBACK] = { "PUBACK", 0, 2 },
	[WS_MQTT_SUBACK] = { "SUBACK", 0, 0 },
	[WS_MQTT_UNSUBACK] = { "UNSUBACK", 0, 2 },
	[WS_MQTT_PINGRESP] = { "PINGRESP", 0, 0 },
};

/* Checks the first byte: 0, or WS_BAD. */
static int
check_first(struct ws_mqtt_packet *p, unsigned first)
{
	p->type = first >> 4;
	if (types[p->type].name == NULL)
		return fail(p, "a packet that no server may send to us");
	if (p->type != WS_MQTT_PUBLISH && (first & 15) != types[p->type].flags)
		return fail(p, "reserved flags are set");
	if (p->type != WS_MQTT_PUBLISH)
		return 0;
	p->dup = first >> 3 & 1;
	p->qos = first >> 1 & 3;
	p->retain = first & 1;
	if (p->qos > 1)
		return fail(p, "a message with a QoS that was not asked for");
	if (p->dup && p->qos == 0) /* section 3.3.1.1 */
		return fail(p, "DUP with QoS 0");
	return 0;
}

/*
 * Reads the remaining length (section 2.2.3): the number of its bytes, WS_MORE
 * or WS_BAD.
 */
static int
read_length(struct ws_mqtt_packet *p, const unsigned char *b, size_t len,
    size_t *remaining)
{
	int i;

	*remaining = 0;
	for (i = 0; i < 4; i++) {
		if ((size_t)i == len)
			return WS_MORE;
		*remaining |= (size_t)(b[i] & 127) << 7 * i;
		if (b[i] < 128)
			return i + 1;
	}
	return fail(p, "a remaining length of more than four bytes");
}

static int
check_length(struct ws_mqtt_packet *p, size_t remaining, size_t limit)
{
	size_t fixed = types[p->type].len;

	if ((fixed != 0 && remaining != fixed) ||
	    (p->type == WS_MQTT_PINGRESP && remaining != 0) ||
	    (p->type == WS_MQTT_SUBACK && remaining < 3) ||
	    (p->type == WS_MQTT_PUBLISH && remaining < (p->qos ? 5u : 3u)))
		return fail(p, "a packet of the wrong length");
	if (p->type != WS_MQTT_PUBLISH && remaining > limit)
		return fail(p, "a packet that is too long");
	return 0;
}

/* Section 4.7.1 and 1.5.3: no wildcard, no NUL, UTF-8. */
static int
check_topic(struct ws_mqtt_packet *p)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };
	size_t i;

	if (ws_utf8(&utf8, p->topic.s, p->topic.len) != p->topic.len ||
	    utf8.left != 0)
		return fail(p, "a topic that is not UTF-8");
	for (i = 0; i < p->topic.len; i++)
		if (p->topic.s[i] == '\0' || p->topic.s[i] == '+' ||
		    p->topic.s[i] == '#')
			return fail(p, "a topic with NUL or a wildcard");
	return 0;
}

/* Reads a packet identifier, section 2.3.1. */
static int
read_id(struct ws_mqtt_packet *p, const unsigned char *b)
{
	p->id = read16(b);
	return p->id == 0 ? fail(p, "a packet identifier of 0") : 0;
}

/*
 * Reads a PUBLISH (section 3.3), of which len bytes after the fixed header, and
 * at most all remaining ones, have arrived: the bytes used, WS_MORE or WS_BAD.
 */
static ssize_t
read_publish(struct ws_mqtt_packet *p, const unsigned char *b, size_t len,
    size_t remaining, size_t limit)
{
	size_t head;

	if (len < 2)
		return WS_MORE;
	p->topic.len = read16(b);
	p->topic.s = (const char *)b + 2;
	head = 2 + p->topic.len + (p->qos ? 2 : 0);
	if (p->topic.len == 0)
		return fail(p, "a topic of no bytes");
	if (head > remaining)
		return fail(p, "a topic that is longer than its packet");
	if (len < head || (len < remaining && remaining - head <= limit))
		return WS_MORE;
	if (check_topic(p) != 0 ||
	    (p->qos && read_id(p, b + head - 2) != 0))
		return WS_BAD;
	p->payload.s = (const char *)b + head;
	p->payload.len = remaining - head;
	if (p->payload.len <= limit)
		return (ssize_t)remaining;
	p->skip = p->payload.len;
	p->payload.len = 0;
	return (ssize_t)head;
}

static int
read_connack(struct ws_mqtt_packet *p, const unsigned char *b)
{
	p->session_present = b[0];
	p->code = b[1];
	if (b[0] > 1 || (b[0] == 1 && b[1] != 0)) /* section 3.2.2.2 */
		return fail(p, "reserved flags are set");
	return 0;
}

static int
read_suback(struct ws_mqtt_packet *p, const unsigned char *b, size_t len)
{
	size_t i;

	p->codes = b + 2;
	p->ncodes = len - 2;
	for (i = 0; i < p->ncodes; i++)
		if (p->codes[i] > 2 && p->codes[i] != 0x80)
			return fail(p, "an unknown return code");
	return read_id(p, b);
}

/* see relay.h */
ssize_t
ws_mqtt_packet(struct ws_mqtt_packet *p, const void *buf, size_t len,
    size_t limit)
{
	const unsigned char *b = buf;
	size_t remaining, start, left;
	ssize_t used;
	int n, bad = 0;

	memset(p, 0, sizeof *p);
	if (len == 0)
		return WS_MORE;
	if (check_first(p, b[0]) != 0)
		return WS_BAD;
	n = read_length(p, b + 1, len - 1, &remaining);
	if (n < 0)
		return n;
	if (check_length(p, remaining, limit) != 0)
		return WS_BAD;
	start = 1 + (size_t)n;
	b += start;
	left = len - start < remaining ? len - start : remaining;
	if (p->type == WS_MQTT_PUBLISH) {
		used = read_publish(p, b, left, remaining, limit);
		return used < 0 ? used : (ssize_t)start + used;
	}
	if (left < remaining)
		return WS_MORE;
	if (p->type == WS_MQTT_CONNACK)
		bad = read_connack(p, b);
	else if (p->type == WS_MQTT_SUBACK)
		bad = read_suback(p, b, remaining);
	else if (remaining != 0)
		bad = read_id(p, b);
	return bad ? WS_BAD : (ssize_t)(start + remaining);
}

/* see relay.h */
const char *
ws_mqtt_refusal(unsigned code)
{
	static const char *const texts[] = {
		"accepted", "it does not speak MQTT 3.1.1",
		"it does not accept the client id", "it is not available",
		"wrong user name or password", "we are not authorized"
	};

	return code < sizeof texts / sizeof *texts ? texts[code] :
	    "a code that MQTT 3.1.1 does not have";
}

/* ---------------------------------------------------------------- writing */

static size_t
write16(unsigned char *out, size_t n)
{
	out[0] = (unsigned char)(n >> 8);
	out[1] = (unsigned char)n;
	return 2;
}

static size_t
write_text(unsigned char *out, struct ws_text t)
{
	(void)write16(out, t.len);
	memcpy(out + 2, t.s, t.len);
	return 2 + t.len;
}

static size_t
write_head(unsigned char *out, unsigned type, unsigned flags, size_t len)
{
	size_t n = 1;

	out[0] = (unsigned char)(type << 4 | flags);
	do {
		out[n] = (unsigned char)(len & 127);
		len >>= 7;
		if (len != 0)
			out[n] |= 128;
		n++;
	} while (len != 0);
	return n;
}

static size_t
text_size(struct ws_text t)
{
	return t.s == NULL ? 0 : 2 + t.len;
}

/* Bytes of a CONNECT after the fixed header. */
static size_t
connect_length(const struct ws_mqtt_connect *c)
{
	return 10 + 2 + c->client_id.len + text_size(c->will_topic) +
	    (c->will_topic.s == NULL ? 0 : 2 + c->will_message.len) +
	    text_size(c->user) + text_size(c->password);
}

/* see relay.h */
size_t
ws_mqtt_connect_size(const struct ws_mqtt_connect *c)
{
	unsigned char head[WS_MQTT_HEAD_MAX];
	size_t len = connect_length(c);

	return write_head(head, WS_MQTT_CONNECT, 0, len) + len;
}

/* see relay.h */
size_t
ws_mqtt_connect(unsigned char *out, const struct ws_mqtt_connect *c)
{
	static const struct ws_text name = { "MQTT", 4 };
	size_t n = write_head(out, WS_MQTT_CONNECT, 0, connect_length(c));
	unsigned flags = c->clean_session ? 2 : 0; /* section 3.1.2.3 */

	if (c->will_topic.s != NULL)
		flags |= 4 | c->will_qos << 3 | (c->will_retain ? 32 : 0);
	if (c->password.s != NULL)
		flags |= 64;
	if (c->user.s != NULL)
		flags |= 128;
	n += write_text(out + n, name);
	out[n++] = PROTOCOL_LEVEL;
	out[n++] = (unsigned char)flags;
	n += write16(out + n, c->keep_alive);
	n += write_text(out + n, c->client_id);
	if (c->will_topic.s != NULL) {
		n += write_text(out + n, c->will_topic);
		n += write_text(out + n, c->will_message);
	}
	if (c->user.s != NULL)
		n += write_text(out + n, c->user);
	if (c->password.s != NULL)
		n += write_text(out + n, c->password);
	return n;
}

/* see relay.h */
size_t
ws_mqtt_publish(unsigned char *out, struct ws_text topic, size_t len,
    unsigned id, int dup)
{
	size_t n = write_head(out, WS_MQTT_PUBLISH,
	    (id != 0 ? 2u : 0u) | (dup ? 8u : 0u),
	    2 + topic.len + (id != 0 ? 2 : 0) + len);

	n += write_text(out + n, topic);
	return id == 0 ? n : n + write16(out + n, id);
}

/* see relay.h */
size_t
ws_mqtt_filters(unsigned char out[WS_MQTT_FILTERS_ROOM], unsigned type,
    unsigned id, size_t len)
{
	size_t n = write_head(out, type, 2, 2 + len); /* section 3.8.1 */

	return n + write16(out + n, id);
}

/* see relay.h */
size_t
ws_mqtt_filter(unsigned char *out, unsigned type, struct ws_text filter)
{
	size_t n = write_text(out, filter);

	if (type == WS_MQTT_SUBSCRIBE)
		out[n++] = 1; /* QoS */
	return n;
}

/* see relay.h */
size_t
ws_mqtt_puback(unsigned char out[4], unsigned id)
{
	size_t n = write_head(out, WS_MQTT_PUBACK, 0, 2);

	return n + write16(out + n, id);
}

/* see relay.h */
size_t
ws_mqtt_empty(unsigned char out[2], unsigned type)
{
	return write_head(out, type, 0, 0);
}
