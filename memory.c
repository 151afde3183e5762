/* wshub: ISC licence, see LICENSE. */
/*
 * How much memory the process may use: the machine's, or less if its cgroup has
 * a limit, as in a container.
 */
#define _GNU_SOURCE /* _SC_PHYS_PAGES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ws.h"

static uint64_t
physical_memory(void)
{
#ifdef _SC_PHYS_PAGES
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	if (pages > 0 && size > 0)
		return (uint64_t)pages * (uint64_t)size;
#endif
	return 0;
}

#ifdef __linux__
/* Lowers *memory to the limit in that file. */
static void
apply_limit(uint64_t *memory, const char *file)
{
	unsigned long long limit;
	FILE *f = fopen(file, "r");
	char text[32] = "", *end;

	if (f == NULL)
		return;
	/* "No limit" is "max" in version 2, and a huge number in version 1. */
	if (fgets(text, sizeof text, f) != NULL) {
		limit = strtoull(text, &end, 10);
		if (end != text && (*memory == 0 || limit < *memory))
			*memory = limit;
	}
	fclose(f);
}

/*
 * Applies the limits of the cgroup at path and of all cgroups that contain it.
 * In a container, path may be the host's, and then only the mount itself, which
 * is the container's own cgroup, exists.
 */
static void
apply_limits(uint64_t *memory, const char *root, const char *mount, char *path,
    const char *file)
{
	char name[8192], *slash;

	do {
		snprintf(name, sizeof name, "%s%s%s/%s", root, mount, path,
		    file);
		apply_limit(memory, name);
		slash = strrchr(path, '/');
		if (slash != NULL)
			*slash = '\0';
	} while (slash != NULL);
}

static void
apply_cgroups(uint64_t *memory, const char *root)
{
	char line[4352], *controllers, *path;
	FILE *f;

	snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
	f = fopen(line, "r");
	if (f == NULL)
		return;
	/* The lines are "0::/path" (version 2) or "4:memory:/path" (1). */
	while (fgets(line, sizeof line, f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		controllers = strchr(line, ':');
		if (controllers == NULL ||
		    (path = strchr(controllers + 1, ':')) == NULL)
			continue;
		*path++ = '\0';
		if (*++controllers == '\0')
			apply_limits(memory, root, "/sys/fs/cgroup", path,
			    "memory.max");
		else if (strstr(controllers, "memory") != NULL)
			apply_limits(memory, root, "/sys/fs/cgroup/memory",
			    path, "memory.limit_in_bytes");
	}
	fclose(f);
}
#endif

/* see ws.h */
uint64_t
ws_memory(const char *root)
{
	uint64_t memory = physical_memory();

#ifdef __linux__
	apply_cgroups(&memory, root);
#else
	(void)root;
#endif
	return memory;
}
