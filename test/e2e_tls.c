/* wshub: ISC licence, see LICENSE. */
/*
 * wss:// against the real binary, with BearSSL's client: e2e_tls path/to/wshub
 * tls. Pairs of certificate and key, good and bad, at the start and on HUP, are
 * test/certs/'s. What has to wait for a deadline is in e2e_hostile.c.
 */
#define _GNU_SOURCE
#include "hub.h"

#ifdef WITH_TLS

/* A file of test/certs; what was returned four calls ago is overwritten. */
static char *
cert(const char *name)
{
	static char path[4][4200];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof *path, "%s%s", certs, name);
	return path[i];
}

/* ------------------------------------------------------- a client's TLS */

static br_x509_trust_anchor anchor;

/* The CA, whom clients trust. */
static void
load_anchor(void)
{
	static struct client_der der, dn;

	dn.len = 0;
	anchor.pkey = *client_certificate(cert("ca.pem"), &der, &dn);
	anchor.dn.data = dn.bytes;
	anchor.dn.len = dn.len;
	anchor.flags = BR_X509_TA_CA;
}

/* A client's beginning: it may still be configured. */
static struct client *
wss_new(const struct hub *h, int rcvbuf)
{
	struct client *w = calloc(1, sizeof *w);

	if (w == NULL)
		give_up("memory");
	w->fd = dial(h->port[1], rcvbuf);
	w->tls = client_tls_trusting(&anchor);
	br_x509_minimal_set_time(&w->tls->x509.minimal, 740000, 0); /* 2026 */
	return w;
}

/* The handshake: 0, or BearSSL's error, or -1. */
static int
wss_shake(struct client *w, int resume)
{
	if (!br_ssl_client_reset(&w->tls->ssl, "localhost", resume))
		return br_ssl_engine_last_error(&w->tls->ssl.eng);
	if (client_run(w, BR_SSL_SENDAPP) == 0)
		return 0;
	return br_ssl_engine_current_state(&w->tls->ssl.eng) == BR_SSL_CLOSED ?
	    br_ssl_engine_last_error(&w->tls->ssl.eng) : -1;
}

static int
wss_enter(struct client *w)
{
	return client_put(w, REQUEST, sizeof REQUEST - 1) == 0 &&
	    take_opening(w) == 0 ? 0 : -1;
}

static void
wss_leave(struct client *w)
{
	leave(w);
	free(w);
}

/* The same, and the hub knows. */
static void
wss_gone(const struct hub *h, struct client *w)
{
	char id[16];

	memcpy(id, w->id, sizeof id);
	wss_leave(w);
	EXPECT(await_gone(h, id), "it does not leave");
}

/* One that is in; the group ends if it does not get in. */
static struct client *
wss_join(const struct hub *h)
{
	struct client *w = wss_new(h, 0);
	int error = wss_shake(w, 0);

	EXPECT(error == 0, "handshake: error %d", error);
	if (error != 0 || wss_enter(w) != 0)
		give_up("a client does not get in");
	return w;
}

/* What the peer's key is, of a full handshake: BR_KEYTYPE_EC or _RSA. */
static int
key_type(const struct client *w)
{
	unsigned usages;
	const br_x509_pkey *p = w->tls->x509.minimal.vtable->get_pkey(&w->tls->x509.minimal.vtable,
	    &usages);

	return p != NULL ? p->key_type : 0;
}

#define PAIR(c, k) "-c", cert(c), "-k", cert(k)
#define BOTH "-l", "127.0.0.1:%1", "-L", "127.0.0.1:%2"

/* --------------------------------------------------------------- sessions */

static void
kinds(void)
{
	static const struct {
		const char *chain, *key;
		int type;
	} t[] = {
		{ "p256.pem", "p256.key", BR_KEYTYPE_EC },
		{ "p256.pem", "p256-sec1.key", BR_KEYTYPE_EC },
		{ "p384.pem", "p384.key", BR_KEYTYPE_EC },
		{ "p521.pem", "p521.key", BR_KEYTYPE_EC },
		{ "rsa2048.pem", "rsa2048.key", BR_KEYTYPE_RSA },
		{ "rsa2048.pem", "rsa2048-pkcs1.key", BR_KEYTYPE_RSA },
		{ "rsa4096.pem", "rsa4096.key", BR_KEYTYPE_RSA },
	};
	struct hub h;
	struct client *w;
	size_t i;

	load_anchor();
	CASE("keys: of each kind, a client is sure of, gets in, and hears");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		COMMAND(0, NULL, NULL, "-n", PAIR(t[i].chain, t[i].key));
		memset(&h, 0, sizeof h);
		START(&h, QUIET_HUB, "-L", "127.0.0.1:%2", PAIR(t[i].chain,
		    t[i].key));
		w = wss_join(&h);
		EXPECT(key_type(w) == t[i].type, "%s: another key", t[i].key);
		ORDER(&h, M1, "OK 1\n");
		TEXT(w, "1");
		wss_leave(w);
		STOP(&h);
	}
}

