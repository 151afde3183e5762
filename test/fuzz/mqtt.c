/* wshub: ISC licence, see LICENSE. */
/*
 * Packets from a broker: what ws_mqtt_packet says of each beginning of the
 * input, which lies in memory of its own, must be WS_MORE up to the end of the
 * packet, or up to its error, and then always the same.
 */
#include <stdlib.h>
#include <string.h>

#include "../../relay.h"
#include "fuzz.h"

#define LIMIT 100 /* bytes of a payload */

static void
check_packet(const struct ws_mqtt_packet *p, const char *buf, size_t used)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };

	MUST(p->type == WS_MQTT_PUBLISH || p->topic.s == NULL, "a topic");
	if (p->type != WS_MQTT_PUBLISH)
		return;
	MUST(p->topic.s > buf && p->topic.s + p->topic.len <= buf + used,
	    "a topic that is elsewhere");
	MUST(p->topic.len > 0 && ws_utf8(&utf8, p->topic.s, p->topic.len) ==
	    p->topic.len && utf8.left == 0, "a topic that is not UTF-8");
	MUST(p->payload.len <= LIMIT && p->payload.s + p->payload.len <=
	    buf + used, "a payload that is elsewhere");
	MUST(p->skip == 0 || (p->skip > LIMIT && p->payload.len == 0),
	    "a payload that is skipped, and not");
	MUST((p->qos != 0) == (p->id != 0), "an identifier");
}

int
fuzz_mqtt(const uint8_t *data, size_t len)
{
	ssize_t whole, got, before = WS_MORE;
	struct ws_mqtt_packet p;
	char *copy;
	size_t i;

	if (len > 512)
		len = 512; /* the work is the square of it */
	copy = fuzz_copy(data, len);
	whole = ws_mqtt_packet(&p, copy, len, LIMIT);
	MUST(whole <= (ssize_t)len && (whole > 0 || whole == WS_MORE ||
	    whole == WS_BAD), "it returns %zd", whole);
	MUST(whole != WS_BAD || p.error != NULL, "no error is named");
	if (whole > 0)
		check_packet(&p, copy, (size_t)whole);
	free(copy);
	for (i = 0; i <= len; i++) {
		copy = fuzz_copy(data, i);
		got = ws_mqtt_packet(&p, copy, i, LIMIT);
		free(copy);
		MUST(before == WS_MORE || got == before, "after %zu bytes %zd, "
		    "before %zd", i, got, before);
		before = got;
	}
	MUST(before == whole, "%zd, and %zd", before, whole);
	return 0;
}
