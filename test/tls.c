/* wshub: ISC licence, see LICENSE. */
/*
 * tls.c against BearSSL's own client, over a socketpair, in one process.
 *
 * The lent buffers are overwritten after every call, so that a session that
 * relies on anything in them does not get far; and memory can be made to run
 * out. The certificates are test/certs/'s.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "../cert.c"
#include "../tls.c"
#undef malloc
#undef calloc
#undef realloc
#undef free

#include <fcntl.h>

#include "test.h"

#ifndef CERTS
#define CERTS "test/certs/"
#endif

/* A server's session and the client at the other end. */
struct pair {
	struct ws_tls *t;
	int server, client;
	br_ssl_client_context cc;
	br_x509_minimal_context xc;
	unsigned char buffers[BR_SSL_BUFSIZE_BIDI];
	unsigned char up[65536]; /* the client's records, not delivered */
	size_t nup, step;        /* bytes delivered at a time; 0: all */
	ssize_t last;            /* what ws_tls_read returned */
	unsigned char got[65536], down[65536]; /* application data */
	size_t ngot, ndown;
	size_t moved;            /* bytes so far, to see if anything happens */
};

static br_x509_trust_anchor anchor;
static unsigned char anchor_dn[256], anchor_key[256];
static unsigned char big[65536];

static struct ws_text
slurp(const char *name)
{
	char path[256];
	struct ws_text text;
	char *s = calloc(1, 16384);
	FILE *f;

	snprintf(path, sizeof path, CERTS "%s", name);
	if (s == NULL || (f = fopen(path, "r")) == NULL) {
		perror(path);
		exit(1);
	}
	text.s = s;
	text.len = fread(s, 1, 16383, f);
	fclose(f);
	return text;
}

static struct ws_text
text(const char *s)
{
	struct ws_text t;

	t.s = s;
	t.len = strlen(s);
	return t;
}

/* Names are of files; words[0] is '\0' when all is well. */
static struct ws_tls_config *
config(const char *chain, const char *key, char words[WS_ERROR_MAX])
{
	struct ws_text c = slurp(chain), k = slurp(key);
	struct ws_tls_config *config = ws_tls_config_new(c, k, words);

	/* The bytes may be wiped afterwards. */
	memset((char *)c.s, 'x', c.len);
	memset((char *)k.s, 'x', k.len);
	free((char *)c.s);
	free((char *)k.s);
	return config;
}

static struct ws_tls_config *
good(const char *chain, const char *key)
{
	char words[WS_ERROR_MAX];
	struct ws_tls_config *c = config(chain, key, words);

	EXPECT(c != NULL, "%s and %s: %s", chain, key, words);
	EXPECT(words[0] == '\0', "%s and %s: %s", chain, key, words);
	if (c == NULL)
		exit(1);
	return c;
}

static void
add_dn(void *arg, const void *data, size_t len)
{
	(void)arg;
	memcpy(anchor_dn + anchor.dn.len, data, len);
	anchor.dn.len += len;
}

static void
load_anchor(void)
{
	static br_x509_decoder_context d;
	struct ws_text pem = slurp("ca.pem");
	struct ws_cert c;
	br_x509_certificate one[2];
	unsigned char der[2048];
	unsigned seen[WS_PEM_KINDS];
	char words[WS_ERROR_MAX];

	memset(&c, 0, sizeof c);
	c.chain = one;
	c.der = der;
	read_pem(&c, pem, WS_PEM_CERTIFICATE, seen, words);
	anchor.dn.data = anchor_dn;
	br_x509_decoder_init(&d, add_dn, NULL);
	br_x509_decoder_push(&d, one[0].data, one[0].data_len);
	anchor.flags = BR_X509_TA_CA;
	anchor.pkey = *br_x509_decoder_get_pkey(&d);
	memcpy(anchor_key, anchor.pkey.key.ec.q, anchor.pkey.key.ec.qlen);
	anchor.pkey.key.ec.q = anchor_key;
	free((char *)pem.s);
}

static void
poison(void)
{
	memset(lent_in, 0xaa, sizeof lent_in);
	memset(lent_out, 0xaa, sizeof lent_out);
}

static int
idle(const struct ws_tls *t)
{
	return t->stash == NULL && t->nin == 0 && t->nout == 0 &&
	    ws_tls_buffered(t) == 0 &&
	    t->server.eng.ibuf == NULL && t->server.eng.obuf == NULL;
}

static ssize_t
tls_read(struct pair *p, void *buf)
{
	ssize_t n = ws_tls_read(p->t, buf, WS_TLS_RECORD);

	poison();
	return n;
}

static ssize_t
tls_write(struct pair *p, const void *data, size_t len)
{
	struct iovec iov;
	ssize_t n;

	iov.iov_base = (void *)(uintptr_t)data;
	iov.iov_len = len;
	n = ws_tls_writev(p->t, &iov, data != NULL);
	poison();
	return n;
}

static int
tls_close(struct pair *p)
{
	int r = ws_tls_close(p->t);

	poison();
	return r;
}

/* A pair that has exchanged nothing; the client may still be configured. */
static struct pair *
pair_new(struct ws_tls_config *c)
{
	struct pair *p = calloc(1, sizeof *p);
	int fds[2];

	if (p == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == -1) {
		perror("socketpair");
		exit(1);
	}
	p->server = fds[0];
	p->client = fds[1];
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	p->t = ws_tls_new(c, p->server);
	EXPECT(p->t != NULL && idle(p->t), "ws_tls_new");
	br_ssl_client_init_full(&p->cc, &p->xc, &anchor, 1);
	br_x509_minimal_set_time(&p->xc, 740000, 0); /* in 2026 */
	br_ssl_engine_set_versions(&p->cc.eng, BR_TLS10, BR_TLS12);
	br_ssl_engine_set_buffer(&p->cc.eng, p->buffers, sizeof p->buffers, 1);
	return p;
}

static void
pair_start(struct pair *p, int resume)
{
	EXPECT(br_ssl_client_reset(&p->cc, "localhost", resume),
	    "client: error %d", br_ssl_engine_last_error(&p->cc.eng));
}

static void
pair_free(struct pair *p)
{
	ws_tls_free(p->t);
	close(p->server);
	if (p->client != -1)
		close(p->client);
	free(p);
}

/* The client's side of things, as far as they go. */
static void
client_run(struct pair *p)
{
	br_ssl_engine_context *e = &p->cc.eng;
	unsigned char *b;
	size_t len;
	ssize_t n;

	for (;;) {
		if ((b = br_ssl_engine_sendrec_buf(e, &len)) != NULL &&
		    len <= sizeof p->up - p->nup) {
			memcpy(p->up + p->nup, b, len);
			p->nup += len;
			br_ssl_engine_sendrec_ack(e, len);
		} else if ((b = br_ssl_engine_recvapp_buf(e, &len)) != NULL &&
		    len <= sizeof p->down - p->ndown) {
			memcpy(p->down + p->ndown, b, len);
			p->ndown += len;
			br_ssl_engine_recvapp_ack(e, len);
		} else if ((b = br_ssl_engine_recvrec_buf(e, &len)) != NULL) {
			if ((n = recv(p->client, b, len, 0)) <= 0)
				return;
			br_ssl_engine_recvrec_ack(e, (size_t)n);
			p->moved += (size_t)n;
		} else
			return;
	}
}

