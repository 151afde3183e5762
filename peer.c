/* wshub: ISC licence, see LICENSE. */
/*
 * The addresses of clients. Counts the connections of each, for --max-per-ip.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ws.h"

#define BUCKETS 1024 /* a power of two */

/*
 * The part of a peer's address that is compared: the IPv4 address, or the first
 * 64 bits of the IPv6 address. -1: it has neither.
 */
static int
address_key(int fd, unsigned char key[8])
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	const void *four = &((struct sockaddr_in *)&a)->sin_addr;
	const struct in6_addr *six = &((struct sockaddr_in6 *)&a)->sin6_addr;

	memset(key, 0, 8);
	if (getpeername(fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	if (a.ss_family != AF_INET && a.ss_family != AF_INET6)
		return -1;
	/* A dual-stack socket has ::ffff:a.b.c.d for IPv4 (RFC 4291). */
	if (a.ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six)) {
		four = six->s6_addr + 12;
	} else if (a.ss_family == AF_INET6) {
		memcpy(key, six, 8);
		return 0;
	}
	key[2] = key[3] = 0xff; /* no routed IPv6 address begins like this */
	memcpy(key + 4, four, 4);
	return 0;
}

static struct ws_peer **
find_peer(const struct ws_loop *l, const unsigned char key[8])
{
	struct ws_peer **p;

	p = &l->peers[ws_siphash13(l->hub.key, key, 8) & (BUCKETS - 1)];
	while (*p != NULL && memcmp((*p)->key, key, 8) != 0)
		p = &(*p)->chain;
	return p;
}

/* see ws.h */
int
ws_peer_init(struct ws_loop *l)
{
	if (l->o.max_per_ip == 0)
		return 0;
	l->peers = calloc(BUCKETS, sizeof *l->peers);
	return l->peers == NULL ? -1 : 0;
}

/* see ws.h */
int
ws_peer_count(struct ws_loop *l, int fd, struct ws_peer **peer)
{
	unsigned char key[8];
	struct ws_peer **p;

	*peer = NULL;
	if (l->peers == NULL || address_key(fd, key) != 0)
		return 0;
	p = find_peer(l, key);
	if (*p == NULL) {
		*p = calloc(1, sizeof **p);
		if (*p == NULL)
			return -1;
		memcpy((*p)->key, key, 8);
	}
	if ((*p)->count >= l->o.max_per_ip)
		return -1;
	(*p)->count++;
	*peer = *p;
	return 0;
}

/* see ws.h */
int
ws_peer_is(const struct ws_peer *peer, int fd)
{
	unsigned char key[8];

	return peer != NULL && address_key(fd, key) == 0 &&
	    memcmp(peer->key, key, 8) == 0;
}

/* see ws.h */
struct ws_peer *
ws_peer_share(struct ws_peer *peer)
{
	if (peer != NULL)
		peer->count++;
	return peer;
}

/* see ws.h */
void
ws_peer_release(struct ws_loop *l, struct ws_peer *peer)
{
	struct ws_peer **p;

	if (peer == NULL || --peer->count != 0)
		return;
	p = find_peer(l, peer->key);
	*p = peer->chain;
	free(peer);
}

/* see ws.h */
int
ws_about_set(struct ws_client *c, const struct ws_ip *ip, struct ws_text path)
{
	struct ws_about *a = NULL;

	if (ip->family != 0 || path.len != 1 || *path.s != '/') {
		if (path.len > WS_PATH_MAX)
			path.len = WS_PATH_MAX;
		a = malloc(sizeof *a + path.len);
		if (a == NULL)
			return -1;
		a->ip = *ip;
		a->path_len = (unsigned char)path.len;
		memcpy(a + 1, path.s, path.len);
	}
	free(c->about);
	c->about = a;
	return 0;
}

/* see ws.h */
void
ws_client_address(const struct ws_client *c, char name[WS_ADDRESS_MAX])
{
	const struct ws_ip *ip = c->about != NULL ? &c->about->ip : NULL;
	char host[INET6_ADDRSTRLEN];

	if (c->conn.fd == -1) {
		snprintf(name, WS_ADDRESS_MAX, "away");
		return;
	}
	if (ip == NULL || ip->family == 0) {
		ws_address(c->conn.fd, 1, name);
		return;
	}
	if (ip->family == 4)
		inet_ntop(AF_INET, ip->bytes + 12, host, sizeof host);
	else
		inet_ntop(AF_INET6, ip->bytes, host, sizeof host);
	if (ip->port == 0)
		snprintf(name, WS_ADDRESS_MAX, "%s", host);
	else
		snprintf(name, WS_ADDRESS_MAX, ip->family == 4 ? "%s:%u" :
		    "[%s]:%u", host, (unsigned)ip->port);
}

/* see ws.h */
struct ws_text
ws_client_path(const struct ws_client *c)
{
	struct ws_text path = { "/", 1 };

	if (c->about != NULL) {
		path.s = (const char *)(c->about + 1);
		path.len = c->about->path_len;
	}
	return path;
}
