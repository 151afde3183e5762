/* wshub: ISC licence, see LICENSE. */
/*
 * What strangers send to a TLS port: up to three connections, one after the
 * other or at once, that share a session cache.
 *
 * The input chooses for each what is at the other end:
 *
 *     a client   BearSSL's, with suites, versions, protocol names, a server
 *                name, a maximum fragment and a session to resume as the input
 *                says; it shakes hands, talks, and leaves somehow
 *     a grammar  builds a ClientHello, with the session id of a connection
 *                before if it likes; bytes are changed, records cut, and
 *                bytes of the input may follow
 *     bytes      as they are in the input
 *
 * Bytes that the input lacks are 0. Nothing else is random: entropy is the
 * fake.h's, and the client's is fixed.
 */
#include "../fake.h"
#include "../../ws.h"
#include "fuzz.h"

#ifndef WITH_TLS
int
fuzz_tls(const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	return 0;
}
#else
#include <bearssl.h>

#define MOST 3        /* connections */
#define ROOM 16384    /* for a ClientHello and what follows it */
#define HELD_MAX 33178 /* BR_SSL_BUFSIZE_INPUT + BR_SSL_BUFSIZE_OUTPUT */

struct input {
	const uint8_t *at;
	size_t left;
};

struct bytes {
	uint8_t at[ROOM];
	size_t len;
};

struct conn {
	struct ws_tls *t;
	int h, fd;
	uint8_t head[76];  /* the first bytes from the hub */
	size_t nhead;
	int real;          /* a client is at the other end */
	br_ssl_client_context cc;
	br_x509_knownkey_context known;
	uint8_t buffers[BR_SSL_BUFSIZE_BIDI];
	size_t asked, got, told, heard; /* application data, up and down */
	int down;          /* nothing more is expected to arrive */
};

static struct conn conns[MOST];
static struct ws_text pems[2];
static uint8_t ids[MOST][32];      /* session ids that the hub has chosen */
static unsigned nids;
static br_ssl_session_parameters sessions[MOST];
static unsigned nsessions;
static uint32_t random_to;

static const uint16_t suites[] = {
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_RSA_WITH_AES_128_CBC_SHA,
	0x00ff, 0x5600 /* no suites: RFC 5746, RFC 7507 */
};

#define OURS 7u /* the first three, as bits */

/* -------------------------------------------------------------- the input */

static unsigned
byte(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static unsigned
word(struct input *in)
{
	unsigned high = byte(in);

	return high << 8 | byte(in);
}

static int
load(void)
{
	static const char *const files[] = { "test/certs/p256.pem",
	    "test/certs/p256.key" };
	static char room[2][4096];
	FILE *f;
	int i;

	for (i = 0; i < 2 && pems[i].len == 0; i++) {
		f = fopen(files[i], "r");
		if (f == NULL)
			return 0;
		pems[i].s = room[i];
		pems[i].len = fread(room[i], 1, sizeof room[i], f);
		fclose(f);
	}
	return 1;
}

/* ----------------------------------------------------- what both ends share */

/* The server's session id, of a ServerHello. */
static void
note(struct conn *c)
{
	if (c->nhead == sizeof c->head && c->head[0] == 22 &&
	    c->head[5] == 2 && c->head[43] == 32 && nids < MOST)
		memcpy(ids[nids++], c->head + 44, 32);
	c->nhead++;
}

/* Takes what the hub has sent. */
static size_t
pull(struct conn *c)
{
	static uint8_t sent[65536];
	uint8_t *to = sent;
	size_t n, i, room = sizeof sent;

	if (c->real)
		to = br_ssl_engine_recvrec_buf(&c->cc.eng, &room);
	n = to == NULL ? 0 : fake_take(c->h, to, room);
	for (i = 0; i < n && c->nhead <= sizeof c->head; i++) {
		if (c->nhead < sizeof c->head)
			c->head[c->nhead++] = to[i];
		if (c->nhead == sizeof c->head)
			note(c);
	}
	if (c->real && n != 0)
		br_ssl_engine_recvrec_ack(&c->cc.eng, n);
	return n;
}

static ssize_t
hub_read(struct conn *c)
{
	static uint8_t out[WS_TLS_RECORD];
	ssize_t r = ws_tls_read(c->t, out, sizeof out);
	ssize_t i;

	MUST(ws_tls_buffered(c->t) <= HELD_MAX, "%lu bytes held",
	    (unsigned long)ws_tls_buffered(c->t));
	MUST(r <= 0 || (c->real && !ws_tls_handshaking(c->t)),
	    "%ld bytes of a stranger", (long)r);
	for (i = 0; i < r; i++)
		MUST(out[i] == (uint8_t)(c->got++ * 7), "another byte came");
	if (r == WS_ERROR)
		MUST(ws_tls_error(c->t)[0] != '\0', "no words");
	return r;
}

static void
hub_write(struct conn *c, size_t len)
{
	static uint8_t data[20000];
	struct iovec v;
	ssize_t r;
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)((c->told + i) * 5);
	v.iov_base = data;
	v.iov_len = len;
	r = ws_tls_writev(c->t, &v, 1);
	if (r > 0)
		c->told += (size_t)r;
}