static void
test_talk(struct hub *h)
{
	static const size_t sizes[] = {
		2, 125, 126, 16000, 16380, 16384, 16385, 65536, 900000
	};
	static char big[65536];
	struct client plain;
	struct client *w = wss_join(h);
	char *p, want[32];
	size_t i;
	int fd;

	CASE("wss: messages of 2 bytes to 900 kB, beside ws");
	join(&plain, h);
	for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		p = sized(sizes[i], "");
		ORDER(h, p, "OK 2\n");
		FRAME(w, 0x81, p + 29, sizes[i]);
		FRAME(&plain, 0x81, p + 29, sizes[i]);
		free(p);
	}

	CASE("wss: 5,000 messages in order");
	fd = dial_unix(h->control);
	for (i = 0; i < 5000; i++) {
		char text[128];

		put(fd, text, (size_t)snprintf(text, sizeof text, "{\"action\":"
		    "\"sendToDevice\",\"device\":\"%s\",\"data\":%zu}\n",
		    w->id, i));
		if (i % 100 == 99) {
			size_t k;

			for (k = i - 99; k <= i; k++) {
				get_line(fd);
				snprintf(want, sizeof want, "%zu", k);
				if (!TEXT(w, want))
					break;
			}
			if (k <= i)
				break;
		}
	}
	close(fd);

	CASE("wss: frames of a client: Ping, 64 KiB, a violation, Close");
	put_frame(w, 0x89, "abc", 3);
	FRAME(w, 0x8a, "abc", 3);
	memset(big, 'x', sizeof big);
	put_frame(w, 0x81, big, sizeof big);
	put_frame(w, 0x89, "", 0);
	FRAME(w, 0x8a, "", 0);
	put_frame(w, 0x88, "\x03\xe8", 2);
	CLOSED(w, 1000);
	EXPECT(w->tls->notified, "the end came without close_notify");
	wss_leave(w);
	w = wss_join(h);
	client_put(w, "\x81\x01" "a", 3);
	CLOSED(w, 1002);
	EXPECT(w->tls->notified, "the end came without close_notify");
	wss_leave(w);
	leave(&plain);
}

static void
test_ends(struct hub *h)
{
	struct client *w;
	char id[16];
	int i;

	CASE("wss: close_notify of a client, or a bare end, is the end");
	for (i = 0; i < 2; i++) {
		w = wss_join(h);
		if (i == 0) {
			br_ssl_engine_close(&w->tls->ssl.eng);
			while (client_run(w, 0) == 0)
				;
			EXPECT(br_ssl_engine_last_error(&w->tls->ssl.eng) ==
			    BR_ERR_OK, "error %d", br_ssl_engine_last_error(
			    &w->tls->ssl.eng));
		} else {
			shutdown(w->fd, SHUT_WR);
		}
		EXPECT(await_gone(h, w->id), "it is still there");
		wss_leave(w);
	}

	CASE("wss: a record with one bit changed is the end of that one");
	w = wss_join(h);
	strcpy(id, w->id);
	put(w->fd, "\x17\x03\x03\x00\x20" "0123456789abcdef"
	    "0123456789abcdef", 37);
	EXPECT(await_gone(h, id), "it is still there");
	wss_leave(w);
}

static void
test_resumption(struct hub *h)
{
	br_ssl_session_parameters s;
	struct client *w;
	int i;

	CASE("wss: a session is resumed, and one of elsewhere is not");
	w = wss_join(h);
	br_ssl_engine_get_session_parameters(&w->tls->ssl.eng, &s);
	EXPECT(s.session_id_len == 32 && w->tls->x509.minimal.num_certs > 0, "no session");
	wss_leave(w);
	for (i = 0; i < 3; i++) {
		w = wss_new(h, 0);
		if (i == 2)
			s.session_id[5] ^= 1;
		br_ssl_engine_set_session_parameters(&w->tls->ssl.eng, &s);
		EXPECT(wss_shake(w, 1) == 0 && wss_enter(w) == 0,
		    "it does not get in: error %d",
		    br_ssl_engine_last_error(&w->tls->ssl.eng));
		EXPECT((w->tls->x509.minimal.num_certs == 0) == (i < 2), "it is %sresumed",
		    i < 2 ? "not " : "");
		ORDER(h, M1, "OK ");
		TEXT(w, "1");
		wss_leave(w);
	}
}

static void
test_splits(struct hub *h)
{
	struct client *w;
	size_t i;

	CASE("wss: handshake, request and frames a byte at a time");
	for (i = 1; i < 8; i += 3) {
		w = wss_new(h, 0);
		w->tls->step = i;
		EXPECT(wss_shake(w, 0) == 0 && wss_enter(w) == 0,
		    "in steps of %zu it does not get in", i);
		put_frame(w, 0x89, "abc", 3);
		FRAME(w, 0x8a, "abc", 3);
		wss_leave(w);
	}
}

/* Enters with that target: the first message's text. */
static const char *
enter_for(struct client *c, const char *target)
{
	static char text[512];
	unsigned char *data;
	size_t len;

	client_put(c, text, (size_t)snprintf(text, sizeof text, "GET %s "
	    "HTTP/1.1\r\n" UPGRADE "\r\n", target));
	*text = '\0';
	if (need(c, sizeof ACCEPTED - 1) != 0)
		return text;
	c->at += sizeof ACCEPTED - 1;
	if (get_frame(c, &data, &len) == 0x81 && len < sizeof text) {
		memcpy(text, data, len);
		text[len] = '\0';
	}
	return text;
}

