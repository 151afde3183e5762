/* wshub: ISC licence, see LICENSE. */
/* Replaces tls.c in a build without TLS: no configuration can be made. */
#include <stdio.h>

#include "ws.h"

/* see ws.h */
struct ws_tls_config *
ws_tls_config_new(struct ws_text chain, struct ws_text key,
    char error[WS_ERROR_MAX])
{
	(void)chain;
	(void)key;
	snprintf(error, WS_ERROR_MAX, "this wshub was built without TLS");
	return NULL;
}

/* see ws.h */
struct ws_tls_config *
ws_tls_config_reference(struct ws_tls_config *c)
{
	return c;
}

/* see ws.h */
void
ws_tls_config_release(struct ws_tls_config *c)
{
	(void)c;
}

/* see ws.h */
struct ws_tls *
ws_tls_new(struct ws_tls_config *c, int fd)
{
	(void)c;
	(void)fd;
	return NULL;
}

/* see ws.h */
void
ws_tls_free(struct ws_tls *t)
{
	(void)t;
}

/* see ws.h */
ssize_t
ws_tls_read(struct ws_tls *t, void *buf, size_t room)
{
	(void)t;
	(void)buf;
	(void)room;
	return WS_ERROR;
}

/* see ws.h */
ssize_t
ws_tls_writev(struct ws_tls *t, const struct iovec *iov, int n)
{
	(void)t;
	(void)iov;
	(void)n;
	return WS_ERROR;
}

/* see ws.h */
int
ws_tls_unsent(const struct ws_tls *t)
{
	(void)t;
	return 0;
}

/* see ws.h */
size_t
ws_tls_buffered(const struct ws_tls *t)
{
	(void)t;
	return 0;
}

/* see ws.h */
int
ws_tls_handshaking(const struct ws_tls *t)
{
	(void)t;
	return 0;
}

/* see ws.h */
int
ws_tls_resumed(const struct ws_tls *t)
{
	(void)t;
	return 0;
}

/* see ws.h */
int
ws_tls_close(struct ws_tls *t)
{
	(void)t;
	return WS_ERROR;
}

/* see ws.h */
const char *
ws_tls_error(const struct ws_tls *t)
{
	(void)t;
	return "no TLS";
}