/* Has the hub read until there is no point in it. */
static ssize_t
settle(struct conn *c)
{
	ssize_t r;
	size_t n;

	do {
		r = hub_read(c);
		if (r != WS_ERROR && ws_tls_unsent(c->t) &&
		    !ws_tls_handshaking(c->t))
			(void)ws_tls_writev(c->t, NULL, 0);
		n = pull(c);
	} while (r > 0 || n != 0);
	return r;
}

/* Bytes to the hub, in pieces of up to most; 0: in one. */
static ssize_t
send_pieces(struct conn *c, const uint8_t *data, size_t len, unsigned most)
{
	ssize_t r = WS_WANT_IN;
	size_t n;

	while (len > 0 && r != WS_ERROR && r != 0) {
		n = most == 0 ? len : 1 + fuzz_dice(&random_to, most);
		if (n > len)
			n = len;
		fake_put(c->h, data, n);
		data += n;
		len -= n;
		r = settle(c);
	}
	return r;
}

static void
conn_begin(struct conn *c, struct ws_tls_config *config, int listener,
    unsigned window)
{
	memset(c, 0, sizeof *c);
	c->h = fake_connect(listener);
	c->fd = w_accept(listener, NULL, NULL);
	if (window != 0)
		fake_window(c->h, window * 16);
	c->t = ws_tls_new(config, c->fd);
	MUST(c->t != NULL, "no session");
}

static void
conn_end(struct conn *c)
{
	if (c->t == NULL)
		return;
	(void)ws_tls_close(c->t);
	ws_tls_free(c->t);
	w_close(c->fd);
	fake_leave(c->h);
	c->t = NULL;
}

/* ---------------------------------------------------------------- a client */

/* Every signature is good: the hub's key need not be known. */
static uint32_t
believe(const br_ec_impl *ec, const void *hash, size_t len,
    const br_ec_public_key *key, const void *sig, size_t sig_len)
{
	(void)ec;
	(void)hash;
	(void)len;
	(void)key;
	(void)sig;
	(void)sig_len;
	return 1;
}

/* Until nothing moves any more. */
static void
client_run(struct conn *c, unsigned most)
{
	br_ssl_engine_context *e = &c->cc.eng;
	uint8_t *p;
	size_t len, i;
	unsigned turns = 0;

	do {
		MUST(turns++ < 100000, "no end");
		p = br_ssl_engine_recvapp_buf(e, &len);
		for (i = 0; p != NULL && i < len; i++)
			MUST(p[i] == (uint8_t)(c->heard++ * 5),
			    "another byte came down");
		if (p != NULL)
			br_ssl_engine_recvapp_ack(e, len);
		p = br_ssl_engine_sendrec_buf(e, &len);
		if (p != NULL) {
			if (most != 0 && len > most)
				len = 1 + fuzz_dice(&random_to, most);
			fake_put(c->h, p, len);
			br_ssl_engine_sendrec_ack(e, len);
		}
		(void)settle(c);
	} while (br_ssl_engine_current_state(e) &
	    (BR_SSL_SENDREC | BR_SSL_RECVAPP));
}

