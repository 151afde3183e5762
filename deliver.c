/* wshub: ISC licence, see LICENSE. */
/*
 * Commands for the hub, in order, and the hub's answers.
 *
 *     [answered ... | sent, not answered ... | not sent ...)
 *                   begin                    sent          out.len
 *
 * A command stays until the hub has answered it: if the hub is restarted, those
 * without an answer are sent again, so none is lost. The bytes before begin are
 * removed when they are more than half, so that not every answer moves them.
 */
#include <sys/types.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

#define BYTES_MAX WS_TEXT_MAX /* of commands without an answer: full */

/* see relay.h */
int
ws_deliver_full(const struct ws_deliver *d)
{
	return d->count == WS_DELIVER_FLIGHT ||
	    d->out.len - d->begin >= BYTES_MAX;
}

/* see relay.h */
struct ws_text
ws_deliver_unsent(const struct ws_deliver *d)
{
	struct ws_text t = { NULL, 0 };

	if (d->sent < d->out.len) {
		t.s = d->out.s + d->sent;
		t.len = d->out.len - d->sent;
	}
	return t;
}

/* see relay.h */
void
ws_deliver_sent(struct ws_deliver *d, size_t n)
{
	d->sent += n;
}

/* see relay.h */
void
ws_deliver_again(struct ws_deliver *d)
{
	d->sent = d->begin;
	d->reply_len = 0;
}

/* Removes the oldest command. */
static void
remove_first(struct ws_deliver *d)
{
	d->begin += d->ring[d->first].len;
	d->first = (d->first + 1) % WS_DELIVER_FLIGHT;
	d->count--;
	if (d->begin < d->out.len / 2)
		return;
	ws_output_remove(&d->out, d->begin);
	d->sent -= d->begin;
	d->end -= d->begin;
	d->begin = 0;
}

/* Answers those without a command. */
static void
skip_empty(struct ws_deliver *d)
{
	static const struct ws_text none;

	while (d->count != 0 && d->ring[d->first].len == 0) {
		d->answered(d, &d->ring[d->first], none, 1, none);
		remove_first(d);
	}
}

/* see relay.h */
void
ws_deliver_added(struct ws_deliver *d, unsigned id, unsigned session)
{
	struct ws_delivery *p = &d->ring[(d->first + d->count++) %
	    WS_DELIVER_FLIGHT];

	p->len = (uint32_t)(d->out.len - d->end);
	p->id = (uint16_t)id;
	p->session = session;
	d->end = d->out.len;
	skip_empty(d);
}

/* Takes one line, without its newline: 0, or -1 if it is no answer. */
static int
take_answer(struct ws_deliver *d)
{
	struct ws_text command, detail;
	int ok = d->reply_len >= 2 && memcmp(d->reply, "OK", 2) == 0;
	size_t start = ok ? 2 : 3;

	if ((!ok && (d->reply_len < 3 || memcmp(d->reply, "ERR", 3) != 0)) ||
	    d->count == 0 || d->begin + d->ring[d->first].len > d->sent)
		return -1;
	if (start < d->reply_len) /* the space */
		start++;
	detail.s = d->reply + start;
	detail.len = d->reply_len - start;
	command.s = d->out.s + d->begin;
	command.len = d->ring[d->first].len;
	d->answered(d, &d->ring[d->first], command, ok, detail);
	remove_first(d);
	skip_empty(d);
	return 0;
}

/* see relay.h */
int
ws_deliver_reply(struct ws_deliver *d, const char *data, size_t len)
{
	const char *end;
	size_t n, fits;

	while (len > 0) {
		end = memchr(data, '\n', len);
		n = end == NULL ? len : (size_t)(end - data);
		fits = sizeof d->reply - d->reply_len;
		if (fits > n)
			fits = n; /* the rest of a long detail is skipped */
		memcpy(d->reply + d->reply_len, data, fits);
		d->reply_len += fits;
		if (end == NULL)
			return 0;
		if (take_answer(d) != 0)
			return -1;
		d->reply_len = 0;
		data += n + 1;
		len -= n + 1;
	}
	return 0;
}

/* see relay.h */
void
ws_deliver_free(struct ws_deliver *d)
{
	ws_output_free(&d->out);
}
