/* wshub: ISC licence, see LICENSE. */
/*
 * What the tests share: cases that speak, and memory that ends at a page.
 *
 * A program of tests is a main() of CASE(...) blocks that ends with
 * "return test_end();". Each case prints one line, "ok - NAME" or "not ok -
 * NAME", after a line for each EXPECT in it that did not hold, saying what was
 * tried and what came back.
 */
#ifndef TEST_H
#define TEST_H

#include <sys/mman.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned test_passed, test_failed, test_skipped, test_broken;
static const char *test_name;

static void
test_close(void)
{
	if (test_name == NULL)
		return;
	printf("%s - %s\n", test_broken ? "not ok" : "ok", test_name);
	fflush(stdout);
	if (test_broken)
		test_failed++;
	else
		test_passed++;
	test_name = NULL;
	test_broken = 0;
}

/* Begins a case; the one before it ends. */
#define CASE(name) (test_close(), test_name = (name))

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static void
test_expect(int held, const char *file, int line, const char *format, ...)
{
	va_list ap;

	if (held)
		return;
	if (++test_broken > 10)
		return;
	printf("    %s:%d: ", file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

/* EXPECT(n == 3, "reading \"%s\": used %d bytes", input, n); */
#define EXPECT(held, ...) \
	test_expect((held) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

/* What cannot be tried here, and why not; the case before it ends. */
#if defined(__GNUC__)
__attribute__((unused))
#endif
static void
test_skip(const char *name, const char *why_not)
{
	test_close();
	printf("skip - %s: %s\n", name, why_not);
	fflush(stdout);
	test_skipped++;
}

/*
 * Whether programs run on an emulated machine (make check RUN=...): there fewer
 * of many equal tries have to do, for the machine at hand does all of them.
 */
#if defined(__GNUC__)
__attribute__((unused))
#endif
static int
test_emulated(void)
{
	const char *wrap = getenv("WSHUB_WRAP");

	return wrap != NULL && *wrap != '\0';
}

/* The last line of main: the counts that test/run adds up. */
static int
test_end(void)
{
	test_close();
	printf("# %u passed, %u failed", test_passed, test_failed);
	if (test_skipped != 0)
		printf(", %u skipped", test_skipped);
	printf("\n");
	return test_failed != 0;
}

/* Maps len bytes or more, and returns their end: the next page is unmapped. */
static char *
test_map(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page) / page * page;
	char *p = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE) != 0) {
		perror("mmap");
		exit(1);
	}
	return p + room;
}

/*
 * A copy of data that ends right before an unmapped page, so that reading one
 * byte too far ends the program. test_unguard gives it back.
 */
#if defined(__GNUC__)
__attribute__((unused))
#endif
static void *
test_guard(const void *data, size_t len)
{
	char *p = test_map(len) - len;

	if (len != 0)
		memcpy(p, data, len);
	return p;
}

#if defined(__GNUC__)
__attribute__((unused))
#endif
static void
test_unguard(void *data, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page) / page * page;

	munmap((char *)data + len - room, room + page);
}

/* The end of TEST_ROOM bytes, which are always the same ones. */
#define TEST_ROOM 262144
static char *
test_wall(void)
{
	static char *wall;

	if (wall == NULL)
		wall = test_map(TEST_ROOM);
	return wall;
}

/* The same data right before the wall, until the next call. */
#if defined(__GNUC__)
__attribute__((unused))
#endif
static void *
test_place(const void *data, size_t len)
{
	char *p = test_wall() - len;

	if (len != 0)
		memmove(p, data, len);
	return p;
}

#endif
