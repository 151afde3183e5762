/* wshub: ISC licence, see LICENSE. */
/*
 * Who may connect, as whom, and what a client gets that comes back: PROTOCOL
 * section 3, tried on the real binary. e2e_sessions path/to/wshub
 */
#define _GNU_SOURCE
#include "hub.h"
#include "../ws.h"

#define SECRET "test-secret-of-the-first-key-0001"
#define SECOND "test-secret-of-another-key-000002"
#define THIRD "test-secret-that-nobody-has-00003"
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define RESUMED "{\"action\":\"resumed\",\"data\":{\"device_id\":"

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* A period that others must fit into: longer where a wrapper slows the hub. */
#define PERIOD (wrap[0] != NULL ? 4 : 1)
#define PERIOD_TEXT (wrap[0] != NULL ? "4" : "1")

/* ----------------------------------------------------------------- tokens */

/* What must not be in any log: ends of tokens, and session secrets. */
static char secrets[1024][33];
static size_t nsecrets;

static void
keep_secret(const char *text, size_t len)
{
	if (len > 32) {
		text += len - 32;
		len = 32;
	}
	if (nsecrets < COUNT(secrets) && len >= 16)
		memcpy(secrets[nsecrets++], text, len);
}

/* Nothing secret is in the log, though it says all that it can. */
static void
check_secrets(const struct hub *h)
{
	size_t len, i;
	char *log = slurp(h->log, &len);

	EXPECT(nsecrets > 0 && len > 0, "there is nothing to look for");
	EXPECT(strstr(log, SECRET) == NULL, "the log has a key");
	for (i = 0; i < nsecrets; i++)
		EXPECT(strstr(log, secrets[i]) == NULL, "the log has %s",
		    secrets[i]);
	free(log);
}

static char *
base64url(char *out, const void *data, size_t len)
{
	size_t n = ws_base64(out, data, len), i;

	while (n > 0 && out[n - 1] == '=')
		n--;
	for (i = 0; i < n; i++)
		out[i] = (char)(out[i] == '+' ? '-' : out[i] == '/' ? '_' :
		    out[i]);
	out[n] = '\0';
	return out + n;
}

/* A token of these parts. It stays until the 16th call after this one. */
static char *
sign(const char *secret, const char *header, const char *claims)
{
	static char tokens[16][WS_TOKEN_MAX + 2048];
	static unsigned turn;
	struct ws_token_key key;
	unsigned char mac[WS_TOKEN_MAC];
	char *token = tokens[turn++ % 16], *end;

	end = base64url(token, header, strlen(header));
	*end++ = '.';
	end = base64url(end, claims, strlen(claims));
	ws_token_key(&key, secret, strlen(secret));
	ws_token_mac(mac, &key, token, (size_t)(end - token));
	*end++ = '.';
	end = base64url(end, mac, sizeof mac);
	keep_secret(token, (size_t)(end - token));
	return token;
}

/* A good one: more is what follows "exp". */
static char *
token(const char *more, long seconds)
{
	char claims[4000];

	snprintf(claims, sizeof claims, "{\"exp\":%lld%s}",
	    (long long)time(NULL) + seconds, more);
	return sign(SECRET, HS256, claims);
}

static void
write_keys(const char *text)
{
	spill("next.key", text, strlen(text));
	if (chmod("next.key", 0600) != 0 ||
	    rename("next.key", "token.key") != 0)
		give_up("token.key");
}

/* --------------------------------------------------------------- visitors */

struct visitor {
	struct client c;
	int status;       /* of the answer */
	char text[2048];  /* its body, or the first message */
	char head[1024];
	char device[64];  /* its name, where that is a random one */
	char session[33];
};

/* Reads an answer's head: its status, 0 if there is none. */
static int
read_head(struct visitor *v)
{
	size_t n = 0;

	*v->head = '\0';
	while (n < sizeof v->head - 1 && strstr(v->head, "\r\n\r\n") == NULL) {
		if (need(&v->c, 1) != 0)
			return 0;
		v->head[n++] = (char)v->c.buf[v->c.at++];
		v->head[n] = '\0';
	}
	return strncmp(v->head, "HTTP/1.1 ", 9) == 0 ? atoi(v->head + 9) : 0;
}

/* The string after these words in the first message. */
static void
read_member(const struct visitor *v, const char *words, char *out, size_t room)
{
	const char *p = strstr(v->text, words);
	size_t n;

	*out = '\0';
	if (p == NULL)
		return;
	p += strlen(words);
	n = strcspn(p, "\"");
	if (n >= room)
		return;
	memcpy(out, p, n);
	out[n] = '\0';
}

/* Reads what comes first: the answer, and after a 101 a message. */
static void
read_answer(struct visitor *v)
{
	unsigned char *data = NULL;
	size_t len = 0;
	int got;

	*v->text = *v->session = *v->device = '\0';
	v->status = read_head(v);
	if (v->status != 101) {
		while (len < sizeof v->text - 1 && need(&v->c, 1) == 0)
			v->text[len++] = (char)v->c.buf[v->c.at++];
		v->text[len] = '\0';
		return;
	}
	got = get_frame(&v->c, &data, &len);
	EXPECT(got == 0x81 && len < sizeof v->text, "frame %d of %zu bytes "
	    "after the 101", got, len);
	if (got != 0x81 || len >= sizeof v->text)
		return;
	memcpy(v->text, data, len);
	v->text[len] = '\0';
	read_member(v, "\"device_id\":\"", v->device, sizeof v->device);
	read_member(v, "\"session\":\"", v->session, sizeof v->session);
	keep_secret(v->session, strlen(v->session));
}

/* A request; Host is localhost unless fields begin with another. */
static void
ask(struct visitor *v, int fd, const char *target, const char *fields)
{
	char *request = malloc(40000);
	int n;

	if (request == NULL)
		give_up("memory");
	memset(v, 0, sizeof *v);
	v->c.fd = fd;
	n = snprintf(request, 40000, "GET %s HTTP/1.1\r\n%s%s%s\r\n", target,
	    strncmp(fields, "Host:", 5) == 0 ? "" : "Host: localhost\r\n",
	    fields, strstr(UPGRADE, "Upgrade: "));
	put(fd, request, (size_t)n);
	free(request);
}

static int
visit(struct visitor *v, const struct hub *h, const char *target,
    const char *fields)
{
	ask(v, dial(h->port[0], 0), target, fields);
	read_answer(v);
	return v->status;
}

/* Goes on with a session that has so many messages; from is "SESSION". */
static void
ask_again(struct visitor *v, const struct hub *h, const char *from,
    const char *seen)
{
	char target[400];

	snprintf(target, sizeof target, "/?resume=%s.%s", from, seen);
	ask(v, dial(h->port[0], 0), target, "");
}

/* It is in, with a new session that can be resumed; lost: one was lost. */
#define NEW(v, lost) is_new(__FILE__, __LINE__, v, lost)
static int
is_new(const char *file, int line, const struct visitor *v, int lost)
{
	int right = v->status == 101 && strlen(v->session) == 32 &&
	    strncmp(v->text, ID_HEAD, sizeof ID_HEAD - 1) == 0 &&
	    strcmp(strstr(v->text, "\",\"session\"") + 46, lost ?
	    ",\"lost\":true}}" : "}}") == 0;

	test_expect(right, file, line, "status %d, \"%s\": no new session%s",
	    v->status, v->text, lost ? " with \"lost\"" : "");
	return right;
}

/* It goes on as that device, and has missed so many. */
#define AGAIN(v, device, missed) is_again(__FILE__, __LINE__, v, device, missed)
static int
is_again(const char *file, int line, const struct visitor *v,
    const char *device, unsigned missed)
{
	char want[400];
	int right;

	snprintf(want, sizeof want, RESUMED "\"%s\",\"missed\":%u}}", device,
	    missed);
	right = v->status == 101 && strcmp(v->text, want) == 0;
	test_expect(right, file, line, "status %d, \"%s\", not \"%s\"",
	    v->status, v->text, want);
	return right;
}

/* Numbers from first to last come next. */
#define NUMBERS(v, first, last) numbers(__FILE__, __LINE__, v, first, last)
static void
numbers(const char *file, int line, struct visitor *v, int first, int last)
{
	char text[16];

	for (; first <= last; first++) {
		snprintf(text, sizeof text, "%d", first);
		if (!frame_is(file, line, &v->c, 0x81, text, strlen(text)))
			break;
	}
}

/* Multicasts numbers, each of which so many sessions get. */
static void
tell(int backend, int first, int last, int sessions)
{
	char text[64], want[16];

	snprintf(want, sizeof want, "OK %d\n", sessions);
	for (; first <= last; first++) {
		snprintf(text, sizeof text, "{\"action\":\"multicast\","
		    "\"data\":%d}\n", first);
		if (!ASK(backend, text, want))
			break;
	}
}

/* Waits until a counter is that. */
#define COUNTER(h, name, want) counter_is(__FILE__, __LINE__, h, name, want)
static void
counter_is(const char *file, int line, const struct hub *h, const char *name,
    long long want)
{
	long long end = now() + patience, n;

	while ((n = counter(h, name)) != want && now() < end)
		nap(5);
	test_expect(n == want, file, line, "%s: %lld, not %lld", name, n, want);
}

/* Leaves without a word, and the hub has noticed: so many are away. */
static void
vanish(const struct hub *h, struct visitor *v, int away)
{
	leave(&v->c);
	COUNTER(h, "away", away);
}

/* ---------------------------------------------------------------- admission */