/* A session that goes from ws:// to wss:// and back. */
static void
test_moves(struct hub *h)
{
	struct client plain, last;
	struct client *w[2];
	char session[33] = "", target[80], want[128], text[512];
	const char *p;
	int i, open;

	for (open = 0; open < 2; open++) {
		CASE(open ? "wss: a session comes from ws and goes back, all "
		    "are open" : "wss: a session comes from ws and goes back, "
		    "each has broken");
		memset(&plain, 0, sizeof plain);
		plain.fd = dial(h->port[0], 0);
		strcpy(text, enter_for(&plain, "/?resume"));
		if ((p = strstr(text, "\"session\":\"")) != NULL)
			snprintf(session, sizeof session, "%s", p + 11);
		EXPECT(strlen(session) == 32, "\"%s\"", text);
		snprintf(want, sizeof want, "{\"action\":\"resumed\",\"data\":"
		    "{\"device_id\":\"%.15s\",\"missed\":1}}", text +
		    sizeof ID_HEAD - 1);
		ORDER(h, M1, "OK 1\n");
		TEXT(&plain, "1");
		for (i = 0; i < 2; i++) {
			if (!open && i == 0)
				leave(&plain);
			else if (!open)
				wss_leave(w[0]);
			ORDER(h, M1, "OK 1\n");
			w[i] = wss_new(h, 0);
			EXPECT(wss_shake(w[i], 0) == 0, "no handshake");
			snprintf(target, sizeof target, "/?resume=%s.%d",
			    session, i + 1);
			p = enter_for(w[i], target);
			EXPECT(strcmp(p, want) == 0, "\"%s\", not \"%s\"", p,
			    want);
			TEXT(w[i], "1");
		}
		if (!open)
			wss_leave(w[1]);
		ORDER(h, M1, "OK 1\n");
		memset(&last, 0, sizeof last);
		last.fd = dial(h->port[0], 0);
		snprintf(target, sizeof target, "/?resume=%s.3", session);
		p = enter_for(&last, target);
		EXPECT(strcmp(p, want) == 0, "\"%s\", not \"%s\"", p, want);
		TEXT(&last, "1");
		if (open) {
			TEXT(&plain, "1");
			CLOSED(&plain, 1001);
			TEXT(w[0], "1");
			CLOSED(w[0], 1001);
			TEXT(w[1], "1");
			CLOSED(w[1], 1001);
			leave(&plain);
			wss_leave(w[0]);
			wss_leave(w[1]);
		}
		ORDER(h, M1, "OK 1\n");
		TEXT(&last, "1");
		put_frame(&last, 0x88, "\x03\xe8", 2);
		CLOSED(&last, 1000);
		leave(&last);
	}
}

static void
sessions(void)
{
	struct hub h = { 0 };

	load_anchor();
	START(&h, QUIET_HUB, BOTH, PAIR("p256.pem", "p256.key"));
	test_talk(&h);
	test_ends(&h);
	test_resumption(&h);
	test_splits(&h);
	test_moves(&h);
	STOP(&h);
}

/* -------------------------------------------------------------- bad peers */

