/* wshub: ISC licence, see LICENSE. */
/*
 * Decides whether a client may connect, and as which device: checks its origin,
 * its token and the session that it resumes. client.c acts on the result.
 */
#include <sys/types.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ws.h"

#define YEAR_2024 1704067200 /* seconds since 1970 */

static int
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Schemes and hosts are case-insensitive: RFC 3986 section 6.2.2.1. */
static int
equals_ignoring_case(const char *a, const char *b, size_t len)
{
	while (len-- > 0)
		if (lower(*a++) != lower(*b++))
			return 0;
	return 1;
}

/* Whether an origin matches an argument of --origin. */
static int
matches(struct ws_text origin, const char *allowed)
{
	const char *star = strstr(allowed, "://*.");
	size_t len = strlen(allowed), head, tail;

	if (star == NULL)
		return origin.len == len &&
		    equals_ignoring_case(origin.s, allowed, len);
	/* "https://", at least one byte, and ".example.org". */
	head = (size_t)(star + 3 - allowed);
	tail = len - head - 1;
	return origin.len > head + tail &&
	    equals_ignoring_case(origin.s, allowed, head) &&
	    memchr(origin.s + head, '/', origin.len - head) == NULL &&
	    equals_ignoring_case(origin.s + origin.len - tail, star + 4, tail);
}

static int
is_allowed(const struct ws_loop *l, struct ws_text origin)
{
	const char *const *p;

	for (p = l->o.origins; p != NULL && *p != NULL; p++)
		if (matches(origin, *p))
			return 1;
	return 0;
}

/* An authority (host and port) without its port, if that is the given one. */
static struct ws_text
without_port(struct ws_text t, const char *port)
{
	size_t len = strlen(port);

	if (t.len > len && memcmp(t.s + t.len - len, port, len) == 0)
		t.len -= len;
	return t;
}

/*
 * Whether an origin is that of the host in the request. Its scheme only
 * determines the default port: a proxy may have terminated TLS, so it cannot be
 * compared with that of this connection.
 */
static int
is_own(struct ws_text origin, struct ws_text host)
{
	const char *port = ":80";
	size_t len = sizeof "http://" - 1;

	if (origin.len > len + 1 &&
	    equals_ignoring_case(origin.s, "https://", len + 1)) {
		port = ":443";
		len++;
	} else if (origin.len <= len ||
	    !equals_ignoring_case(origin.s, "http://", len)) {
		return 0;
	}
	origin.s += len;
	origin.len -= len;
	origin = without_port(origin, port);
	host = without_port(host, port);
	return origin.len == host.len &&
	    equals_ignoring_case(origin.s, host.s, host.len);
}

static int
refuse(struct ws_admission *a, int status, const char *reason)
{
	a->status = status;
	a->reason = reason;
	return -1;
}

/*
 * Finds the token of a request. Pages of other sites can make a browser send a
 * cookie. So a cookie is used only if the page's origin is this host's or is
 * allowed.
 */
static int
find_token(const struct ws_loop *l, const struct ws_request *r,
    struct ws_text *token)
{
	*token = r->bearer;
	if (token->s != NULL || ws_query(r->target, "token", token))
		return 1;
	*token = r->cookie;
	return token->s != NULL && (r->origin.s == NULL ||
	    is_own(r->origin, r->host) || is_allowed(l, r->origin));
}

static int
check_token(struct ws_loop *l, const struct ws_request *r,
    struct ws_admission *a)
{
	long long now = ws_wall_clock();
	struct ws_text token;

	if (!find_token(l, r, &token))
		return refuse(a, 401, "a token is needed here");
	if (now < YEAR_2024 && !l->clock_warned) {
		l->clock_warned = 1;
		ws_logf(&l->o, WS_LOG_ERROR, "warning: the system clock is "
		    "before 2024: tokens cannot be judged by it");
	}
	if (ws_token_check(l->tokens, token, now, a->scratch, &a->token) != 0)
		return refuse(a, 401, a->token.error);
	return 0;
}

/* Whether a session belongs to the device that the token is for. */
static int
belongs_to(const struct ws_client *c, const struct ws_token *token)
{
	const struct ws_device *d = c->session.device;
	struct ws_text name = ws_device_name(d);

	if (token->sub.s == NULL)
		return !d->named;
	return d->named && name.len == token->sub.len &&
	    memcmp(name.s, token->sub.s, name.len) == 0;
}

/* see ws.h */
int
ws_admit(struct ws_loop *l, const struct ws_request *r,
    struct ws_admission *a)
{
	struct ws_text name;
	uint64_t seen;

	a->token.exp = LLONG_MAX;
	a->token.sub.s = NULL;
	a->token.sub.len = 0;
	a->token.nchannels = 0;
	a->session = NULL;
	a->resumable = a->lost = 0;
	if (l->o.origins != NULL && r->origin.s != NULL &&
	    !is_allowed(l, r->origin))
		return refuse(a, 403, "this origin is not allowed here");
	if (l->tokens != NULL && check_token(l, r, a) != 0)
		return -1;
	if (!ws_query(r->target, "resume", &name))
		return 0;
	a->resumable = l->o.resume != 0;
	if (name.len == 0)
		return 0;
	a->session = ws_resume_find(l, name, &seen);
	if (a->session != NULL && !belongs_to(a->session, &a->token))
		a->session = NULL;
	a->lost = a->session == NULL || !ws_resume_has(a->session, seen);
	a->seen = seen;
	return 0;
}

/* see ws.h */
size_t
ws_admit_greeting(char out[WS_GREETING_MAX], const struct ws_client *c,
    int lost)
{
	char name[WS_JSON_QUOTED(WS_NAME_MAX) + 1], secret[WS_SECRET_NAME + 1];
	int resumable = c->queue.keeps;

	name[ws_json_quote(name, ws_device_name(c->session.device))] = '\0';
	if (resumable)
		ws_resume_name(c, secret);
	return (size_t)snprintf(out, WS_GREETING_MAX,
	    "{\"action\":\"setDeviceId\",\"data\":{\"device_id\":%s"
	    "%s%s%s%s}}", name, resumable ? ",\"session\":\"" : "",
	    resumable ? secret : "", resumable ? "\"" : "",
	    lost ? ",\"lost\":true" : "");
}

/* see ws.h */
size_t
ws_admit_welcome_back(char out[WS_GREETING_MAX], const struct ws_client *c,
    uint64_t missed)
{
	char name[WS_JSON_QUOTED(WS_NAME_MAX) + 1];

	name[ws_json_quote(name, ws_device_name(c->session.device))] = '\0';
	return (size_t)snprintf(out, WS_GREETING_MAX,
	    "{\"action\":\"resumed\",\"data\":{\"device_id\":%s,"
	    "\"missed\":%llu}}", name, (unsigned long long)missed);
}
