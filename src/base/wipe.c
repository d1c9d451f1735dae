/*
 * Wiping that no compiler leaves out.
 */
#include "base.h"

#include <string.h>

/* Called by way of a variable that has to be read: the compiler cannot know what is called, and so not that
 * nobody will look at what it writes. */
static void *(*const volatile fill)(void *, int, size_t) = memset;

void wipe(void *data, size_t length) {
  (void)fill(data, 0, length);
}
