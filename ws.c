/* wshub: ISC licence, see LICENSE. */
/*
 * RFC 6455 without a socket: the accept key, frames, UTF-8.
 *
 * Frames
 *
 * The framer is either between two frames (frame == 0) or inside a data frame
 * (frame is its FIN bit | 1, and left > 0 payload bytes are still to come). It
 * is also either between two messages (message == 0) or inside one (message is
 * its opcode). A control frame is read as a whole, which is at most 2 + 4 + 125
 * = 131 bytes, and so needs no state. The payload of a data frame is passed on
 * as it arrives. The head of a data frame is consumed as soon as it is
 * complete, even if no payload has arrived: this gives a piece of 0 bytes.
 *
 * Invariants:	size <= limit, so limit - size cannot wrap
 *		size includes the whole current frame
 *		frame != 0 implies message != 0
 *		utf8 is the state after the bytes of a text message so far;
 *		control frames between its frames do not change it
 *		turn is the payload bytes of this frame so far, modulo 4
 *
 * An incomplete head is checked as far as it has arrived. If bytes of its
 * length are missing, the length is between the value with zeros for them and
 * the value with ones. It is not in its shortest form if even the greatest
 * value has a shorter form; it is too big if even the least value is.
 */
#include <stdio.h>
#include <string.h>

#include "ws.h"

static const char base64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ------------------------------------------- SHA-1, base64, accept key */

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* FIPS 180-4 section 6.1.2. */
static void
sha1_block(uint32_t h[5], const unsigned char *p)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], x;
	unsigned t;

	for (t = 0; t < 16; t++, p += 4)
		w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
		    (uint32_t)p[2] << 8 | p[3];
	for (; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

	for (t = 0; t < 80; t++) {
		if (t < 20)
			x = ((b & c) | (~b & d)) + 0x5a827999;
		else if (t < 40)
			x = (b ^ c ^ d) + 0x6ed9eba1;
		else if (t < 60)
			x = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
		else
			x = (b ^ c ^ d) + 0xca62c1d6;
		x += rotate(a, 5) + e + w[t];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = x;
	}

	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

/* see ws.h */
void
ws_sha1(unsigned char digest[20], const void *data, size_t len)
{
	uint32_t h[5] = {
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0
	};
	unsigned char tail[128] = { 0 };
	const unsigned char *p = data;
	size_t left, end, i;

	for (left = len; left >= 64; left -= 64, p += 64)
		sha1_block(h, p);

	/* The last bytes, a 1 bit and the 64-bit length: one block or two. */
	for (i = 0; i < left; i++)
		tail[i] = p[i];
	tail[left] = 0x80;
	end = left < 56 ? 64 : 128;
	for (i = 0; i < 8; i++)
		tail[end - 1 - i] =
		    (unsigned char)((uint64_t)len * 8 >> 8 * i & 0xff);
	sha1_block(h, tail);
	if (end == 128)
		sha1_block(h, tail + 64);

	for (i = 0; i < 20; i++)
		digest[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)) &
		    0xff);
}

/* see ws.h */
size_t
ws_base64(char *text, const void *data, size_t len)
{
	const unsigned char *p = data;
	char *t = text;
	uint32_t x;

	for (; len >= 3; len -= 3, p += 3) {
		x = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
		*t++ = base64[x >> 18];
		*t++ = base64[x >> 12 & 63];
		*t++ = base64[x >> 6 & 63];
		*t++ = base64[x & 63];
	}
	if (len != 0) {
		x = (uint32_t)p[0] << 16;
		if (len == 2)
			x |= (uint32_t)p[1] << 8;
		*t++ = base64[x >> 18];
		*t++ = base64[x >> 12 & 63];
		*t++ = len == 2 ? base64[x >> 6 & 63] : '=';
		*t++ = '=';
	}
	*t = '\0';
	return (size_t)(t - text);
}