static void
strangers(void)
{
	struct hub h = { 0 };
	char answer[1024];
	struct client *w, *good;
	size_t len, i;
	int fd, error;
	static const struct {
		const char *bytes;
		size_t len;
	} t[] = {
#define BYTES(s) { s, sizeof s - 1 }
		BYTES("\x16"), BYTES("\x16\x03"), BYTES("\x16\x03\x01\x00"),
		BYTES("\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"),
		BYTES("\x16\xff\xff\xff\xff\xff\xff\xff"),
		BYTES("\x16\x03\x01\x00\x00"),
		BYTES("\x16\x03\x01\x00\x04" "\x02\x00\x00\x00"),
		BYTES("\x16\x03\x01\x00\x05" "\x01\xff\xff\xff\x00"),
		BYTES("\x16 and then nothing that TLS knows about at all"),
	};

	load_anchor();
	START(&h, QUIET_HUB, BOTH, PAIR("p256.pem", "p256.key"));
	good = wss_join(&h);

	CASE("strangers: plain HTTP on the TLS port is a 400 that says so");
	fd = dial(h.port[1], 0);
	put(fd, REQUEST, sizeof REQUEST - 1);
	EXPECT(get_all(fd, answer, sizeof answer, &len) &&
	    strncmp(answer, "HTTP/1.1 400 Bad Request\r\n", 26) == 0 &&
	    strstr(answer, "TLS") != NULL, "\"%s\"", answer);
	close(fd);

	CASE("strangers: TLS on the plain port is a 400");
	w = wss_new(&h, 0);
	close(w->fd);
	w->fd = dial(h.port[0], 0);
	error = wss_shake(w, 0);
	EXPECT(error == BR_ERR_BAD_VERSION || error == BR_ERR_UNEXPECTED ||
	    error == BR_ERR_UNSUPPORTED_VERSION || error > 0, "error %d",
	    error);
	wss_leave(w);
	EXPECT(counter(&h, "bad requests") == 2, "%lld bad requests are "
	    "counted", counter(&h, "bad requests"));

	CASE("strangers: half a record, and what only begins as one");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		fd = dial(h.port[1], 0);
		put(fd, t[i].bytes, t[i].len);
		shutdown(fd, SHUT_WR);
		error = get_all(fd, answer, sizeof answer, &len) ||
		    (errno != EAGAIN && errno != EWOULDBLOCK);
		EXPECT(error, "%zu: no end", i);
		EXPECT(len == 0 || *answer == 21, "%zu: not an alert", i);
		close(fd);
	}
	EXPECT(counter(&h, "TLS failures") == sizeof t / sizeof *t, "%lld TLS "
	    "failures are counted", counter(&h, "TLS failures"));

	CASE("strangers: TLS 1.1 gets the alert protocol_version");
	w = wss_new(&h, 0);
	br_ssl_engine_set_versions(&w->tls->ssl.eng, BR_TLS10, BR_TLS11);
	error = wss_shake(w, 0);
	EXPECT(error == BR_ERR_RECV_FATAL_ALERT + 70, "error %d", error);
	wss_leave(w);

	CASE("strangers: a client that does not take the certificate");
	for (i = 0; i < 20; i++) {
		w = wss_new(&h, 0);
		br_x509_minimal_set_time(&w->tls->x509.minimal, 800000, 0);
		error = wss_shake(w, 0);
		EXPECT(error == BR_ERR_X509_EXPIRED, "error %d", error);
		wss_leave(w);
	}

	CASE("strangers: over wss a bad request, and noise instead of frames");
	w = wss_new(&h, 0);
	EXPECT(wss_shake(w, 0) == 0, "no handshake");
	client_put(w, "POST / HTTP/1.1\r\nHost: a\r\n\r\n", 28);
	for (len = 0; len < 1000; len += (size_t)error)
		if ((error = (int)client_get(w, answer + len, 1000 - len)) <=
		    0)
			break;
	answer[len] = '\0';
	EXPECT(strncmp(answer, "HTTP/1.1 405 ", 13) == 0 && w->tls->notified,
	    "\"%s\", %s close_notify", answer, w->tls->notified ? "a" : "no");
	wss_leave(w);
	for (i = 0; i < 40; i++) {
		unsigned char *data;

		w = wss_join(&h);
		for (len = 0; len < 500; len++)
			answer[len] = (char)(i * 97 + len * len * 31 + 0x83);
		client_put(w, answer, len);
		EXPECT(get_frame(w, &data, &len) == 0x88, "noise %zu gets "
		    "no Close", i);
		EXPECT(get_frame(w, &data, &len) == AT_END, "noise %zu "
		    "gets no end", i);
		wss_leave(w);
	}

	ORDER(&h, M1, "OK 1\n");
	TEXT(good, "1");
	wss_leave(good);
	STOP(&h);
}

/* A slow reader; and the end of the hub. */
static void
ends(void)
{
	struct hub h = { 0 };
	struct client *slow, *good;
	unsigned char *data;
	char *p = sized(100000, "\n");
	size_t len;
	int fd, i, got, sent, both = 1;

	load_anchor();
	CASE("wss: a client that does not read gets Close 1013, the rest "
	    "everything");
	START(&h, QUIET_HUB, "--queue", "200000", BOTH, PAIR("p256.pem",
	    "p256.key"));
	good = wss_join(&h);
	slow = wss_new(&h, 4096);
	EXPECT(wss_shake(slow, 0) == 0 && wss_enter(slow) == 0, "not in");
	fd = dial_unix(h.control);
	for (sent = 0; sent < 500 && both; sent++) {
		p[30] = (char)('a' + sent % 26);
		put(fd, p, strlen(p));
		both = strcmp(get_line(fd), "OK 2\n") == 0;
		if (!FRAME(good, 0x81, p + 29, 100000))
			break;
	}
	close(fd);
	EXPECT(!both, "it is not cut off after %d messages", sent);
	for (i = 0; (got = get_frame(slow, &data, &len)) == 0x81; i++)
		if (len != 100000 || data[1] != (unsigned char)('a' + i % 26))
			break;
	EXPECT(got == 0x88 && len >= 2 && (data[0] << 8 | data[1]) == 1013,
	    "after %d of %d messages: frame %d, not Close 1013", i, sent, got);
	wss_leave(slow);

	CASE("wss: TERM: Close 1001, close_notify, the end");
	slow = wss_join(&h);
	kill(h.pid, SIGTERM);
	CLOSED(good, 1001);
	EXPECT(good->tls->notified, "no close_notify");
	CLOSED(slow, 1001);
	EXPECT(slow->tls->notified, "no close_notify");
	wss_leave(good);
	wss_leave(slow);
	ENDED(&h, 0);
	free(p);
}

