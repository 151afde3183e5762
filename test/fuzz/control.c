/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's stream, against a plain reader that has all of it before it. The
 * first byte of the input says where to cut; then 0xff says that all which was
 * received has been fed, and 0xfe that the backend will send no more.
 *
 * There are four devices, AAAAAAAAAAAAAAA to D...; D is deaf.
 */
#include "../fake.h"
#include "../plain.h"
#include "../../ws.h"
#include "fuzz.h"

#define DEVICES 4
#define ROOM 65536
#define SUBSCRIPTIONS 256

struct notes {
	char at[ROOM];
	size_t len;
};

/* Replies, and what each device heard. */
struct said {
	struct notes replies, heard[DEVICES];
};

static struct said by_hub[3], by_plain;
static const struct ws_text no_name; /* a device gets an id */
static struct ws_session devices[DEVICES];

static void
note(struct notes *n, const void *data, size_t len)
{
	if (n->len + len > ROOM)
		return; /* both stop alike */
	if (len != 0)
		memcpy(n->at + n->len, data, len);
	n->len += len;
}

/* ---------------------------------------------------------------- the hub */

static int
hear(struct ws_session *d, struct ws_frame *f, void *arg)
{
	struct said *s = arg;
	unsigned char *p = ws_frame_bytes(f);
	size_t head = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;

	if (d == &devices[DEVICES - 1])
		return 0;
	MUST(p[0] == 0x81, "not a text");
	note(&s->heard[d - devices], p + head, f->len - head);
	note(&s->heard[d - devices], ";", 1);
	return 1;
}

static const struct ws_owner owner = { hear, NULL, NULL, NULL };

static void
feed(struct ws_hub *h, struct ws_control *c, const uint8_t *data, size_t len)
{
	char *piece = fuzz_copy(data, len);
	size_t used = 0;
	int64_t left;

	/* Pauses, after ever more deliveries, make no difference. */
	for (left = (int64_t)(len % 5); used < len; left += 20) {
		h->budget = left;
		used += ws_control_feed(h, c, piece + used, len - used);
		MUST(h->budget <= 0 || used == len, "paused for no reason");
	}
	free(piece);
}

/* Feeds it in pieces of up to most bytes; 0: as long as can be. */
static void
play(struct said *s, const uint8_t *data, size_t len, unsigned most,
    uint32_t seed)
{
	struct ws_hub h;
	struct ws_control c;
	size_t from, at, cut = 0;
	int i;

	fake_begin();
	memset(devices, 0, sizeof devices);
	memset(&c, 0, sizeof c);
	for (i = 0; i < DEVICES; i++)
		s->heard[i].len = 0;
	MUST(ws_hub_init(&h, &owner, s) == 0, "no hub");
	for (i = 0; i < DEVICES; i++)
		MUST(ws_hub_join(&h, &devices[i], no_name) == 0 &&
		    devices[i].own.id[14] == 'A' + i, "device %d is %s", i,
		    devices[i].own.id);
	for (from = at = 0; at <= len; at++) {
		if (at < len && data[at] < 0xfe) {
			if (most == 0)
				continue;
			if (at >= cut) {
				feed(&h, &c, data + from, at - from);
				from = at;
				cut = at + 1 + fuzz_dice(&seed, most);
			}
			continue;
		}
		feed(&h, &c, data + from, at - from);
		from = at + 1;
		if (at == len)
			break;
		if (data[at] == 0xff) {
			ws_control_resync(&c);
			continue;
		}
		ws_control_end(&c);
		break;
	}
	MUST(!c.out.failed, "lost");
	s->replies.len = 0;
	note(&s->replies, c.out.s, c.out.len);
	ws_control_free(&c);
	for (i = 0; i < DEVICES; i++)
		ws_hub_leave(&h, &devices[i]);
	MUST(h.nlinks == 0 && h.nchannels == 0, "links are left");
	ws_hub_free(&h);
	MUST(fake_live == 0, "%ld blocks not given back", fake_live);
}

/* ------------------------------------------------------- the plain reader */

