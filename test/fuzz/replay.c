/* wshub: ISC licence, see LICENSE. */
/*
 * Runs the fuzz targets over their corpora, and over what a few changes make
 * of each file: the same every time, with any compiler.
 *
 *     replay DIR    DIR has a directory for each target
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64 /* or readdir may fail under qemu */
#include <dirent.h>
#include <signal.h>

#include "../test.h"
#include "fuzz.h"

#define FILE_MAX 16384

static const struct {
	const char *name;
	int (*run)(const uint8_t *data, size_t len);
	unsigned changes; /* of each file */
} targets[] = {
	{ "head", fuzz_head, 300 },
	{ "frames", fuzz_frames, 300 },
	{ "json", fuzz_json, 300 },
	{ "token", fuzz_token, 300 },
	{ "control", fuzz_control, 300 },
	{ "local", fuzz_local, 300 },
	{ "mqtt", fuzz_mqtt, 200 },
	{ "topic", fuzz_topic, 200 },
	{ "hub", fuzz_hub, 100 },
	{ "loop", fuzz_loop, 60 },
	{ "session", fuzz_session, 10 },
	{ "pem", fuzz_pem, 2 },
	{ "proxy", fuzz_proxy, 100 },
	{ "tls", fuzz_tls, 15 }
};

static char path[1024];
static unsigned changed;

/* The target has said what; here is with which input. */
static void
died(int signal_number)
{
	printf("    %s, change %u\nnot ok - %s\n", path, changed, test_name);
	fflush(stdout);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

static size_t
change(uint8_t *to, const uint8_t *from, size_t len, uint32_t *seed)
{
	static const uint8_t few[] = { 0, 1, 0x7f, 0x80, 0xff, '\n', '"', '{' };
	unsigned n = 1 + fuzz_dice(seed, 4);
	size_t at, size;

	memcpy(to, from, len);
	for (; n > 0 && len > 0; n--) {
		at = fuzz_dice(seed, (unsigned)len);
		size = 1 + fuzz_dice(seed, 8);
		switch (fuzz_dice(seed, 6)) {
		case 0:
			to[at] ^= (uint8_t)(1u << fuzz_dice(seed, 8));
			break;
		case 1:
			to[at] = (uint8_t)fuzz_dice(seed, 256);
			break;
		case 2:
			to[at] = few[fuzz_dice(seed, 8)];
			break;
		case 3: /* fewer */
			if (size > len - at)
				size = len - at;
			memmove(to + at, to + at + size, len - at - size);
			len -= size;
			break;
		case 4: /* more */
			if (len + size > FILE_MAX)
				break;
			memmove(to + at + size, to + at, len - at);
			len += size;
			break;
		case 5:
			if (fuzz_dice(seed, 8) == 0)
				len = at;
			break;
		}
	}
	return len;
}

int
main(int argc, char **argv)
{
	static uint8_t data[FILE_MAX], other[FILE_MAX];
	char name[64];
	struct dirent *e;
	uint32_t seed;
	unsigned i, files;
	size_t len, at;
	DIR *d;
	FILE *f;

	if (argc != 2) {
		fprintf(stderr, "usage: replay DIR\n");
		return 2;
	}
	signal(SIGABRT, died);
	signal(SIGSEGV, died);
	for (i = 0; i < sizeof targets / sizeof *targets; i++) {
		snprintf(name, sizeof name, "fuzz: the corpus of %s",
		    targets[i].name);
		CASE(name);
		snprintf(path, sizeof path, "%s/%s", argv[1], targets[i].name);
		files = 0;
		d = opendir(path);
		while (d != NULL && (e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof path, "%s/%s/%s", argv[1],
			    targets[i].name, e->d_name);
			f = fopen(path, "rb");
			if (f == NULL)
				continue;
			len = fread(data, 1, sizeof data, f);
			fclose(f);
			files++;
			changed = 0;
			for (seed = 1, at = 0; e->d_name[at] != '\0'; at++)
				seed = seed * 31 + (unsigned char)e->d_name[at];
			(void)targets[i].run(data, len);
			while (changed < targets[i].changes) {
				changed++;
				(void)targets[i].run(other,
				    change(other, data, len, &seed));
			}
		}
		if (d != NULL)
			closedir(d);
		EXPECT(files > 0, "%s/%s has no files", argv[1],
		    targets[i].name);
		test_close();
	}
	return test_end();
}
