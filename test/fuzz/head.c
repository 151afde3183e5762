/* wshub: ISC licence, see LICENSE. */
/*
 * Request heads: what is said of the whole must follow from what is said of
 * every beginning of it, and a 101 must be deserved.
 */
#include "../../ws.h"
#include "fuzz.h"

/* The value of the only line with that name, in lower case, or NULL. */
static const char *
only_field(const char *head, size_t len, const char *name, size_t *size)
{
	size_t at, n = strlen(name), i;
	const char *found = NULL, *end;

	for (at = 0; at + n < len; at++) {
		if (at < 2 || head[at - 2] != '\r' || head[at - 1] != '\n')
			continue;
		for (i = 0; i < n; i++)
			if ((head[at + i] | 0x20) != (name[i] | 0x20))
				break;
		if (i < n || head[at + n] != ':')
			continue;
		MUST(found == NULL, "two fields %s, and 101", name);
		found = head + at + n + 1;
		end = memchr(found, '\r', len - at - n - 1);
		*size = (size_t)(end - found);
	}
	return found;
}

static int
has(const char *value, size_t len, const char *word)
{
	size_t n = strlen(word), at, i;

	for (at = 0; at + n <= len; at++) {
		for (i = 0; i < n; i++)
			if ((value[at + i] | 0x20) != (word[i] | 0x20))
				break;
		if (i == n)
			return 1;
	}
	return 0;
}

static void
deserved(const char *head, size_t len, const struct ws_request *r)
{
	const char *v;
	size_t n, i;

	while (*head == '\r') {
		head += 2;
		len -= 2;
	}
	MUST(memcmp(head, "GET ", 4) == 0, "101 for something else than GET");
	MUST(head[4] == '/' || has(head + 4, 8, "://"), "101 for no target");
	v = only_field(head, len, "Host", &n);
	MUST(v != NULL, "101 without Host");
	for (i = 0; i < n; i++)
		MUST((v[i] > ' ' && v[i] < 0x7f && strchr("\"#/<>?@\\^`{|}",
		    v[i]) == NULL) || v[i] == ' ' || v[i] == '\t',
		    "Host with 0x%02x", (unsigned char)v[i]);
	v = only_field(head, len, "Sec-WebSocket-Version", &n);
	MUST(v != NULL && has(v, n, "13"), "101 for another version");
	v = only_field(head, len, "Sec-WebSocket-Key", &n);
	MUST(v != NULL && n >= 24, "101 without a key");
	MUST(r->key >= v && r->key + WS_KEY_LEN <= v + n,
	    "the key is not there");
	if (r->subprotocol != NULL)
		MUST(has(head, len, "\nSec-WebSocket-Protocol:") &&
		    has(head, len, r->subprotocol), "it is not offered");
	MUST(has(head, len, "\nUpgrade:") && has(head, len, "websocket") &&
	    has(head, len, "\nConnection:"), "101 for no upgrade");
}

/* All of len bytes, in pieces: one of at bytes and one of the rest. */
static ssize_t
in_two(const struct ws_http *o, const char *head, size_t at, size_t len,
    struct ws_request *r)
{
	struct ws_head h = { 0 };
	char *less = fuzz_copy(head, at);
	ssize_t n = ws_request(&h, o, less, at, r);

	free(less);
	return n == WS_MORE ? ws_request(&h, o, head, len, r) : n;
}

int
fuzz_head(const uint8_t *data, size_t len)
{
	static const char *const names[] = { "chat", "a.b", NULL };
	static const struct ws_http serves = { "/health", names, NULL, NULL };
	static const struct ws_http scraped = { "/health", NULL, NULL, "/m" };
	const struct ws_http *o;
	struct ws_head h = { 0 }, begun;
	struct ws_request r, part;
	char answer[WS_ANSWER_MAX];
	char *head, *less;
	uint32_t seed;
	ssize_t n, p;
	size_t at, size;
	int i;

	if (len == 0)
		return 0;
	seed = data[0];
	o = (seed & 7) == 7 ? &scraped : seed & 1 ? &serves : NULL;
	head = fuzz_copy(data + 1, --len);
	n = ws_request(&h, o, head, len, &r);
	MUST(n != WS_MORE || len < WS_HEAD_MAX, "more than is allowed");
	MUST(n == WS_MORE || n == WS_BAD || (n > 0 && (size_t)n <= len),
	    "%zd of %zu bytes", n, len);
	if (n == WS_BAD)
		MUST(r.status == 400 || r.status == 431, "%d", r.status);
	if (n > 0 && o == &scraped)
		MUST((r.status == 200 && (has(head, (size_t)n, "/m") ||
		    has(head, (size_t)n, "/health"))) || r.status == 404 ||
		    r.status == 405, "%d", r.status);
	if (n > 0) {
		MUST(o == &scraped || r.status == 101 || r.status == 405 || r.status == 426 ||
		    (r.status == 200 && o != NULL), "%d", r.status);
		MUST(memcmp(head + n - 4, "\r\n\r\n", 4) == 0,
		    "ends elsewhere");
		for (at = 0; head[at] != '\r'; at++)
			MUST(head[at] >= ' ' && head[at] < 0x7f,
			    "byte %zu of the request line passed", at);
		for (at = 0; at < (size_t)n; at++)
			MUST(head[at] != '\0' && (head[at] != '\n' ||
			    head[at - 1] == '\r'), "byte %zu passed", at);
		if (r.status == 101)
			deserved(head, (size_t)n, &r);
	}
	for (i = 0; i < 16; i++) {
		at = i < 2 ? len - (len != 0) * (size_t)i :
		    fuzz_dice(&seed, (unsigned)len + 1);
		if (i == 2 && n > 0)
			at = (size_t)n - 1;
		less = fuzz_copy(head, at);
		memset(&begun, 0, sizeof begun);
		p = ws_request(&begun, o, less, at, &part);
		if (n == WS_MORE)
			MUST(p == WS_MORE, "%zu bytes: %zd, and all: more", at,
			    p);
		else if (n > 0)
			MUST(p == (at < (size_t)n ? WS_MORE : n), "%zu bytes: "
			    "%zd, and all: %zd", at, p, n);
		else
			MUST(p == WS_MORE || (p == WS_BAD && part.status ==
			    r.status && part.reason == r.reason),
			    "%zu bytes: %zd",
			    at, p);
		free(less);
		p = in_two(o, head, at, len, &part);
		MUST(p == n && (n == WS_MORE || (part.status == r.status &&
		    part.reason == r.reason &&
		    part.subprotocol == r.subprotocol)),
		    "cut at %zu: %zd, and at once: %zd", at, p, n);
	}
	if (n == WS_MORE) {
		free(head);
		return 0;
	}
	size = r.status == 101 ? ws_accept(answer, &r) :
	    ws_answer(answer, &h, r.status, r.reason);
	MUST(size > 40 && size < sizeof answer &&
	    memcmp(answer, "HTTP/1.1 ", 9) == 0, "an answer of %zu", size);
	free(head);
	return 0;
}