struct span {
	const unsigned char *s;
	size_t len;
};

static struct {
	unsigned device;
	unsigned char name[256];
	size_t len;
} subscriptions[SUBSCRIPTIONS];
static unsigned nsubscriptions;

static unsigned
hex4(const unsigned char *s)
{
	char digits[5];

	memcpy(digits, s, 4);
	digits[4] = '\0';
	return (unsigned)strtoul(digits, NULL, 16);
}

/* Decodes a string with its quotes; -1 if that cannot be, or is over most. */
static int
decode(struct span v, unsigned char *out, int most)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	unsigned char *o = out;
	size_t i;
	uint32_t c;

	for (i = 1; i + 1 < v.len && o - out <= most; i++) {
		if (v.s[i] != '\\') {
			*o++ = v.s[i];
			continue;
		}
		c = v.s[++i];
		if (c != 'u') {
			*o++ = (unsigned char)(strchr(from, (int)c) != NULL ?
			    to[strchr(from, (int)c) - from] : (int)c);
			continue;
		}
		c = hex4(v.s + i + 1);
		i += 4;
		if (c >= 0xd800 && c < 0xdc00 && i + 6 < v.len - 0 &&
		    v.s[i + 1] == '\\' && v.s[i + 2] == 'u' &&
		    hex4(v.s + i + 3) >> 10 == 0x37) {
			c = 0x10000 + ((c & 1023) << 10 |
			    (hex4(v.s + i + 3) & 1023));
			i += 6;
		}
		if (c >= 0xd800 && c < 0xe000)
			return -1;
		if (c < 0x80) {
			*o++ = (unsigned char)c;
		} else if (c < 0x800) {
			*o++ = (unsigned char)(0xc0 | c >> 6);
			*o++ = (unsigned char)(0x80 | (c & 63));
		} else if (c < 0x10000) {
			*o++ = (unsigned char)(0xe0 | c >> 12);
			*o++ = (unsigned char)(0x80 | (c >> 6 & 63));
			*o++ = (unsigned char)(0x80 | (c & 63));
		} else {
			*o++ = (unsigned char)(0xf0 | c >> 18);
			*o++ = (unsigned char)(0x80 | (c >> 12 & 63));
			*o++ = (unsigned char)(0x80 | (c >> 6 & 63));
			*o++ = (unsigned char)(0x80 | (c & 63));
		}
	}
	return o - out <= most ? (int)(o - out) : -1;
}

/* The last member of that name. */
static struct span
member(struct span object, const char *name)
{
	struct plain_json p;
	struct span v, found = { NULL, 0 };
	unsigned char key[64];
	int n;

	memset(&p, 0, sizeof p);
	p.s = object.s;
	p.len = object.len;
	p.i = 1;
	for (;;) {
		plain_space(&p);
		if (p.s[p.i] == '}')
			return found;
		p.i += p.s[p.i] == ',';
		plain_space(&p);
		v.s = p.s + p.i;
		(void)plain_string(&p);
		v.len = (size_t)(p.s + p.i - v.s);
		n = decode(v, key, (int)sizeof key - 8);
		plain_space(&p);
		p.i++;
		plain_space(&p);
		v.s = p.s + p.i;
		(void)plain_value(&p);
		v.len = (size_t)(p.s + p.i - v.s);
		if (n == (int)strlen(name) && memcmp(key, name, (size_t)n) == 0)
			found = v;
	}
}

/* A device's or channel's name: its length, or -1. */
static int
name_of(struct span v, unsigned char out[300])
{
	int n;

	if (v.s == NULL)
		return -1;
	if (*v.s == '"') {
		n = decode(v, out, 255);
	} else if (*v.s == '-' || (*v.s >= '0' && *v.s <= '9')) {
		if (v.len > 255)
			return -1;
		memcpy(out, v.s, v.len);
		n = (int)v.len;
	} else {
		return -1;
	}
	return n == 0 ? -1 : n;
}