static void
client_write(struct conn *c, size_t len)
{
	uint8_t *p;
	size_t room, i;

	p = br_ssl_engine_sendapp_buf(&c->cc.eng, &room);
	if (p == NULL)
		return;
	if (len > room)
		len = room;
	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(c->asked++ * 7);
	br_ssl_engine_sendapp_ack(&c->cc.eng, len);
	br_ssl_engine_flush(&c->cc.eng, 0);
}

/* Sets a client up; 1 if the hub has to get on with it. */
static int
client_set(struct conn *c, struct input *in)
{
	static const char *names[] = { "http/1.1", "h2", NULL, "", "spdy/3" };
	static char longest[256];
	static uint16_t chosen[8];
	static const uint8_t q[65] = { 4 };
	static br_ec_public_key key;
	br_ssl_engine_context *e = &c->cc.eng;
	const char *server = "localhost";
	unsigned mask = byte(in), version = byte(in), alpn = byte(in);
	unsigned other = byte(in), i, n = 0, max, resume;

	memset(longest, 'x', sizeof longest - 1);
	names[2] = longest;
	key.curve = BR_EC_secp256r1;
	key.q = (unsigned char *)(uintptr_t)q;
	key.qlen = sizeof q;
	mask ^= OURS; /* 0 is what is most likely to get on */
	max = (version & 3) < 2 ? BR_TLS12 : BR_TLS12 - (version & 1) - 1;
	br_ssl_client_zero(&c->cc);
	br_ssl_engine_set_versions(e, BR_TLS10, max);
	for (i = 0; i < 6; i++)
		if (mask & 1u << i)
			chosen[n++] = suites[i];
	if (n == 0)
		chosen[n++] = suites[5];
	br_ssl_engine_set_suites(e, chosen, n);
	br_ssl_engine_set_hash(e, br_md5_ID, &br_md5_vtable);
	br_ssl_engine_set_hash(e, br_sha1_ID, &br_sha1_vtable);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_prf10(e, br_tls10_prf);
	br_ssl_engine_set_prf_sha256(e, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, br_tls12_sha384_prf);
	br_ssl_engine_set_default_ec(e);
	br_ssl_engine_set_ecdsa(e, believe);
	br_ssl_engine_set_default_rsavrfy(e);
	br_ssl_client_set_default_rsapub(&c->cc);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_aes_cbc(e);
	br_ssl_engine_set_default_chapol(e);
	br_x509_knownkey_init_ec(&c->known, &key,
	    BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
	br_ssl_engine_set_x509(e, &c->known.vtable);
	if (alpn % 8 != 0 && alpn % 8 <= 5)
		br_ssl_engine_set_protocol_names(e, names + alpn % 8 - 1,
		    alpn & 64 && alpn % 8 < 5 ? 2 : 1);
	switch (other & 3) {
	case 1:
		server = NULL;
		break;
	case 2:
		server = longest;
		break;
	case 3:
		server = "";
		break;
	}
	if (other & 4) /* a maximum fragment of 512 bytes to 4 KB */
		br_ssl_engine_set_buffers_bidi(e, c->buffers,
		    ((size_t)512 << (other >> 3 & 3)) + 325, c->buffers +
		    BR_SSL_BUFSIZE_INPUT, BR_SSL_BUFSIZE_OUTPUT);
	else
		br_ssl_engine_set_buffer(e, c->buffers, sizeof c->buffers, 1);
	if (other & 32)
		br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION);
	resume = other >> 6;
	if (resume != 0 && resume <= nsessions)
		br_ssl_engine_set_session_parameters(e,
		    &sessions[resume - 1]);
	else
		resume = 0;
	br_ssl_engine_inject_entropy(e, "always the same: it is a test", 29);
	e->rng_os_rand_done = 1;
	MUST(br_ssl_client_reset(&c->cc, server, resume != 0) == 1,
	    "a client's error %d", br_ssl_engine_last_error(e));
	c->real = 1;
	return (mask & OURS) != 0 && max == BR_TLS12;
}

