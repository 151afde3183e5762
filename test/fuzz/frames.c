/* wshub: ISC licence, see LICENSE. */
/*
 * Frames: the same is found however they are cut up, and it is what a reader
 * finds that has them all before it. The first byte of the input says which
 * side we are, the second the limit.
 */
#include "../../ws.h"
#include "../plain.h"
#include "fuzz.h"

#define ROOM 65536

/* What was found, as bytes to be compared. */
struct notes {
	unsigned char *at;
	size_t len;
	size_t whole; /* len after the last thing that was whole */
	unsigned code; /* of the end, 0: none */
};

static void
note(struct notes *t, const void *data, size_t len)
{
	MUST(t->len + len <= ROOM, "notes too long");
	if (len != 0)
		memcpy(t->at + t->len, data, len);
	t->len += len;
}

static void
note_byte(struct notes *t, unsigned c)
{
	unsigned char b = (unsigned char)c;

	note(t, &b, 1);
}

/* Reads stream in pieces of up to most bytes; 0: whole. */
static void
read_framed(struct notes *t, const uint8_t *stream, size_t len, int masked,
    uint32_t limit, unsigned most, uint32_t seed)
{
	struct ws_framer f, before;
	struct ws_event e;
	unsigned char *buf;
	size_t from = 0, to, have, i;
	ssize_t n = 0;

	ws_framer_init(&f, masked, limit);
	to = most == 0 ? len : 0;
	for (;;) {
		have = to - from;
		buf = fuzz_copy(stream + from, have);
		before = f;
		n = ws_framer_next(&f, buf, have, &e);
		if (n == WS_MORE) {
			MUST(have < 131, "more than %zu bytes", have);
			MUST(memcmp(&f, &before, sizeof f) == 0,
			    "changed by nothing");
			for (i = 0; i < have; i++)
				MUST(buf[i] == stream[from + i],
				    "byte %zu changed", i);
			free(buf);
			if (to == len)
				return;
			to += 1 + (most > 1 ? fuzz_dice(&seed, most) : 0);
			if (to > len)
				to = len;
			continue;
		}
		if (n == WS_BAD) {
			MUST(e.code == 1002 || e.code == 1007 ||
			    e.code == 1009, "code %u", e.code);
			MUST(e.reason != NULL && *e.reason != '\0', "no words");
			t->code = e.code;
			free(buf);
			return;
		}
		MUST(n > 0 || (n == 0 && have > 0), "used %zd of %zu", n,
		    have);
		MUST((size_t)n <= have && e.len <= (size_t)n, "used %zd", n);
		MUST(f.size <= limit, "a message of %u bytes", f.size);
		MUST(f.frame == 0 || f.message != 0, "a frame of no message");
		if (e.opcode == WS_TEXT || e.opcode == WS_BINARY) {
			if (e.first)
				note_byte(t, e.opcode);
			note(t, e.data, e.len);
			if (e.last) {
				note_byte(t, '>');
				t->whole = t->len;
			}
		} else {
			MUST(e.first && e.last && e.len <= 125, "half a Ping");
			note_byte(t, e.opcode);
			if (e.opcode == WS_CLOSE) {
				note_byte(t, e.code >> 8);
				note_byte(t, e.code & 255);
			}
			note(t, e.data, e.len);
			note_byte(t, '>');
		}
		free(buf);
		from += (size_t)n;
		if (e.opcode == WS_CLOSE)
			return;
	}
}

static int
code_right(unsigned code)
{
	return (code >= 3000 && code < 5000) || (code >= 1000 && code < 1015 &&
	    code != 1004 && code != 1005 && code != 1006);
}

/*
 * The plain reader: frames that are wholly there, one after the other. Returns
 * 0, or the code that the first wrong one deserves.
 */
