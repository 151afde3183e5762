/* wshub: ISC licence, see LICENSE. */
/*
 * What proxies tell. The first byte of the input chooses: a PROXY header, or
 * fields X-Forwarded-For, one in each line, of which a whole head is made. What
 * is said of a header must follow from what is said of each beginning of it.
 */
#include "../../ws.h"
#include "fuzz.h"

static void
check_ip(const struct ws_ip *ip)
{
	static const unsigned char mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
	};

	MUST(ip->family == 4 || ip->family == 6, "family %u", ip->family);
	MUST((memcmp(ip->bytes, mapped, 12) == 0) == (ip->family == 4),
	    "an address of another family");
}

static void
header(const char *data, size_t len)
{
	struct ws_ip ip, part;
	ssize_t n, p, before = WS_MORE;
	size_t at;
	char *less;

	memset(&ip, 0, sizeof ip); /* what is between its members, too */
	n = ws_proxy_header(&ip, data, len);
	MUST(n == WS_BAD || n == WS_MORE || (n >= 15 && n <= WS_PROXY_MAX &&
	    (size_t)n <= len), "%zd of %zu bytes", n, len);
	MUST(n != WS_MORE || len < WS_PROXY_MAX, "more than is allowed");
	if (n > 0) {
		MUST(memcmp(data, "PROXY ", 6) == 0 ?
		    n <= 107 && memcmp(data + n - 2, "\r\n", 2) == 0 :
		    memcmp(data, "\r\n\r\n\0\r\nQUIT\n", 12) == 0,
		    "no header begins or ends like that");
		if (ip.family != 0)
			check_ip(&ip);
	}
	for (at = 0; at <= len && at < WS_PROXY_MAX + 2; at++) {
		less = fuzz_copy(data, at);
		memset(&part, 0, sizeof part);
		p = ws_proxy_header(&part, less, at);
		free(less);
		MUST(before == WS_MORE || p == before, "%zu bytes: %zd, and "
		    "one less: %zd", at, p, before);
		MUST(p < 0 || (p == n && memcmp(&part, &ip, sizeof ip) == 0),
		    "%zu bytes: %zd, and all: %zd", at, p, n);
		before = p;
	}
	MUST(before == n || len >= WS_PROXY_MAX + 2, "all at last: %zd, and "
	    "at once: %zd", before, n);
}

/* The entry is somewhere in the input, and is not trusted. */
static void
fields(const char *data, size_t len)
{
	static const char name[] = "X-Forwarded-For: ";
	struct ws_trust trust = { 0 };
	struct ws_ip ip = { 0, { 0 }, 0 };
	struct ws_text head, value;
	size_t size = 0, i, lines = 1, found = 0;
	char *all;
	int more = 1;

	MUST(ws_trust_add(&trust, "10.0.0.0/8") == NULL &&
	    ws_trust_add(&trust, "fd00::/8") == NULL, "no trust");
	for (i = 0; i < len; i++)
		lines += data[i] == '\n';
	all = fuzz_copy(data, 0);
	all = realloc(all, len + lines * (sizeof name + 2));
	MUST(all != NULL, "no memory");
	for (i = 0; i <= len; i++) {
		if (i == 0 || data[i - 1] == '\n') {
			memcpy(all + size, name, sizeof name - 1);
			size += sizeof name - 1;
		}
		if (i == len || data[i] == '\n')
			all[size++] = '\r';
		all[size++] = i == len ? '\n' : data[i];
	}
	head.s = fuzz_copy(all, size);
	head.len = size;
	free(all);
	all = (char *)(uintptr_t)head.s;
	while (ws_field(&head, "x-forwarded-for", &value)) {
		MUST(value.s >= all && value.s + value.len <= all + size,
		    "a value that is elsewhere");
		found++;
		if (more)
			more = ws_forwarded(&ip, &trust, value);
		if (ip.family != 0)
			check_ip(&ip);
		MUST(!more || ip.family == 0 || ws_trusts(&trust, &ip),
		    "it goes on after one that is not trusted");
	}
	MUST(found == lines, "%zu fields, not %zu", found, lines);
	free(all);
}

int
fuzz_proxy(const uint8_t *data, size_t len)
{
	char *copy;

	if (len == 0)
		return 0;
	copy = fuzz_copy(data + 1, len - 1);
	if (data[0] == 'F')
		fields(copy, len - 1);
	else
		header(copy, len - 1);
	free(copy);
	return 0;
}