/* Each begins a record of 16 KiB, whose end never comes. */
static void
halves(void)
{
	static unsigned char half[16000] = { 23, 3, 3, 0x40, 0 };
	static struct client *w[20];
	struct hub h = { 0 };
	struct client *good;
	int i, fd, left = -1;
	long long end;

	load_anchor();
	CASE("wss: records that are not whole count in --queue-total");
	START(&h, QUIET_HUB, "--queue-total", "100000", BOTH,
	    PAIR("p256.pem", "p256.key"));
	good = wss_join(&h);
	for (i = 0; i < 20; i++) {
		w[i] = wss_join(&h);
		put(w[i]->fd, half, sizeof half);
	}
	fd = dial_unix(h.control);
	for (end = now() + patience; now() < end && (left < 0 || left > 7);
	    nap(20)) {
		put(fd, M1 "\n", sizeof M1);
		left = atoi(get_line(fd) + 3);
		TEXT(good, "1");
	}
	EXPECT(left >= 2 && left <= 7, "%d are left, of whom each holds 16,000 "
	    "bytes, and one nothing", left);
	EXPECT(counter(&h, "queued") <= 100000, "%lld bytes are held",
	    counter(&h, "queued"));
	EXPECT(counter(&h, "cut off") == 21 - left, "%lld are counted",
	    counter(&h, "cut off"));
	close(fd);
	for (i = 0; i < 20; i++)
		wss_leave(w[i]);
	wss_leave(good);
	STOP(&h);
}

/* ------------------------------------------------------------------ pairs */

/* A copy of a file, whole or its first bytes, by renaming as certbot does. */
static void
copy(const char *from, const char *to, size_t most)
{
	size_t len;
	char *p = slurp(from, &len);

	spill("copy", p, len < most ? len : most);
	free(p);
	if (len == 0 || rename("copy", to) != 0)
		give_up(from);
}

static void
wrong_pairs(void)
{
	static const struct {
		const char *chain, *key, *words;
	} t[] = {
		{ "p256.pem", "p384.key", "does not belong to the first" },
		{ "p256.pem", "rsa2048.key", "does not belong to the first" },
		{ "rsa2048.pem", "rsa4096.key", "does not belong" },
		{ "rsa4096.pem", "rsa2048.key", "does not belong" },
		{ "p256.pem", "locked.key", "is encrypted" },
		{ "rsa2048.pem", "locked-old.key", "is encrypted" },
		{ "p256.key", "p256.pem", "are swapped" },
		{ "p256.pem", "p256.pem", "no private key" },
		{ "p256.key", "p256.key", "no certificate" },
		{ "ed25519.pem", "ed25519.key", "unsupported kind" },
		{ "rsa1024.pem", "rsa1024.key", "unsupported kind" },
		{ "rsa5120.pem", "rsa5120.key", "unsupported kind" },
		{ "p256.pem", "make", "no private key" },
		{ "make", "p256.key", "no certificate" },
		{ "no-such.pem", "p256.key", "no-such.pem: No such file" },
		{ "p256.pem", "no-such.key", "no-such.key: No such file" },
		{ ".", "p256.key", "not a file of at most" },
		{ "p256.pem", "p256.pem/x", "Not a directory" },
		{ "./half", "p256.key", "line 1 of the certificates: the "
		    "block that begins here has no END" },
		{ "p256.pem", "./half-key", "line 3 of the private key: bad "
		    "base64" },
		{ "./misspelt", "p256.key", "line 13 of the certificates: a "
		    "block of an unknown kind" },
		{ "p256.pem", "explicit.key", "the private key has explicit "
		    "curve parameters" },
		{ "explicit.pem", "p256.key", "the certificate's key has "
		    "explicit curve parameters" },
		{ "./empty", "p256.key", "no certificate" },
		{ "p256.pem", "./empty", "no private key" },
		{ "./fifo", "p256.key", "not a file of at most" },
		{ "p256.pem", "./fifo", "not a file of at most" },
		{ "./large", "p256.key", "not a file of at most 1048576" },
		{ "./noise", "p256.key", "line 1 of the certificates: a NUL "
		    "byte" },
	};
	static char large[1048577];
	char listener[32], chain[4200], key[4200], *text, *second;
	struct stat st;
	size_t i, len;

	copy(cert("p256.pem"), "half", 300);
	copy(cert("p256.key"), "half-key", 100);
	text = slurp(cert("p256.pem"), &len);
	second = strstr(text + 1, "-----BEGIN");
	if (second == NULL)
		give_up("p256.pem");
	second[strlen("-----BEGIN ")] = 'K';
	spill("misspelt", text, len);
	free(text);
	spill("empty", "", 0);
	spill("noise", "\0\xff\x30\x82\n-----BEGIN", 14);
	spill("large", large, sizeof large);
	if (mkfifo("fifo", 0600) != 0)
		give_up("fifo");

	CASE("pairs: each that is wrong has its words and status 1, also with "
	    "-n");
	snprintf(listener, sizeof listener, "127.0.0.1:%d", free_port());
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		snprintf(chain, sizeof chain, "%s%s", t[i].chain[0] == '.' &&
		    t[i].chain[1] == '/' ? "" : certs, t[i].chain);
		snprintf(key, sizeof key, "%s%s", t[i].key[0] == '.' &&
		    t[i].key[1] == '/' ? "" : certs, t[i].key);
		command(NULL, ARGS("-n", "-c", chain, "-k", key));
		EXPECT(did.status == 1 && *did.out == '\0' &&
		    strstr(did.err, t[i].words) != NULL, "-n %s %s: exit "
		    "status %d, \"%s\"", t[i].chain, t[i].key, did.status,
		    did.err);
		command(NULL, ARGS("-s", "bad.sock", "-L", listener,
		    "--cert", chain, "--key", key));
		EXPECT(did.status == 1 && *did.out == '\0' &&
		    strstr(did.err, t[i].words) != NULL, "%s %s: exit status "
		    "%d, \"%s\"", t[i].chain, t[i].key, did.status, did.err);
	}
	EXPECT(lstat("bad.sock", &st) == -1, "a socket is left");

	CASE("pairs: not valid any more, or not yet, is a warning");
	COMMAND(0, NULL, "warning: the certificate expired on 2021-02-03",
	    "-n", PAIR("expired.pem", "p256.key"));
	COMMAND(0, NULL, "warning: the certificate is not valid before "
	    "2055-06-07", "-n", PAIR("future.pem", "p256.key"));
	COMMAND(0, NULL, NULL, "-n", "-L", "127.0.0.1:1",
	    PAIR("rsa4096.pem", "rsa4096.key"));
	{
		struct hub h = { 0 };
		struct client *w;

		load_anchor();
		START(&h, QUIET_HUB, BOTH, PAIR("expired.pem", "p256.key"));
		EXPECT(file_has(h.log, "wshub: warning: the certificate "
		    "expired on 2021-02-03"), "no warning");
		w = wss_new(&h, 0);
		br_x509_minimal_set_time(&w->tls->x509.minimal, 738000, 0);
		EXPECT(wss_shake(w, 0) == 0 && wss_enter(w) == 0,
		    "somebody of 2020 does not get in");
		wss_leave(w);
		STOP(&h);
	}

	if (geteuid() != 0) {
		CASE("pairs: a key that we may not read");
		copy(cert("p256.key"), "secret", 10000);
		chmod("secret", 0);
		COMMAND(1, NULL, "secret: Permission denied", "-n", "-c",
		    cert("p256.pem"), "-k", "secret");
	}
}