/* "data" without white space, to the devices of that set: how many. */
static int
deliver(unsigned set, struct span v)
{
	int i, n = 0, quoted;
	size_t k;

	for (i = 0; i < DEVICES - 1; i++) {
		if ((set >> i & 1) == 0)
			continue;
		n++;
		for (k = 0, quoted = 0; k < v.len; k++) {
			if (!quoted && memchr(" \t\r\n", v.s[k], 4) != NULL)
				continue;
			note(&by_plain.heard[i], v.s + k, 1);
			if (v.s[k] == '"')
				quoted = !quoted;
			if (v.s[k] == '\\')
				note(&by_plain.heard[i], v.s + ++k, 1);
		}
		note(&by_plain.heard[i], ";", 1);
	}
	return n;
}

/* Subscribes, unsubscribes: 1 if that changed anything. */
static int
change(unsigned device, const unsigned char *name, size_t len, int in)
{
	unsigned i;

	for (i = 0; i < nsubscriptions; i++)
		if (subscriptions[i].device == device && subscriptions[i].len ==
		    len && memcmp(subscriptions[i].name, name, len) == 0)
			break;
	if ((i < nsubscriptions) == in)
		return 0;
	if (!in) {
		subscriptions[i] = subscriptions[--nsubscriptions];
		return 1;
	}
	if (nsubscriptions == SUBSCRIPTIONS)
		return 1; /* the input is too short for that */
	subscriptions[i].device = device;
	subscriptions[i].len = len;
	memcpy(subscriptions[i].name, name, len);
	nsubscriptions++;
	return 1;
}

/* What an object does: its count, or -1. */
static int
obey(struct span text)
{
	struct span action, data;
	unsigned char what[64], device[300], channel[300];
	int n, nd, nc, i, d = DEVICES;
	unsigned k, set = 0;

	if (*text.s != '{')
		return -1;
	action = member(text, "action");
	if (action.s == NULL || *action.s != '"')
		return -1;
	n = decode(action, what, 16);
	if (n < 0)
		return -1;
	what[n] = '\0';
	data = member(text, "data");
	nd = name_of(member(text, "device"), device);
	nc = name_of(member(text, "channel"), channel);
	for (i = 0; i < DEVICES; i++)
		if (nd == 15 && memcmp(devices[i].own.id, device, 15) == 0)
			d = i;
	if (strlen((char *)what) != (size_t)n)
		return -1;
	if (strcmp((char *)what, "multicast") == 0)
		return data.s == NULL ? -1 : deliver(15, data);
	if (strcmp((char *)what, "sendToDevice") == 0)
		return data.s == NULL || nd < 0 ? -1 :
		    deliver(1u << d & 15, data);
	if (strcmp((char *)what, "sendToChannel") == 0) {
		if (data.s == NULL || nc < 0)
			return -1;
		for (k = 0; k < nsubscriptions; k++)
			if (subscriptions[k].len == (size_t)nc && memcmp(
			    subscriptions[k].name, channel, (size_t)nc) == 0)
				set |= 1u << subscriptions[k].device;
		return deliver(set, data);
	}
	if (strcmp((char *)what, "subscribe") != 0 &&
	    strcmp((char *)what, "unsubscribe") != 0)
		return -1;
	if (nd < 0 || nc < 0 || d == DEVICES)
		return -1;
	return change((unsigned)d, channel, (size_t)nc, *what == 's');
}

/*
 * Reads it all; in the replies '*' is some words. drained[i] says that what is
 * before byte i was fed, and then nothing for a while.
 */