/* @H, @Q and @C are tokens of "header", "query" and "cookie"; @X is wrong. */
static const struct {
	const char *name;
	int origins; /* the hub that has --origin */
	const char *target, *fields;
	int status;
	const char *says; /* the device, or what is in the body */
} asked[] = {
#define COOKIE "Cookie: wshub_token=@C\r\n"
#define BEARER "Authorization: Bearer @H\r\n"
	{ "header", 0, "/", BEARER, 101, "header" },
	{ "scheme in small letters", 0, "/",
	    "authorization: bearer  @H \r\n", 101, "header" },
	{ "query", 0, "/?token=@Q", "", 101, "query" },
	{ "second in the query", 0, "/x?a=b&token=@Q&c", "", 101, "query" },
	{ "cookie", 0, "/", COOKIE, 101, "cookie" },
	{ "second cookie", 0, "/", "Cookie: a=b; wshub_token=@C; c=d\r\n", 101,
	    "cookie" },
	{ "all three", 0, "/?token=@Q", COOKIE BEARER, 101, "header" },
	{ "query and cookie", 0, "/?token=@Q", COOKIE, 101, "query" },
	{ "a wrong header before the query", 0, "/?token=@Q",
	    "Authorization: Bearer @X\r\n", 401, "bad signature" },
	{ "a wrong query before the cookie", 0, "/?token=@X", COOKIE, 401,
	    "bad signature" },
	{ "an empty query before the cookie", 0, "/?token=", COOKIE, 401,
	    "not three parts" },
	{ "another scheme is no token", 0, "/?token=@Q",
	    "Authorization: Basic QTpC\r\n", 101, "query" },
	{ "none", 0, "/", "", 401, "a token is needed here" },
	{ "none, to resume", 0, "/?resume", "", 401, "a token is needed here" },
	{ "names like it", 0, "/token=@Q?xtoken=@Q&tokens=@Q&Token=@Q",
	    "Cookie: xwshub_token=@C; wshub_tokens=@C\r\n", 401,
	    "a token is needed here" },
	{ "a cookie that is wrong", 0, "/", "Cookie: wshub_token=@X\r\n", 401,
	    "bad signature" },

#define OWN(origin) "Origin: " origin "\r\n" COOKIE
	{ "own host", 0, "/", OWN("http://localhost"), 101, "cookie" },
	{ "own host in capitals", 0, "/", OWN("HTTP://LOCALHOST"), 101,
	    "cookie" },
	{ "own host, a proxy has the TLS", 0, "/", OWN("https://localhost"),
	    101, "cookie" },
	{ "own host, default port in the Origin", 0, "/",
	    OWN("http://localhost:80"), 101, "cookie" },
	{ "own host, default port of https", 0, "/",
	    OWN("https://localhost:443"), 101, "cookie" },
	{ "own host, default port in Host", 0, "/", "Host: localhost:443\r\n"
	    OWN("https://localhost"), 101, "cookie" },
	{ "own host and port", 0, "/", "Host: h.example:8443\r\n"
	    OWN("https://h.example:8443"), 101, "cookie" },
	{ "own host, an IPv6 address", 0, "/", "Host: [::1]:8080\r\n"
	    OWN("http://[::1]:8080"), 101, "cookie" },
	{ "other scheme's default port", 0, "/", OWN("http://localhost:443"),
	    401, "needed" },
	{ "other scheme's default port in Host", 0, "/",
	    "Host: localhost:80\r\n" OWN("https://localhost"), 401, "needed" },
	{ "other port", 0, "/", OWN("http://localhost:8080"), 401, "needed" },
	{ "other host", 0, "/", OWN("https://evil.example"), 401, "needed" },
	{ "host that begins like it", 0, "/", OWN("http://localhost.evil"),
	    401, "needed" },
	{ "host that ends like it", 0, "/", OWN("http://x.localhost"), 401,
	    "needed" },
	{ "other scheme", 0, "/", OWN("ftp://localhost"), 401, "needed" },
	{ "no scheme", 0, "/", OWN("localhost"), 401, "needed" },
	{ "null", 0, "/", OWN("null"), 401, "needed" },
	{ "empty Origin", 0, "/", OWN(""), 401, "needed" },
	{ "Origin of a scheme alone", 0, "/", OWN("https://"), 401, "needed" },
	{ "other host with a header", 0, "/", "Origin: null\r\n" BEARER, 101,
	    "header" },
	{ "other host with a query", 0, "/?token=@Q",
	    "Origin: https://evil.example\r\n", 101, "query" },
	{ "two Origins", 0, "/", "Origin: http://localhost\r\n"
	    OWN("http://localhost"), 400, "Origin" },

#define FROM(origin) "Origin: " origin "\r\n" BEARER
	{ "--origin: none", 1, "/", BEARER, 101, "header" },
	{ "--origin: exact", 1, "/", FROM("https://app.example"), 101,
	    "header" },
	{ "--origin: exact, a cookie", 1, "/", OWN("https://app.example"), 101,
	    "cookie" },
	{ "--origin: no Origin, a cookie", 1, "/", COOKIE, 101, "cookie" },
	{ "--origin: capitals", 1, "/", FROM("HTTPS://App.Example"), 101,
	    "header" },
	{ "--origin: port as given", 1, "/", FROM("http://app.example:81"),
	    101, "header" },
	{ "--origin: subdomain", 1, "/", FROM("https://a.example.org"), 101,
	    "header" },
	{ "--origin: subdomain, a cookie", 1, "/",
	    OWN("https://a.b.example.org"), 101, "cookie" },
	{ "--origin: its subdomain", 1, "/", FROM("https://a.b.EXAMPLE.org"),
	    101, "header" },
#define NOT_FROM(name, origin) { "--origin: not " name, 1, "/", \
    FROM(origin), 403, "this origin is not allowed here" }
	NOT_FROM("own host", "http://localhost"),
	NOT_FROM("null", "null"),
	NOT_FROM("empty", ""),
	NOT_FROM("another scheme", "http://app.example"),
	NOT_FROM("another port", "https://app.example:444"),
	NOT_FROM("no port", "http://app.example"),
	NOT_FROM("more", "https://app.example.evil"),
	NOT_FROM("less", "https://app.exampl"),
	NOT_FROM("a path", "https://app.example/"),
	NOT_FROM("the domain itself", "https://example.org"),
	NOT_FROM("a dot alone", "https://.example.org"),
	NOT_FROM("a name that ends so", "https://evilexample.org"),
	NOT_FROM("its other scheme", "http://a.example.org"),
	NOT_FROM("its other port", "https://a.example.org:8443"),
	NOT_FROM("a domain behind it", "https://a.example.org.evil"),
	NOT_FROM("a path that ends so", "https://evil/a.example.org"),
	{ "--origin: before the token", 1, "/", "Origin: https://evil\r\n",
	    403, "origin" },
	{ "--origin: two Origins", 1, "/", "Origin: https://app.example\r\n"
	    FROM("https://app.example"), 400, "Origin" },
};

/* Copies text with tokens for @H and the like. */
static const char *
with_tokens(char *out, size_t room, const char *text)
{
	size_t n = 0;
	const char *t;

	for (; *text != '\0' && n < room - 1; text++) {
		if (*text != '@') {
			out[n++] = *text;
			continue;
		}
		switch (*++text) {
		case 'H':
			t = token(",\"sub\":\"header\"", 60);
			break;
		case 'Q':
			t = token(",\"sub\":\"query\"", 60);
			break;
		case 'C':
			t = token(",\"sub\":\"cookie\"", 60);
			break;
		default:
			t = sign(THIRD, HS256, "{\"exp\":9999999999}");
		}
		n += (size_t)snprintf(out + n, room - n, "%s", t);
	}
	out[n] = '\0';
	return out;
}

/* An answer that refuses has one line, and what its status demands. */
static void
check_refusal(const char *name, const struct visitor *v, int status,
    const char *says)
{
	char length[40];

	snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n",
	    strlen(v->text));
	EXPECT(v->status == status && strstr(v->text, says) != NULL,
	    "%s: %d \"%s\", not %d \"%s\"", name, v->status, v->text, status,
	    says);
	EXPECT((strstr(v->head, "\r\nWWW-Authenticate: Bearer\r\n") != NULL) ==
	    (status == 401), "%s: WWW-Authenticate: %s", name, v->head);
	EXPECT(strchr(v->text, '\n') == v->text + strlen(v->text) - 1 &&
	    strstr(v->head, length) != NULL &&
	    strstr(v->head, "\r\nConnection: close\r\n") != NULL,
	    "%s: \"%s%s\" is no answer with a line", name, v->head, v->text);
}

