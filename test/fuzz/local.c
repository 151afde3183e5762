/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's stream to the relay: whole, byte by byte and in pieces that are
 * acknowledged at any time, and against control.c. What is published goes to a
 * hub as topic.c says, and the hub's answer becomes the broker's. So but for
 * questions and the detail of OK, the relay must answer as the hub does.
 *
 * As in control.c here, the first byte says where to cut; then 0xff says that
 * all which was received has been fed, and 0xfe that nothing will follow.
 */
#include "../fake.h"
#include "../../relay.h"
#include "fuzz.h"

#define ROOM 262144

struct notes {
	char at[ROOM];
	size_t len;
};

static struct notes by_relay[3], by_hub;
static struct ws_local local;
static struct ws_hub hub;
static char answers[WS_LOCAL_FLIGHT][WS_ERROR_MAX]; /* a ring; "": OK */
static unsigned published, answered;

static int
hear(struct ws_session *s, struct ws_frame *f, void *arg)
{
	(void)s;
	(void)f;
	(void)arg;
	return 1;
}

static const struct ws_owner owner = { hear, NULL, NULL, NULL };

static void
note(struct notes *n, const char *data, size_t len)
{
	MUST(n->len + len <= ROOM, "too much");
	if (len != 0)
		memcpy(n->at + n->len, data, len);
	n->len += len;
}

/* Gives a command to a hub of its own, and keeps what it answers. */
static int
publish(struct ws_local *l, struct ws_text topic, struct ws_text payload,
    char detail[WS_ERROR_MAX])
{
	char *answer = answers[published++ % WS_LOCAL_FLIGHT];
	struct ws_output out = { NULL, 0, 0, 0 };
	struct ws_control c;
	const char *error = "";

	(void)detail;
	MUST(l == &local, "another backend's");
	MUST(published - answered <= WS_LOCAL_FLIGHT, "too many wait");
	MUST(ws_topic_command(&out, topic, payload, &error) == 0,
	    "%.*s=%.*s: %s", (int)topic.len, topic.s, (int)payload.len,
	    payload.s, error);
	memset(&c, 0, sizeof c);
	hub.budget = ROOM;
	MUST(ws_control_feed(&hub, &c, out.s, out.len) == out.len,
	    "the hub wants no more");
	MUST(c.out.len > 4 && c.out.s[c.out.len - 1] == '\n',
	    "no line for %.*s", (int)out.len, out.s);
	*answer = '\0';
	if (memcmp(c.out.s, "ERR ", 4) == 0) {
		memcpy(answer, c.out.s + 4, c.out.len - 5);
		answer[c.out.len - 5] = '\0';
	}
	ws_control_free(&c);
	ws_output_free(&out);
	return 0;
}

static void
answer_one(void)
{
	const char *answer = answers[answered++ % WS_LOCAL_FLIGHT];

	ws_local_answer(&local, *answer == '\0' ? NULL : answer);
}

static void
feed(struct notes *n, const uint8_t *data, size_t len, uint32_t *seed)
{
	char *piece = fuzz_copy(data, len);
	size_t used = 0;

	for (;;) {
		used += ws_local_feed(&local, piece + used, len - used);
		if (used == len)
			break;
		MUST(answered < published || local.out.len >= WS_REPLIES_MAX,
		    "paused for no reason");
		if (answered < published)
			answer_one();
		note(n, local.out.s, local.out.len);
		ws_output_remove(&local.out, local.out.len);
	}
	free(piece);
	while (answered < published && fuzz_dice(seed, 3) == 0)
		answer_one();
}

/* Feeds it in pieces of up to most bytes; 0: as long as can be. */
static void
play(struct notes *n, const uint8_t *data, size_t len, unsigned most,
    uint32_t seed)
{
	size_t from = 0, at, cut = 0;

	memset(&local, 0, sizeof local);
	local.publish = publish;
	n->len = 0;
	published = answered = 0;
	for (at = 0; at <= len; at++) {
		if (at < len && data[at] < 0xfe && (most == 0 || at < cut))
			continue;
		feed(n, data + from, at - from, &seed);
		from = at;
		if (at < len && data[at] < 0xfe) {
			cut = at + 1 + fuzz_dice(&seed, most);
			continue;
		}
		from++;
		if (at < len && data[at] == 0xff)
			ws_local_resync(&local);
		else
			break;
	}
	if (at < len)
		ws_local_end(&local);
	while (answered < published)
		answer_one();
	MUST(local.count == 0 && !local.out.failed, "%u wait", local.count);
	note(n, local.out.s, local.out.len);
	ws_local_free(&local);
}

/* What a hub answers; "OK N" and a newline become the relay's line. */
static void
ask_hub(const uint8_t *data, size_t len)
{
	struct ws_control c;
	size_t from = 0, at, i;

	memset(&c, 0, sizeof c);
	by_hub.len = 0;
	for (at = 0; at <= len; at++) {
		if (at < len && data[at] < 0xfe)
			continue;
		hub.budget = INT32_MAX;
		i = ws_control_feed(&hub, &c, (const char *)data + from,
		    at - from);
		MUST(i == at - from, "the hub wants no more");
		from = at + 1;
		if (at == len)
			break;
		if (data[at] == 0xfe) {
			ws_control_end(&c);
			break;
		}
		ws_control_resync(&c);
	}
	for (i = 0; i < c.out.len; i++) {
		if (c.out.len - i >= 5 &&
		    memcmp(c.out.s + i, "OK 0\n", 5) == 0) {
			note(&by_hub, "OK relayed\n", 11);
			i += 4;
		} else {
			note(&by_hub, c.out.s + i, 1);
		}
	}
	ws_control_free(&c);
}

/* Whether a question may be in it: the hub would answer that. */
static int
asks(const uint8_t *data, size_t len)
{
	static const char *const names[] = {
		"count", "list", "channels", "info", "stats", "watch", "\\u"
	};
	char text[2001];
	size_t i, k, n = 0;

	for (i = 0; i < len; i++)
		if (data[i] != 0 && data[i] < 0xfe)
			text[n++] = (char)data[i];
	text[n] = '\0';
	for (k = 0; k < sizeof names / sizeof *names; k++)
		if (strstr(text, names[k]) != NULL)
			return 1;
	return 0;
}

static void
must_equal(const struct notes *a, const char *who)
{
	const struct notes *b = &by_relay[0];

	MUST(a->len == b->len && memcmp(a->at, b->at, a->len) == 0,
	    "%s: \"%.*s\", and the relay, whole: \"%.*s\"", who, (int)a->len,
	    a->at, (int)b->len, b->at);
}

int
fuzz_local(const uint8_t *data, size_t len)
{
	if (len < 1 || len > 2000)
		return 0;
	fake_begin();
	MUST(ws_hub_init(&hub, &owner, NULL) == 0, "no hub");
	play(&by_relay[0], data + 1, len - 1, 0, 0);
	play(&by_relay[1], data + 1, len - 1, 1, 0);
	play(&by_relay[2], data + 1, len - 1, data[0] % 64 + 2, data[0]);
	must_equal(&by_relay[1], "byte by byte");
	must_equal(&by_relay[2], "in pieces");
	if (!asks(data + 1, len - 1)) {
		ask_hub(data + 1, len - 1);
		must_equal(&by_hub, "the hub");
	}
	ws_hub_free(&hub);
	return 0;
}