/* Delivers len bytes of the client's records. */
static void
deliver(struct pair *p, size_t len)
{
	ssize_t n;

	if (len > p->nup)
		len = p->nup;
	if (len == 0 || (n = send(p->client, p->up, len, MSG_NOSIGNAL)) <= 0)
		return;
	p->nup -= (size_t)n;
	memmove(p->up, p->up + n, p->nup);
	p->moved += (size_t)n;
}

static void
server_run(struct pair *p)
{
	unsigned char buf[WS_TLS_RECORD];

	while ((p->last = tls_read(p, buf)) > 0 &&
	    (size_t)p->last <= sizeof p->got - p->ngot) {
		memcpy(p->got + p->ngot, buf, (size_t)p->last);
		p->ngot += (size_t)p->last;
	}
	if (ws_tls_unsent(p->t) && !ws_tls_handshaking(p->t))
		tls_write(p, NULL, 0);
}

/* Until nothing moves any more. */
static void
run(struct pair *p)
{
	size_t moved;

	do {
		moved = p->moved;
		client_run(p);
		deliver(p, p->step ? p->step : p->nup);
		server_run(p);
		client_run(p);
	} while (p->moved != moved || p->nup != 0);
}

static void
client_write(struct pair *p, const void *data, size_t len)
{
	br_ssl_engine_context *e = &p->cc.eng;
	unsigned char *b;
	size_t room;

	while (len != 0) {
		client_run(p);
		if ((b = br_ssl_engine_sendapp_buf(e, &room)) == NULL)
			return;
		if (room > len)
			room = len;
		memcpy(b, data, room);
		br_ssl_engine_sendapp_ack(e, room);
		br_ssl_engine_flush(e, 0);
		data = (const unsigned char *)data + room;
		len -= room;
	}
	client_run(p);
}

/* A pair after its handshake; old: a session to resume, or NULL. */
static struct pair *
connected(struct ws_tls_config *c, const br_ssl_session_parameters *old)
{
	struct pair *p = pair_new(c);

	if (old != NULL)
		br_ssl_engine_set_session_parameters(&p->cc.eng, old);
	pair_start(p, old != NULL);
	run(p);
	EXPECT(!ws_tls_handshaking(p->t) && p->last == WS_WANT_IN,
	    "handshake: read %d, %s; client's error %d", (int)p->last,
	    ws_tls_error(p->t), br_ssl_engine_last_error(&p->cc.eng));
	EXPECT(idle(p->t), "a stash of %d + %d bytes after a handshake",
	    p->t->nin, p->t->nout);
	return p;
}

/* Both ways, and nothing stays behind. */
static void
echo(struct pair *p, size_t len)
{
	struct iovec iov[4];
	ssize_t n;

	p->ngot = p->ndown = 0;
	client_write(p, big, len);
	run(p);
	EXPECT(p->ngot == len && memcmp(p->got, big, len) == 0,
	    "%u bytes up: %u came", (unsigned)len, (unsigned)p->ngot);
	memset(iov, 0, sizeof iov);
	iov[1].iov_base = big;
	iov[1].iov_len = len / 3;
	iov[3].iov_base = big + len / 3;
	iov[3].iov_len = len - len / 3;
	n = ws_tls_writev(p->t, iov, 4);
	poison();
	EXPECT(n == (ssize_t)len, "writev of %u: %d", (unsigned)len, (int)n);
	run(p);
	EXPECT(p->ndown == len && memcmp(p->down, big, len) == 0,
	    "%u bytes down: %u came", (unsigned)len, (unsigned)p->ndown);
	EXPECT(idle(p->t), "%d + %d kept", p->t->nin, p->t->nout);
}

/* 1 if the text ends where a block does; some dashes may follow. */
static int
whole(struct ws_text t)
{
	static const char end[] = "-----END CERTIFICATE";
	size_t len = sizeof end - 1;

	while (t.len > 0 && (t.s[t.len - 1] == '\n' ||
	    t.s[t.len - 1] == '-'))
		t.len--;
	return t.len >= len && memcmp(t.s + t.len - len, end, len) == 0;
}

/* The words for a bad configuration. */
static void
bad(struct ws_text chain, struct ws_text key, const char *why)
{
	char words[WS_ERROR_MAX] = "x";
	struct ws_tls_config *c = ws_tls_config_new(chain, key, words);

	EXPECT(c == NULL, "\"%s\" expected, but it was taken", why);
	EXPECT(strstr(words, why) != NULL, "\"%s\" expected: \"%s\"", why,
	    words);
	ws_tls_config_release(c);
}

static void
bad_files(const char *chain, const char *key, const char *why)
{
	struct ws_text c = slurp(chain), k = slurp(key);

	bad(c, k, why);
	free((char *)c.s);
	free((char *)k.s);
}

