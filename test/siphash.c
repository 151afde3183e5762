/* wshub: ISC licence, see LICENSE. */
/*
 * Tests of siphash.c: the reference's vectors of SipHash-2-4, and CPython's
 * hash() of bytes, which is SipHash-1-3 since 3.11.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */

#include "../siphash.c"
#include "test.h"

#define EACH(i, list) for (i = 0; i < sizeof(list) / sizeof((list)[0]); i++)

/* Of 0 to 63 bytes 0, 1, 2 ... with the key 0, 1, ... 15. */
static const uint64_t vectors24[] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
	0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
	0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462,
	0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
	0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794,
	0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd, 0xbed65cf21aa2ee98,
	0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3,
	0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
	0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce,
	0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d,
	0x9abfd8766a33735c, 0x0e3ea96b5304a7d0, 0xad0c42d6fc585992,
	0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
	0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72,
	0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f,
	0x7fa8220ba3b2ecea, 0x245731c13ca42499, 0xb78dbfaf3a8d83bd,
	0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57,
	0x958a324ceb064572
};

/* CPython's two keys with PYTHONHASHSEED=0 and 1; of bytes 0, 1, 2 ... */
static const unsigned char keys[2][16] = {
	{ 0 },
	{ 0x29, 0x23, 0xbe, 0x84, 0xe1, 0x6c, 0xd6, 0xae, 0x52, 0x90, 0x49,
	    0xf1, 0xf1, 0xbb, 0xe9, 0xeb }
};
static const struct {
	unsigned key;
	size_t len;
	uint64_t hash;
} vectors13[] = {
	{ 0, 1, 0x68a914128e01e473 },
	{ 0, 7, 0x2f098ab0c751325a },
	{ 0, 8, 0xead411e67ebe2eea },
	{ 0, 9, 0x75927f9d95124362 },
	{ 0, 15, 0xf30eb725bb91c9ea },
	{ 0, 16, 0x8972188433a5c5b7 },
	{ 0, 31, 0x169739443111d49b },
	{ 0, 64, 0x75e05fd5bbc870c6 },
	{ 0, 255, 0x5dc1f93ea135eb43 },
	{ 0, 256, 0x31ae646afba70308 },
	{ 0, 300, 0x4a3ee92cf03a1ab4 },
	{ 1, 1, 0xecd3e5afcecda4b9 },
	{ 1, 7, 0xfd15e78052a69ddf },
	{ 1, 8, 0xc0b5739e7e28dd01 },
	{ 1, 9, 0x208a1a5a0cbbf778 },
	{ 1, 15, 0xfa87985f39e97a53 },
	{ 1, 16, 0x12e9d283f9f37002 },
	{ 1, 31, 0xb8c17103f21d8810 },
	{ 1, 64, 0x7e644b6edc375dc8 },
	{ 1, 255, 0x523ab5ebe2e15f94 },
	{ 1, 256, 0x29b2ed382b263024 },
	{ 1, 300, 0xf63247f1cb51d9d6 }
};

int
main(void)
{
	unsigned char data[300], key[16];
	uint64_t hash;
	void *p;
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i & 0xff);
	memcpy(key, data, sizeof(key));
	CASE("SipHash-2-4: the reference's vectors");
	EACH(i, vectors24) {
		p = test_guard(data, i);
		hash = siphash(key, p, i, 2, 4);
		EXPECT(hash == vectors24[i], "%d bytes: %08lx%08lx", (int)i,
		    (unsigned long)(hash >> 32),
		    (unsigned long)(hash & 0xffffffff));
		test_unguard(p, i);
	}
	CASE("SipHash-1-3: CPython's hashes");
	EACH(i, vectors13) {
		p = test_guard(data, vectors13[i].len);
		hash = ws_siphash13(keys[vectors13[i].key], p,
		    vectors13[i].len);
		EXPECT(hash == vectors13[i].hash, "%d bytes: %08lx%08lx",
		    (int)vectors13[i].len, (unsigned long)(hash >> 32),
		    (unsigned long)(hash & 0xffffffff));
		test_unguard(p, vectors13[i].len);
	}
	return test_end();
}
