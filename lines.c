/* wshub: ISC licence, see LICENSE. */
/*
 * Log lines about clients, in the format that wshub.8 documents.
 *
 * A connection that has been opened has a line for its beginning and one for
 * its end; any other has one line. The end is logged when the connection is
 * closed, so that all bytes sent to it are counted. But the device's name and
 * the reason are known earlier, when the hub decides to end it: so they are
 * kept in c->about until then. Without -v that struct is not allocated for
 * this, and the few lines of the default level are written at once.
 */
#include <sys/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define LOG_LINES 20     /* lines about clients in LOG_WINDOW, at the default
                            level */
#define LOG_WINDOW 1000  /* ms */
#define NAME_MAX_QUOTED (WS_JSON_QUOTED(WS_NAME_MAX) + 1)
#define TEXT_MAX 128     /* bytes of a text; a Close has at most 123 */
#define TEXT_MAX_QUOTED (WS_JSON_QUOTED(TEXT_MAX) + 1)
#define DETAILS_MAX (NAME_MAX_QUOTED + TEXT_MAX_QUOTED + 64)

/*
 * Writes a JSON string, NUL-terminated. Some terminals obey the control
 * characters that JSON does not escape, DEL and the C1 set. Both are escaped
 * here, so nothing is left that ws_log_line would change.
 */
static void
quote(char *out, struct ws_text t)
{
	size_t i, n = 0;
	unsigned char c, next;

	out[n++] = '"';
	for (i = 0; i < t.len; i++) {
		c = (unsigned char)t.s[i];
		next = i + 1 < t.len ? (unsigned char)t.s[i + 1] : 0;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			c = next;
			i++;
		} else if (c >= ' ' && c != 127) {
			if (c == '"' || c == '\\')
				out[n++] = '\\';
			out[n++] = (char)c;
			continue;
		}
		n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
	}
	out[n++] = '"';
	out[n] = '\0';
}

static void
quote_name(char out[NAME_MAX_QUOTED], const struct ws_client *c)
{
	struct ws_text name = { "", 0 };

	if (c->session.device != NULL)
		name = ws_device_name(c->session.device);
	quote(out, name);
}

/* Whether a line of the default level may be written now. */
static int
allowed(struct ws_loop *l)
{
	if (l->now >= l->log_window_end) {
		ws_client_log_omitted(l);
		l->log_window_end = l->now + LOG_WINDOW;
		l->log_lines = 0;
	}
	if (l->log_lines == LOG_LINES) {
		l->log_omitted++;
		return 0;
	}
	l->log_lines++;
	return 1;
}

/* The path of a Unix socket is its peer's choice: it is left out. */
static void
log_address(const struct ws_client *c, char address[WS_ADDRESS_MAX])
{
	ws_client_address(c, address);
	if (strncmp(address, "unix:", 5) == 0)
		address[4] = '\0';
}

static void
write_end(struct ws_loop *l, int level, const struct ws_client *c,
    const char *what, const char *details)
{
	char line[WS_LINE_MAX], address[WS_ADDRESS_MAX];
	long long ms = l->now - c->connected;

	log_address(c, address);
	snprintf(line, sizeof line, "%s %s: %s: time=%lld.%03d sent=%llu %s",
	    c->conn.kind == WS_CONN_SCRAPER ? "scraper" : "client", address,
	    what, ms / 1000, (int)(ms % 1000),
	    (unsigned long long)c->sent, details);
	l->o.log(level, line);
}

/* Writes the other fields of the last line, and returns its first word. */
static const char *
describe_end(char out[DETAILS_MAX], const struct ws_client *c, unsigned code,
    const char *text)
{
	char name[NAME_MAX_QUOTED], why[TEXT_MAX_QUOTED], number[16] = "none";
	struct ws_text t;

	t.s = text;
	t.len = strlen(text) < TEXT_MAX ? strlen(text) : TEXT_MAX;
	quote(why, t);
	if (code != 0)
		snprintf(number, sizeof number, "%u", code);
	if (c->state < WS_CLIENT_OPEN) {
		snprintf(out, DETAILS_MAX, "status=%s text=%s", number, why);
		return code == 0 ? "failed" : code == 200 ? "health" :
		    "refused";
	}
	quote_name(name, c);
	snprintf(out, DETAILS_MAX, "code=%s reason=%s device=%s text=%s",
	    number, ws_reasons[c->reason], name, why);
	return c->state == WS_CLIENT_AWAY ? "ended" : "closed";
}

/* see ws.h */
int
ws_client_logs(const struct ws_loop *l)
{
	return l->o.log != NULL && l->o.log_level >= WS_LOG_INFO;
}

/* see ws.h */
void
ws_client_log_open(const struct ws_loop *l, const struct ws_client *c,
    int resumed)
{
	char line[WS_LINE_MAX], address[WS_ADDRESS_MAX];
	char name[NAME_MAX_QUOTED];

	if (!ws_client_logs(l))
		return;
	log_address(c, address);
	quote_name(name, c);
	snprintf(line, sizeof line, "client %s: %s: tls=%s device=%s", address,
	    resumed ? "resumed" : "opened", c->tls != NULL ? "yes" : "no",
	    name);
	l->o.log(WS_LOG_INFO, line);
}

/* see ws.h */
void
ws_client_log_end(struct ws_loop *l, struct ws_client *c, int level,
    unsigned code, const char *text)
{
	struct ws_about *a = ws_client_logs(l) ? c->about : NULL;
	char details[DETAILS_MAX];
	const char *what;
	size_t word, len;

	if (c->ended)
		return;
	c->ended = 1;
	if (l->o.log == NULL || level > l->o.log_level)
		return;
	what = describe_end(details, c, code, text);
	word = strlen(what) + 1;
	len = strlen(details) + 1;
	/* The level, the first word and the other fields. */
	if (a != NULL && (a->end = malloc(1 + word + len)) != NULL) {
		*a->end = (char)level;
		memcpy(a->end + 1, what, word);
		memcpy(a->end + 1 + word, details, len);
	} else if (level > WS_LOG_NOTE || allowed(l)) {
		write_end(l, level, c, what, details);
	}
}

/* see ws.h */
void
ws_client_log_closed(struct ws_loop *l, struct ws_client *c)
{
	struct ws_about *a = c->about;
	const char *what;

	if (a == NULL || a->end == NULL)
		return;
	what = a->end + 1;
	write_end(l, *a->end, c, what, what + strlen(what) + 1);
	free(a->end);
	a->end = NULL;
}

/* see ws.h */
void
ws_client_log_omitted(struct ws_loop *l)
{
	if (l->log_omitted != 0)
		ws_logf(&l->o, WS_LOG_NOTE, "%u more clients: cut off or "
		    "dropped", l->log_omitted);
	l->log_omitted = 0;
}