/* see ws.h */
void
ws_accept_key(char out[WS_ACCEPT_KEY], const char *key)
{
	char text[24 + 36 + 1];
	unsigned char digest[20];

	snprintf(text, sizeof(text),
	    "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	ws_sha1(digest, text, strlen(text));
	ws_base64(out, digest, sizeof(digest));
}

/* ------------------------------------------------------ UTF-8 and masking */

/* see ws.h */
size_t
ws_utf8(struct ws_utf8 *u, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t w;
	size_t i = 0;

	while (i < len) {
		/* The fast path: eight bytes of ASCII at a time. */
		if (u->left == 0 && len - i >= sizeof(w)) {
			memcpy(&w, p + i, sizeof(w));
			if ((w & 0x8080808080808080) == 0) {
				i += sizeof(w);
				continue;
			}
		}
		if (ws_utf8_byte(u, p[i]) == -1)
			break;
		i++;
	}
	return i;
}

/*
 * see ws.h
 *
 * The mask is copied twice to a word of 8 bytes in the order of the data, so
 * this is correct with either byte order.
 */
void
ws_mask(unsigned char *data, size_t len, const unsigned char mask[4],
    unsigned turn)
{
	unsigned char key[8];
	uint64_t k, w;
	size_t i;

	for (i = 0; i < sizeof(key); i++)
		key[i] = mask[(turn + i) & 3];
	memcpy(&k, key, sizeof(k));
	for (; len >= sizeof(w); len -= sizeof(w), data += sizeof(w)) {
		memcpy(&w, data, sizeof(w));
		w ^= k;
		memcpy(data, &w, sizeof(w));
	}
	for (i = 0; i < len; i++)
		data[i] ^= key[i];
}

/* ---------------------------------------------------------------- frames */

static int
frame_bad(struct ws_event *e, unsigned code, const char *reason)
{
	e->code = code;
	e->reason = reason;
	return WS_BAD;
}

static int
violation(struct ws_event *e, const char *reason)
{
	return frame_bad(e, WS_CLOSE_PROTOCOL, reason);
}

/*
 * Reads a frame's head. Returns its length, with e->opcode and the payload's
 * length in *payload; or WS_MORE, or WS_BAD. f does not change.
 */
static ssize_t
frame_head(const struct ws_framer *f, const unsigned char *buf, size_t len,
    struct ws_event *e, uint64_t *payload)
{
	uint64_t least, most, shortest = 0;
	size_t i, head = 2;
	unsigned opcode;

	if (len < 1)
		return WS_MORE;
	opcode = e->opcode = buf[0] & 0x0f;
	if (buf[0] & 0x70)
		return violation(e, "reserved bit is set");
	if (opcode > WS_PONG || (opcode > WS_BINARY && opcode < WS_CLOSE))
		return violation(e, "reserved opcode");
	if (opcode >= WS_CLOSE && !(buf[0] & WS_FIN))
		return violation(e, "control frame in fragments");
	if (opcode == WS_CONT && f->message == 0)
		return violation(e, "continuation without a message");
	if (opcode != WS_CONT && opcode < WS_CLOSE && f->message != 0)
		return violation(e, "message inside a message");

	if (len < 2)
		return WS_MORE;
	if (buf[1] >> 7 != f->masked)
		return violation(e,
		    f->masked ? "frame is not masked" : "frame is masked");
	least = most = buf[1] & 0x7f;
	if (opcode >= WS_CLOSE && least > WS_CONTROL_MAX)
		return violation(e, "control frame over 125 bytes");
	if (opcode == WS_CLOSE && least == 1)
		return violation(e, "half a code in a Close");

	if (least >= 126) {
		head = least == 126 ? 4 : 10;
		shortest = least == 126 ? 126 : 65536;
		least = most = 0;
		for (i = 2; i < head; i++) {
			least = least << 8 | (i < len ? buf[i] : 0x00);
			most = most << 8 | (i < len ? buf[i] : 0xff);
		}
		if (least >> 63)
			return violation(e, "length has its top bit set");
		if (most < shortest)
			return violation(e,
			    "length is not in its shortest form");
	}
	if (opcode < WS_CLOSE &&
	    least > f->limit - (opcode == WS_CONT ? f->size : 0))
		return frame_bad(e, WS_CLOSE_TOO_BIG, "message is too big");

	if (f->masked)
		head += 4;
	if (len < head)
		return WS_MORE;
	*payload = least;
	return (ssize_t)head;
}

/* 1 if a Close may have that code: section 7.4 and the IANA registry. */
static int
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1003) ||
	    (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* Reads the code of a Close, and leaves the reason in e->data. */
static int
read_close(struct ws_event *e)
{
	struct ws_utf8 utf8 = { 0, 0, 0 };

	e->code = WS_CLOSE_NO_STATUS;
	if (e->len == 0)
		return 0;
	e->code = (unsigned)e->data[0] << 8 | e->data[1];
	e->data += 2;
	e->len -= 2;
	if (!is_close_code(e->code))
		return violation(e, "invalid code in a Close");
	if (ws_utf8(&utf8, e->data, e->len) != e->len || utf8.left != 0)
		return frame_bad(e, WS_CLOSE_BAD_DATA,
		    "reason of a Close is not UTF-8");
	return 0;
}

/* see ws.h */
void
ws_framer_init(struct ws_framer *f, int masked, uint32_t limit)
{
	memset(f, 0, sizeof(*f));
	f->masked = masked != 0;
	f->limit = limit;
}

/* see ws.h */
ssize_t
ws_framer_next(struct ws_framer *f, unsigned char *buf, size_t len,
    struct ws_event *e)
{
	uint64_t payload;
	ssize_t head = 0;

	e->first = 0;
	if (f->frame == 0) {
		head = frame_head(f, buf, len, e, &payload);
		if (head < 0)
			return head;
		e->first = e->opcode != WS_CONT;
		if (e->opcode >= WS_CLOSE) {
			if (len - (size_t)head < payload)
				return WS_MORE;
			e->last = 1;
			e->data = buf + head;
			e->len = (size_t)payload;
			if (f->masked)
				ws_mask(e->data, e->len, e->data - 4, 0);
			if (e->opcode == WS_CLOSE && read_close(e) != 0)
				return WS_BAD;
			return head + (ssize_t)payload;
		}
		if (e->first) {
			f->message = (unsigned char)e->opcode;
			f->size = 0;
			memset(&f->utf8, 0, sizeof(f->utf8));
		}
		f->size += (uint32_t)payload;
		f->left = (uint32_t)payload;
		f->frame = (unsigned char)((buf[0] & WS_FIN) | 1);
		f->turn = 0;
		if (f->masked)
			memcpy(f->mask, buf + head - 4, sizeof(f->mask));
	} else if (len == 0)
		return WS_MORE;

	e->opcode = f->message;
	e->data = buf + head;
	e->len = len - (size_t)head;
	if (e->len > f->left)
		e->len = f->left;
	if (f->masked)
		ws_mask(e->data, e->len, f->mask, f->turn);
	f->turn = (unsigned char)((f->turn + e->len) & 3);
	f->left -= (uint32_t)e->len;
	e->last = f->left == 0 && (f->frame & WS_FIN);

	if (f->message == WS_TEXT &&
	    (ws_utf8(&f->utf8, e->data, e->len) != e->len ||
	    (e->last && f->utf8.left != 0)))
		return frame_bad(e, WS_CLOSE_BAD_DATA, "text is not UTF-8");
	if (f->left == 0)
		f->frame = 0;
	if (e->last)
		f->message = 0;
	return head + (ssize_t)e->len;
}

/* see ws.h */
size_t
ws_frame_head(unsigned char out[WS_FRAME_HEAD_MAX], unsigned first,
    uint64_t len, const unsigned char *mask)
{
	size_t i, head = len < 126 ? 2 : len < 65536 ? 4 : 10;
	unsigned short_len = head == 2 ? (unsigned)len : head == 4 ? 126 : 127;

	out[0] = (unsigned char)(first & 0xff);
	out[1] = (unsigned char)(short_len | (mask != NULL ? 0x80 : 0));
	for (i = head; i > 2; i--, len >>= 8)
		out[i - 1] = (unsigned char)(len & 0xff);
	if (mask != NULL) {
		memcpy(out + head, mask, 4);
		head += 4;
	}
	return head;
}

/* see ws.h */
size_t
ws_close_frame(unsigned char out[2 + WS_CONTROL_MAX], unsigned code,
    const char *reason)
{
	size_t n = 0;

	if (code == WS_CLOSE_NO_STATUS)
		return ws_frame_head(out, WS_FIN | WS_CLOSE, 0, NULL);
	while (reason != NULL && n < WS_CONTROL_MAX - 2 && reason[n] != '\0')
		n++;
	/* Cut between two characters: 10xxxxxx does not begin one. */
	while (n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80)
		n--;
	ws_frame_head(out, WS_FIN | WS_CLOSE, 2 + n, NULL);
	out[2] = (unsigned char)(code >> 8 & 0xff);
	out[3] = (unsigned char)(code & 0xff);
	if (n > 0)
		memcpy(out + 4, reason, n);
	return 4 + n;
}