/* ---------------------------------------------------------------- renewal */

/* How often that stands in the log. */
static int
times(const char *path, const char *words)
{
	size_t len;
	char *p = slurp(path, &len), *at;
	int n = 0;

	for (at = p; (at = strstr(at, words)) != NULL; at++)
		n++;
	free(p);
	return n;
}

/* HUP, and words come once more. */
static void
renew(struct hub *h, const char *words)
{
	long long end = now() + patience;
	int before = times(h->log, words);

	kill(h->pid, SIGHUP);
	while (times(h->log, words) == before && now() < end)
		nap(2);
	EXPECT(times(h->log, words) == before + 1, "\"%s\" is not said once",
	    words);
}

static void
receives(struct hub *h, int type)
{
	struct client *w = wss_join(h);

	EXPECT(key_type(w) == type, "a new client gets the %s certificate",
	    type == BR_KEYTYPE_RSA ? "EC" : "RSA");
	wss_gone(h, w);
}

#define RENEWED "new connections get the new certificate"
#define KEPT "the old certificate stays: "

static void
test_bad_renewals(struct hub *h, struct client *old)
{
	static const struct {
		const char *chain, *key;
		size_t most;
		const char *words;
	} t[] = {
		{ "p384.pem", "rsa4096.key", 10000, KEPT "the private key "
		    "does not belong" },
		{ "p384.pem", "p384.key", 200, KEPT "line 4 of the "
		    "certificates: bad base64" },
		{ "ed25519.pem", "ed25519.key", 10000, KEPT "the private key "
		    "is of an unsupported kind" },
		{ "p256.pem", "locked.key", 10000, KEPT "the private key is "
		    "encrypted" },
		{ "make", "make", 10000, KEPT "no certificate" },
	};
	size_t i;

	CASE("renewal: of a bad pair the old one stays");
	for (i = 0; i < sizeof t / sizeof *t; i++) {
		copy(cert(t[i].chain), "live.pem", t[i].most);
		copy(cert(t[i].key), "live.key", t[i].most);
		renew(h, t[i].words);
		receives(h, BR_KEYTYPE_RSA);
	}
	unlink("live.key");
	renew(h, KEPT "live.key: No such file");
	if (mkfifo("live.key", 0600) != 0)
		give_up("live.key");
	renew(h, KEPT "live.key: not a file");
	unlink("live.pem");
	if (mkdir("live.pem", 0755) != 0)
		give_up("live.pem");
	renew(h, KEPT "live.pem: not a file");
	rmdir("live.pem");
	unlink("live.key");
	receives(h, BR_KEYTYPE_RSA);
	ORDER(h, M1, "OK 1\n");
	TEXT(old, "1");

	CASE("renewal: and then a good one again");
	copy(cert("p384.pem"), "live.pem", 10000);
	copy(cert("p384.key"), "live.key", 10000);
	renew(h, RENEWED);
	receives(h, BR_KEYTYPE_EC);

	CASE("renewal: one that has expired, with a warning");
	copy(cert("expired.pem"), "live.pem", 10000);
	copy(cert("p256.key"), "live.key", 10000);
	renew(h, "wshub: warning: the certificate expired on 2021");
	EXPECT(await(h->log, RENEWED), "it is not taken");
}