static void
client(struct conn *c, struct input *in)
{
	int able = client_set(c, in);
	unsigned most = byte(in), n, what, len;
	uint8_t raw[16];
	unsigned i;

	client_run(c, most);
	MUST(!able || !ws_tls_handshaking(c->t), "no handshake: %s, client's "
	    "error %d", ws_tls_error(c->t),
	    br_ssl_engine_last_error(&c->cc.eng));
	MUST(able || ws_tls_handshaking(c->t), "nothing in common, but open");
	MUST(br_ssl_engine_get_selected_protocol(&c->cc.eng) == NULL,
	    "a protocol was selected");
	if (ws_tls_handshaking(c->t))
		return;
	if (nsessions < MOST)
		br_ssl_engine_get_session_parameters(&c->cc.eng,
		    &sessions[nsessions++]);
	for (n = byte(in) % 6; n > 0; n--) {
		what = byte(in);
		len = word(in);
		switch (what % 8) {
		case 0:
		case 1:
			client_write(c, len % 20000);
			break;
		case 2:
		case 3:
			hub_write(c, len % 20000);
			break;
		case 4:
			(void)br_ssl_engine_renegotiate(&c->cc.eng);
			c->down = 1; /* the hub may give up */
			break;
		case 5:
			br_ssl_engine_close(&c->cc.eng);
			c->down = 1;
			break;
		case 6:
			(void)ws_tls_close(c->t);
			c->down = 1;
			break;
		case 7: /* a record that is none of the client's */
			raw[0] = (uint8_t)(20 + len % 5);
			raw[1] = raw[2] = 3;
			raw[3] = 0;
			raw[4] = 11;
			for (i = 5; i < 16; i++)
				raw[i] = (uint8_t)byte(in);
			(void)send_pieces(c, raw, 16, most);
			c->down = 1;
			break;
		}
		if (what & 128 || c->down)
			client_run(c, most);
	}
	client_run(c, most);
	if (c->down)
		return;
	MUST(c->got == c->asked, "%lu of %lu bytes came up",
	    (unsigned long)c->got, (unsigned long)c->asked);
	MUST(c->heard == c->told, "%lu of %lu bytes came down",
	    (unsigned long)c->heard, (unsigned long)c->told);
	MUST(ws_tls_buffered(c->t) == 0, "idle, but %lu bytes held",
	    (unsigned long)ws_tls_buffered(c->t));
}

/* --------------------------------------------------------------- a grammar */

static void
put(struct bytes *b, unsigned v, unsigned width)
{
	while (width-- > 0 && b->len < ROOM)
		b->at[b->len++] = (uint8_t)(v >> 8 * width);
}

static void
fill(struct bytes *b, unsigned v, size_t n)
{
	while (n-- > 0)
		put(b, v, 1);
}

/*
 * Lengths come before what they count: lot() leaves room for one and says
 * where, and count() fills it in, true but for what the input adds to it.
 */
static size_t
lot(struct bytes *b, unsigned width)
{
	put(b, 0, width);
	return b->len;
}

static void
count(struct bytes *b, size_t from, unsigned width, unsigned wrong)
{
	static const unsigned off[] = { 0, 0, 0, 1, 2, 255, 0xffff, 0xffffff };
	size_t n = b->len - from + off[wrong & 7];

	if (from > b->len)
		return;
	if (wrong & 8 && b->len > from)
		n = b->len - from - 1;
	for (; width-- > 0; n >>= 8)
		b->at[--from] = (uint8_t)n;
}

static void
session_id(struct bytes *b, struct input *in)
{
	static const unsigned lens[] = { 0, 32, 31, 33, 255, 1, 32, 32 };
	unsigned choice = byte(in), len = lens[choice & 7];

	put(b, len, 1);
	if ((choice & 7) >= 6 && nids > 0) {
		size_t i;

		for (i = 0; i < 32; i++)
			put(b, ids[(choice >> 3) % nids][i], 1);
	} else
		fill(b, choice, len);
}

static void
suite_list(struct bytes *b, struct input *in)
{
	static const unsigned times[] = { 1, 2, 40, 500 };
	unsigned mask = byte(in), shape = byte(in), i, n;
	size_t from = lot(b, 2);

	mask ^= OURS;
	for (n = times[shape & 3]; n > 0; n--)
		for (i = 0; i < 8; i++)
			if (mask & 1u << i)
				put(b, suites[shape & 4 ? 7 - i : i], 2);
	if (shape & 8)
		put(b, 0, 1);
	count(b, from, 2, shape >> 4);
}