static void
admission(void)
{
	static char target[16384], fields[16384];
	char want[200];
	struct hub h[2] = { { 0 }, { 0 } };
	struct visitor v;
	int refused[2] = { 0, 0 };
	size_t i;

	CASE("admission: header, query, cookie; origins");
	write_keys(SECOND "\r\n\n" SECRET "\n");
	START(&h[0], QUIET_HUB, "--token-key", "token.key", "-v", "-v");
	START(&h[1], QUIET_HUB, "--token-key", "token.key", "-v", "-v",
	    "--origin", "https://app.example", "--origin",
	    "https://*.example.org", "--origin", "http://app.example:81");
	for (i = 0; i < COUNT(asked); i++) {
		visit(&v, &h[asked[i].origins], with_tokens(target,
		    sizeof target, asked[i].target), with_tokens(fields,
		    sizeof fields, asked[i].fields));
		if (asked[i].status != 101) {
			check_refusal(asked[i].name, &v, asked[i].status,
			    asked[i].says);
			refused[asked[i].origins] += asked[i].status != 400;
		} else {
			snprintf(want, sizeof want, "%s%s\"}}", ID_HEAD,
			    asked[i].says);
			EXPECT(v.status == 101 && strcmp(v.text, want) == 0,
			    "%s: %d \"%s\", not \"%s\"", asked[i].name,
			    v.status, v.text, want);
		}
		leave(&v.c);
	}
	for (i = 0; i < 2; i++) {
		COUNTER(&h[i], "unauthorized", refused[i]);
		COUNTER(&h[i], "bad requests", 1);
		EXPECT(file_has(h[i].log, "bad signature") == (i == 0),
		    "the log gives no reason");
		STOP(&h[i]);
		check_secrets(&h[i]);
	}

	CASE("admission: a key signs in any line, and no other does");
	START(&h[0], QUIET_HUB, "--token-key", "token.key");
	for (i = 0; i < 3; i++) {
		snprintf(fields, sizeof fields, "Authorization: Bearer %s\r\n",
		    sign(i == 0 ? SECRET : i == 1 ? SECOND : THIRD,
		    "{\"kid\":7,\"alg\":\"HS256\"}", "{\"exp\":9999999999}"));
		EXPECT(visit(&v, &h[0], "/", fields) == (i < 2 ? 101 : 401),
		    "key %zu: %d", i, v.status);
		leave(&v.c);
	}
	STOP(&h[0]);
}

