/* wshub: ISC licence, see LICENSE. */
/* Tests of log.c: the time before each line, beside gmtime(3). */
#define _GNU_SOURCE
#include "../log.c"
#include "test.h"

#define DAYS (400 * 365 + 97)

int
main(void)
{
	char out[32], want[32];
	unsigned long day, wrong = 0;
	struct tm tm;
	time_t t;
	size_t n;

	CASE("every day of 400 years, at another time of the day");
	for (day = 0; day < DAYS; day++) {
		t = (time_t)((sizeof t > 4 ? day : day % 24000) * 86400 +
		    day * 7919 % 86400);
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.",
		    gmtime_r(&t, &tm));
		n = write_time(out, (unsigned long long)t,
		    (unsigned)(day % 1000));
		snprintf(want + 20, 6, "%03luZ ", day % 1000);
		if (n != 25 || strcmp(out, want) != 0)
			if (wrong++ == 0)
				EXPECT(0, "%lld: %s, not %s", (long long)t,
				    out, want);
	}
	EXPECT(wrong == 0, "%lu are wrong", wrong);

	CASE("a time that no clock has takes no more room");
	n = write_time(out, ~0ull, 1000);
	EXPECT(n == 25, "%zu bytes: %s", n, out);
	return test_end();
}