static void
compression(struct bytes *b, struct input *in)
{
	unsigned shape = byte(in);
	size_t from = lot(b, 1);

	switch (shape & 7) {
	default:
		put(b, 0, 1);
		break;
	case 1:
		break;
	case 2:
		put(b, 1, 1);
		break;
	case 3:
		put(b, 0x0100, 2);
		break;
	case 4:
		fill(b, 7, 254);
		put(b, 0, 1);
		break;
	}
	count(b, from, 1, shape >> 4);
}

/*
 * One extension. shape: 0 as usual, 1 empty, 2 an empty list, 3 at its limit,
 * 4 not as usual, 5 bytes of the input. Each may come twice, or more often.
 */
static void
extension(struct bytes *b, struct input *in)
{
	static const uint16_t types[] = {
		0, 1, 0xff01, 13, 10, 11, 16, 35, 23, 43, 0x0a0a, 0xffff
	};
	static const char *const names[] = { "http/1.1", "h2", "x" };
	unsigned which = byte(in) % 12, choice = byte(in), wrong = byte(in);
	unsigned shape = choice & 7, more = choice >> 3, i;
	unsigned bad_list = (wrong & 3) == 0 ? wrong >> 2 : 0;
	unsigned bad_inner = (wrong & 3) == 1 ? wrong >> 2 : 0;
	unsigned bad_value = (wrong & 3) >= 2 ? wrong >> 2 : 0;
	const char *name;
	size_t value, list = 0, inner;

	put(b, types[which], 2);
	value = lot(b, 2);
	if (shape == 1)
		goto end;
	if (shape >= 5) {
		for (i = 0; i < more; i++)
			put(b, byte(in), 1);
		goto end;
	}
	if (which == 0 || which == 4 || which == 6 || which == 3)
		list = lot(b, 2);
	if (which == 5)
		list = lot(b, 1);
	if (shape == 2)
		goto end;
	switch (which) {
	case 0: /* server_name; of a type of its own */
		for (i = 0; i < 1 + (more & 3); i++) {
			put(b, shape == 4 ? more : 0, 1);
			inner = lot(b, 2);
			fill(b, 'a', shape == 3 ? 254 + more % 4 : 9);
			count(b, inner, 2, bad_inner);
		}
		break;
	case 1: /* max_fragment_length */
		put(b, shape == 4 ? more : 1 + more % 4, 1);
		if (shape == 3)
			put(b, 1, 1);
		break;
	case 2: /* renegotiation_info */
		if (shape == 4 || shape == 3)
			put(b, shape == 3 ? 12 : more, 1);
		fill(b, 0, shape == 0 ? 1 : shape == 3 ? 12 : more);
		break;
	case 3: /* signature_algorithms */
		if (shape == 3)
			for (i = 0; i < 300; i++)
				put(b, i * 0x0103, 2);
		put(b, 0x0403, 2);
		put(b, shape == 4 ? more << 8 | more : 0x0804, 2);
		break;
	case 4: /* supported_groups */
		if (shape == 3)
			for (i = 0; i < 300; i++)
				put(b, i, 2);
		put(b, shape == 4 ? more : 29, 2);
		put(b, shape == 4 ? more + 1 : 23, 2);
		break;
	case 6: /* ALPN */
		for (i = 0; i < 1 + (more & 3); i++) {
			name = names[(more >> 2) % 3];
			inner = lot(b, 1);
			if (shape == 3 || shape == 4)
				fill(b, 'h', shape == 3 ? 255 : more);
			else
				while (*name != '\0')
					put(b, (unsigned char)*name++, 1);
			count(b, inner, 1, bad_inner);
		}
		break;
	default:
		fill(b, 0, more);
		break;
	}
end:
	if (list != 0)
		count(b, list, which == 5 ? 1 : 2, bad_list);
	count(b, value, 2, bad_value);
}

