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
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S",
		    gmtime_r(&t, &tm));
		n = ws_log_date(out, (unsigned long long)t);
		if (n != 19 || strcmp(out, want) != 0)
			if (wrong++ == 0)
				EXPECT(0, "%lld: %s, not %s", (long long)t,
				    out, want);
	}
	EXPECT(wrong == 0, "%lu are wrong", wrong);

	CASE("a time that no clock has takes no more room");
	n = ws_log_date(out, ~0ull);
	EXPECT(n == 19, "%zu bytes: %s", n, out);
	return test_end();
}
