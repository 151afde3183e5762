/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of mqtt.c. Each packet is tried at every split: a shorter beginning is
 * WS_MORE, and what follows the packet changes nothing.
 */
#define _GNU_SOURCE
#include "../mqtt.c"
#include "test.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define P(literal) literal, sizeof(literal) - 1
#define LIMIT 200

static void
reading(void)
{
	static const struct {
		const char *b;
		size_t len;
		unsigned type, id, qos, code, payload;
	} good[] = {
		{ P("\x20\2\0\0"), WS_MQTT_CONNACK, 0, 0, 0, 0 },
		{ P("\x20\2\1\0"), WS_MQTT_CONNACK, 0, 0, 0, 0 },
		{ P("\x20\2\0\5"), WS_MQTT_CONNACK, 0, 0, 5, 0 },
		{ P("\x20\x82\0\0\0"), WS_MQTT_CONNACK, 0, 0, 0, 0 },
		{ P("\x30\3\0\1a"), WS_MQTT_PUBLISH, 0, 0, 0, 0 },
		{ P("\x31\5\0\3a/b"), WS_MQTT_PUBLISH, 0, 0, 0, 0 },
		{ P("\x3b\x9\0\3a/b\0\x0axy"), WS_MQTT_PUBLISH, 10, 1, 0, 2 },
		{ P("\x40\2\xff\xff"), WS_MQTT_PUBACK, 65535, 0, 0, 0 },
		{ P("\x90\6\1\0\0\1\2\x80"), WS_MQTT_SUBACK, 256, 0, 0, 0 },
		{ P("\xb0\2\0\1"), WS_MQTT_UNSUBACK, 1, 0, 0, 0 },
		{ P("\xd0\0"), WS_MQTT_PINGRESP, 0, 0, 0, 0 }
	};
	struct ws_mqtt_packet p;
	char more[64];
	size_t i, n;
	ssize_t r;

	for (i = 0; i < LEN(good); i++) {
		for (n = 0; n < good[i].len; n++) {
			r = ws_mqtt_packet(&p, test_place(good[i].b, n), n,
			    LIMIT);
			EXPECT(r == WS_MORE, "packet %zu: %zu bytes are %zd",
			    i, n, r);
		}
		memset(more, 0xff, sizeof more);
		memcpy(more, good[i].b, good[i].len);
		for (n = good[i].len; n <= sizeof more; n += 13) {
			r = ws_mqtt_packet(&p, test_place(more, n), n, LIMIT);
			EXPECT(r == (ssize_t)good[i].len && p.type ==
			    good[i].type && p.id == good[i].id && p.qos ==
			    good[i].qos && p.code == good[i].code &&
			    p.payload.len == good[i].payload && p.skip == 0,
			    "packet %zu in %zu bytes: %zd, type %u, id %u, "
			    "QoS %u, code %u, payload %zu", i, n, r, p.type,
			    p.id, p.qos, p.code, p.payload.len);
		}
	}
}

static void
refusing(void)
{
	static const struct { const char *b; size_t len; } bad[] = {
		{ P("\x00\0") }, { P("\x10\0") }, { P("\x50\2\0\1") },
		{ P("\x62\2\0\1") }, { P("\x70\2\0\1") }, { P("\x82\0") },
		{ P("\xa2\0") }, { P("\xc0\0") }, { P("\xe0\0") },
		{ P("\xf0\0") }, { P("\x21\2\0\0") }, { P("\x42\2\0\1") },
		{ P("\xd1\0") }, { P("\xd0\1") }, { P("\x20\3\0\0\0") },
		{ P("\x20\2\2\0") }, { P("\x20\2\1\1") },
		{ P("\x20\x82\x80\x80\x80") }, { P("\x40\2\0\0") },
		{ P("\x40\1") }, { P("\x90\2\0\1") }, { P("\x90\3\0\0\0") },
		{ P("\x90\3\0\1\3") }, { P("\x90\3\0\1\x81") },
		{ P("\x90\xc9\1") }, { P("\xb0\2\0\0") },
		{ P("\x30\2\0\0") }, { P("\x30\3\0\0a") },
		{ P("\x30\3\0\2a") }, { P("\x32\4\0\1") },
		{ P("\x32\5\0\1a\0\0") }, { P("\x34\5\0\1a\0\1") },
		{ P("\x36\5\0\1a\0\1") }, { P("\x38\3\0\1a") },
		{ P("\x30\3\0\1+") }, { P("\x30\3\0\1#") },
		{ P("\x30\3\0\1\0") }, { P("\x30\3\0\1\xc3") },
		{ P("\x30\4\0\2\xc0\x80") }, { P("\x30\5\0\3\xed\xa0\x80") }
	};
	struct ws_mqtt_packet p;
	ssize_t r;
	size_t i;

	for (i = 0; i < LEN(bad); i++) {
		r = ws_mqtt_packet(&p, test_place(bad[i].b, bad[i].len),
		    bad[i].len, LIMIT);
		EXPECT(r == WS_BAD && p.error != NULL, "packet %zu: %zd", i, r);
	}
}

