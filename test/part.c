/* wshub: ISC licence, see LICENSE. */
/* One of the hub's files, -DPART='"../hub.c"', in the world of world.h. */
#define WORLD_PART
#include "world.h"
#include PART
