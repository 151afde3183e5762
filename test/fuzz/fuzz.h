/* wshub: ISC licence, see LICENSE. */
/*
 * What the fuzz targets share. Each is a function of bytes that ends the
 * process when something is not as it should be; replay.c runs them over
 * files, one.c lets libFuzzer run one.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fuzz_head(const uint8_t *data, size_t len);
int fuzz_frames(const uint8_t *data, size_t len);
int fuzz_json(const uint8_t *data, size_t len);
int fuzz_control(const uint8_t *data, size_t len);
int fuzz_local(const uint8_t *data, size_t len);
int fuzz_mqtt(const uint8_t *data, size_t len);
int fuzz_topic(const uint8_t *data, size_t len);
int fuzz_hub(const uint8_t *data, size_t len);
int fuzz_loop(const uint8_t *data, size_t len);
int fuzz_session(const uint8_t *data, size_t len);
int fuzz_pem(const uint8_t *data, size_t len);
int fuzz_proxy(const uint8_t *data, size_t len);
int fuzz_token(const uint8_t *data, size_t len);
int fuzz_tls(const uint8_t *data, size_t len);

#define MUST(held, ...) do {                                                  \
	if (!(held)) {                                                        \
		printf("    %s:%d: ", __FILE__, __LINE__);                    \
		printf(__VA_ARGS__);                                          \
		printf("\n");                                                 \
		fflush(stdout);                                               \
		abort();                                                      \
	}                                                                     \
} while (0)

/* A copy of its own, so that a sanitizer sees one byte too far. */
static inline void *
fuzz_copy(const void *data, size_t len)
{
	void *p = calloc(1, len == 0 ? 1 : len);

	MUST(p != NULL, "no memory");
	if (len != 0)
		memcpy(p, data, len);
	return p;
}

/* Numbers that follow from a byte of input. */
static inline unsigned
fuzz_dice(uint32_t *seed, unsigned sides)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % sides;
}

#endif