static void
skipping(void)
{
	static const char b[] = "\x32\xce\1\0\1a\0\7"; /* 206: 201 too many */
	struct ws_mqtt_packet p;
	ssize_t r = ws_mqtt_packet(&p, b, sizeof b - 1, LIMIT);

	EXPECT(r == 8 && p.skip == 201 && p.payload.len == 0 && p.id == 7,
	    "%zd, to skip %zu, payload %zu, id %u", r, p.skip, p.payload.len,
	    p.id);
}

/* The table of section 2.2.3. */
static void
lengths(void)
{
	static const struct { size_t n, size; unsigned char b[4]; } list[] = {
		{ 0, 1, { 0 } }, { 127, 1, { 0x7f } },
		{ 128, 2, { 0x80, 1 } }, { 16383, 2, { 0xff, 0x7f } },
		{ 16384, 3, { 0x80, 0x80, 1 } },
		{ 2097151, 3, { 0xff, 0xff, 0x7f } },
		{ 2097152, 4, { 0x80, 0x80, 0x80, 1 } },
		{ 268435455, 4, { 0xff, 0xff, 0xff, 0x7f } }
	};
	unsigned char out[WS_MQTT_HEAD_MAX];
	struct ws_mqtt_packet p;
	size_t i, n, read;
	int r;

	for (i = 0; i < LEN(list); i++) {
		n = write_head(out, WS_MQTT_PUBLISH, 0, list[i].n);
		r = read_length(&p, list[i].b, list[i].size, &read);
		EXPECT(n == 1 + list[i].size && r == (int)list[i].size &&
		    memcmp(out + 1, list[i].b, list[i].size) == 0 &&
		    read == list[i].n, "%zu: %zu bytes, read %zu of %d",
		    list[i].n, n, read, r);
	}
}

static void
writing(void)
{
	static const unsigned char full[] = "\x10\x1e\0\4MQTT\4\xce\0\x0a"
	    "\0\1i\0\1t\0\3bye\0\2me\0\3key";
	static const struct ws_mqtt_connect c = { { "i", 1 }, 10, 1,
	    { "t", 1 }, { "bye", 3 }, 1, 0, { "me", 2 }, { "key", 3 } };
	static const struct ws_text topic = { "a/b", 3 };
	unsigned char out[64];
	size_t n;

	n = ws_mqtt_connect(out, &c);
	EXPECT(n == sizeof full - 1 && ws_mqtt_connect_size(&c) == n &&
	    memcmp(out, full, n) == 0, "CONNECT: %zu bytes", n);
	n = ws_mqtt_publish(out, topic, 2, 10, 1);
	EXPECT(n == 9 && memcmp(out, "\x3a\x9\0\3a/b\0\x0a", 9) == 0,
	    "PUBLISH: %zu bytes", n);
	n = ws_mqtt_publish(out, topic, 2, 0, 0);
	EXPECT(n == 7 && memcmp(out, "\x30\7\0\3a/b", 7) == 0,
	    "PUBLISH, QoS 0: %zu bytes", n);
	n = ws_mqtt_filters(out, WS_MQTT_SUBSCRIBE, 10, 6);
	n += ws_mqtt_filter(out + n, WS_MQTT_SUBSCRIBE, topic);
	EXPECT(n == 10 && memcmp(out, "\x82\x8\0\x0a\0\3a/b\1", 10) == 0,
	    "SUBSCRIBE: %zu bytes", n);
	n = ws_mqtt_filters(out, WS_MQTT_UNSUBSCRIBE, 10, 5);
	n += ws_mqtt_filter(out + n, WS_MQTT_UNSUBSCRIBE, topic);
	EXPECT(n == 9 && memcmp(out, "\xa2\7\0\x0a\0\3a/b", 9) == 0,
	    "UNSUBSCRIBE: %zu bytes", n);
	EXPECT(ws_mqtt_puback(out, 258) == 4 &&
	    memcmp(out, "\x40\2\1\2", 4) == 0, "PUBACK");
	EXPECT(ws_mqtt_empty(out, WS_MQTT_PINGREQ) == 2 &&
	    memcmp(out, "\xc0\0", 2) == 0, "PINGREQ");
}

int
main(void)
{
	CASE("mqtt: packets of a server, at every split");
	reading();
	CASE("mqtt: what a server must not send");
	refusing();
	CASE("mqtt: a payload over the limit");
	skipping();
	CASE("mqtt: remaining lengths");
	lengths();
	CASE("mqtt: packets of a client");
	writing();
	return test_end();
}
