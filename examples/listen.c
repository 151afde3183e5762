/* wshub: ISC licence, see LICENSE. */
/*
 * A client in C that needs only ws.c. It connects to a hub and prints each
 * message as a line. The exit status is 0 if the hub closes the connection, and
 * 1 on errors.
 *
 *     cc -o listen examples/listen.c ws.c
 *     ./listen ws://127.0.0.1:8080/
 */
#define _GNU_SOURCE
#include <sys/types.h>
#include <sys/socket.h>
#include <err.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../ws.h"

static unsigned char buf[65536]; /* received and not yet used */
static size_t have;

/* Unpredictable bytes, which RFC 6455 requires for the key and for masks. */
static void
random_bytes(unsigned char *p, size_t n)
{
	FILE *f = fopen("/dev/urandom", "r");

	if (f == NULL || fread(p, 1, n, f) != n)
		err(1, "/dev/urandom");
	fclose(f);
}

/* Parses "ws://host[:port][/path]"; host may be a [v6] address. */
static void
read_url(const char *url, char host[256], char port[6], const char **path)
{
	int n = 0;

	strcpy(port, "80");
	if (sscanf(url, "ws://[%255[^]/]]%n", host, &n) != 1 || n == 0) {
		n = 0;
		if (sscanf(url, "ws://%255[^:/]%n", host, &n) != 1)
			errx(2, "%s: not ws://host:port/", url);
	}
	url += n;
	if (*url == ':' && sscanf(url, ":%5[0-9]%n", port, &n) == 1)
		url += n;
	if (*url != '\0' && *url != '/')
		errx(2, "\"%s\": not a port or path", url);
	*path = *url == '\0' ? "/" : url;
}

static int
connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list, *ai;
	int error = getaddrinfo(host, port, &hints, &list), fd = -1;

	if (error != 0)
		errx(1, "%s: %s", host, gai_strerror(error));
	for (ai = list; ai != NULL; ai = ai->ai_next) {
		fd = socket(ai->ai_family, ai->ai_socktype, ai->ai_protocol);
		if (fd != -1 && connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
			break;
		if (fd != -1)
			close(fd);
		fd = -1;
	}
	if (fd == -1)
		err(1, "%s port %s", host, port);
	freeaddrinfo(list);
	return fd;
}

static void
send_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n)
		if ((n = write(fd, p, len)) == -1)
			err(1, "write");
}

/* Reads more into buf, except for its last byte; 0 at the end. */
static int
receive(int fd)
{
	ssize_t n = read(fd, buf + have, sizeof buf - 1 - have);

	if (n == -1)
		err(1, "read");
	have += (size_t)n;
	return n > 0;
}

/* Removes n bytes from the front of buf. */
static void
used(size_t n)
{
	have -= n;
	memmove(buf, buf + n, have);
}

/* Whether Sec-WebSocket-Accept is want. Proxies may change the name's case. */
static int
accepts(const char *head, const char *want)
{
	static const char name[] = "\r\nSec-WebSocket-Accept:";
	size_t n = strlen(want);

	for (; *head != '\0'; head++)
		if (strncasecmp(head, name, sizeof name - 1) == 0) {
			head += sizeof name - 1;
			head += strspn(head, " \t");
			return strncmp(head, want, n) == 0 && head[n] == '\r';
		}
	return 0;
}

/* The opening handshake, RFC 6455 section 4.1. */
static void
shake_hands(int fd, const char *host, const char *port, const char *path)
{
	char key[25], text[1024], wanted[WS_ACCEPT_KEY];
	unsigned char bytes[16];
	char *end = NULL;
	int n;

	random_bytes(bytes, 16);
	ws_base64(key, bytes, 16);
	n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", path,
	    strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "",
	    port, key);
	if (n < 0 || (size_t)n >= sizeof text)
		errx(2, "%s: too long", path);
	send_all(fd, text, (size_t)n);
	while (end == NULL) {
		if (have == sizeof buf - 1 || !receive(fd))
			errx(1, "no answer to the request");
		buf[have] = '\0';
		end = strstr((char *)buf, "\r\n\r\n");
	}
	ws_accept_key(wanted, key);
	end[2] = '\0'; /* only the head */
	if (strncmp((char *)buf, "HTTP/1.1 101 ", 13) != 0 ||
	    !accepts((char *)buf, wanted))
		errx(1, "refused: %.*s", (int)strcspn((char *)buf, "\r\n"),
		    (char *)buf);
	used((size_t)(end + 4 - (char *)buf));
}

/* Sends a frame. A client's frames are masked (section 5.3). */
static void
answer(int fd, unsigned opcode, const unsigned char *data, size_t len)
{
	unsigned char frame[WS_FRAME_HEAD_MAX + WS_CONTROL_MAX], mask[4];
	size_t n;

	random_bytes(mask, 4);
	n = ws_frame_head(frame, WS_FIN | opcode, len, mask);
	memcpy(frame + n, data, len);
	ws_mask(frame + n, len, mask, 0);
	send_all(fd, frame, n + len);
}

/* Handles a frame, or a piece of one; returns 0 after a Close. */
static int
obey(int fd, const struct ws_event *e)
{
	switch (e->opcode) {
	case WS_TEXT:
	case WS_BINARY:
		fwrite(e->data, 1, e->len, stdout);
		if (e->last)
			putchar('\n');
		if (fflush(stdout) == EOF)
			err(1, "standard output");
		return 1;
	case WS_PING:
		answer(fd, WS_PONG, e->data, e->len);
		return 1;
	case WS_CLOSE:
		answer(fd, WS_CLOSE, e->data, e->len < 2 ? 0 : 2);
		fprintf(stderr, "listen: the hub closes: %u\n", e->code);
		return 0;
	default: /* an unsolicited Pong */
		return 1;
	}
}

int
main(int argc, char **argv)
{
	char host[256], port[6];
	struct ws_framer framer;
	struct ws_event e;
	const char *path;
	ssize_t n;
	int fd;

	if (argc != 2)
		errx(2, "usage: listen ws://host:port/");
	read_url(argv[1], host, port, &path);
	fd = connect_to(host, port);
	shake_hands(fd, host, port, path);
	ws_framer_init(&framer, 0, 64 << 20);
	for (;;) {
		n = ws_framer_next(&framer, buf, have, &e);
		if (n == WS_BAD)
			errx(1, "protocol error by the hub: %s", e.reason);
		if (n == WS_MORE && !receive(fd))
			errx(1, "connection closed without a Close frame");
		if (n > 0 && !obey(fd, &e))
			return 0;
		if (n > 0)
			used((size_t)n);
	}
}
