/* wshub: ISC licence, see LICENSE. */
/*
 * SipHash (Aumasson and Bernstein, 2012), a hash for tables whose keys come
 * from outside. Without its secret, an attacker cannot find keys that collide.
 */
#include "ws.h"

/* Its state, v0 to v3 in the paper. */
struct sip {
	uint64_t a, b, c, d;
};

static uint64_t
rotate(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

static void
sip_rounds(struct sip *s, unsigned n)
{
	for (; n > 0; n--) {
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32);
		s->c += s->b;
		s->a += s->d;
		s->b = rotate(s->b, 17) ^ s->c;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c = rotate(s->c, 32);
	}
}

/* Reads n bytes, at most 8, as a little-endian number. */
static uint64_t
little_endian(const unsigned char *p, size_t n)
{
	uint64_t x = 0;
	size_t i;

	for (i = 0; i < n; i++)
		x |= (uint64_t)p[i] << 8 * i;
	return x;
}

/* The paper's section 2.1, with the rounds per word and those at the end. */
static uint64_t
siphash(const unsigned char key[16], const void *data, size_t len,
    unsigned word_rounds, unsigned end_rounds)
{
	uint64_t k0 = little_endian(key, 8), k1 = little_endian(key + 8, 8), m;
	uint64_t length = (uint64_t)len << 56; /* its lowest 8 bits */
	const unsigned char *p = data;
	struct sip s;

	s.a = k0 ^ 0x736f6d6570736575;
	s.b = k1 ^ 0x646f72616e646f6d;
	s.c = k0 ^ 0x6c7967656e657261;
	s.d = k1 ^ 0x7465646279746573;
	for (; len >= 8; len -= 8, p += 8) {
		m = little_endian(p, 8);
		s.d ^= m;
		sip_rounds(&s, word_rounds);
		s.a ^= m;
	}
	m = little_endian(p, len) | length;
	s.d ^= m;
	sip_rounds(&s, word_rounds);
	s.a ^= m;
	s.c ^= 0xff;
	sip_rounds(&s, end_rounds);
	return s.a ^ s.b ^ s.c ^ s.d;
}

/* see ws.h */
uint64_t
ws_siphash13(const unsigned char key[16], const void *data, size_t len)
{
	return siphash(key, data, len, 1, 3);
}
