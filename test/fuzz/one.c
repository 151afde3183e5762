/* wshub: ISC licence, see LICENSE. */
/* One target, -DTARGET=fuzz_json, for libFuzzer. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return TARGET(data, len);
}
