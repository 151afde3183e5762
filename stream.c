/* wshub: ISC licence, see LICENSE. */
/*
 * A backend's stream, cut into JSON texts.
 *
 * Inside a text s->json is the scanner's state, and s->text has the bytes of
 * earlier pieces. The end of an invalid text is unknown: what follows is skipped
 * up to the next newline, or as long as the caller wants.
 */
#include <sys/types.h>
#include <string.h>

#include "ws.h"

/* see ws.h */
void
ws_stream_free(struct ws_stream *s)
{
	ws_output_free(&s->text);
	s->text.failed = 0;
}

/* An invalid text, whose end is unknown. */
static enum ws_stream_event
begin_resync(struct ws_stream *s)
{
	ws_stream_free(s);
	s->state = WS_STREAM_RESYNC;
	return WS_STREAM_BAD;
}

/* Keeps a piece of an incomplete text: 0, or -1 with an error message. */
static int
keep(struct ws_stream *s, const char *piece, size_t n, char error[WS_ERROR_MAX])
{
	ws_output_add(&s->text, piece, n);
	return s->text.failed ? ws_fail(error, "out of memory") : 0;
}

/* A text ends after n bytes of piece; it may begin in s->text. */
static enum ws_stream_event
end_text(struct ws_stream *s, const char *piece, size_t n,
    struct ws_text *text, char error[WS_ERROR_MAX])
{
	s->state = WS_STREAM_BETWEEN;
	text->s = piece;
	text->len = n;
	if (s->text.len == 0)
		return WS_STREAM_TEXT;
	if (keep(s, piece, n, error) != 0) {
		ws_stream_free(s);
		return WS_STREAM_DROPPED;
	}
	text->s = s->text.s;
	text->len = s->text.len;
	return WS_STREAM_TEXT;
}

/* Reads a text, or a part of it. */
static enum ws_stream_event
read_text(struct ws_stream *s, const char **p, const char *end,
    struct ws_text *text, char error[WS_ERROR_MAX])
{
	const char *piece = *p;
	ssize_t n = ws_json_scan(&s->json, piece, (size_t)(end - piece));
	size_t used = n >= 0 ? (size_t)n : (size_t)(end - piece);

	if (n == WS_BAD)
		used = s->json.offset - s->text.len;
	if (s->text.len + used > WS_TEXT_MAX) {
		*p += WS_TEXT_MAX - s->text.len;
		ws_fail(error, "longer than %d bytes", WS_TEXT_MAX);
		return begin_resync(s);
	}
	*p += used;
	if (n >= 0)
		return end_text(s, piece, used, text, error);
	if (n == WS_BAD) {
		ws_fail(error, "not JSON at byte %zu: %s", s->json.offset,
		    s->json.reason);
		return begin_resync(s);
	}
	return keep(s, piece, used, error) != 0 ? begin_resync(s) :
	    WS_STREAM_MORE;
}

/* see ws.h */
enum ws_stream_event
ws_stream_next(struct ws_stream *s, const char **p, const char *end,
    struct ws_text *text, char error[WS_ERROR_MAX])
{
	if (s->state == WS_STREAM_RESYNC) {
		*p = memchr(*p, '\n', (size_t)(end - *p));
		if (*p == NULL) {
			*p = end;
			return WS_STREAM_MORE;
		}
		s->state = WS_STREAM_BETWEEN;
		return WS_STREAM_RESYNCED;
	}
	if (s->state == WS_STREAM_BETWEEN) {
		while (*p < end && (**p == ' ' || **p == '\t' || **p == '\r'))
			++*p;
		if (*p == end)
			return WS_STREAM_MORE;
		if (**p == '\n') {
			++*p;
			return WS_STREAM_NEWLINE;
		}
		memset(&s->json, 0, sizeof s->json);
		s->state = WS_STREAM_INSIDE;
	}
	return read_text(s, p, end, text, error);
}

/* see ws.h */
int
ws_stream_end(struct ws_stream *s, char error[WS_ERROR_MAX])
{
	if (s->state != WS_STREAM_INSIDE)
		return 0;
	(void)begin_resync(s);
	return ws_fail(error, "ends in the middle");
}