static unsigned
read_plain(struct notes *t, const uint8_t *p, size_t len, int masked,
    uint32_t limit)
{
	unsigned char *message = malloc(len + 1), message_opcode = 0;
	size_t i, head, at, have = 0;
	uint64_t size;
	unsigned opcode, code = 0;

	MUST(message != NULL, "no memory");
	for (; code == 0; p += size, len -= (size_t)size) {
		if (len < 2)
			break;
		opcode = p[0] & 15;
		size = p[1] & 127;
		head = 2;
		code = 1002;
		if ((p[0] & 0x70) != 0 || (opcode & 7) > 2 ||
		    p[1] >> 7 != masked || (opcode >= 8 && (size > 125 ||
		    (p[0] & 128) == 0)) || (opcode == 8 && size == 1) ||
		    (opcode < 8 && (opcode == 0) != (message_opcode != 0)))
			break;
		if (size > 125) {
			head = size == 126 ? 4 : 10;
			if (len < head) {
				code = 0;
				break;
			}
			for (size = 0, i = 2; i < head; i++)
				size = size << 8 | p[i];
			if (size < (head == 4 ? 126u : 65536u) ||
			    size >> 63 != 0)
				break;
		}
		if (opcode < 8 && size > limit - have) {
			code = 1009;
			break;
		}
		code = 0;
		head += masked ? 4 : 0;
		if (len < head || size > len - head)
			break;
		p += head;
		len -= head;
		for (i = 0; i < size; i++) {
			/* Of a control frame just for now. */
			message[have + i] = masked ?
			    (unsigned char)(p[i] ^ (p - 4)[i & 3]) : p[i];
		}
		if (opcode == 1 || opcode == 2)
			message_opcode = (unsigned char)opcode;
		if (opcode < 8) {
			have += (size_t)size;
			i = (size_t)plain_utf8(message, have, &at);
			if (message_opcode == 1 && (i == PLAIN_WRONG ||
			    (i == PLAIN_MORE && (p[-(ptrdiff_t)head] & 128))))
				code = 1007;
			if (code == 0 && (p[-(ptrdiff_t)head] & 128) != 0) {
				note_byte(t, message_opcode);
				note(t, message, have);
				note_byte(t, '>');
				message_opcode = 0;
				have = 0;
			}
			continue;
		}
		note_byte(t, opcode);
		i = 0;
		if (opcode == 8 && size != 0) {
			i = (size_t)message[have] << 8 | message[have + 1];
			if (!code_right((unsigned)i))
				code = 1002;
			else if (plain_utf8(message + have + 2,
			    (size_t)size - 2, &at) != PLAIN_WHOLE)
				code = 1007;
		} else if (opcode == 8)
			i = 1005;
		if (code != 0) {
			t->len--;
			continue;
		}
		if (opcode == 8) {
			note_byte(t, (unsigned)i >> 8);
			note_byte(t, i & 255);
		}
		i = opcode == 8 && size != 0 ? 2 : 0;
		note(t, message + have + i, (size_t)size - i);
		note_byte(t, '>');
		if (opcode == 8)
			break;
	}
	free(message);
	return code;
}

/* Messages and control frames that were whole, in the order they ended. */
static void
read_whole(struct notes *t, const uint8_t *stream, size_t len, int masked,
    uint32_t limit)
{
	struct ws_framer f;
	struct ws_event e;
	unsigned char *buf = fuzz_copy(stream, len), *p = buf;
	unsigned char *message = malloc(len + 1);
	size_t have = 0;
	ssize_t n;

	MUST(message != NULL, "no memory");
	ws_framer_init(&f, masked, limit);
	while ((n = ws_framer_next(&f, p, len, &e)) >= 0) {
		p += n;
		len -= (size_t)n;
		if (e.opcode >= 8) {
			note_byte(t, e.opcode);
			if (e.opcode == WS_CLOSE) {
				note_byte(t, e.code >> 8);
				note_byte(t, e.code & 255);
			}
			note(t, e.data, e.len);
			note_byte(t, '>');
			if (e.opcode == WS_CLOSE)
				break;
			continue;
		}
		memcpy(message + have, e.data, e.len);
		have += e.len;
		if (e.last) {
			note_byte(t, e.opcode);
			note(t, message, have);
			note_byte(t, '>');
			have = 0;
		}
	}
	t->code = n == WS_BAD ? e.code : 0;
	free(message);
	free(buf);
}

static int
same(const struct notes *a, const struct notes *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

int
fuzz_frames(const uint8_t *data, size_t len)
{
	static unsigned char room[5][ROOM];
	struct notes whole = { room[0], 0, 0, 0 }, bytes = { room[1], 0, 0, 0 };
	struct notes some = { room[2], 0, 0, 0 }, ended = { room[3], 0, 0, 0 };
	struct notes plain = { room[4], 0, 0, 0 };
	uint32_t limit;
	int masked;

	if (len < 2 || len > 20000)
		return 0;
	masked = data[0] & 1;
	limit = data[1] == 255 ? UINT32_MAX : data[1] >= 128 ? 65536 :
	    data[1] * 3u;
	read_framed(&whole, data + 2, len - 2, masked, limit, 0, 0);
	read_framed(&bytes, data + 2, len - 2, masked, limit, 1, 0);
	read_framed(&some, data + 2, len - 2, masked, limit,
	    (data[0] >> 1) + 2u, data[0]);
	MUST(whole.code == bytes.code && whole.code == some.code,
	    "%u whole, %u in bytes, %u in pieces", whole.code, bytes.code,
	    some.code);
	/* A piece that is wrong is not passed on, what came before it was. */
	if (whole.code == 0)
		MUST(same(&whole, &bytes) && same(&whole, &some),
		    "different in pieces");
	read_whole(&ended, data + 2, len - 2, masked, limit);
	plain.code = read_plain(&plain, data + 2, len - 2, masked, limit);
	MUST(same(&ended, &plain), "the plain reader found %zu bytes, not %zu",
	    plain.len, ended.len);
	MUST(plain.code == 0 || plain.code == ended.code,
	    "the plain reader says %u, not %u", plain.code, ended.code);
	return 0;
}
