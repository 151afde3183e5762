/* wshub: ISC licence, see LICENSE. */
/*
 * What a client on the fake kernel receives: a response, then frames, as the
 * hub may send them and in any pieces.
 */
#ifndef FUZZ_STREAM_H
#define FUZZ_STREAM_H

#include "../fake.h"
#include "fuzz.h"

struct stream {
	int h;            /* the connection; -1: none */
	int open, closed; /* a 101 was read, a Close was read */
	size_t have;
	unsigned char got[1 << 17]; /* not yet a complete frame */
};

/*
 * Reads at most that many bytes, and calls take for each complete text frame
 * and Ping. A response other than 101 stays in got.
 */
static void
stream_read(struct stream *s, size_t most, void (*take)(void *arg,
    unsigned opcode, const unsigned char *payload, size_t len), void *arg)
{
	unsigned char *p, *end;
	size_t len, head, room = sizeof s->got - s->have - 1;

	if (s->h < 0)
		return;
	s->have += fake_take(s->h, s->got + s->have, most < room ? most :
	    room);
	s->got[s->have] = '\0';
	if (!s->open) {
		len = s->have < 9 ? s->have : 9;
		MUST(memcmp(s->got, "HTTP/1.1 ", len) == 0, "not HTTP");
		end = (unsigned char *)strstr((char *)s->got, "\r\n\r\n");
		if (end == NULL || strncmp((char *)s->got, "HTTP/1.1 101 ",
		    13) != 0)
			return;
		s->open = 1;
		s->have -= (size_t)(end + 4 - s->got);
		memmove(s->got, end + 4, s->have);
	}
	for (;;) {
		p = s->got;
		head = s->have < 2 ? 2 : p[1] == 126 ? 4 : 2;
		if (s->have < head)
			break;
		MUST(!s->closed, "more after a Close");
		MUST(p[1] <= 126, "a length");
		len = head == 4 ? (size_t)p[2] << 8 | p[3] : p[1];
		if (s->have < head + len)
			break;
		if (p[0] == (WS_FIN | WS_TEXT) || p[0] == (WS_FIN | WS_PING))
			take(arg, p[0] & 15u, p + head, len);
		else if (p[0] == (WS_FIN | WS_CLOSE))
			s->closed = 1;
		else
			MUST(p[0] == (WS_FIN | WS_PONG), "a frame %02x", p[0]);
		s->have -= head + len;
		memmove(p, p + head + len, s->have);
	}
}

#endif