static void
test_configs(void)
{
	static const char *const fine[][2] = {
		{ "p256.pem", "p256.key" }, { "p256.pem", "p256-sec1.key" },
		{ "p384.pem", "p384.key" }, { "p521.pem", "p521.key" },
		{ "rsa2048.pem", "rsa2048.key" },
		{ "rsa2048.pem", "rsa2048-pkcs1.key" },
		{ "rsa4096.pem", "rsa4096.key" }
	};
	static char both[32768];
	struct ws_tls_config *c;
	struct ws_text chain, key, part;
	char words[WS_ERROR_MAX];
	struct pair *p;
	size_t i, n;

	for (i = 0; i < sizeof fine / sizeof fine[0]; i++) {
		CASE(fine[i][1]);
		c = good(fine[i][0], fine[i][1]);
		EXPECT(c->cert.nchain == 2, "%u certificates",
		    (unsigned)c->cert.nchain);
		p = connected(c, NULL);
		ws_tls_config_release(c); /* the session holds its own */
		echo(p, 100);
		pair_free(p);
	}

	CASE("expired and future certificates: warnings");
	c = config("expired.pem", "p256.key", words);
	EXPECT(c != NULL && strcmp(words,
	    "the certificate expired on 2021-02-03 04:05 UTC") == 0,
	    "expired: %s", words);
	ws_tls_config_release(c);
	c = config("future.pem", "p256.key", words);
	EXPECT(c != NULL && strcmp(words,
	    "the certificate is not valid before 2055-06-07 08:09 UTC") == 0,
	    "future: %s", words);
	ws_tls_config_release(c);

	CASE("certificates and keys that do not do");
	bad_files("p384.pem", "p256.key", "does not belong");
	bad_files("rsa4096.pem", "rsa2048.key", "does not belong");
	bad_files("rsa2048.pem", "p256.key", "does not belong");
	bad_files("expired.pem", "p384.key", "does not belong");
	bad_files("p256.key", "p256.pem", "are swapped");
	bad_files("locked.key", "p256.pem", "are swapped");
	bad_files("p256.pem", "p256.pem", "no private key");
	bad_files("p256.key", "p256.key", "no certificate");
	bad_files("rsa2048.pem", "locked.key", "key is encrypted");
	bad_files("rsa2048.pem", "locked-old.key", "key is encrypted");
	bad_files("ed25519.pem", "ed25519.key", "unsupported kind: RSA");
	bad_files("ed25519.pem", "p256.key", "certificate's key is of an");
	bad_files("rsa5120.pem", "rsa5120.key", "unsupported kind: RSA");
	bad_files("rsa1024.pem", "rsa1024.key", "unsupported kind: RSA");
	bad_files("p256.pem", "explicit.key", "the private key has explicit "
	    "curve parameters, which are unsupported");
	bad_files("p256.pem", "explicit-sec1.key", "explicit curve param");
	bad_files("explicit.pem", "p256.key", "the certificate's key has "
	    "explicit curve parameters");

	CASE("texts that do not do");
	chain = slurp("p256.pem");
	key = slurp("p256.key");
	bad(text(""), key, "no certificate");
	bad(chain, text(""), "no private key");
	bad(text("-----BEGIN CERTIFICATE-----\n"), key,
	    "line 1 of the certificates: the block that begins here has no");
	bad(text("-----BEGIN CERTIFICATE-----\nTUlJ\n"
	    "-----END CERTIFICATE-----\n"), key, "certificate is damaged");
	bad(text("-----BEGIN CERTIFICATE-----\n"
	    "-----END CERTIFICATE-----\n"), key,
	    "line 2 of the certificates: the block is empty");
	bad(text("-----BEGIN CERTIFICATE-----\n\1\n"
	    "-----END CERTIFICATE-----\n"), key, "the block is empty");
	bad(chain, text("-----BEGIN PRIVATE KEY-----\n"
	    "-----END PRIVATE KEY-----\n"), "key is damaged");
	bad(chain, text("-----BEGIN PRIVATE KEY-----\nTUlJ\n"
	    "-----END PRIVATE KEY-----\n"), "key is damaged");
	bad(chain, text("-----BEGIN DSA PRIVATE KEY-----\nTUlJ\n"
	    "-----END DSA PRIVATE KEY-----\n"), "unsupported kind");
	for (part = chain; part.len > 0; part.len--) {
		c = ws_tls_config_new(part, key, words);
		EXPECT((c != NULL) == (words[0] == '\0') && (c == NULL ||
		    whole(part)), "%u bytes of a chain: %s",
		    (unsigned)part.len, words);
		ws_tls_config_release(c);
	}
	for (part = key; part.len-- > 0;) {
		c = ws_tls_config_new(chain, part, words);
		EXPECT((c != NULL) == (part.len + 1 >= key.len),
		    "%u bytes of a key: %s", (unsigned)part.len, words);
		ws_tls_config_release(c);
	}

	for (i = n = 0; i < 500; i++)
		n += (size_t)snprintf(both + n, sizeof both - n,
		    "-----BEGIN CERTIFICATE-----AA==-----END CERTIFICATE-----");
	part.s = both;
	part.len = n;
	bad(part, key, "certificate is damaged");

	CASE("PEM with text around it, CRLF, key and chain in one");
	n = (size_t)snprintf(both, sizeof both, "Dear reader:\r\n\r\n");
	for (i = 0; i < chain.len; i++) {
		if (chain.s[i] == '\n')
			both[n++] = '\r';
		both[n++] = chain.s[i];
	}
	n += (size_t)snprintf(both + n, sizeof both - n, "and\r\n%sbye",
	    key.s);
	part.s = both;
	part.len = n;
	c = ws_tls_config_new(part, part, words);
	EXPECT(c != NULL && c->cert.nchain == 2 && words[0] == '\0', "%s",
	    words);
	ws_tls_config_release(c);

	CASE("no memory for a configuration or a session");
	for (i = 0; i < 4; i++) {
		fail_from = calls + 1 + (unsigned)i;
		bad(chain, key, "out of memory");
		fail_from = 0;
	}
	c = ws_tls_config_new(chain, key, words);
	fail_from = 1;
	EXPECT(ws_tls_new(c, 0) == NULL, "a session without memory");
	fail_from = 0;
	EXPECT(c->refs == 1, "%u references", c->refs);
	ws_tls_config_release(c);
	ws_tls_config_release(NULL);
	ws_tls_free(NULL);
	free((char *)chain.s);
	free((char *)key.s);
}

/*
 * PEM as people make it. A form says how one block is written: its BEGIN and
 * END, what is before each line, how lines end, and what is after it all. It
 * is taken (line 0), or refused for one of its lines.
 */
#define PRE "-----BEGIN %s-----"
#define POST "-----END %s-----"

enum { LINE_END = -1, LINE_AFTER = -2 };

