/*
 * A program that took json.c and ws.h: reads a JSON object, prints its members
 * a line each, without white space. Status 1 if it is not one.
 */
#include <stdio.h>

#include "ws.h"

int
main(void)
{
	static char in[65536];
	struct ws_json scan = { 0 };
	struct ws_text rest = { in, 0 }, name, value;
	size_t len = fread(in, 1, sizeof in, stdin);
	ssize_t used = ws_json_scan(&scan, in, len);

	if (used < 0 || *in != '{') {
		printf("not an object: %s at byte %lu\n", used == WS_BAD ?
		    scan.reason : "its end", (unsigned long)scan.offset);
		return 1;
	}
	rest.len = (size_t)used;
	while (ws_json_member(&rest, &name, &value)) {
		value.len = ws_json_compact((char *)value.s, value);
		printf("%.*s: %.*s\n", (int)name.len, name.s, (int)value.len,
		    value.s);
	}
	return 0;
}