/* In claims, @ is the present time and % that of an hour later. */
#define GOOD "\"exp\":%"
static const struct {
	const char *header, *claims, *reason; /* header NULL: a whole token */
} wrong[] = {
#define PARTS "not three parts"
	{ NULL, ".", PARTS }, { NULL, "x", PARTS }, { NULL, "e30.e30", PARTS },
	{ NULL, "e30.e30.e30.e30", PARTS },
	{ NULL, "e30.e30.e30.", PARTS },
#define NO_HEADER "header is not a JSON object in base64url"
	{ NULL, "..", NO_HEADER },
	{ NULL, "!.e30.e30", NO_HEADER },
	{ NULL, "e30=.e30.e30", NO_HEADER },
	{ NULL, "e.e30.e30", NO_HEADER },
	{ "[]", "{" GOOD "}", NO_HEADER },
	{ "\"HS256\"", "{" GOOD "}", NO_HEADER },
	{ HS256 "x", "{" GOOD "}", NO_HEADER },
#define NO_ALG "alg is not HS256"
	{ "{}", "{" GOOD "}", NO_ALG },
	{ "{\"typ\":\"JWT\"}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":\"none\"}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":\"HS512\"}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":\"hs256\"}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":\"RS256\"}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":[\"HS256\"]}", "{" GOOD "}", NO_ALG },
	{ "{\"alg\":\"HS256\",\"alg\":\"none\"}", "{" GOOD "}",
	    "a name twice" },
	{ "{\"alg\":\"HS256\",\"typ\":\"JWE\"}", "{" GOOD "}",
	    "typ is not JWT" },
	{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{" GOOD "}",
	    "crit is not supported" },
	/* eyJhbGciOiJIUzI1NiJ9 is {"alg":"HS256"}. */
	{ NULL, "eyJhbGciOiJIUzI1NiJ9.e30.", "bad signature" },
	{ NULL, "eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	    "AAAAAAA", "bad signature" },
	{ NULL, "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "bad signature" },
	{ HS256, "[]", "claims are not a JSON object in base64url" },
	{ HS256, "{" GOOD ",}", "claims are not a JSON object in base64url" },
	{ HS256, "{}", "no exp" },
	{ HS256, "{\"Exp\":%}", "no exp" },
	{ HS256, "{\"exp\":\"%\"}", "exp is not a number" },
	{ HS256, "{\"exp\":null}", "exp is not a number" },
	{ HS256, "{\"exp\":@}", "expired" },
	{ HS256, "{\"exp\":0}", "expired" },
	{ HS256, "{\"exp\":-1e99}", "expired" },
	{ HS256, "{" GOOD ",\"exp\":%}", "a name twice" },
	{ HS256, "{" GOOD ",\"nbf\":true}", "nbf is not a number" },
	{ HS256, "{" GOOD ",\"nbf\":%}", "not yet valid" },
	{ HS256, "{" GOOD ",\"nbf\":1e99}", "not yet valid" },
#define NO_SUB "sub is not a string of 1 to 255 bytes"
	{ HS256, "{" GOOD ",\"sub\":\"\"}", NO_SUB },
	{ HS256, "{" GOOD ",\"sub\":7}", NO_SUB },
	{ HS256, "{" GOOD ",\"sub\":null}", NO_SUB },
	{ HS256, "{" GOOD ",\"sub\":\"a\\u0000b\"}", NO_SUB },
	{ HS256, "{" GOOD ",\"sub\":\"\\ud800\"}", NO_SUB },
#define NO_CHANNELS "channels is not an array of strings of 1 to 255 bytes"
	{ HS256, "{" GOOD ",\"channels\":\"news\"}", NO_CHANNELS },
	{ HS256, "{" GOOD ",\"channels\":{\"news\":1}}", NO_CHANNELS },
	{ HS256, "{" GOOD ",\"channels\":[\"news\",1]}", NO_CHANNELS },
	{ HS256, "{" GOOD ",\"channels\":[\"\"]}", NO_CHANNELS },
	{ HS256, "{" GOOD ",\"channels\":[[\"news\"]]}", NO_CHANNELS },
};

/* Sends a token by one of the three ways, and wants that answer. */
static void
try_token(const struct hub *h, unsigned way, const char *text,
    const char *reason)
{
	static char target[16384], fields[16384];
	struct visitor v;

	snprintf(target, sizeof target, "/?x%s%s", way == 1 ? "&token=" : "",
	    way == 1 ? text : "");
	snprintf(fields, sizeof fields, "%s%s%s", way == 0 ?
	    "Authorization: Bearer " : way == 2 ? "Cookie: wshub_token=" : "",
	    way == 1 ? "" : text, way == 1 ? "" : "\r\n");
	visit(&v, h, target, fields);
	if (reason == NULL)
		EXPECT(v.status == 101, "%.80s: %d %s", text, v.status, v.text);
	else
		check_refusal(text, &v, 401, reason);
	leave(&v.c);
}

/* Copies claims with times for @ and %. */
static void
with_times(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n < room - 24; text++)
		if (*text == '@' || *text == '%')
			n += (size_t)snprintf(out + n, room - n, "%lld",
			    (long long)time(NULL) + (*text == '%' ? 3600 : 0));
		else
			out[n++] = *text;
	out[n] = '\0';
}

/* Claims with a string of len bytes, or an array of n of them. */
static const char *
claims_of(const char *name, size_t len, unsigned n)
{
	static char text[6000];
	char *p = text;
	unsigned i;

	p += sprintf(p, "{\"exp\":9999999999,\"%s\":%s", name, n != 0 ? "[" :
	    "");
	for (i = 0; i < n || i == 0; i++) {
		p += sprintf(p, "%s\"", i == 0 ? "" : ",");
		memset(p, 'n', len);
		p += len;
		*p++ = '"';
	}
	strcpy(p, n != 0 ? "]}" : "}");
	return text;
}

static void
tokens(void)
{
	char claims[1000], *t;
	struct hub h = { 0 };
	unsigned i, changed;
	size_t at;

	CASE("tokens: each wrong kind is a 401 that says why");
	write_keys(SECRET);
	START(&h, QUIET_HUB, "--token-key", "token.key", "-v", "-v");
	for (i = 0; i < COUNT(wrong); i++) {
		with_times(claims, sizeof claims, wrong[i].claims);
		try_token(&h, i % 3, wrong[i].header == NULL ? claims :
		    sign(SECRET, wrong[i].header, claims), wrong[i].reason);
	}
	try_token(&h, 0, sign(SECRET, HS256, claims_of("sub", 256, 0)), NO_SUB);
	try_token(&h, 1, sign(SECRET, HS256, claims_of("channels", 256, 1)),
	    NO_CHANNELS);
	try_token(&h, 2, sign(SECRET, HS256, claims_of("channels", 4, 101)),
	    "more than 100 channels");
	try_token(&h, 0, sign(SECRET, HS256, claims_of("x", 3060, 0)),
	    "over 4096 bytes");
	i += 4;

	CASE("tokens: a right one with a byte of any part changed is a 401");
	for (changed = 0; changed < 30; changed++) {
		t = token(",\"sub\":\"a name\"", 60);
		at = strlen(t) * changed / 30;
		t[at] = t[at] == 'A' ? 'B' : 'A';
		try_token(&h, changed % 3, t, "");
	}
	i += changed;
	COUNTER(&h, "unauthorized", i);

	CASE("tokens: at the limits, and with what is ignored, they are good");
	try_token(&h, 0, sign(SECRET, HS256, claims_of("sub", 255, 0)), NULL);
	try_token(&h, 1, sign(SECRET, HS256, claims_of("channels", 255, 9)),
	    NULL);
	try_token(&h, 2, sign(SECRET, HS256, claims_of("channels", 4, 100)),
	    NULL);
	try_token(&h, 0, sign(SECRET, " {\"typ\":\"jwt\", \"kid\":1, \"alg\": "
	    "\"HS\\u003256\"} ", "{\"exp\":1e11,\"iss\":[{}]}"), NULL);
	snprintf(claims, sizeof claims, ",\"nbf\":%lld",
	    (long long)time(NULL) + 25);
	try_token(&h, 1, token(claims, 60), NULL);
	COUNTER(&h, "opened", 5);
	STOP(&h);
	check_secrets(&h);
}

/* ------------------------------------------------------------------- names */

/* A visitor with a token of these claims. */
static int
visit_as(struct visitor *v, const struct hub *h, const char *target,
    const char *more, long seconds)
{
	char fields[WS_TOKEN_MAX + 100];

	snprintf(fields, sizeof fields, "Authorization: Bearer %s\r\n",
	    token(more, seconds));
	return visit(v, h, target, fields);
}

/* The same, which goes on with a session. */
static int
again_as(struct visitor *v, const struct hub *h, const char *from, int seen,
    const char *more, long seconds)
{
	char target[100];

	snprintf(target, sizeof target, "/?resume=%s.%d", from, seen);
	return visit_as(v, h, target, more, seconds);
}

#define TO(device) "{\"action\":\"sendToDevice\",\"device\":\"" device \
    "\",\"data\":1}\n"
#define ON(channel) "{\"action\":\"sendToChannel\",\"channel\":\"" channel \
    "\",\"data\":1}\n"

static void
names(void)
{
	static const char *const odd[] = {
		"\\\"quotes\\\" and \\\\", "tab\\u0009, bell\\u0007, \\u001f",
		"J\xc3\xb6rg \xf0\x9f\x98\x80 <&>", "15_bytes_so_long",
		"0", " "
	};
	char more[700], claims[800], want[1700], name[256];
	struct hub h = { 0 };
	struct visitor a, b, c;
	size_t i;
	int fd;

	write_keys(SECRET);
	START(&h, QUIET_HUB, "--token-key", "token.key", "-v", "-v");
	fd = dial_unix(h.control);

	CASE("sub: its sessions are one device, each counts, the last ends it");
	visit_as(&a, &h, "/", ",\"sub\":\"team\"", 60);
	visit_as(&b, &h, "/?resume", ",\"sub\":\"team\",\"channels\":[\"x\"]",
	    60);
	visit_as(&c, &h, "/", "", 60);
	ASK(fd, TO("team"), "OK 2\n");
	ASK(fd, ON("x"), "OK 2\n");
	ASK(fd, M1 "\n", "OK 3\n");
	NUMBERS(&c, 1, 1);
	for (i = 0; i < 3; i++) {
		NUMBERS(&a, 1, 1);
		NUMBERS(&b, 1, 1);
	}
	ASK(fd, "{\"action\":\"subscribe\",\"device\":\"team\","
	    "\"channel\":\"y\"}\n", "OK 1\n");
	ASK(fd, "{\"action\":\"subscribe\",\"device\":\"team\","
	    "\"channel\":\"x\"}\n", "OK 0\n");
	put_frame(&b.c, 0x88, "\x03\xe8", 2);
	CLOSED(&b.c, 1000);
	leave(&b.c);
	ASK(fd, ON("x"), "OK 1\n");
	ASK(fd, ON("y"), "OK 1\n");
	NUMBERS(&a, 1, 1);
	NUMBERS(&a, 1, 1);
	leave(&a.c);
	EXPECT(await_gone(&h, "team"), "the device does not go");
	ASK(fd, ON("x"), "OK 0\n");
	ASK(fd, ON("y"), "OK 0\n");
	ASK(fd, M1 "\n", "OK 1\n");

	CASE("sub: a device whose last session is away is there, and hears");
	visit_as(&a, &h, "/?resume", ",\"sub\":\"team\",\"channels\":[\"x\"]",
	    60);
	vanish(&h, &a, 1);
	ASK(fd, TO("team"), "OK 1\n");
	ASK(fd, ON("x"), "OK 1\n");
	visit_as(&b, &h, "/", ",\"sub\":\"team\"", 60);
	ASK(fd, ON("x"), "OK 2\n");
	NUMBERS(&b, 1, 1);

	CASE("sub: who comes back must be the same; what others ask is theirs");
	again_as(&c, &h, a.session, 0, ",\"sub\":\"other\"", 60);
	NEW(&c, 1);
	EXPECT(strcmp(c.device, "other") == 0, "it is %s", c.device);
	ASK(fd, TO("other"), "OK 1\n");
	NUMBERS(&c, 1, 1);
	leave(&c.c);
	again_as(&c, &h, a.session, 0, "", 60);
	NEW(&c, 1);
	QUIET(c.c.fd, 20);
	again_as(&b, &h, c.session, 0, ",\"sub\":\"team\"", 60);
	NEW(&b, 1);
	ASK(fd, M1 "\n", "OK 6\n");
	NUMBERS(&c, 1, 1);
	leave(&c.c);
	again_as(&c, &h, a.session, 0,
	    ",\"sub\":\"team\",\"channels\":[\"z\"]", 60);
	AGAIN(&c, "team", 4);
	NUMBERS(&c, 1, 1);
	NUMBERS(&c, 1, 1);
	NUMBERS(&c, 1, 1);
	NUMBERS(&c, 1, 1);

	CASE("channels: a token that resumes adds its own");
	ASK(fd, ON("z"), "OK 3\n");
	NUMBERS(&c, 1, 1);
	leave(&b.c);
	leave(&c.c);

	CASE("sub: a random id in use is a 401");
	visit_as(&a, &h, "/", "", 60);
	snprintf(more, sizeof more, ",\"sub\":\"%s\"", a.device);
	visit_as(&b, &h, "/?resume", more, 60);
	check_refusal("an id", &b, 401, "sub is the id of another device");
	snprintf(want, sizeof want, "{\"action\":\"sendToDevice\",\"device\":"
	    "\"%s\",\"data\":1}\n", a.device);
	ASK(fd, want, "OK 1\n");
	NUMBERS(&a, 1, 1);
	leave(&b.c);
	leave(&a.c);
	EXPECT(await_gone(&h, a.device), "the device does not go");
	visit_as(&b, &h, "/", more, 60);
	EXPECT(b.status == 101, "an id that is free: %d", b.status);
	leave(&b.c);

	CASE("channels: subscribed before the first message is there");
	for (i = 0; i < 20; i++) {
		visit_as(&a, &h, "/", ",\"channels\":[\"news\",\"\\u006eews\","
		    "\"\\\"\\\\\"]", 60);
		ASK(fd, ON("news"), "OK 1\n");
		ASK(fd, ON("\\\"\\\\"), "OK 1\n");
		NUMBERS(&a, 1, 1);
		NUMBERS(&a, 1, 1);
		leave(&a.c);
		EXPECT(await_gone(&h, a.device), "the device does not go");
	}

	CASE("sub: any name is valid JSON in setDeviceId, byte for byte");
	memset(name, 'n', 255);
	name[255] = '\0';
	for (i = 0; i <= COUNT(odd); i++) {
		const char *it = i < COUNT(odd) ? odd[i] : name;

		snprintf(more, sizeof more, ",\"sub\":\"%s\"", it);
		snprintf(want, sizeof want, "{\"action\":\"setDeviceId\","
		    "\"data\":{\"device_id\":\"%s\"}}", it);
		visit_as(&a, &h, "/", more, 60);
		EXPECT(strcmp(a.text, want) == 0, "\"%s\", not \"%s\"", a.text,
		    want);
		snprintf(want, sizeof want, "{\"action\":\"sendToDevice\","
		    "\"device\":\"%s\",\"data\":1}\n", it);
		ASK(fd, want, "OK 1\n");
		NUMBERS(&a, 1, 1);
		leave(&a.c);
	}
	/* Control characters are what grows most. */
	for (i = 0, *more = *want = '\0'; i < 255; i++) {
		strcpy(more + 2 * i, "\\t");
		strcpy(want + 6 * i, "\\u0009");
	}
	snprintf(claims, sizeof claims, ",\"sub\":\"%s\"", more);
	visit_as(&a, &h, "/?resume", claims, 60);
	EXPECT(strstr(a.text, want) == a.text + sizeof ID_HEAD - 1 &&
	    strlen(a.session) == 32 && a.status == 101, "\"%s\"", a.text);
	leave(&a.c);
	close(fd);
	STOP(&h);
	check_secrets(&h);
}

/* ------------------------------------------------------------------ expiry */

static void
expiry(void)
{
	static const char expired[] = "\x0b\xb8token expired";
	struct hub h = { 0 };
	struct visitor plain, back, fresh, other, v;
	long long end;
	int fd;

	CASE("exp: 3000 \"token expired\" at its time, and to nobody else");
	write_keys(SECRET);
	START(&h, QUIET_HUB, "--token-key", "token.key", "-v", "-v");
	fd = dial_unix(h.control);
	end = (long long)time(NULL) + PERIOD + 1;
	visit_as(&plain, &h, "/", "", PERIOD + 1);
	visit_as(&back, &h, "/?resume", ",\"sub\":\"back\"", PERIOD + 1);
	visit_as(&fresh, &h, "/?resume", ",\"sub\":\"fresh\"", PERIOD + 1);
	visit_as(&other, &h, "/?resume", ",\"sub\":\"back\"", 1000);
	tell(fd, 1, 1, 4);
	NUMBERS(&fresh, 1, 1);
	again_as(&v, &h, fresh.session, 1, ",\"sub\":\"fresh\"", 1000);
	AGAIN(&v, "fresh", 0);
	CLOSED(&fresh.c, 1001);
	leave(&fresh.c);
	fresh.c = v.c;
	NUMBERS(&plain, 1, 1);
	NUMBERS(&back, 1, 1);
	NUMBERS(&other, 1, 1);
	FRAME(&plain.c, 0x88, expired, sizeof expired - 1);
	FRAME(&back.c, 0x88, expired, sizeof expired - 1);
	EXPECT((long long)time(NULL) >= end && (wrap[0] != NULL ||
	    (long long)time(NULL) <= end + 2), "%lld s after exp",
	    (long long)time(NULL) - end);
	EXPECT(await_gone(&h, plain.device), "a plain session does not end");
	leave(&plain.c);
	leave(&back.c);

	CASE("exp: a session that can be resumed waits for a fresh token");
	COUNTER(&h, "away", 1);
	tell(fd, 2, 3, 3);
	again_as(&v, &h, back.session, 1, ",\"sub\":\"back\"", 0);
	check_refusal("the same token", &v, 401, "expired");
	leave(&v.c);
	again_as(&v, &h, back.session, 1, ",\"sub\":\"back\"", 1000);
	AGAIN(&v, "back", 2);
	NUMBERS(&v, 2, 3);
	NUMBERS(&fresh, 2, 3);
	NUMBERS(&other, 2, 3);
	QUIET(fresh.c.fd, 0);
	QUIET(v.c.fd, 0);
	leave(&v.c);
	leave(&fresh.c);
	leave(&other.c);
	close(fd);
	STOP(&h);
	check_secrets(&h);
}

/* ---------------------------------------------------------------- resuming */

static void
old_clients(void)
{
	struct hub h = { 0 };
	struct client c;
	struct visitor v;

	CASE("old clients: no ?resume, and --resume 0, byte for byte");
	START(&h, QUIET_HUB);
	join(&c, &h);
	leave(&c);
	visit(&v, &h, "/?x=resume&resumed&Resume=1", "Cookie: resume=1\r\n");
	EXPECT(strlen(v.text) == ID_FRAME - 2 && *v.session == '\0', "\"%s\"",
	    v.text);
	leave(&v.c);
	STOP(&h);
	START(&h, QUIET_HUB, "--resume", "0");
	visit(&v, &h, "/?resume", "");
	EXPECT(strlen(v.text) == ID_FRAME - 2 && *v.session == '\0', "\"%s\"",
	    v.text);
	leave(&v.c);
	EXPECT(await_gone(&h, v.device), "it does not go");
	COUNTER(&h, "away", 0);
	STOP(&h);
}

/* What comes after the session's secret, of which three messages arrived. */
static const struct {
	const char *seen;
	int missed; /* -1: lost, and the new session replaces the old */
} back[] = {
	{ ".3", 0 }, { ".2", 1 }, { ".0", 3 }, { ".4", -1 },
	{ ".4294967299", -1 }, /* 3 + 2^32 */
	{ ".18446744073709551615", -1 },
	{ ".18446744073709551619", -1 }, /* 3 + 2^64 */
	{ ".123456789012345678901234567890", -1 },
	{ ".000000000000000000000000000003", -1 },
	{ ".-1", -1 }, { ".+3", -1 }, { ".03", -1 }, { ".3.", -1 },
	{ ".x", -1 }, { ".0x3", -1 }, { ".3%20", -1 }, { ".", -1 }, { "", -1 },
	{ "3", -1 }, { "..3", -1 }, { "0.3", -1 }
};

static void
counts(void)
{
	struct visitor v, w;
	struct hub h = { 0 };
	char target[200];
	size_t i;
	int fd;

	CASE("resume: SEEN of every kind, while the old connection is open");
	START(&h, QUIET_HUB, "-v", "-v");
	fd = dial_unix(h.control);
	for (i = 0; i < COUNT(back); i++) {
		visit(&v, &h, "/?resume", "");
		NEW(&v, 0);
		tell(fd, 1, 3, 1);
		NUMBERS(&v, 1, 3);
		snprintf(target, sizeof target, "/?resume=%s%s", v.session,
		    back[i].seen);
		visit(&w, &h, target, "");
		if (back[i].missed >= 0) {
			AGAIN(&w, v.device, (unsigned)back[i].missed);
			NUMBERS(&w, 4 - back[i].missed, 3);
		} else {
			NEW(&w, 1);
			EXPECT(strcmp(v.device, w.device) != 0 &&
			    strcmp(v.session, w.session) != 0, "SEEN \"%s\": "
			    "the same session", back[i].seen);
		}
		EXPECT(CLOSED(&v.c, 1001), "SEEN \"%s\"", back[i].seen);
		tell(fd, 4, 4, 1);
		NUMBERS(&w, 4, 4);
		put_frame(&w.c, 0x88, "\x03\xe9", 2);
		CLOSED(&w.c, 1001);
		leave(&v.c);
		leave(&w.c);
	}
	COUNTER(&h, "resumed", 3);

	CASE("resume: a secret that is nearly right is a stranger's");
	visit(&v, &h, "/?resume", "");
	for (i = 0; i < 33; i++) {
		memcpy(target, v.session, 33);
		if (i < 32)
			target[i] = target[i] == '0' ? '1' : '0';
		else /* capitals */
			target[strcspn(target, "abcdef")] ^= 0x20;
		ask_again(&w, &h, target, "0");
		read_answer(&w);
		NEW(&w, 1);
		put_frame(&w.c, 0x88, "\x03\xe8", 2);
		CLOSED(&w.c, 1000);
		leave(&w.c);
	}
	tell(fd, 1, 1, 1);
	NUMBERS(&v, 1, 1);
	leave(&v.c);
	close(fd);
	STOP(&h);
	check_secrets(&h);
}

/* How a client ends, and whether its session does. */
static const struct {
	const char *payload;
	size_t len;
	int code, ends;
} byes[] = {
	{ "\x03\xe8", 2, 1000, 1 }, { "\x03\xe9going", 7, 1001, 1 },
	{ "", 0, 1005, 0 }, { "\x03\xf3", 2, 1011, 0 },
	{ "\x0b\xb8", 2, 3000, 0 }, { "\x0f\xa0why", 5, 4000, 0 }
};

static void
breaks(void)
{
	struct visitor v, w;
	struct hub h = { 0 };
	char seen[16];
	size_t i;
	int fd, got, sent, turn;

	START(&h, QUIET_HUB, "-v", "-v");
	fd = dial_unix(h.control);

	CASE("resume: exactly what was missed, however often it breaks");
	visit(&v, &h, "/?resume", "");
	NEW(&v, 0);
	for (turn = sent = got = 0; turn < 10; turn++) {
		tell(fd, sent + 1, sent + turn, 1);
		sent += turn;
		for (i = 0; i < (size_t)turn / 2; i++, got++)
			NUMBERS(&v, got + 1, got + 1);
		if (turn % 2 == 0)
			vanish(&h, &v, 1);
		else
			leave(&v.c);
		tell(fd, sent + 1, sent + 3, 1);
		sent += 3;
		snprintf(seen, sizeof seen, "%d", got);
		ask_again(&w, &h, v.session, seen);
		read_answer(&w);
		AGAIN(&w, v.device, (unsigned)(sent - got));
		v.c = w.c;
	}
	NUMBERS(&v, got + 1, sent);
	tell(fd, sent + 1, sent + 1, 1);
	NUMBERS(&v, sent + 1, sent + 1);
	COUNTER(&h, "resumed", 10);
	COUNTER(&h, "away", 0);

	CASE("resume: a channel and a device's name outlive the connection");
	snprintf(w.head, sizeof w.head, "{\"action\":\"subscribe\","
	    "\"device\":\"%s\",\"channel\":\"x\"}\n", v.device);
	ASK(fd, w.head, "OK 1\n");
	vanish(&h, &v, 1);
	ASK(fd, ON("x"), "OK 1\n");
	ASK(fd, w.head, "OK 0\n");
	snprintf(seen, sizeof seen, "%d", sent + 1);
	ask_again(&w, &h, v.session, seen);
	read_answer(&w);
	AGAIN(&w, v.device, 1);
	NUMBERS(&w, 1, 1);
	ASK(fd, ON("x"), "OK 1\n");
	NUMBERS(&w, 1, 1);
	leave(&w.c);

	CASE("close: 1000 and 1001 end a session, others leave it away");
	for (i = 0; i < COUNT(byes); i++) {
		visit(&v, &h, "/?resume", "");
		put_frame(&v.c, 0x88, byes[i].payload, byes[i].len);
		CLOSED(&v.c, byes[i].code);
		leave(&v.c);
		ask_again(&w, &h, v.session, "0");
		read_answer(&w);
		if (byes[i].ends)
			NEW(&w, 1);
		else
			AGAIN(&w, v.device, 0);
		put_frame(&w.c, 0x88, "\x03\xe8", 2);
		CLOSED(&w.c, 1000);
		leave(&w.c);
	}

	CASE("close: who violates the protocol has no session any more");
	visit(&v, &h, "/?resume", "");
	put_frame(&v.c, 0x83, "x", 1);
	CLOSED(&v.c, 1002);
	leave(&v.c);
	ask_again(&w, &h, v.session, "0");
	read_answer(&w);
	NEW(&w, 1);
	leave(&w.c);
	close(fd);
	STOP(&h);
	check_secrets(&h);
}

/* The hub's process has so many descriptors, or -1 where that is not told. */
static int
descriptors_of(pid_t pid)
{
	char path[64];
	DIR *d;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	if (pid == 0 || (d = opendir(path)) == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* The report's line has so many clients. */
static void
clients_are(const struct hub *h, int n)
{
	char words[64];
	long long end = now() + patience;
	char *log, *at = NULL, *next;
	size_t len;
	int right = 0;

	snprintf(words, sizeof words, ", %d clients (%d in the hub)", n, n);
	while (!right && now() < end) {
		(void)counter(h, "accepted");
		log = slurp(h->log, &len);
		for (next = log; (next = strstr(next, "wshub: up ")) != NULL;)
			at = next++;
		right = at != NULL && strstr(at, words) != NULL;
		free(log);
	}
	EXPECT(right, "not%s", words);
}

static void
take_overs(void)
{
	enum { TURNS = 1000, FEWER = 100, RACES = 20 };
	int turns = test_emulated() ? FEWER : TURNS, fd, i, first, before, n;
	unsigned char frames[64], *data;
	struct visitor v, w[2];
	struct hub h = { 0 };
	char request[400], seen[16];
	size_t len, more;

	START(&h, QUIET_HUB, "-v", "-v");
	fd = dial_unix(h.control);

	CASE("take-over: frames in the same segment: a Ping is answered");
	visit(&v, &h, "/?resume", "");
	tell(fd, 1, 2, 1);
	len = (size_t)snprintf(request, 300, "GET /?resume=%s.1 HTTP/1.1\r\n"
	    UPGRADE "\r\n", v.session);
	more = frame(frames, 0x89, "here", 4);
	memcpy(request + len, frames, more);
	memset(&w[0], 0, sizeof w[0]);
	w[0].c.fd = dial(h.port[0], 0);
	put(w[0].c.fd, request, len + more);
	read_answer(&w[0]);
	AGAIN(&w[0], v.device, 1);
	NUMBERS(&w[0], 2, 2);
	FRAME(&w[0].c, 0x8a, "here", 4);
	NUMBERS(&v, 1, 2);
	CLOSED(&v.c, 1001);
	leave(&v.c);

	CASE("take-over: frames in the same segment: a Close is obeyed");
	more = frame(frames, 0x88, "\x03\xe8", 2);
	memcpy(request + len, frames, more);
	v.c = w[0].c;
	memset(&w[0], 0, sizeof w[0]);
	w[0].c.fd = dial(h.port[0], 0);
	put(w[0].c.fd, request, len + more);
	read_answer(&w[0]);
	AGAIN(&w[0], v.device, 1);
	NUMBERS(&w[0], 2, 2);
	CLOSED(&w[0].c, 1000);
	CLOSED(&v.c, 1001);
	leave(&v.c);
	leave(&w[0].c);
	ask_again(&w[0], &h, v.session, "2");
	read_answer(&w[0]);
	NEW(&w[0], 1);
	leave(&w[0].c);
	COUNTER(&h, "away", 1);

	CASE("take-over: two at once: one stays, and both hear everything");
	for (i = 0; i < RACES; i++) {
		visit(&v, &h, "/?resume", "");
		tell(fd, 1, 2, i + 2);
		NUMBERS(&v, 1, 2);
		if (i % 2 == 0)
			leave(&v.c);
		for (n = 0; n < 2; n++)
			ask_again(&w[n], &h, v.session, "1");
		for (n = 0; n < 2; n++) {
			read_answer(&w[n]);
			AGAIN(&w[n], v.device, 1);
			NUMBERS(&w[n], 2, 2);
		}
		tell(fd, 3, 3, i + 2);
		/* One of them has it, the other a Close. */
		for (n = first = 0; n < 2; n++) {
			before = get_frame(&w[n].c, &data, &len);
			first += before == 0x81 && len == 1 && *data == '3';
			if (before != 0x81)
				EXPECT(before == 0x88 && len >= 2 &&
				    data[0] == 3 && data[1] == 0xe9,
				    "frame %d", before);
			leave(&w[n].c);
		}
		EXPECT(first == 1, "%d have the next message", first);
		if (i % 2 != 0) {
			CLOSED(&v.c, 1001);
			leave(&v.c);
		}
	}
	COUNTER(&h, "away", RACES + 1);
	STOP(&h);
	close(fd);
	check_secrets(&h);

	CASE("take-over: a thousand in a row leave one client, and no more");
	START(&h, QUIET_HUB);
	fd = dial_unix(h.control);
	visit(&v, &h, "/?resume", "");
	clients_are(&h, 1);
	before = descriptors_of(child_of(h.pid));
	for (i = 0; i < turns; i++) {
		tell(fd, i + 1, i + 1, 1);
		if (i % 3 == 0)
			NUMBERS(&v, i + 1, i + 1);
		snprintf(seen, sizeof seen, "%d", i + (i % 3 == 0));
		ask_again(&w[0], &h, v.session, seen);
		read_answer(&w[0]);
		if (!AGAIN(&w[0], v.device, i % 3 != 0))
			break;
		if (i % 3 != 0)
			NUMBERS(&w[0], i + 1, i + 1);
		if (i % 2 == 0) {
			if (i % 3 != 0)
				NUMBERS(&v, i + 1, i + 1);
			CLOSED(&v.c, 1001);
		}
		leave(&v.c);
		v.c = w[0].c;
	}
	clients_are(&h, 1);
	COUNTER(&h, "resumed", turns);
	n = descriptors_of(child_of(h.pid));
	EXPECT(n == before, "%d descriptors, not %d", n, before);
	leave(&v.c);
	close(fd);
	STOP(&h);
}

static void
heartbeats(void)
{
	static const char hb[] = "{\"action\":\"hb\"}";
	struct visitor v, w;
	struct hub h = { 0 };
	int fd;

	CASE("heartbeats: counted when sent, not kept for who is away");
	START(&h, "--heartbeat", PERIOD_TEXT, "--ping", "0", "-v", "-v");
	fd = dial_unix(h.control);
	visit(&v, &h, "/?resume", "");
	visit(&w, &h, "/", "");
	FRAME(&v.c, 0x81, hb, sizeof hb - 1);
	FRAME(&w.c, 0x81, hb, sizeof hb - 1);
	tell(fd, 1, 1, 2);
	NUMBERS(&v, 1, 1);
	vanish(&h, &v, 1);
	NUMBERS(&w, 1, 1);
	FRAME(&w.c, 0x81, hb, sizeof hb - 1); /* the other is away */
	tell(fd, 2, 2, 2);
	leave(&w.c);
	ask_again(&w, &h, v.session, "2");
	read_answer(&w);
	AGAIN(&w, v.device, 1);
	NUMBERS(&w, 2, 2);
	FRAME(&w.c, 0x81, hb, sizeof hb - 1);
	leave(&w.c);
	/* Or one was sent that has not arrived. */
	ask_again(&w, &h, v.session, "3");
	read_answer(&w);
	AGAIN(&w, v.device, 1);
	FRAME(&w.c, 0x81, hb, sizeof hb - 1);
	leave(&w.c);
	close(fd);
	STOP(&h);
}

/* ------------------------------------------------------------------- limits */

/* How often words are in a file. */
static int
count_in(const char *path, const char *words)
{
	size_t len;
	char *text = slurp(path, &len), *p = text;
	int n = 0;

	while ((p = strstr(p, words)) != NULL) {
		p += strlen(words);
		n++;
	}
	free(text);
	return n;
}

static void
late(void)
{
	static const struct {
		const char *words;
		int n;
	} counts[] = {
		{ ": opened: tls=no device=", 2 }, { ": resumed: tls=no ", 1 },
		{ ": closed: time=", 3 }, { "client away: ended: time=", 2 },
		{ " reason=late ", 1 }, { " reason=shutdown ", 1 },
	};
	int i;
	struct visitor v, w;
	struct hub h = { 0 };
	long long begun;
	int fd;

	CASE("--resume: late after so many seconds, and in time before");
	START(&h, QUIET_HUB, "--resume", PERIOD_TEXT, "-v", "-v");
	fd = dial_unix(h.control);
	visit(&v, &h, "/?resume", "");
	leave(&v.c);
	COUNTER(&h, "away", 1);
	tell(fd, 1, 1, 1);
	ask_again(&w, &h, v.session, "0");
	read_answer(&w);
	AGAIN(&w, v.device, 1);
	NUMBERS(&w, 1, 1);
	QUIET(w.c.fd, PERIOD * 1000 + 100); /* that time is over */
	tell(fd, 2, 2, 1);
	NUMBERS(&w, 2, 2);
	begun = now();
	leave(&w.c);
	COUNTER(&h, "late", 1);
	EXPECT(now() - begun >= PERIOD * 1000 - 50, "after %d ms",
	    (int)(now() - begun));
	tell(fd, 3, 3, 0);
	EXPECT(await_gone(&h, v.device), "its device does not go");
	ask_again(&w, &h, v.session, "1");
	read_answer(&w);
	NEW(&w, 1);
	EXPECT(strcmp(w.device, v.device) != 0, "it has the same name");
	leave(&w.c);
	close(fd);
	STOP(&h);
	EXPECT(file_has(h.log, " reason=late device=\""), "no line says so");
	/* One for each connection and each session that is away, and its end. */
	for (i = 0; i < (int)(sizeof counts / sizeof *counts); i++)
		EXPECT(count_in(h.log, counts[i].words) == counts[i].n,
		    "\"%s\": %d times, not %d", counts[i].words,
		    count_in(h.log, counts[i].words), counts[i].n);
	check_secrets(&h);
}

/* Multicasts n strings of 100 bytes, to so many sessions each. */
static void
fill(int backend, int n, const char *want)
{
	char *p = sized(100, "\n");

	while (n-- > 0 && ASK(backend, p, want))
		;
	free(p);
}

/* Reads n of them, but for Pings, of which the last says *count. */
static void
drink(struct visitor *v, int n, int *count)
{
	unsigned char *data;
	char text[10];
	size_t len;
	int got;

	for (*count = -1; n > 0;) {
		got = get_frame(&v->c, &data, &len);
		if (got == 0x89 && len > 0 && len < 10) {
			memcpy(text, data, len);
			text[len] = '\0';
			*count = atoi(text);
		} else if (got == 0x81 && len == 100) {
			n--;
		} else {
			EXPECT(0, "frame %d of %zu bytes", got, len);
			return;
		}
	}
}

/* Reads Pings up to another frame. */
static void
skip_pings(struct visitor *v)
{
	unsigned char *data;
	size_t len;

	while (need(&v->c, 1) == 0 && v->c.buf[v->c.at] == 0x89)
		(void)get_frame(&v->c, &data, &len);
}

static void
keeping(void)
{
	enum { MANY = 200 };
	struct visitor v, w;
	struct hub h = { 0 };
	char seen[16];
	int fd, count, i;

	START(&h, QUIET_HUB, "--keep", "2000", "-v", "-v");
	fd = dial_unix(h.control);

	CASE("--keep: who is away and is sent more has missed, and is lost");
	visit(&v, &h, "/?resume", "");
	vanish(&h, &v, 1);
	fill(fd, 15, "OK 1\n");
	ask_again(&w, &h, v.session, "0");
	read_answer(&w);
	AGAIN(&w, v.device, 15);
	drink(&w, 15, &count);
	vanish(&h, &w, 1);
	for (i = 0; i < 30; i++) {
		char *p = sized(100, "\n");

		put(fd, p, strlen(p));
		free(p);
		if (strcmp(get_line(fd), "OK 1\n") != 0)
			break;
	}
	EXPECT(i > 0 && i < 15, "%d more were kept", i);
	COUNTER(&h, "missed", 1);
	COUNTER(&h, "away", 0);
	COUNTER(&h, "queued", 0);
	EXPECT(await_gone(&h, v.device), "its device does not go");
	ask_again(&w, &h, v.session, "15");
	read_answer(&w);
	NEW(&w, 1);
	leave(&w.c);
	COUNTER(&h, "away", 1);
	kill(h.pid, SIGTERM);
	ENDED(&h, 0);
	EXPECT(file_has(h.log, "text=\"more was sent than is kept\""),
	    "no line says so");
	close(fd);

	START(&h, QUIET_HUB, "--keep", "2000", "-v", "-v");
	fd = dial_unix(h.control);

	CASE("--keep: who is open and never confirms hears all, and is asked");
	visit(&v, &h, "/?resume", "");
	fill(fd, MANY, "OK 1\n");
	drink(&v, MANY, &count);
	EXPECT(count > 0 && count <= 20, "a Ping says %d: --ping is 0, and of "
	    "--keep a half is 9 frames", count);
	EXPECT(counter(&h, "queued") < 12000, "%lld bytes are held",
	    counter(&h, "queued"));

	CASE("--keep: then a recent SEEN goes on, and an old one is lost");
	snprintf(seen, sizeof seen, "%d", MANY - 10);
	ask_again(&w, &h, v.session, seen);
	read_answer(&w);
	AGAIN(&w, v.device, 10);
	drink(&w, 10, &count);
	skip_pings(&v);
	CLOSED(&v.c, 1001);
	leave(&v.c);
	v.c = w.c;
	/* 2000 bytes are 18 of 102 and a pointer. */
	snprintf(seen, sizeof seen, "%d", MANY - 21);
	ask_again(&w, &h, v.session, seen);
	read_answer(&w);
	NEW(&w, 1);
	skip_pings(&v);
	CLOSED(&v.c, 1001);
	leave(&v.c);
	leave(&w.c);
	close(fd);
	STOP(&h);
}

/* Pongs that nobody asked for, after three messages. */
static void
pongs(void)
{
	static const char *const forged[] = {
		"4", "0", "", "-1", "03", "3 ", "x", "4294967299",
		"18446744073709551619", "999999999999999999999999999999",
		"3333333333333333333333333333333333333333333333333333333333333"
		"33333333333333333333333333333333333333333333333333333333333333"
		"33"
	};
	struct visitor v, w;
	struct hub h = { 0 };
	unsigned char *data;
	size_t len, i;
	int fd, got;

	CASE("ping: its payload is the count; a Pong of it frees what is kept");
	START(&h, "--heartbeat", "0", "--ping", PERIOD_TEXT, "-v", "-v");
	fd = dial_unix(h.control);
	visit(&v, &h, "/?resume", "");
	tell(fd, 1, 3, 1);
	NUMBERS(&v, 1, 3);
	for (i = 0; i < COUNT(forged); i++)
		put_frame(&v.c, 0x8a, forged[i], strlen(forged[i]));
	EXPECT(counter(&h, "queued") > 0, "nothing is kept");
	FRAME(&v.c, 0x89, "3", 1);
	EXPECT(counter(&h, "queued") > 0, "nothing is kept");
	put_frame(&v.c, 0x8a, "3", 1);
	COUNTER(&h, "queued", 0);
	tell(fd, 4, 5, 1);
	NUMBERS(&v, 4, 5);
	FRAME(&v.c, 0x89, "5", 1);
	leave(&v.c);

	CASE("pong: forged ones, and old ones, confirm nothing");
	visit(&w, &h, "/?resume", "");
	tell(fd, 1, 3, 2);
	NUMBERS(&w, 1, 3);
	for (i = 0; i < COUNT(forged); i++)
		put_frame(&w.c, 0x8a, forged[i], strlen(forged[i]));
	ask_again(&v, &h, w.session, "0");
	read_answer(&v);
	AGAIN(&v, w.device, 3);
	leave(&w.c);
	NUMBERS(&v, 1, 3);
	put_frame(&v.c, 0x8a, "2", 1);
	put_frame(&v.c, 0x8a, "1", 1);
	memcpy(v.session, w.session, sizeof v.session);
	memcpy(v.device, w.device, sizeof v.device);
	ask_again(&w, &h, v.session, "2");
	read_answer(&w);
	AGAIN(&w, v.device, 1);
	NUMBERS(&w, 3, 3);
	leave(&v.c);
	got = get_frame(&w.c, &data, &len);
	EXPECT(got == 0x89 && len == 1 && *data == '3', "frame %d of %zu bytes",
	    got, len);
	ask_again(&v, &h, v.session, "1");
	read_answer(&v);
	NEW(&v, 1);
	leave(&v.c);
	leave(&w.c);
	close(fd);
	STOP(&h);
}

static void
crowded(void)
{
	enum { MOST = 3 };
	struct visitor v[MOST], w;
	struct hub h = { 0 };
	int fd, i, gone = 0, got, held;
	char *big;
	long long begun;

	CASE("--max-clients: of those who are away each is let in, others not");
	START(&h, QUIET_HUB, "--max-clients", "3");
	fd = dial_unix(h.control);
	for (i = 0; i < MOST; i++)
		visit(&v[i], &h, "/?resume", "");
	for (i = 0; i < MOST; i++)
		leave(&v[i].c);
	COUNTER(&h, "away", MOST);
	tell(fd, 1, 1, MOST);
	for (i = 0; i < 3; i++) {
		visit(&w, &h, i == 0 ? "/" : i == 1 ? "/?resume" :
		    "/?resume=0123456789abcdef0123456789abcdef.0", "");
		check_refusal("a new one", &w, 503, "too many clients");
		leave(&w.c);
	}
	for (i = 0; i < MOST; i++) {
		ask_again(&w, &h, v[i].session, "0");
		read_answer(&w);
		AGAIN(&w, v[i].device, 1);
		NUMBERS(&w, 1, 1);
		v[i].c = w.c;
	}
	visit(&w, &h, "/?resume", "");
	check_refusal("a new one", &w, 503, "too many clients");
	leave(&w.c);
	/* Also while all are open. */
	ask_again(&w, &h, v[0].session, "1");
	read_answer(&w);
	AGAIN(&w, v[0].device, 0);
	CLOSED(&v[0].c, 1001);
	leave(&v[0].c);
	v[0].c = w.c;
	tell(fd, 2, 2, MOST);
	for (i = 0; i < MOST; i++) {
		NUMBERS(&v[i], 2, 2);
		put_frame(&v[i].c, 0x88, "\x03\xe8", 2);
		CLOSED(&v[i].c, 1000);
		leave(&v[i].c);
	}
	clients_are(&h, 0);
	visit(&w, &h, "/?resume", "");
	NEW(&w, 0);
	leave(&w.c);
	close(fd);
	STOP(&h);

	CASE("--queue-total: those who are away go, are counted, others hear");
	START(&h, QUIET_HUB, "--queue-total", "300000", "--keep", "10000000",
	    "--queue", "40000000");
	fd = dial_unix(h.control);
	visit(&w, &h, "/", "");
	for (i = 0; i < MOST; i++)
		visit(&v[i], &h, "/?resume", "");
	for (i = 0; i < MOST; i++)
		leave(&v[i].c);
	COUNTER(&h, "away", MOST);
	nap(200); /* they have taken nothing for longer than who reads */
	big = sized(10000, "\n");
	for (held = 0; held < 100 && gone < MOST; held++) {
		put(fd, big, strlen(big));
		got = atoi(get_line(fd) + 3);
		FRAME(&w.c, 0x81, big + 29, 10000);
		gone = 1 + MOST - got;
	}
	EXPECT(gone == MOST && held > 20 && held < 60, "%d have gone after %d",
	    gone, held);
	free(big);
	COUNTER(&h, "cut off", MOST);
	COUNTER(&h, "away", 0);
	COUNTER(&h, "queued", 0);
	ask_again(&v[0], &h, v[0].session, "0");
	read_answer(&v[0]);
	EXPECT(v[0].status == 101, "%d", v[0].status);
	leave(&v[0].c);
	leave(&w.c);
	close(fd);
	STOP(&h);

	CASE("TERM: sessions that are away are not waited for");
	START(&h, QUIET_HUB, "--drain", "10");
	fd = dial_unix(h.control);
	for (i = 0; i < MOST; i++)
		visit(&v[i], &h, "/?resume", "");
	leave(&v[0].c);
	leave(&v[1].c);
	COUNTER(&h, "away", 2);
	tell(fd, 1, 1, 3);
	NUMBERS(&v[2], 1, 1);
	close(fd);
	begun = now();
	kill(h.pid, SIGTERM);
	CLOSED(&v[2].c, 1001);
	leave(&v[2].c);
	ENDED(&h, 0);
	EXPECT(now() - begun < 2000 || wrap[0] != NULL, "it took %d ms",
	    (int)(now() - begun));
	START(&h, QUIET_HUB, "--drain", "10");
	visit(&v[0], &h, "/?resume", "");
	vanish(&h, &v[0], 1);
	begun = now();
	STOP(&h);
	EXPECT(now() - begun < 2000 || wrap[0] != NULL, "it took %d ms",
	    (int)(now() - begun));
}

/* --------------------------------------------------------------------- keys */

#define STAYS "the old token keys stay: token.key: "

/* A HUP, and the log's next line ends so. */
static void
renew(const struct hub *h, const char *says)
{
	size_t before, len = 0;
	long long end = now() + patience;
	char *log = slurp(h->log, &before), *line = NULL;

	free(log);
	kill(h->pid, SIGHUP);
	do {
		nap(2);
		log = slurp(h->log, &len);
		line = log + before;
		if (strchr(line, '\n') != NULL)
			break;
		free(log);
		log = NULL;
	} while (now() < end);
	EXPECT(log != NULL && strstr(line, says) != NULL &&
	    strchr(line, '\n')[1] == '\0', "\"%s\", not a line with \"%s\"",
	    log != NULL ? line : "", says);
	free(log);
}

static void
key_files(void)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{ "", "no secret: a line of 32 bytes or more is needed" },
		{ "\n\r\n", "no secret" },
		{ "0123456789012345678901234567890\n",
		    "line 1: a secret of 31 bytes: 32 or more are needed" },
		{ SECRET "\nshort\n", "line 2: a secret of 5 bytes" },
		{ SECRET "\n# old ones: none of them any more\n",
		    "line 2: begins with #" },
		{ "\xef\xbb\xbf" SECRET "\n", "line 1: a byte order mark" },
	};
	char fields[3][600];
	struct hub h = { 0 };
	struct visitor v, open, plain;
	size_t i;
	int fd;

	CASE("keys: a bad file is an error at the start, also with -n");
	for (i = 0; i < COUNT(bad); i++) {
		write_keys(bad[i].text);
		COMMAND(1, NULL, bad[i].error, "-n", "--token-key",
		    "token.key");
		COMMAND(1, NULL, bad[i].error, "--token-key", "token.key",
		    "-l", "unix:none.ws");
	}
	COMMAND(1, NULL, "none.key: No such file", "-n", "--token-key",
	    "none.key");
	COMMAND(1, NULL, "none.key: No such file", "--token-key", "none.key",
	    "-l", "unix:none.ws");
	COMMAND(1, NULL, ".: not a file", "-n", "--token-key", ".");
	EXPECT(access("none.ws", F_OK) == -1, "there is a listener");
	write_keys("01234567890123456789012345678901");
	COMMAND(0, NULL, NULL, "-n", "--token-key", "token.key");

	CASE("HUP: the new keys are for new connections; open ones stay");
	write_keys(SECRET "\n");
	for (i = 0; i < 3; i++)
		snprintf(fields[i], sizeof *fields, "Authorization: Bearer %s"
		    "\r\n", sign(i == 0 ? SECRET : i == 1 ? SECOND : THIRD,
		    HS256, "{\"exp\":9999999999,\"sub\":\"me\"}"));
	START(&h, QUIET_HUB, "--token-key", "token.key");
	fd = dial_unix(h.control);
	visit(&open, &h, "/?resume", fields[0]);
	visit(&plain, &h, "/", fields[0]);
	EXPECT(visit(&v, &h, "/", fields[1]) == 401, "%d", v.status);
	leave(&v.c);
	write_keys(SECOND "\n");
	renew(&h, "tokens are checked by the new keys");
	check_refusal("the old key", (visit(&v, &h, "/", fields[0]), &v), 401,
	    "bad signature");
	leave(&v.c);
	visit(&v, &h, "/", fields[1]);
	EXPECT(v.status == 101, "the new key: %d %s", v.status, v.text);
	tell(fd, 1, 1, 3);
	NUMBERS(&v, 1, 1);
	NUMBERS(&plain, 1, 1);
	NUMBERS(&open, 1, 1);
	leave(&v.c);
	leave(&plain.c);
	vanish(&h, &open, 1);

	CASE("HUP: a session goes on with a token of the new key, not the old");
	snprintf(v.head, sizeof v.head, "/?resume=%s.0", open.session);
	memcpy(open.head, v.head, sizeof open.head);
	visit(&v, &h, open.head, fields[0]);
	check_refusal("the old key", &v, 401, "bad signature");
	leave(&v.c);
	visit(&v, &h, open.head, fields[1]);
	AGAIN(&v, "me", 1);
	NUMBERS(&v, 1, 1);

	CASE("HUP: a bad file leaves the old keys, and says so in a line");
	for (i = 0; i < COUNT(bad); i++) {
		write_keys(bad[i].text);
		renew(&h, bad[i].error);
		EXPECT(file_has(h.log, STAYS), "which stay?");
	}
	unlink("token.key");
	renew(&h, STAYS "No such file");
	visit(&plain, &h, "/", fields[0]);
	EXPECT(plain.status == 401, "the oldest key: %d", plain.status);
	leave(&plain.c);
	visit(&plain, &h, "/", fields[1]);
	EXPECT(plain.status == 101, "the old key: %d", plain.status);
	tell(fd, 2, 2, 2);
	NUMBERS(&v, 2, 2);
	NUMBERS(&plain, 2, 2);
	leave(&plain.c);
	write_keys(THIRD "\n" SECRET "\n");
	renew(&h, "tokens are checked by the new keys");
	for (i = 0; i < 3; i++) {
		visit(&plain, &h, "/", fields[i]);
		EXPECT(plain.status == (i == 1 ? 401 : 101), "key %zu: %d", i,
		    plain.status);
		leave(&plain.c);
	}
	leave(&v.c);
	close(fd);
	STOP(&h);
	check_secrets(&h);
}

/* --------------------------------------------------------------- strangers */

/* Many who have a wrong token, at once and one after another. */
static void
strangers(void)
{
	enum { ROUNDS = 20, EACH = 100 };
	static const char *const kinds[] = {
		"\"exp\":9999999999", "\"exp\":9999999999,\"sub\":\"me\"", ""
	};
	char request[2000], answer[1024], claims[100];
	int rounds = test_emulated() ? 3 : ROUNDS, fd[EACH], backend, i, k;
	struct visitor good, away, v;
	struct hub h = { 0 };
	long long begun, most = 0;
	size_t len;

	CASE("strangers: 2,000 wrong tokens, and the good notice nothing");
	write_keys(SECRET);
	START(&h, QUIET_HUB, "--token-key", "token.key");
	backend = dial_unix(h.control);
	visit_as(&good, &h, "/", ",\"sub\":\"good\"", 1000);
	visit_as(&away, &h, "/?resume", ",\"sub\":\"me\"", 1000);
	vanish(&h, &away, 1);
	for (k = 0; k < rounds; k++) {
		snprintf(claims, sizeof claims, "{%s}", kinds[k % 3]);
		snprintf(request, sizeof request, "GET /?token=%s&resume=%s.0 "
		    "HTTP/1.1\r\n" UPGRADE "\r\n", sign(k % 3 == 2 ? SECRET :
		    THIRD, HS256, claims), away.session);
		for (i = 0; i < EACH; i++) {
			fd[i] = dial(h.port[0], 0);
			put(fd[i], request, strlen(request));
		}
		begun = now();
		tell(backend, k, k, 2);
		NUMBERS(&good, k, k);
		if (now() - begun > most)
			most = now() - begun;
		for (i = 0; i < EACH; i++) {
			if (!get_all(fd[i], answer, sizeof answer, &len) ||
			    strncmp(answer, "HTTP/1.1 401 ", 13) != 0)
				EXPECT(0, "\"%s\" is no 401", answer);
			close(fd[i]);
		}
	}
	EXPECT(most < 1000 || wrap[0] != NULL, "a message took %lld ms", most);
	COUNTER(&h, "unauthorized", rounds * EACH);
	again_as(&v, &h, away.session, 0, ",\"sub\":\"me\"", 1000);
	AGAIN(&v, "me", (unsigned)rounds);
	NUMBERS(&v, 0, rounds - 1);
	clients_are(&h, 2);
	leave(&v.c);
	leave(&good.c);
	close(backend);
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "late", .run = late },
	{ .name = "expiry", .run = expiry },
	{ .name = "heartbeats", .run = heartbeats },
	{ .name = "pongs", .run = pongs },
	{ .name = "admission", .run = admission },
	{ .name = "tokens", .run = tokens },
	{ .name = "names", .run = names },
	{ .name = "old_clients", .run = old_clients },
	{ .name = "counts", .run = counts },
	{ .name = "breaks", .run = breaks },
	{ .name = "take_overs", .run = take_overs },
	{ .name = "keeping", .run = keeping },
	{ .name = "crowded", .run = crowded },
	{ .name = "key_files", .run = key_files },
	{ .name = "strangers", .run = strangers },
};

int
main(int argc, char **argv)
{
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}