static const struct form {
	const char *name, *begin, *indent, *eol, *end, *after;
	int line;
	const char *why;
} forms[] = {
	{ "as it should be", PRE, "", "\n", POST, "\n", 0, "" },
	{ "CRLF", PRE, "", "\r\n", POST, "\r\n", 0, "" },
	{ "lone CR", PRE, "", "\r", POST, "\r", 0, "" },
	{ "empty lines", PRE, "", "\n\n", POST, "\n\n", 0, "" },
	{ "no newline at the end", PRE, "", "\n", POST, "", 0, "" },
	{ "a blank at the end of each line", PRE, "", " \n", POST, " \n", 0,
	    "" },
	{ "tabs, CRLF", PRE, "", "\t\r\n", POST, "\t\r\n", 0, "" },
	{ "an indent", "    " PRE, "    ", "\n", "    " POST, "\n", 0, "" },
	{ "a byte order mark", "\xef\xbb\xbf" PRE, "", "\n", POST, "\n", 0,
	    "" },
	{ "mark and indent", "\xef\xbb\xbf\t" PRE, "\t", "\r\n", POST,
	    "\r\n", 0, "" },
	{ "all in one line", PRE, "", " ", POST, " ", 0, "" },
	{ "base64 beside the banners", PRE, "", "", POST, "", 0, "" },
	{ "comments", "subject=CN = xn--begin-y\n---\nKey Attributes: <>\n"
	    "    friendlyName: BEGIN - END\n" PRE, "", "\n", POST,
	    "# the end\n-----\n", 0, "" },
	{ "other blocks", "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
	    "-----END EC PARAMETERS-----\n-----BEGIN PUBLIC KEY-----"
	    "-----END PUBLIC KEY-----" PRE, "", "\n", POST,
	    "-----BEGIN DH PARAMETERS-----\nnot:-base64\n"
	    "-----END DH PARAMETERS-----", 0, "" },
	{ "four dashes before BEGIN", "----BEGIN %s-----", "", "\n", POST,
	    "\n", 1, "misspelt" },
	{ "one line, blanks before BEGIN", "-----  BEGIN %s-----", "", " ",
	    POST, "\n", 1, "misspelt" },
	{ "one line, no dashes before BEGIN", "BEGIN %s-----", "", " ", POST,
	    "\n", 1, "misspelt" },
	{ "six", "-" PRE, "", "\n", POST, "\n", 1, "misspelt" },
	{ "a blank before BEGIN", "----- BEGIN %s-----", "", "\n", POST, "\n",
	    1, "misspelt" },
	{ "four dashes after BEGIN", "-----BEGIN %s----", "", "\n", POST, "\n",
	    1, "misspelt" },
	{ "none", "-----BEGIN %s", "", "\n", POST, "\n", 1, "misspelt" },
	{ "a quotation", "> " PRE, "> ", "\n", "> " POST, "\n", 1,
	    "misspelt" },
	{ "a C string", "\"" PRE, "", "\\n", POST, "\"\n", 1, "misspelt" },
	{ "its newlines", PRE, "", "\\n", POST, "\n", 1, "bad base64" },
	{ "a misspelt label", "-----BEGIN X%s-----", "", "\n",
	    "-----END X%s-----", "\n", 1, "unknown kind" },
	{ "a blank in it", "-----BEGIN %s -----", "", "\n", POST, "\n", 1,
	    "unknown kind" },
	{ "an unknown label", "-----BEGIN TRUSTED %s-----", "", "\n",
	    "-----END TRUSTED %s-----", "\n", 1, "unknown kind" },
	{ "a misspelt BEGIN", "-----BEGN %s-----", "", "\n", POST, "\n", 1,
	    "misspelt" },
	{ "another", "----BGIN %s----", "", "\n", "----END %s----", "\n", 2,
	    "base64, but" },
	{ "a typographer's", "\xe2\x80\x94\xe2\x80\x94" "BEGIN %s-----", "",
	    "\n", "\xe2\x80\x94" "END %s-----", "\n", 1, "misspelt" },
	{ "small letters", "-----begin %s-----", "", "\n", "-----end %s-----",
	    "\n", 2, "base64, but" },
	{ "no BEGIN, CRLF", "subject=", "", "\r\n", POST, "\n", 2,
	    "base64, but" },
	{ "no BEGIN, short lines", "...", ". ", "\n", POST, "\n", LINE_END,
	    "END without BEGIN" },
	{ "bad base64", PRE, "!", "\n", POST, "\n", 2, "bad base64" },
	{ "the same, lone CR", PRE, "!", "\r", POST, "\n", 2, "bad base64" },
	{ "a dash in base64", PRE, "-", "\n", POST, "\n", 2, "bad base64" },
	{ "a comment in it", PRE "\nsubject=.\n", "", "\n", POST, "\n", 2,
	    "bad base64" },
	{ "a misspelt label at END", PRE, "", "\n", "-----END X%s-----", "\n",
	    LINE_END, "another label" },
	{ "four dashes before END", PRE, "", "\n", "----END %s-----", "\n",
	    LINE_END, "is wanted here" },
	{ "four after it, CRLF", PRE, "", "\r\n", "-----END %s----", "\r\n",
	    LINE_END, "is wanted here" },
	{ "none after it", PRE, "", "\n", "-----END %s", "\n", LINE_END, "" },
	{ "no dashes before END", PRE, "", "\n", "END %s-----", "\n", LINE_END,
	    "" },
	{ "nine dashes between END and BEGIN", PRE, "", "\n", POST,
	    "----BEGIN X509 CRL-----" "-----END X509 CRL-----\n", LINE_END,
	    "is wanted here" },
	{ "five", PRE, "", "\n", POST,
	    "BEGIN X509 CRL-----" "-----END X509 CRL-----\n", LINE_END,
	    "is wanted here" },
	{ "five between BEGIN and END", "-----BEGIN X509 CRL-----END X509 CRL"
	    "-----" PRE, "", "\n", POST, "\n", 1, "misspelt" },
	{ "no END", PRE, "", "\n", "", "", LINE_AFTER, "" },
	{ "END of another block as well", PRE, "", "\n",
	    POST "-----END CERTIFICATE-----", "\n", LINE_END,
	    "END without BEGIN" },
};

static size_t
append(char *out, size_t n, const char *format, const char *label)
{
	const char *at = strstr(format, "%s");

	if (at == NULL)
		return n + (size_t)sprintf(out + n, "%s", format);
	return n + (size_t)sprintf(out + n, "%.*s%s%s", (int)(at - format),
	    format, label, at + 2);
}

/* Appends the block at *from in that form; LINE_END's line goes to *last. */
static size_t
reform(char *out, size_t n, const char **from, const struct form *f,
    unsigned *last)
{
	static const struct form *plain = forms;
	const char *s = strstr(*from, "-----BEGIN ") + 11;
	const char *stop = strchr(s, '-');
	char label[40];

	if (f == NULL)
		f = plain;
	snprintf(label, sizeof label, "%.*s", (int)(stop - s), s);
	n = append(out, n, f->begin, label);
	n = append(out, n, f->eol, "");
	*last = 2;
	for (s = strchr(s, '\n') + 1; *s != '-'; s = stop + 1) {
		stop = strchr(s, '\n');
		n += (size_t)sprintf(out + n, "%s%.*s%s", f->indent,
		    (int)(stop - s), s, f->eol);
		++*last;
	}
	n = append(out, n, f->end, label);
	n = append(out, n, f->after, label);
	*from = s;
	return n;
}

/* Each form for leaf, intermediate, root and key, and what comes of it. */
static int
same_chain(const struct ws_cert *a, const struct ws_cert *b)
{
	return a->nchain == b->nchain && a->nder == b->nder &&
	    memcmp(a->der, b->der, a->nder) == 0;
}

static void
test_forms(void)
{
	static const char *const places[] = {
		"leaf", "intermediate", "root", "key"
	};
	static char made[2][16384], whole_chain[16384];
	struct ws_text leaf = slurp("p256.pem"), root = slurp("ca.pem");
	struct ws_text key = slurp("p256.key"), chain, made_key;
	struct ws_tls_config *ref, *c;
	const struct form *f;
	const char *from;
	char words[WS_ERROR_MAX], want[64];
	unsigned line, last, size = 0, lines[4];
	size_t n[2];
	int i, place;

	sprintf(whole_chain, "%s%s", leaf.s, root.s);
	ref = ws_tls_config_new(text(whole_chain), key, words);
	EXPECT(ref != NULL && ref->cert.nchain == 3, "%s", words);
	if (ref == NULL)
		exit(1);
	for (f = forms; f < forms + sizeof forms / sizeof *forms; f++) {
		CASE(f->name);
		for (place = 0; place < 4; place++) {
			from = whole_chain;
			line = 1;
			n[0] = n[1] = 0;
			for (i = 0; i < 3; i++) {
				lines[i] = line;
				n[0] = reform(made[0], n[0], &from,
				    i == place ? f : NULL, &last);
				line += last;
				if (i == place)
					size = last;
			}
			from = key.s;
			n[1] = reform(made[1], 0, &from, place == 3 ? f : NULL,
			    &last);
			if (place == 3)
				size = last;
			lines[3] = 1;
			line = f->line > 0 ? (unsigned)f->line : size;
			/* Where nothing follows, it is where it begins. */
			if (f->line == LINE_AFTER && place >= 2)
				line = 1;
			line += lines[place] - 1;
			snprintf(want, sizeof want, "line %u of the %s: ",
			    line, place == 3 ? "private key" : "certificates");
			chain.s = made[0];
			chain.len = n[0];
			made_key.s = made[1];
			made_key.len = n[1];
			c = ws_tls_config_new(chain, made_key, words);
			if (f->line == 0)
				EXPECT(c != NULL && words[0] == '\0' &&
				    same_chain(&c->cert, &ref->cert), "%s: %u "
				    "certificates, \"%s\"", places[place],
				    c == NULL ? 0 : (unsigned)c->cert.nchain,
				    words);
			else
				EXPECT(c == NULL && strncmp(words, want,
				    strlen(want)) == 0 && strstr(words,
				    f->why) != NULL, "%s: \"%s ... %s\" "
				    "expected: %u certificates, \"%s\"",
				    places[place], want, f->why, c == NULL ?
				    0 : (unsigned)c->cert.nchain, words);
			ws_tls_config_release(c);
		}
	}

	CASE("UTF-16 after a chain, and DER");
	n[0] = (size_t)sprintf(made[0], "%s", leaf.s);
	for (i = 0; root.s[i] != '\0'; i++) {
		made[0][n[0]++] = root.s[i];
		made[0][n[0]++] = '\0';
	}
	chain.s = made[0];
	chain.len = n[0];
	for (line = 1, from = leaf.s; *from != '\0'; from++)
		line += *from == '\n';
	snprintf(want, sizeof want, "line %u of the certificates: a NUL byte",
	    line);
	bad(chain, key, want);
	chain.s = (const char *)ref->cert.der;
	chain.len = ref->cert.nder;
	bad(chain, key, "of the certificates: a NUL byte");
	ws_tls_config_release(ref);
	free((char *)leaf.s);
	free((char *)root.s);
	free((char *)key.s);
}

