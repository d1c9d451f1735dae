/*
 * Wiping that no compiler leaves out.
 */
#include "base.h"

#include <string.h>

/* A volatile pointer: the compiler cannot know which function is called, nor that nobody reads what it
 * writes. */
static void *(*const volatile fill)(void *, int, size_t) = memset;

void wipe(void *data, size_t length) {
  (void)fill(data, 0, length);
}
