/* wshub: ISC licence, see LICENSE. */
/*
 * memory.c: the limits of cgroups, from files as the kernel has them.
 */
#include "../memory.c"

#include <sys/stat.h>
#include <ftw.h>

#include "test.h"

#ifdef __linux__
#define V1 "sys/fs/cgroup/memory/"
#define V2 "sys/fs/cgroup/"
#define NO_LIMIT_V1 "9223372036854771712\n"

static const struct {
	const char *name;
	const char *cgroup; /* /proc/self/cgroup, or NULL */
	const char *files[8]; /* path, content, ... */
	uint64_t limit; /* 0: there is none */
} cases[] = {
	{ "no files at all", NULL, { 0 }, 0 },
	{ "files, but no /proc", NULL, { V2 "memory.max", "4096\n" }, 0 },
	{ "version 2: a container's own namespace", "0::/\n",
	    { V2 "memory.max", "33554432\n" }, 33554432 },
	{ "version 2: no limit", "0::/\n", { V2 "memory.max", "max\n" }, 0 },
	{ "version 2: the root, which has no such file", "0::/\n", { 0 }, 0 },
	{ "version 2: nested, its own is the least", "0::/a/b\n",
	    { V2 "a/b/memory.max", "1000000\n", V2 "a/memory.max",
	    "2000000\n" }, 1000000 },
	{ "version 2: nested, that of the middle is the least", "0::/a/b/c\n",
	    { V2 "a/b/c/memory.max", "max\n", V2 "a/b/memory.max",
	    "1000000\n", V2 "a/memory.max", "3000000\n" }, 1000000 },
	{ "version 2: nested, and another's limit", "0::/a/b\n",
	    { V2 "a/c/memory.max", "1000000\n", V2 "a/memory.max",
	    "2000000\n" }, 2000000 },
	{ "version 2: above the namespace", "0::/../..\n",
	    { V2 "memory.max", "2000000\n" }, 2000000 },
	{ "version 1", "5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n",
	    { V1 "a/memory.limit_in_bytes", "1000000\n",
	    V1 "memory.limit_in_bytes", NO_LIMIT_V1 }, 1000000 },
	{ "version 1: no limit", "4:memory:/\n",
	    { V1 "memory.limit_in_bytes", NO_LIMIT_V1 }, 0 },
	{ "version 1: beside other controllers", "4:hugetlb,memory:/a\n",
	    { V1 "a/memory.limit_in_bytes", "1000000\n" }, 1000000 },
	{ "version 1: the host's path in a container",
	    "4:memory:/docker/0123\n", { V1 "memory.limit_in_bytes",
	    "2000000\n" }, 2000000 },
	{ "version 1: another controller's path", "4:cpu:/a\n3:memory:/b\n",
	    { V1 "a/memory.limit_in_bytes", "1000000\n",
	    V1 "b/memory.limit_in_bytes", "2000000\n" }, 2000000 },
	{ "a name with colons", "0::/a:b:c\n", { V2 "a:b:c/memory.max",
	    "2000000\n" }, 2000000 },
	{ "more than the machine has", "0::/\n", { V2 "memory.max",
	    "18446744073709551615\n" }, 0 },
	{ "a number that is too large", "0::/\n", { V2 "memory.max",
	    "99999999999999999999999\n" }, 0 },
	{ "nonsense", "x\n0:\n:::\n\n0::\n", { V2 "memory.max", "\n" }, 0 },
};

static char top[256];

/* Writes a file, and makes its directories. */
static void
put_file(const char *path, const char *content)
{
	char name[512], *p;
	FILE *f;

	snprintf(name, sizeof name, "%s/%s", top, path);
	for (p = name + strlen(top) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(name, 0700);
		*p = '/';
	}
	f = fopen(name, "w");
	EXPECT(f != NULL && fputs(content, f) >= 0, "cannot write %s", name);
	if (f != NULL)
		fclose(f);
}

static int
delete(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static void
limits(void)
{
	const char *tmp = getenv("TMPDIR");
	uint64_t all = physical_memory(), got, want;
	const char *const *file;
	static char name[100];
	size_t i;

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		snprintf(name, sizeof name, "memory: %s", cases[i].name);
		CASE(name);
		snprintf(top, sizeof top, "%.200s/wshub.XXXXXX", tmp != NULL ?
		    tmp : "/tmp");
		if (mkdtemp(top) == NULL) {
			EXPECT(0, "cannot make %s", top);
			return;
		}
		if (cases[i].cgroup != NULL)
			put_file("proc/self/cgroup", cases[i].cgroup);
		for (file = cases[i].files; *file != NULL; file += 2)
			put_file(file[0], file[1]);
		want = cases[i].limit != 0 ? cases[i].limit : all;
		got = ws_memory(top);
		EXPECT(got == want, "%llu bytes, not %llu",
		    (unsigned long long)got, (unsigned long long)want);
		nftw(top, delete, 8, FTW_DEPTH | FTW_PHYS);
	}
}
#endif

int
main(void)
{
	CASE("memory: the machine's memory");
#ifdef _SC_PHYS_PAGES
	EXPECT(physical_memory() >= 1 << 20, "%llu bytes",
	    (unsigned long long)physical_memory());
#endif
	EXPECT(ws_memory("") <= physical_memory() || physical_memory() == 0,
	    "%llu bytes, and the machine has less",
	    (unsigned long long)ws_memory(""));
#ifdef __linux__
	limits();
#endif
	return test_end();
}