static void
test_suites(void)
{
	static const uint16_t more[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
		BR_TLS_RSA_WITH_AES_128_GCM_SHA256
	};
	static const char *const names[] = {
		"p256.pem", "p256.key", "rsa2048.pem", "rsa2048.key"
	};
	struct ws_tls_config *c;
	struct pair *p;
	uint16_t suite;
	size_t i, key;
	int curve;

	CASE("each cipher suite, with each kind of key; no others");
	for (key = 0; key < 2; key++) {
		c = good(names[2 * key], names[2 * key + 1]);
		for (i = 0; i < 9; i++) {
			suite = i < 6 ? suites[i % 2][i / 2] : more[i - 6];
			p = pair_new(c);
			br_ssl_engine_set_suites(&p->cc.eng, &suite, 1);
			pair_start(p, 0);
			run(p);
			if (i < 6 && i % 2 == key)
				echo(p, 50);
			else
				EXPECT(p->last == WS_ERROR &&
				    strcmp(ws_tls_error(p->t), "sent alert 40"
				    " (nothing in common)") == 0 &&
				    br_ssl_engine_last_error(&p->cc.eng) ==
				    BR_ERR_RECV_FATAL_ALERT + 40,
				    "suite %#x: %d, %s", suite, (int)p->last,
				    ws_tls_error(p->t));
			pair_free(p);
		}
		ws_tls_config_release(c);
	}

	CASE("AES first where the CPU has it, else ChaCha20");
	c = good("p256.pem", "p256.key");
	p = connected(c, NULL);
	i = br_aes_x86ni_ctr_get_vtable() != NULL ||
	    br_aes_pwr8_ctr_get_vtable() != NULL;
	EXPECT(p->cc.eng.session.cipher_suite == suites[0][i],
	    "%#x", p->cc.eng.session.cipher_suite);
	EXPECT(p->cc.eng.session.version == BR_TLS12, "version");

	pair_free(p);

	CASE("each curve");
	for (curve = BR_EC_secp256r1; curve <= BR_EC_curve25519; curve++) {
		br_ec_impl one = *br_ec_get_default();

		if (curve > BR_EC_secp521r1 && curve < BR_EC_curve25519)
			continue;
		/* P-256 is wanted for the certificates, all the same. */
		one.supported_curves = (uint32_t)1 << curve;
		p = pair_new(c);
		br_ssl_engine_set_ec(&p->cc.eng, &one);
		pair_start(p, 0);
		run(p);
		EXPECT(p->t->server.eng.ecdhe_curve == curve,
		    "curve %d, wanted %d", p->t->server.eng.ecdhe_curve,
		    curve);
		pair_free(p);
	}
	ws_tls_config_release(c);
}

static void
test_pieces(void)
{
	struct ws_tls_config *c = good("p256.pem", "p256.key");
	br_ssl_session_parameters old;
	struct pair *p, *many[40];
	size_t i, split, total;

	CASE("a handshake and data, byte by byte");
	p = pair_new(c);
	p->step = 1;
	pair_start(p, 0);
	run(p);
	EXPECT(!ws_tls_handshaking(p->t), "%s", ws_tls_error(p->t));
	echo(p, 300);
	br_ssl_engine_get_session_parameters(&p->cc.eng, &old);
	pair_free(p);

	CASE("a resumed handshake and data, at every split");
	total = 1;
	for (split = 1; split <= total; split++) {
		p = pair_new(c);
		br_ssl_engine_set_session_parameters(&p->cc.eng, &old);
		pair_start(p, 1);
		client_run(p);
		total = p->nup;
		deliver(p, split);
		server_run(p);
		EXPECT(split == total || p->t->nin == (split < 5 ? split :
		    5), "split %u: %u kept", (unsigned)split, p->t->nin);
		run(p);
		EXPECT(ws_tls_resumed(p->t), "split %u: %s", (unsigned)split,
		    ws_tls_error(p->t));
		pair_free(p);
	}
	EXPECT(total > 100, "a ClientHello of %u bytes", (unsigned)total);
	total = 1;
	for (split = 1; split <= total; split++) {
		/* Finished and data in one piece, cut at every byte. */
		p = pair_new(c);
		br_ssl_engine_set_session_parameters(&p->cc.eng, &old);
		pair_start(p, 1);
		client_run(p);
		deliver(p, p->nup);
		server_run(p);
		client_write(p, "GET / HTTP/1.1\r\n", 16);
		total = p->nup;
		deliver(p, split);
		server_run(p);
		run(p);
		EXPECT(p->ngot == 16 && idle(p->t), "split %u: %u came",
		    (unsigned)split, (unsigned)p->ngot);
		pair_free(p);
	}

	CASE("records of 16 KB, both ways");
	p = connected(c, NULL);
	echo(p, 16384);
	echo(p, 40000);
	client_write(p, big, 16384);
	deliver(p, 16000);
	server_run(p);
	EXPECT(p->ngot == 40000 && p->t->nin == 16000 &&
	    ws_tls_buffered(p->t) == 16000 && p->t->stash != NULL,
	    "16,000 bytes of a record: %u kept", p->t->nin);
	pair_free(p);

	CASE("40 sessions in turn, byte by byte");
	for (i = 0; i < 40; i++) {
		many[i] = pair_new(c);
		br_ssl_engine_set_session_parameters(&many[i]->cc.eng, &old);
		pair_start(many[i], 1);
		client_run(many[i]);
	}
	for (split = 0; split < 1000; split++)
		for (i = 0; i < 40; i++) {
			deliver(many[i], i % 7 + 1);
			server_run(many[i]);
			client_run(many[i]);
			if (split == 500)
				client_write(many[i], big + i, 90);
			if (split == 700)
				tls_write(many[i], big + i, 90);
		}
	for (i = 0; i < 40; i++) {
		EXPECT(many[i]->ngot == 90 && many[i]->ndown == 90 &&
		    memcmp(many[i]->got, big + i, 90) == 0 &&
		    memcmp(many[i]->down, big + i, 90) == 0 &&
		    idle(many[i]->t), "%u: %u up, %u down", (unsigned)i,
		    (unsigned)many[i]->ngot, (unsigned)many[i]->ndown);
		pair_free(many[i]);
	}
	ws_tls_config_release(c);
}

