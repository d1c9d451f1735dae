/*
 * The allocator behind those that stand before it: a sanitizer's, where there is one, else the C library's own.
 */
#ifndef SPEC_ALLOCATOR_H
#define SPEC_ALLOCATOR_H

#include <stddef.h>

void *__interceptor_malloc(size_t size) __attribute__((weak));
void *__interceptor_calloc(size_t count, size_t size) __attribute__((weak));
void *__interceptor_realloc(void *block, size_t size) __attribute__((weak));
void __interceptor_free(void *block) __attribute__((weak));
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

static inline void *allocator_malloc(size_t size) {
  return __interceptor_malloc != NULL ? __interceptor_malloc(size) : __libc_malloc(size);
}

static inline void *allocator_calloc(size_t count, size_t size) {
  return __interceptor_calloc != NULL ? __interceptor_calloc(count, size)
                                      : __libc_calloc(count, size);
}

static inline void *allocator_realloc(void *block, size_t size) {
  return __interceptor_realloc != NULL ? __interceptor_realloc(block, size)
                                       : __libc_realloc(block, size);
}

static inline void allocator_free(void *block) {
  if (__interceptor_free != NULL)
    __interceptor_free(block);
  else
    __libc_free(block);
}

#endif