static void
renewal(void)
{
	enum { N = 20 };
	struct hub h = { 0 };
	br_ssl_session_parameters s;
	struct client *w[N], *one;
	char want[16], text[64];
	int i, k, fd;

	load_anchor();
	copy(cert("p256.pem"), "live.pem", 10000);
	copy(cert("p256.key"), "live.key", 10000);
	chmod("live.key", 0600);
	START(&h, QUIET_HUB, BOTH, "-c", "live.pem", "-k", "live.key");

	CASE("renewal: HUP amid messages drops nobody and loses nothing");
	for (i = 0; i < N; i++)
		w[i] = wss_join(&h);
	EXPECT(key_type(w[0]) == BR_KEYTYPE_EC, "not the EC certificate");
	br_ssl_engine_get_session_parameters(&w[0]->tls->ssl.eng, &s);
	copy(cert("rsa2048.pem"), "live.pem", 10000);
	copy(cert("rsa2048.key"), "live.key", 10000);
	fd = dial_unix(h.control);
	for (i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "{\"action\":\"multicast\","
		    "\"data\":%d}\n", i);
		ASK(fd, text, "OK 20\n");
		if (i == 50 || i == 120)
			kill(h.pid, SIGHUP);
	}
	close(fd);
	EXPECT(await(h.log, RENEWED), "it is not said");
	receives(&h, BR_KEYTYPE_RSA);
	for (i = 0; i < N; i++)
		for (k = 0; k < 200; k++) {
			snprintf(want, sizeof want, "%d", k);
			if (!TEXT(w[i], want))
				break;
		}

	CASE("renewal: sessions of the old certificate do not go on");
	one = wss_new(&h, 0);
	br_ssl_engine_set_session_parameters(&one->tls->ssl.eng, &s);
	EXPECT(wss_shake(one, 1) == 0 && wss_enter(one) == 0, "not in");
	EXPECT(one->tls->x509.minimal.num_certs > 0 && key_type(one) == BR_KEYTYPE_RSA,
	    "it is resumed");
	wss_leave(one);
	for (i = 1; i < N; i++) {
		put_frame(w[i], 0x89, "still", 5);
		FRAME(w[i], 0x8a, "still", 5);
		wss_gone(&h, w[i]);
	}
	test_bad_renewals(&h, w[0]);
	wss_leave(w[0]);
	STOP(&h);
}

/* Links to links, in another directory, as certbot has them. */
static void
certbot(void)
{
	static const char elsewhere[] = "renewal: a link that leads to where "
	    "the "
	    "keeper does not see is named as that";
	struct hub h = { 0 };

	load_anchor();
	CASE("renewal: through certbot's links");
	if (mkdir("live", 0755) != 0 || mkdir("archive", 0755) != 0)
		give_up("directories");
	copy(cert("p256.pem"), "archive/chain1.pem", 10000);
	copy(cert("p256.key"), "archive/key1.pem", 10000);
	if (symlink("../archive/chain1.pem", "live/fullchain.pem") != 0 ||
	    symlink("../archive/key1.pem", "live/privkey.pem") != 0)
		give_up("links");
	START(&h, QUIET_HUB, "-v", BOTH, "-c", "live/fullchain.pem", "-k",
	    "live/privkey.pem");
	receives(&h, BR_KEYTYPE_EC);
	copy(cert("rsa2048.pem"), "archive/chain2.pem", 10000);
	copy(cert("rsa2048.key"), "archive/key2.pem", 10000);
	if (unlink("live/fullchain.pem") != 0 ||
	    unlink("live/privkey.pem") != 0 ||
	    symlink("../archive/chain2.pem", "live/fullchain.pem") != 0 ||
	    symlink("../archive/key2.pem", "live/privkey.pem") != 0)
		give_up("links");
	renew(&h, RENEWED);
	receives(&h, BR_KEYTYPE_RSA);

	if (file_has(h.log, "not unveiled") || file_has(h.log, "sandbox") ||
	    getenv("WSHUB_NO_SANDBOX") != NULL) {
		test_skip(elsewhere, "no unveil here");
	} else {
		CASE(elsewhere);
		if (mkdir("../elsewhere", 0755) != 0 ||
		    rename("archive/key2.pem", "../elsewhere/key.pem") != 0 ||
		    unlink("live/privkey.pem") != 0 ||
		    symlink("../../elsewhere/key.pem", "live/privkey.pem") != 0)
			give_up("links");
		renew(&h, KEPT "live/privkey.pem leads out of the directories "
		    "that");
		receives(&h, BR_KEYTYPE_RSA);
	}
	STOP(&h);
}

/* The handshake, with the ClientHello in one piece with bytes before it. */
static int
wss_shake_behind(struct client *w, const void *bytes, size_t len)
{
	static unsigned char all[8192];
	unsigned char *p;
	size_t n;

	if (!br_ssl_client_reset(&w->tls->ssl, "localhost", 0))
		return br_ssl_engine_last_error(&w->tls->ssl.eng);
	p = br_ssl_engine_sendrec_buf(&w->tls->ssl.eng, &n);
	memcpy(all, bytes, len);
	memcpy(all + len, p, n);
	if (put(w->fd, all, len + n) != 0)
		return -1;
	br_ssl_engine_sendrec_ack(&w->tls->ssl.eng, n);
	return client_run(w, BR_SSL_SENDAPP) == 0 ? 0 : -1;
}