/* Makes the server's socket take little, and fills it. */
static size_t
stuff(struct pair *p)
{
	int size = 4096;
	size_t taken = 0;
	ssize_t n;

	setsockopt(p->server, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	while ((n = tls_write(p, big + taken, 30000 - taken)) > 0)
		taken += (size_t)n;
	EXPECT(n == WS_WANT_OUT || taken == 30000, "writing: %d, %s", (int)n,
	    ws_tls_error(p->t));
	EXPECT(ws_tls_unsent(p->t) && p->t->nout > 0 && p->t->nin == 0 &&
	    ws_tls_buffered(p->t) == p->t->nout,
	    "after %u bytes: %u kept", (unsigned)taken, p->t->nout);
	return taken;
}

static void
test_full(void)
{
	struct ws_tls_config *c = good("p256.pem", "p256.key");
	struct pair *p, *q;
	size_t taken, i;
	int size = 1;

	CASE("a record that does not go out is kept, and flushed");
	p = connected(c, NULL);
	taken = stuff(p);
	EXPECT(tls_write(p, "x", 1) == WS_WANT_OUT, "writing more");
	EXPECT(tls_write(p, NULL, 0) == WS_WANT_OUT, "flushing");
	/* Reading goes on meanwhile. */
	client_write(p, "ping", 4);
	client_write(p, "pong", 4);
	deliver(p, p->nup - 9);
	EXPECT(tls_read(p, p->got) == 4, "reading");
	EXPECT(tls_read(p, p->got) == WS_WANT_IN, "reading again");
	EXPECT(p->t->nin > 9 && ws_tls_buffered(p->t) == (size_t)p->t->nin +
	    p->t->nout, "half a record each way: %u of %u + %u",
	    (unsigned)ws_tls_buffered(p->t), p->t->nin, p->t->nout);
	EXPECT(tls_close(p) == WS_WANT_OUT, "closing");
	for (i = 0; i < 1000 && tls_close(p) == WS_WANT_OUT; i++)
		client_run(p);
	client_run(p);
	EXPECT(tls_close(p) == 0 && !ws_tls_unsent(p->t), "closed");
	EXPECT(p->ndown == taken && memcmp(p->down, big, taken) == 0,
	    "%u of %u bytes came", (unsigned)p->ndown, (unsigned)taken);
	EXPECT(p->cc.eng.shutdown_recv, "no close_notify came");
	pair_free(p);

	CASE("no memory for a stash: that session is lost, no other");
	p = connected(c, NULL);
	q = connected(c, NULL);
	stuff(q);
	client_write(p, big, 100);
	deliver(p, 50);
	fail_from = 1;
	EXPECT(tls_read(p, p->got) == WS_ERROR &&
	    strcmp(ws_tls_error(p->t), "out of memory") == 0, "%s",
	    ws_tls_error(p->t));
	fail_from = 0;
	EXPECT(idle(p->t), "a stash");
	EXPECT(tls_read(p, p->got) == WS_ERROR, "read after an error");
	EXPECT(tls_write(p, "x", 1) == WS_ERROR, "write after an error");
	EXPECT(tls_write(p, NULL, 0) == WS_ERROR, "flush after an error");
	EXPECT(tls_close(p) == WS_ERROR, "close after an error");
	pair_free(p);
	run(q);
	echo(q, 99);
	pair_free(q);
	p = connected(c, NULL);
	setsockopt(p->server, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	fail_from = 1;
	for (i = 0; i < 10 && tls_write(p, big, sizeof big) > 0; i++)
		continue;
	fail_from = 0;
	EXPECT(tls_write(p, big, 1) == WS_ERROR && idle(p->t), "%s",
	    ws_tls_error(p->t));
	pair_free(p);

	CASE("a handshake through a clogged socket");
	p = pair_new(c);
	setsockopt(p->server, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	pair_start(p, 0);
	client_run(p);
	/* What fills the socket must not reach the client. */
	for (i = 0; i < 100000 && send(p->server, "", 1, MSG_NOSIGNAL) == 1;)
		i++;
	deliver(p, p->nup);
	EXPECT(tls_read(p, p->got) == WS_WANT_OUT, "%s", ws_tls_error(p->t));
	EXPECT(tls_write(p, "x", 1) == WS_WANT_OUT, "write");
	while (i > 0 && recv(p->client, p->got, 1, 0) == 1)
		i--;
	run(p);
	EXPECT(!ws_tls_handshaking(p->t), "%s", ws_tls_error(p->t));
	pair_free(p);
	ws_tls_config_release(c);
}

/* What a client has to say on protocols: nothing, the right one, another. */
static void
offer(struct pair *p, int which)
{
	static const char *names[] = { "http/1.1", "h2" };

	if (which > 0)
		br_ssl_engine_set_protocol_names(&p->cc.eng,
		    names + which - 1, 1);
}

static void
test_resumption(void)
{
	struct ws_tls_config *c = good("p256.pem", "p256.key");
	struct ws_tls_config *d = good("p256.pem", "p256.key");
	br_ssl_session_parameters old, last;
	struct pair *p;
	int i;

	CASE("sessions resume, and with another configuration do not");
	p = connected(c, NULL);
	EXPECT(!ws_tls_resumed(p->t), "resumed the first time");
	br_ssl_engine_get_session_parameters(&p->cc.eng, &old);
	pair_free(p);
	for (i = 0; i < 3; i++) {
		p = connected(c, &old);
		EXPECT(ws_tls_resumed(p->t), "not resumed");
		echo(p, 1000);
		pair_free(p);
	}
	p = connected(d, &old);
	EXPECT(!ws_tls_resumed(p->t), "resumed");
	echo(p, 1000);
	pair_free(p);

	CASE("every ALPN offer, after every other, new and resumed");
	for (i = 0; i < 9; i++) {
		p = pair_new(c);
		offer(p, i / 3);
		pair_start(p, 0);
		run(p);
		EXPECT(!ws_tls_handshaking(p->t), "%s", ws_tls_error(p->t));
		br_ssl_engine_get_session_parameters(&p->cc.eng, &last);
		pair_free(p);
		p = pair_new(c);
		offer(p, i % 3);
		br_ssl_engine_set_session_parameters(&p->cc.eng, &last);
		pair_start(p, 1);
		run(p);
		EXPECT(ws_tls_resumed(p->t), "offer %d after %d: %s", i % 3,
		    i / 3, ws_tls_error(p->t));
		EXPECT(br_ssl_engine_get_selected_protocol(&p->cc.eng) == NULL,
		    "offer %d after %d: %s was selected", i % 3, i / 3,
		    br_ssl_engine_get_selected_protocol(&p->cc.eng));
		echo(p, 100);
		pair_free(p);
	}

	CASE("the cache outlives what it has room for");
	for (i = 0; i < 5300; i++) {
		br_ssl_session_parameters s;

		memset(&s, 0, sizeof s);
		memcpy(s.session_id, &i, sizeof i);
		s.session_id_len = 32;
		s.version = BR_TLS12;
		c->cache.vtable->save(&c->cache.vtable, &c->fresh, &s);
	}
	p = connected(c, &old);
	EXPECT(!ws_tls_resumed(p->t), "not evicted");
	br_ssl_engine_get_session_parameters(&p->cc.eng, &old);
	pair_free(p);
	p = connected(c, &old);
	EXPECT(ws_tls_resumed(p->t), "not resumed");
	pair_free(p);
	ws_tls_config_release(c);
	ws_tls_config_release(d);
}

/* The server reads what is not right. */
static void
refuse(struct ws_tls_config *c, const void *data, size_t len,
    const char *why)
{
	struct pair *p = pair_new(c);

	if (send(p->client, data, len, 0) != (ssize_t)len)
		perror("send");
	EXPECT(tls_read(p, p->got) == WS_ERROR, "\"%s\" expected", why);
	EXPECT(strcmp(ws_tls_error(p->t), why) == 0, "\"%s\" expected: %s",
	    why, ws_tls_error(p->t));
	EXPECT(idle(p->t), "a stash after an error");
	pair_free(p);
}

/* What the peer hears when that is all it says: an alert, or nothing. */
static void
told(struct ws_tls_config *c, const void *data, size_t len, int version,
    int alert)
{
	unsigned char wanted[7] = { 21, 3, 0, 0, 2, 2, 0 }, got[64] = { 0 };
	struct pair *p = pair_new(c);
	ssize_t n;

	wanted[2] = (unsigned char)version;
	wanted[6] = (unsigned char)alert;
	if (send(p->client, data, len, 0) != (ssize_t)len)
		perror("send");
	EXPECT(tls_read(p, p->got) == WS_ERROR, "it lives");
	n = recv(p->client, got, sizeof got, 0);
	EXPECT(alert == 0 ? n == -1 : n == 7 && memcmp(got, wanted, 7) == 0,
	    "alert %d: %d bytes, version %d, alert %d", alert, (int)n, got[2],
	    got[6]);
	pair_free(p);
}

static void
test_ends(void)
{
	struct ws_tls_config *c = good("p256.pem", "p256.key");
	br_ssl_session_parameters old;
	unsigned char noise[256], alert[7];
	struct pair *p;
	struct iovec none = { NULL, 0 };
	ssize_t n;
	size_t i;
	int version;

	CASE("close_notify from the client");
	p = connected(c, NULL);
	br_ssl_engine_get_session_parameters(&p->cc.eng, &old);
	client_write(p, "bye", 3);
	br_ssl_engine_close(&p->cc.eng);
	run(p);
	EXPECT(p->ngot == 3 && p->last == 0, "%u bytes, then %d",
	    (unsigned)p->ngot, (int)p->last);
	EXPECT(br_ssl_engine_current_state(&p->cc.eng) == BR_SSL_CLOSED &&
	    br_ssl_engine_last_error(&p->cc.eng) == 0, "client: error %d",
	    br_ssl_engine_last_error(&p->cc.eng));
	EXPECT(tls_read(p, p->got) == 0, "read again");
	EXPECT(tls_close(p) == 0, "close");
	EXPECT(idle(p->t), "a stash after the end");
	pair_free(p);

	CASE("close_notify from the server; then no writing");
	p = connected(c, NULL);
	EXPECT(tls_close(p) == 0, "close: %s", ws_tls_error(p->t));
	EXPECT(tls_close(p) == 0, "close again");
	EXPECT(tls_write(p, NULL, 0) == 0, "flush after close");
	client_run(p);
	EXPECT(p->cc.eng.shutdown_recv, "no close_notify came");
	deliver(p, p->nup);
	EXPECT(tls_read(p, p->got) == 0, "read the client's");
	EXPECT(tls_write(p, "x", 1) == WS_ERROR &&
	    strcmp(ws_tls_error(p->t), "written to after close") == 0,
	    "write after close: %s", ws_tls_error(p->t));
	pair_free(p);

	CASE("data that comes after our close is passed over");
	p = connected(c, NULL);
	client_write(p, big, 5000);
	EXPECT(tls_close(p) == 0, "close");
	deliver(p, p->nup);
	EXPECT(tls_read(p, p->got) == WS_WANT_IN, "read");
	pair_free(p);

	CASE("closing, writing, flushing during the handshake");
	p = pair_new(c);
	EXPECT(tls_write(p, "x", 1) == WS_WANT_IN, "write");
	EXPECT(ws_tls_writev(p->t, &none, 1) == 0, "write of nothing");
	EXPECT(tls_write(p, NULL, 0) == 0, "flush");
	EXPECT(tls_read(p, p->got) == WS_WANT_IN, "read");
	EXPECT(tls_close(p) == 0, "close: %s", ws_tls_error(p->t));
	pair_free(p);

	CASE("nothing to write makes no record");
	p = connected(c, NULL);
	EXPECT(ws_tls_writev(p->t, &none, 1) == 0, "writev");
	EXPECT(recv(p->client, p->got, 1, 0) == -1 && errno == EAGAIN,
	    "something was sent");
	EXPECT(strcmp(ws_tls_error(p->t), "no error") == 0, "%s",
	    ws_tls_error(p->t));

	CASE("end of file: after the handshake an end, before an error");
	close(p->client);
	p->client = -1;
	EXPECT(tls_read(p, p->got) == 0, "%s", ws_tls_error(p->t));
	for (i = 0; i < 3; i++)
		tls_write(p, "x", 1);
	EXPECT(tls_write(p, "x", 1) == WS_ERROR &&
	    strcmp(ws_tls_error(p->t), strerror(EPIPE)) == 0, "%s",
	    ws_tls_error(p->t));
	pair_free(p);
	for (i = 0; i < 3; i++) {
		p = pair_new(c);
		pair_start(p, 0);
		client_run(p);
		deliver(p, i == 0 ? 0 : i == 1 ? 100 : p->nup);
		server_run(p);
		shutdown(p->client, SHUT_WR);
		EXPECT(tls_read(p, p->got) == WS_ERROR &&
		    strcmp(ws_tls_error(p->t), "connection closed during the "
		    "handshake") == 0, "%s", ws_tls_error(p->t));
		pair_free(p);
	}

	CASE("every error has words");
	p = pair_new(c);
	for (i = BR_ERR_BAD_PARAM; i <= BR_ERR_IO; i++) {
		if (i == 11 || i == 30) /* there are none */
			continue;
		p->t->error = (int)i;
		EXPECT(strstr(ws_tls_error(p->t), "BearSSL") == NULL, "%s",
		    ws_tls_error(p->t));
	}
	pair_free(p);

	CASE("who fails before encryption is told why");
	told(c, "GET / HTTP/1.1\r\n", 16, 0, 0);
	told(c, "\x15\x03\x01\x00\x02\x02\x28", 7, 0, 0);
	told(c, "\x16\x03\x01\xff\xff", 5, 1, 22);
	told(c, "\x17\x03\x01\x00\x01x", 6, 1, 10);
	told(c, "\x16\x03\x01\x00\x08\x01\0\0\4\3\3\0\0", 13, 1, 50);
	for (i = 0; i < 2; i++) {
		/* After a ServerHello; and after our ChangeCipherSpec. */
		p = pair_new(c);
		if (i == 1)
			br_ssl_engine_set_session_parameters(&p->cc.eng, &old);
		pair_start(p, (int)i);
		client_run(p);
		deliver(p, p->nup);
		server_run(p);
		while (recv(p->client, p->got, sizeof p->got, 0) > 0)
			continue;
		if (send(p->client, "\x16\x03\x03\x00\x04\x01\0\0\0", 9,
		    0) != 9)
			perror("send");
		EXPECT(tls_read(p, p->got) == WS_ERROR, "it lives");
		n = recv(p->client, alert, sizeof alert, 0);
		EXPECT(i == 1 ? n == -1 : n == 7 && memcmp(alert,
		    "\x15\x03\x03\x00\x02\x02\x0a", 7) == 0,
		    "%d: %d bytes, alert %d", (int)i, (int)n, alert[6]);
		pair_free(p);
	}

	CASE("what is not TLS");
	refuse(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35, "not TLS");
	refuse(c, "\x16\x03\x01\xff\xff", 5, "bad record length");
	refuse(c, "\x17\x03\x01\x00\x01x", 6, "unexpected message");
	refuse(c, "\x15\x03\x01\x00\x02\x02\x28", 7,
	    "received alert 40 (nothing in common)");
	refuse(c, "\x15\x03\x01\x00\x02\x02\xfe", 7, "received alert 254 (?)");
	for (i = 0; i < 2000; i++) {
		/* A ClientHello with a byte changed; it may be a good one. */
		p = pair_new(c);
		br_ssl_engine_set_session_parameters(&p->cc.eng, &old);
		pair_start(p, 1);
		client_run(p);
		p->up[i % p->nup] = (unsigned char)(i * 37 + i / p->nup);
		deliver(p, p->nup);
		if (i >= 250)
			i += 13;
		server_run(p);
		EXPECT(p->last == WS_ERROR || p->last == WS_WANT_IN,
		    "byte %u: %d", (unsigned)i, (int)p->last);
		pair_free(p);
	}

	CASE("empty records without end do not keep others waiting");
	p = pair_new(c);
	for (i = 0; i < 500; i++)
		memcpy(p->up + 5 * i, "\x16\x03\x01\x00\x00", 5);
	p->nup = 5 * 500;
	deliver(p, p->nup);
	EXPECT(tls_read(p, p->got) == WS_WANT_IN, "%s", ws_tls_error(p->t));
	EXPECT(recv(p->server, p->got, sizeof p->got, MSG_PEEK) ==
	    5 * (500 - READS_MAX), "all was read");
	pair_free(p);

	CASE("a bad MAC, a bad length");
	for (i = 0; i < 2; i++) {
		p = connected(c, NULL);
		client_write(p, big, 100);
		p->up[i == 0 ? 60 : 3] ^= 0x80;
		deliver(p, p->nup);
		server_run(p);
		EXPECT(p->last == WS_ERROR && strcmp(ws_tls_error(p->t),
		    i == 0 ? "bad MAC" : "bad record length") == 0, "%d, %s",
		    (int)p->last, ws_tls_error(p->t));
		pair_free(p);
	}

	CASE("TLS 1.0 and 1.1 are refused, in words the client knows");
	for (version = BR_TLS10; version <= BR_TLS11; version++) {
		p = pair_new(c);
		br_ssl_engine_set_versions(&p->cc.eng, BR_TLS10,
		    (unsigned)version);
		pair_start(p, 0);
		client_run(p);
		deliver(p, p->nup);
		server_run(p);
		EXPECT(p->last == WS_ERROR && strcmp(ws_tls_error(p->t),
		    "sent alert 70 (protocol version)") == 0, "%s",
		    ws_tls_error(p->t));
		EXPECT(recv(p->client, alert, 7, 0) == 7 &&
		    memcmp(alert, "\x15\x03\x01\x00\x02\x02\x46", 7) == 0,
		    "%02x %02x%02x %02x%02x %02x %02x", alert[0], alert[1],
		    alert[2], alert[3], alert[4], alert[5], alert[6]);
		pair_free(p);
	}

	CASE("renegotiation is refused");
	p = connected(c, NULL);
	EXPECT(br_ssl_engine_renegotiate(&p->cc.eng) == 1, "client will not");
	run(p);
	EXPECT(br_ssl_engine_last_error(&p->cc.eng) ==
	    BR_ERR_RECV_FATAL_ALERT + 100, "client: %d",
	    br_ssl_engine_last_error(&p->cc.eng));
	EXPECT(p->last == WS_WANT_IN, "%d, %s", (int)p->last,
	    ws_tls_error(p->t));
	pair_free(p);

	CASE("renegotiation with a record unsent does not hang or spin");
	p = connected(c, NULL);
	stuff(p);
	br_ssl_engine_renegotiate(&p->cc.eng);
	while ((i = p->nup) == 0)
		client_run(p);
	deliver(p, p->nup);
	server_run(p);
	for (i = 0; i < 20 && p->last != WS_ERROR; i++)
		run(p);
	EXPECT(p->last == WS_WANT_IN || p->last == WS_ERROR, "%d, %s",
	    (int)p->last, ws_tls_error(p->t));
	pair_free(p);

	CASE("noise");
	for (i = 0; i < 300; i++) {
		size_t j;

		for (j = 0; j < sizeof noise; j++)
			noise[j] = (unsigned char)rand();
		if (i % 2)
			memcpy(noise, "\x16\x03\x01\x00\xf0\x01\x00\x00\xec",
			    9);
		p = pair_new(c);
		if (send(p->client, noise, sizeof noise, 0) < 0)
			perror("send");
		p->last = tls_read(p, p->got);
		EXPECT(p->last == WS_ERROR || p->last == WS_WANT_IN, "%d",
		    (int)p->last);
		pair_free(p);
	}
	ws_tls_config_release(c);
}

int
main(void)
{
	size_t i;

	for (i = 0; i < sizeof big; i++)
		big[i] = (unsigned char)(i * 167 + (i >> 8));
	load_anchor();
	poison();
	test_configs();
	test_forms();
	test_suites();
	test_pieces();
	test_full();
	test_resumption();
	test_ends();
	CASE("an idle session's memory");
	EXPECT(sizeof(struct ws_tls) <= 4300, "%u bytes",
	    (unsigned)sizeof(struct ws_tls));
	printf("# a session is %u bytes, a configuration %u\n",
	    (unsigned)sizeof(struct ws_tls),
	    (unsigned)sizeof(struct ws_tls_config));
	return test_end();
}
