/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's stream, against a plain reader that has all of it before it. The
 * first byte of the input says where to cut; then 0xff says that all which was
 * received has been fed, and 0xfe that the backend will send no more.
 *
 * There are four devices, AAAAAAAAAAAAAAA to D...; D is deaf, and C is away.
 */
#include "../fake.h"
#include "../plain.h"
#include "../../ws.h"
#include "fuzz.h"

#define DEVICES 4
#define AWAY 2
#define ROOM 262144
#define SUBSCRIPTIONS 256

struct notes {
	char at[ROOM];
	size_t len;
};

/* Replies, and what each device heard. */
struct said {
	struct ws_hub *hub;
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

static void
describe(const struct ws_session *s, struct ws_about_session *about, void *arg)
{
	(void)arg;
	memset(about, 0, sizeof *about);
	about->away = s == &devices[AWAY];
	if (!about->away)
		strcpy(about->address, "a:1");
	about->path.s = "/";
	about->path.len = 1;
}

static void
kick(struct ws_session *d, unsigned code, const char *reason, void *arg)
{
	struct said *s = arg;
	char text[200];

	snprintf(text, sizeof text, "K%u%s;", code, reason);
	note(&s->heard[d - devices], text, strlen(text));
	ws_watch_session(s->hub, d, WS_EVENT_DISCONNECT, WS_ENDED_KICKED);
	ws_hub_leave(s->hub, d);
}

static size_t
stats(char *out, size_t room, void *arg)
{
	(void)room;
	(void)arg;
	memcpy(out, "{}", 2);
	return 2;
}

static const struct ws_owner owner = { hear, describe, kick, stats };

static void
take_replies(struct said *s, struct ws_control *c)
{
	MUST(!c->out.failed, "lost");
	note(&s->replies, c->out.s, c->out.len);
	ws_control_sent(c, c->out.len);
}

static void
feed(struct said *s, struct ws_control *c, const uint8_t *data, size_t len)
{
	char *piece = fuzz_copy(data, len);
	size_t used = 0;
	int64_t left;

	/* Pauses, after ever more deliveries, make no difference. */
	for (left = (int64_t)(len % 5); used < len || ws_control_busy(c);
	    left += 20) {
		s->hub->budget = left;
		used += ws_control_feed(s->hub, c, piece + used, len - used);
		MUST(s->hub->budget <= 0 || used == len,
		    "paused for no reason");
		take_replies(s, c);
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
	s->hub = &h;
	s->replies.len = 0;
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
				feed(s, &c, data + from, at - from);
				from = at;
				cut = at + 1 + fuzz_dice(&seed, most);
			}
			continue;
		}
		feed(s, &c, data + from, at - from);
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
	take_replies(s, &c);
	ws_control_free(&c);
	MUST(h.watch == NULL, "somebody watches");
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
static int gone[DEVICES]; /* kicked */
static int watches, watched[6]; /* whether it does, and which events */
static int snapshot; /* was asked for by the last object */
static char detail[64]; /* of the last object's OK: see fits */
static const char *const event_names[6] = {
	"connect", "away", "resume", "disconnect", "channel_occupied",
	"channel_vacated"
};

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
		if ((set >> i & 1) == 0 || gone[i])
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

/* Notes lines that begin so and go on in any way. */
static void
note_lines(int event, const char *line, unsigned n)
{
	for (; n > 0 && watches && watched[event]; n--)
		note(&by_plain.replies, line, strlen(line));
}

static int
is_channel(unsigned i, const unsigned char *name, size_t len)
{
	return subscriptions[i].len == len &&
	    memcmp(subscriptions[i].name, name, len) == 0;
}

/* How many devices are in a channel. */
static unsigned
members(const unsigned char *name, size_t len)
{
	unsigned i, n = 0;

	for (i = 0; i < nsubscriptions; i++)
		n += (unsigned)is_channel(i, name, len);
	return n;
}

/* The channels, or those of a device. */
static unsigned
count_channels(unsigned device)
{
	unsigned i, k, n = 0;

	for (i = 0; i < nsubscriptions; i++) {
		for (k = 0; k < i && (device != DEVICES || !is_channel(k,
		    subscriptions[i].name, subscriptions[i].len)); k++)
			;
		n += device == DEVICES ? k == i :
		    subscriptions[i].device == device;
	}
	return n;
}

static void
unsubscribe(unsigned i)
{
	if (members(subscriptions[i].name, subscriptions[i].len) == 1)
		note_lines(5, "{\"event\":\"channel_vacated\",\"channel\":*\n",
		    1);
	nsubscriptions--;
	memmove(&subscriptions[i], &subscriptions[i + 1],
	    (nsubscriptions - i) * sizeof subscriptions[i]);
}

/* Subscribes, unsubscribes: 1 if that changed anything. */
static int
change(unsigned device, const unsigned char *name, size_t len, int in)
{
	unsigned i;

	for (i = 0; i < nsubscriptions; i++)
		if (subscriptions[i].device == device &&
		    is_channel(i, name, len))
			break;
	if ((i < nsubscriptions) == in)
		return 0;
	if (!in) {
		unsubscribe(i);
		return 1;
	}
	if (nsubscriptions == SUBSCRIPTIONS)
		return 1; /* the input is too short for that */
	if (members(name, len) == 0)
		note_lines(4, "{\"event\":\"channel_occupied\",\"channel\":*\n",
		    1);
	subscriptions[i].device = device;
	subscriptions[i].len = len;
	memcpy(subscriptions[i].name, name, len);
	nsubscriptions++;
	return 1;
}

static int
expel(unsigned d, struct span code, struct span reason)
{
	unsigned char why[200] = "kicked";
	char text[220];
	int n = 6, number = 1008;
	unsigned i;

	if (code.s != NULL) {
		number = code.len == 4 && strspn((const char *)code.s,
		    "0123456789") >= 4 ? atoi((const char *)code.s) : 0;
		if (number != 1008 && number / 1000 != 4)
			return -1;
	}
	if (reason.s != NULL) {
		n = *reason.s == '"' ? decode(reason, why, 123) : -1;
		if (n < 0 || memchr(why, '\0', (size_t)n) != NULL)
			return -1;
	}
	if (d == DEVICES)
		return -1;
	snprintf(text, sizeof text, "K%d%.*s;", number, n, (char *)why);
	note(&by_plain.heard[d], text, strlen(text));
	snprintf(text, sizeof text, "{\"event\":\"disconnect\",\"device\":"
	    "\"%s\",\"sessions\":0,\"reason\":\"kicked\"}\n",
	    devices[d].own.id);
	note_lines(3, text, 1);
	for (i = nsubscriptions; i-- > 0;)
		if (subscriptions[i].device == d)
			unsubscribe(i);
	gone[d] = 1;
	return 1;
}

static int
begin_watch(struct span events, struct span first)
{
	int which[6] = { 1, 1, 1, 1, 1, 1 }, i, n, begins = !watches;
	unsigned char name[64];
	struct plain_json p;
	struct span v;

	if (first.s != NULL && *first.s != 't' && *first.s != 'f')
		return -1;
	if (events.s != NULL && *events.s != '[')
		return -1;
	if (events.s != NULL)
		memset(which, 0, sizeof which);
	memset(&p, 0, sizeof p);
	p.s = events.s;
	p.len = events.len;
	for (p.i = 1; events.s != NULL;) {
		plain_space(&p);
		if (p.s[p.i] == ']')
			break;
		p.i += p.s[p.i] == ',';
		plain_space(&p);
		v.s = p.s + p.i;
		(void)plain_value(&p);
		v.len = (size_t)(p.s + p.i - v.s);
		n = *v.s == '"' ? decode(v, name, 32) : -1;
		for (i = 0; i < 6 && (n != (int)strlen(event_names[i]) ||
		    memcmp(name, event_names[i], (size_t)n) != 0); i++)
			;
		if (i == 6)
			return -1;
		which[i] = 1;
	}
	memcpy(watched, which, sizeof which);
	watches = 1;
	snapshot = first.s != NULL && *first.s == 't';
	return begins;
}

static void
note_snapshot(void)
{
	unsigned i;

	for (i = 0; i < DEVICES; i++) {
		note_lines(0, "{*\n", !gone[i]);
		note_lines(1, "{*\n", i == AWAY && !gone[i]);
	}
	note_lines(4, "{\"event\":\"channel_occupied\",\"channel\":*\n",
	    count_channels(DEVICES));
	note(&by_plain.replies, "{\"event\":\"ready\"}\n", 18);
}

/* Of a reply that has JSON: how it begins, and its quotation marks. */
static void
set_detail(const char *begins, unsigned quotes)
{
	snprintf(detail, sizeof detail, "%s~%u", begins, quotes);
}

/* What an object does: its count, or -1. */
static int
obey(struct span text)
{
	struct span action, data, device_text, channel_text, except_text;
	unsigned char what[64], device[300], channel[300], except[300];
	int n, nd, nc, ne, i, d = DEVICES, here = 0;
	unsigned k, set = 0, who = 15;

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
	device_text = member(text, "device");
	channel_text = member(text, "channel");
	except_text = member(text, "except");
	nd = name_of(device_text, device);
	nc = name_of(channel_text, channel);
	ne = name_of(except_text, except);
	for (i = 0; i < DEVICES; i++) {
		here += !gone[i];
		if (nd == 15 && !gone[i] &&
		    memcmp(devices[i].own.id, device, 15) == 0)
			d = i;
		if (ne == 15 && memcmp(devices[i].own.id, except, 15) == 0)
			who &= ~(1u << i);
	}
	if (strlen((char *)what) != (size_t)n)
		return -1;
#define IS(name) (strcmp((char *)what, (name)) == 0)
	if (IS("multicast"))
		return data.s == NULL || (except_text.s != NULL && ne < 0) ?
		    -1 : deliver(who, data);
	if (IS("sendToDevice"))
		return data.s == NULL || nd < 0 ? -1 :
		    deliver(1u << d & 15, data);
	if (IS("sendToChannel")) {
		if (data.s == NULL || nc < 0 ||
		    (except_text.s != NULL && ne < 0))
			return -1;
		for (k = 0; k < nsubscriptions; k++)
			if (is_channel(k, channel, (size_t)nc))
				set |= 1u << subscriptions[k].device;
		return deliver(set & who, data);
	}
	if (IS("count") || IS("list")) {
		if (channel_text.s != NULL && nc < 0)
			return -1;
		if (nc > 0)
			here = (int)members(channel, (size_t)nc);
		if (IS("list"))
			set_detail("[", 2 * (unsigned)here);
		return here;
	}
	if (IS("channels")) {
		if (device_text.s != NULL && d == DEVICES)
			return -1;
		set_detail("{", 2 * count_channels((unsigned)d));
		return 0;
	}
	if (IS("stats")) {
		set_detail("{}", 0);
		return 0;
	}
	if (IS("watch"))
		return begin_watch(member(text, "events"),
		    member(text, "snapshot"));
	if (IS("kick"))
		return expel((unsigned)d, member(text, "code"),
		    member(text, "reason"));
	if (nd < 0 || d == DEVICES)
		return -1;
	if (IS("info")) {
		set_detail("{\"sessions\":[{\"address\":", (d == AWAY ? 16 :
		    18) + 2 * count_channels((unsigned)d));
		return 0;
	}
	if (nc < 0 || (!IS("subscribe") && !IS("unsubscribe")))
		return -1;
	return change((unsigned)d, channel, (size_t)nc, IS("subscribe"));
}

/* The rest of the line of the last reply, which is a count or an error. */
static void
note_detail(int count)
{
	char words[80];

	if (count < 0)
		snprintf(words, sizeof words, " *\n");
	else if (*detail != '\0')
		snprintf(words, sizeof words, " %s\n", detail);
	else
		snprintf(words, sizeof words, " %d\n", count);
	note(&by_plain.replies, words, strlen(words));
}

/* A watcher gets the whole line at once. */
static void
note_reply(int count)
{
	note(&by_plain.replies, count < 0 ? "ERR" : "OK", count < 0 ? 3 : 2);
	if (watches)
		note_detail(count);
	if (snapshot)
		note_snapshot();
	snapshot = 0;
}

/*
 * Reads it all; in the replies '*' is some words (see fits). drained[i] says
 * that what is before byte i was fed, and then nothing for a while.
 */
static void
read_plain(const uint8_t *data, size_t len)
{
	static unsigned char clean[ROOM], drained[ROOM + 1];
	struct plain_json p;
	struct span text;
	size_t n = 0, i, from;
	int ended = 0, lines = 0, count = 0, r;
	enum { SHUT, AFTER_ERROR, AFTER_OBJECT, WATCHED } line = SHUT;

	nsubscriptions = 0;
	watches = snapshot = 0;
	memset(gone, 0, sizeof gone);
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
			if (line != SHUT && line != WATCHED)
				note_detail(count);
			lines |= line >= AFTER_OBJECT;
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
				note_reply(-1);
			return;
		}
		text.len = p.i;
		i += p.i;
		if (r == PLAIN_WHOLE) {
			line = *text.s == '{' ? AFTER_OBJECT : AFTER_ERROR;
			detail[0] = '\0';
			count = obey(text);
			note_reply(count);
			if (watches)
				line = *text.s == '{' ? WATCHED : SHUT;
			continue;
		}
		line = watches ? SHUT : AFTER_ERROR;
		count = -1;
		for (from = i; i < n && clean[i] != '\n'; i++)
			if (i > from && drained[i] && !lines)
				break;
		/* Who writes no lines is told when all that came is gone. */
		if (lines || i < n || drained[n] || ended)
			note_reply(-1);
	}
}

/* ------------------------------------------------------------- the two */

/* How many quotation marks of JSON the rest of a line has. */
static unsigned
count_quotes(const struct notes *got, size_t *g)
{
	unsigned n = 0;

	for (; *g < got->len && got->at[*g] != '\n'; ++*g) {
		n += got->at[*g] == '"';
		*g += got->at[*g] == '\\';
	}
	return n;
}

/*
 * Whether got is what want says: '*' is anything to the end of the line, and
 * "~N" the same with N quotation marks.
 */
static int
fits(const struct notes *got, const struct notes *want)
{
	size_t g = 0, w = 0;

	for (; w < want->len && g < got->len; w++, g++) {
		if (want->at[w] == '~') {
			if (count_quotes(got, &g) != (unsigned)atoi(want->at +
			    w + 1))
				return 0;
			while (want->at[w + 1] != '\n')
				w++;
			g--;
		} else if (want->at[w] == '*') {
			while (g + 1 < got->len && got->at[g + 1] != '\n')
				g++;
		} else if (want->at[w] != got->at[g]) {
			return 0;
		}
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