static void
proxied(void)
{
	static const struct {
		const char *header;
		size_t len;
		const char *address;
	} list[] = {
#define HEADER(text, address) { text, sizeof text - 1, address }
		HEADER("PROXY TCP4 192.0.2.1 127.0.0.1 5000 443\r\n",
		    "192.0.2.1:5000"),
		HEADER("\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b\x20\1\xd\xb8\0\0\0\0"
		    "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		    "\x13\x88\1\xbb\3\0\4\0\0\0\0", "[2001:db8::1]:5000"),
		HEADER("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "127.0.0.1:"),
	};
	struct hub h = { 0 };
	char words[128], answer[1024];
	struct client *w;
	size_t i, k;
	ssize_t n;

	load_anchor();
	CASE("PROXY: before TLS, in one piece with it, and byte by byte");
	START(&h, "-v", QUIET_HUB, "-L", "127.0.0.1:%2", PAIR("p256.pem",
	    "p256.key"), "--trust", "127.0.0.1", "--proxy-protocol",
	    "--max-per-ip", "1");
	for (i = 0; i < 2 * sizeof list / sizeof *list; i++) {
		w = wss_new(&h, 0);
		for (k = 0; i % 2 != 0 && k < list[i / 2].len; k++) {
			put(w->fd, list[i / 2].header + k, 1);
			nap(1);
		}
		w->tls->step = i % 2;
		EXPECT((i % 2 != 0 ? wss_shake(w, 0) : wss_shake_behind(w,
		    list[i / 2].header, list[i / 2].len)) == 0 &&
		    wss_enter(w) == 0, "%s: it does not get in",
		    list[i / 2].address);
		snprintf(words, sizeof words, "wshub: client %s%s",
		    list[i / 2].address, i / 2 == 2 ? "" : ": opened: ");
		EXPECT(await(h.log, words), "the log is without \"%s\"",
		    words);
		wss_gone(&h, w);
	}

	CASE("PROXY: cut anywhere, TLS follows the rest");
	for (k = 1; k < list[1].len; k++) {
		w = wss_new(&h, 0);
		put(w->fd, list[1].header, k);
		nap(2);
		EXPECT(wss_shake_behind(w, list[1].header + k, list[1].len -
		    k) == 0 && wss_enter(w) == 0, "cut at %zu", k);
		wss_gone(&h, w);
	}

	CASE("PROXY: the address counts, and a 503 comes through TLS");
	w = wss_new(&h, 0);
	EXPECT(wss_shake_behind(w, list[0].header, list[0].len) == 0 &&
	    wss_enter(w) == 0, "it does not get in");
	for (i = 0; i < 2; i++) {
		struct client *other = wss_new(&h, 0);

		EXPECT(wss_shake_behind(other, list[i].header, list[i].len)
		    == 0, "no handshake");
		if (i == 1) {
			EXPECT(wss_enter(other) == 0, "it does not get in");
			wss_leave(other);
			continue;
		}
		client_put(other, REQUEST, sizeof REQUEST - 1);
		n = client_get(other, answer, sizeof answer);
		EXPECT(n > 12 && memcmp(answer, "HTTP/1.1 503", 12) == 0,
		    "%zd bytes: no 503", n);
		wss_leave(other);
	}
	wss_leave(w);

	CASE("PROXY: TLS without it is closed without an answer");
	w = wss_new(&h, 0);
	EXPECT(wss_shake(w, 0) == -1 && w->tls->ssl.eng.err == 0, "BearSSL's error "
	    "%d", br_ssl_engine_last_error(&w->tls->ssl.eng));
	EXPECT(await(h.log, "text=\"no valid PROXY header\"\n"), "not in "
	    "the log");
	wss_leave(w);
	STOP(&h);
}

static struct test_group all_groups[] = {
	{ .name = "kinds", .run = kinds, .for_tls = 1 },
	{ .name = "sessions", .run = sessions, .for_tls = 1 },
	{ .name = "strangers", .run = strangers, .for_tls = 1 },
	{ .name = "ends", .run = ends, .for_tls = 1 },
	{ .name = "halves", .run = halves, .for_tls = 1 },
	{ .name = "wrong_pairs", .run = wrong_pairs, .for_tls = 1 },
	{ .name = "renewal", .run = renewal, .for_tls = 1 },
	{ .name = "certbot", .run = certbot, .for_tls = 1 },
	{ .name = "proxied", .run = proxied, .for_tls = 1 },
};

int
main(int argc, char **argv)
{
	if (argc < 3 || strcmp(argv[2], "tls") != 0) {
		test_skip("wss", "this wshub is built without TLS");
		return test_end();
	}
	return run_groups(argc, argv, all_groups,
	    (int)(sizeof all_groups / sizeof *all_groups));
}

#else

int
main(void)
{
	test_skip("wss", "these tests are built without BearSSL");
	return test_end();
}

#endif