static void
hello(struct bytes *b, struct input *in)
{
	static const uint16_t versions[] = {
		0x0303, 0x0303, 0x0302, 0x0301, 0x0300, 0x0304, 0x0200, 0xffff
	};
	unsigned version = byte(in), wrong, n;
	size_t from, extensions;

	b->len = 0;
	put(b, version >> 4 == 15 ? version : 1, 1);
	from = lot(b, 3);
	put(b, versions[version & 7], 2);
	fill(b, 42, 32);
	session_id(b, in);
	suite_list(b, in);
	compression(b, in);
	wrong = byte(in);
	n = byte(in);
	if (n != 0) {
		extensions = lot(b, 2);
		for (n = (n - 1) % 16; n > 0; n--)
			extension(b, in);
		count(b, extensions, 2, wrong & 15);
	}
	count(b, from, 3, wrong >> 4);
}

/* Cuts a message into records, of up to most bytes; 0: as few as can be. */
static void
records(struct bytes *to, const struct bytes *from, unsigned most)
{
	size_t at, n;

	for (at = to->len = 0; at < from->len; at += n) {
		n = most == 0 ? 16384 : most;
		if (n > from->len - at)
			n = from->len - at;
		if (n + 5 > ROOM - to->len)
			break;
		put(to, 0x160301, 3);
		put(to, (unsigned)n, 2);
		memcpy(to->at + to->len, from->at + at, n);
		to->len += n;
	}
}

static void
change(struct bytes *b, struct input *in)
{
	unsigned n = byte(in), at;

	for (n = n < 128 ? 0 : n % 8; n > 0 && b->len > 0; n--) {
		at = word(in);
		b->at[at % b->len] = (uint8_t)byte(in);
	}
}

/* What follows a ClientHello or stands in its place. */
static void
follow(struct bytes *b, struct input *in)
{
	unsigned n = word(in);

	for (; n > 0 && in->left > 0; n--)
		put(b, byte(in), 1);
}

static void
stranger(struct conn *c, struct input *in, int grammar)
{
	static struct bytes message, wire;
	unsigned most, end;
	ssize_t r;

	wire.len = 0;
	if (grammar) {
		hello(&message, in);
		change(&message, in);
		records(&wire, &message, byte(in));
		change(&wire, in);
	}
	follow(&wire, in);
	most = byte(in);
	end = byte(in);
	r = send_pieces(c, wire.at, wire.len, most);
	MUST(ws_tls_handshaking(c->t), "a handshake with a stranger");
	if (r == WS_ERROR) {
		fake_put(c->h, "more", 4);
		MUST(hub_read(c) == WS_ERROR, "it lives");
		MUST(ws_tls_writev(c->t, NULL, 0) == WS_ERROR, "it lives");
		MUST(ws_tls_buffered(c->t) == 0, "lost, but it holds bytes");
	} else if (end & 1) {
		fake_end(c->h);
		MUST(settle(c) <= 0, "read what?");
	} else if (end & 2) {
		fake_reset(c->h);
		MUST(settle(c) == WS_ERROR, "it lives");
	}
}

/* ---------------------------------------------------------------- the whole */

int
fuzz_tls(const uint8_t *data, size_t len)
{
	struct ws_tls_config *config;
	struct input in;
	char words[WS_ERROR_MAX];
	unsigned n, what, window;
	int i, listener;
	long live;

	if (len < 2 || len > 4000 || !load())
		return 0;
	fake_begin();
	live = fake_live;
	nids = nsessions = 0;
	in.at = data;
	in.left = len;
	random_to = byte(&in);
	config = ws_tls_config_new(pems[0], pems[1], words);
	MUST(config != NULL, "%s", words);
	listener = fake_listen();
	for (n = 0; n < MOST && in.left > 0; n++) {
		what = byte(&in);
		window = what & 4 ? byte(&in) : 0;
		conn_begin(&conns[n], config, listener, window);
		if ((what & 3) < 2)
			client(&conns[n], &in);
		else
			stranger(&conns[n], &in, (what & 3) == 2);
		if ((what & 8) == 0)
			conn_end(&conns[n]);
	}
	for (i = 0; i < MOST; i++)
		conn_end(&conns[i]);
	ws_tls_config_release(config);
	w_close(listener);
	MUST(fake_live == live, "%ld blocks not given back",
	    fake_live - live);
	return 0;
}
#endif