static void
read_plain(const uint8_t *data, size_t len)
{
	static unsigned char clean[ROOM], drained[ROOM + 1];
	struct plain_json p;
	struct span text;
	size_t n = 0, i, from;
	int ended = 0, lines = 0, count = 0, r;
	enum { SHUT, AFTER_ERROR, AFTER_OBJECT } line = SHUT;
	char words[32];

	nsubscriptions = 0;
	by_plain.replies.len = 0;
	for (i = 0; i < DEVICES; i++)
		by_plain.heard[i].len = 0;
	memset(drained, 0, len + 1);
	for (i = 0; i < len && !ended; i++)
		if (data[i] == 0xff)
			drained[n] = 1;
		else if (data[i] == 0xfe)
			ended = 1;
		else
			clean[n++] = data[i];
	for (i = 0; i < n;) {
		if (clean[i] == '\n') {
			snprintf(words, sizeof words, count < 0 ? " *\n" :
			    " %d\n", count);
			if (line != SHUT)
				note(&by_plain.replies, words, strlen(words));
			lines |= line == AFTER_OBJECT;
			line = SHUT;
		}
		if (memchr(" \t\r\n", clean[i], 4) != NULL) {
			i++;
			continue;
		}
		memset(&p, 0, sizeof p);
		text.s = p.s = clean + i;
		p.len = n - i;
		r = plain_value(&p);
		if (r == PLAIN_WHOLE && p.i == p.len && p.number)
			r = PLAIN_MORE; /* it may have more digits */
		if (r == PLAIN_MORE) {
			if (ended)
				note(&by_plain.replies, "ERR", 3);
			return;
		}
		text.len = p.i;
		i += p.i;
		if (r == PLAIN_WHOLE) {
			line = *text.s == '{' ? AFTER_OBJECT : AFTER_ERROR;
			count = obey(text);
			note(&by_plain.replies, count < 0 ? "ERR" : "OK",
			    count < 0 ? 3 : 2);
			continue;
		}
		line = AFTER_ERROR;
		count = -1;
		for (from = i; i < n && clean[i] != '\n'; i++)
			if (i > from && drained[i] && !lines)
				break;
		/* Who writes no lines is told when all that came is gone. */
		if (lines || i < n || drained[n] || ended)
			note(&by_plain.replies, "ERR", 3);
	}
}

/* ------------------------------------------------------------- the two */

/* Whether got is what want says. */
static int
fits(const struct notes *got, const struct notes *want)
{
	size_t g = 0, w = 0;

	for (; w < want->len && g < got->len; w++, g++) {
		if (want->at[w] == '*')
			while (g + 1 < got->len && got->at[g + 1] != '\n')
				g++;
		else if (want->at[w] != got->at[g])
			return 0;
	}
	return w == want->len && g == got->len;
}

static int
same(const struct notes *a, const struct notes *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

int
fuzz_control(const uint8_t *data, size_t len)
{
	int i, k;

	if (len < 1 || len > 2000)
		return 0;
	play(&by_hub[0], data + 1, len - 1, 0, 0);
	play(&by_hub[1], data + 1, len - 1, 1, 0);
	play(&by_hub[2], data + 1, len - 1, data[0] % 64 + 2, data[0]);
	for (i = 1; i < 3; i++) {
		MUST(same(&by_hub[0].replies, &by_hub[i].replies),
		    "other replies in pieces: \"%.*s\", whole: \"%.*s\"",
		    (int)by_hub[i].replies.len, by_hub[i].replies.at,
		    (int)by_hub[0].replies.len, by_hub[0].replies.at);
		for (k = 0; k < DEVICES; k++)
			MUST(same(&by_hub[0].heard[k], &by_hub[i].heard[k]),
			    "device %d heard others in pieces", k);
	}
	memset(devices, 0, sizeof devices);
	for (i = 0; i < DEVICES; i++)
		memset(devices[i].own.id, 'A' + i, WS_ID_LEN);
	read_plain(data + 1, len - 1);
	MUST(fits(&by_hub[0].replies, &by_plain.replies),
	    "\"%.*s\", and by the plain reader \"%.*s\"",
	    (int)by_hub[0].replies.len, by_hub[0].replies.at,
	    (int)by_plain.replies.len, by_plain.replies.at);
	for (k = 0; k < DEVICES; k++)
		MUST(same(&by_hub[0].heard[k], &by_plain.heard[k]),
		    "device %d heard \"%.*s\", and by the plain reader "
		    "\"%.*s\"", k, (int)by_hub[0].heard[k].len,
		    by_hub[0].heard[k].at, (int)by_plain.heard[k].len,
		    by_plain.heard[k].at);
	return 0;
}
