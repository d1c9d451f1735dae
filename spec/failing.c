/*
 * For LD_PRELOAD: calls of the system that fail. FAIL_PREAD=errno: every pread; FAIL_FALLOCATE=errno: every
 * fallocate, though it takes the room; FAIL_MALLOC=size: every malloc of exactly so many bytes. Not part of the module.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

#include "allocator.h"

static long unlucky, number, taken;

static long asked(const char *name) {
  const char *text = getenv(name);
  return text != NULL ? strtol(text, NULL, 10) : 0;
}

/* Once: a sanitizer that is not ready yet calls malloc, and cannot be called. */
__attribute__((constructor)) static void begin(void) {
  unlucky = asked("FAIL_MALLOC");
  number = asked("FAIL_PREAD");
  taken = asked("FAIL_FALLOCATE");
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
  if (unlucky == 0 || (size_t)unlucky != size) return allocator_malloc(size);
  errno = ENOMEM;
  return NULL;
}

__attribute__((visibility("default"))) ssize_t pread64(int fd, void *room, size_t size,
                                                       off64_t offset) {
  if (number != 0) {
    errno = (int)number;
    return -1;
  }
  ssize_t (*real)(int, void *, size_t, off64_t);
  *(void **)&real = dlsym(RTLD_NEXT, "pread64");
  return real(fd, room, size, offset);
}

__attribute__((visibility("default"))) int fallocate64(int fd, int mode, off64_t offset,
                                                       off64_t length) {
  int (*real)(int, int, off64_t, off64_t);
  *(void **)&real = dlsym(RTLD_NEXT, "fallocate64");
  int done = real(fd, mode, offset, length);
  if (taken == 0) return done;
  errno = (int)taken;
  return -1;
}
