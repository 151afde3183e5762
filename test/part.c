/* wshub: ISC licence, see LICENSE. */
/* One of the hub's files, -DPART='"../hub.c"', on the fake kernel of fake.h. */
#define FAKE_PART
#include "fake.h"
#include PART
