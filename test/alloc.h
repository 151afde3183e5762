/* wshub: ISC licence, see LICENSE. */
/*
 * Memory that a test refuses and counts, for a file of the hub that is included
 * after this one: #undef malloc, calloc, realloc and free after it.
 */
#ifndef TEST_ALLOC_H
#define TEST_ALLOC_H

#include <errno.h>
#include <stdlib.h>

static unsigned calls;     /* of malloc, calloc and realloc */
static unsigned fail_at;   /* this one fails; 0: none */
static unsigned fail_from; /* this one and all after it fail; 0: none */
static long live;          /* blocks not given back */
static size_t asked;       /* bytes that the last call wanted */
static size_t largest;     /* bytes that any call wanted */

static inline int
no_memory(size_t n)
{
	calls++;
	asked = n;
	if (n > largest)
		largest = n;
	return n > (size_t)1 << 30 || calls == fail_at ||
	    (fail_from != 0 && calls >= fail_from);
}

/* What a call came to: memory, or an error that is surely seen. */
static inline void *
given(void *p, int more)
{
	if (p == NULL)
		errno = ENOMEM;
	else if (more)
		live++;
	return p;
}

static inline void *
test_malloc(size_t n)
{
	return given(no_memory(n) ? NULL : malloc(n), 1);
}

static inline void *
test_calloc(size_t n, size_t size)
{
	return given(no_memory(n * size) ? NULL : calloc(n, size), 1);
}

static inline void *
test_realloc(void *old, size_t n)
{
	return given(no_memory(n) ? NULL : realloc(old, n), old == NULL);
}

static inline void
test_free(void *p)
{
	live -= p != NULL;
	free(p);
}

#define malloc(n) test_malloc(n)
#define calloc(n, size) test_calloc(n, size)
#define realloc(p, n) test_realloc(p, n)
#define free(p) test_free(p)

#endif
