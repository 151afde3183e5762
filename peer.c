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
 * A connection's address, forwarded or its socket's: 0, or -1 if it is not
 * known. The family is 0 if it is not an IP address.
 */
static int
find_address(int fd, const struct ws_about *about, struct ws_ip *ip)
{
	struct sockaddr_storage a;
	const struct sockaddr_in *four = (struct sockaddr_in *)&a;
	const struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;
	socklen_t len = sizeof a;

	ip->family = 0;
	if (about != NULL && about->ip.family != 0) {
		*ip = about->ip;
		return 0;
	}
	memset(&a, 0, sizeof a);
	if (getpeername(fd, (struct sockaddr *)&a, &len) != 0)
		return -1;
	if (a.ss_family == AF_INET)
		ws_ip_set(ip, &four->sin_addr, 4, ntohs(four->sin_port));
	else if (a.ss_family == AF_INET6)
		ws_ip_set(ip, &six->sin6_addr, 16, ntohs(six->sin6_port));
	else if (a.ss_family != AF_UNIX)
		return -1;
	return 0;
}

/*
 * The part of an address that is compared: the IPv4 address, or the first 64
 * bits of the IPv6 address. -1: it has neither.
 */
static int
address_key(int fd, const struct ws_about *about, unsigned char key[8])
{
	struct ws_ip ip;

	if (find_address(fd, about, &ip) != 0 || ip.family == 0)
		return -1;
	memcpy(key, ip.bytes, 8);
	if (ip.family == 4) {
		/* 0:ffff: no routed IPv6 address begins like this. */
		key[2] = key[3] = 0xff;
		memcpy(key + 4, ip.bytes + 12, 4);
	}
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
ws_peer_trusted(const struct ws_loop *l, int fd, const struct ws_about *about)
{
	struct ws_ip ip;

	if (l->o.trust == NULL || find_address(fd, about, &ip) != 0)
		return 0;
	return ip.family == 0 ? l->o.trust->unix_peers :
	    ws_trusts(l->o.trust, &ip);
}

/* see ws.h */
int
ws_peer_count(struct ws_loop *l, int fd, const struct ws_about *about,
    struct ws_peer **peer)
{
	unsigned char key[8];
	struct ws_peer **p;

	*peer = NULL;
	if (l->peers == NULL || address_key(fd, about, key) != 0)
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
ws_peer_is(const struct ws_peer *peer, int fd, const struct ws_about *about)
{
	unsigned char key[8];

	return peer != NULL && address_key(fd, about, key) == 0 &&
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
struct ws_about *
ws_about_new(const struct sockaddr_storage *a)
{
	struct ws_about *about = calloc(1, sizeof *about + 1);
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

	if (about == NULL)
		return NULL;
	about->path_len = 1;
	*(char *)(about + 1) = '/';
	if (a->ss_family == AF_INET) {
		about->ip.family = 4;
		memset(about->ip.bytes + 10, 0xff, 2);
		memcpy(about->ip.bytes + 12, &in->sin_addr, 4);
		about->ip.port = ntohs(in->sin_port);
	} else if (a->ss_family == AF_INET6) {
		about->ip.family = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? 4 :
		    6;
		memcpy(about->ip.bytes, &in6->sin6_addr, 16);
		about->ip.port = ntohs(in6->sin6_port);
	}
	return about;
}

/* see ws.h */
int
ws_about_set(struct ws_client *c, const struct ws_ip *ip, struct ws_text path)
{
	struct ws_about *a = NULL;

	if (c->about != NULL || ip->family != 0 || path.len != 1 ||
	    *path.s != '/') {
		if (path.len > WS_PATH_MAX)
			path.len = WS_PATH_MAX;
		a = malloc(sizeof *a + path.len);
		if (a == NULL)
			return -1;
		a->end = NULL;
		a->ip = ip->family == 0 && c->about != NULL ? c->about->ip :
		    *ip;
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
