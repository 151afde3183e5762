/* wshub: ISC licence, see LICENSE. */
/*
 * What strangers send to a TLS port: a session is fed bytes in pieces, and has
 * to want more, or to give up for good.
 *
 * The first byte of the input says where to cut. Nobody guesses a Finished, so
 * what is reached is records, the ClientHello, and what may follow it.
 */
#include "../world.h"
#include "../../ws.h"
#include "fuzz.h"

static struct ws_tls_config *config;

static void
load(void)
{
	static const char *const files[] = { "test/certs/p256.pem",
	    "test/certs/p256.key" };
	static char room[2][4096];
	char words[WS_TLS_WORDS];
	struct ws_text t[2];
	FILE *f;
	int i;

	for (i = 0; i < 2; i++) {
		f = fopen(files[i], "r");
		if (f == NULL)
			return;
		t[i].s = room[i];
		t[i].len = fread(room[i], 1, sizeof room[i], f);
		fclose(f);
	}
	config = ws_tls_config_new(t[0], t[1], words);
}

int
fuzz_tls(const uint8_t *data, size_t len)
{
	static unsigned char out[WS_TLS_RECORD], sent[65536];
	struct ws_tls *t;
	uint32_t seed;
	size_t at, n, most;
	ssize_t r = WS_WANT_IN;
	int listener, fd, h;
	long live;

	if (len < 2 || len > 4000)
		return 0;
	world_begin();
	if (config == NULL)
		load();
	if (config == NULL) /* TLS=no, or elsewhere */
		return 0;
	live = world_live;
	listener = world_listen();
	h = world_connect(listener);
	fd = w_accept(listener, NULL, NULL);
	seed = data[0];
	most = data[0] < 128 ? len : data[0] - 127u;
	t = ws_tls_new(config, fd);
	MUST(t != NULL, "no session");
	for (at = 1; at < len && r == WS_WANT_IN; at += n) {
		n = 1 + fuzz_dice(&seed, (unsigned)most);
		if (n > len - at)
			n = len - at;
		world_put(h, data + at, n);
		r = ws_tls_read(t, out, sizeof out);
		MUST(r <= 0, "%zd bytes of a stranger", r);
		MUST(r != WS_WANT_OUT, "wants out in all this room");
		(void)world_take(h, sent, sizeof sent);
	}
	MUST(ws_tls_handshaking(t), "a handshake with a stranger");
	if (r == WS_ERROR) {
		MUST(ws_tls_error(t)[0] != '\0', "no words");
		world_put(h, "more", 4);
		MUST(ws_tls_read(t, out, sizeof out) == WS_ERROR, "it lives");
		MUST(ws_tls_writev(t, NULL, 0) == WS_ERROR, "it lives");
	} else if (r == WS_WANT_IN) {
		world_end(h);
		MUST(ws_tls_read(t, out, sizeof out) <= 0, "read what?");
	}
	(void)ws_tls_close(t);
	ws_tls_free(t);
	MUST(world_live == live, "%ld blocks not given back",
	    world_live - live);
	w_close(fd);
	w_close(listener);
	world_leave(h);
	return 0;
}
