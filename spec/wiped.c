/*
 * For LD_PRELOAD: looks into each block of memory that is given back. Where it holds the text of WIPED_SECRET,
 * a line on the standard error names the module that gave it back. Not part of the module.
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "allocator.h"

#define EXPORTED __attribute__((visibility("default")))

/* Set when the process begins: before that a sanitizer may not be ready to be asked for anything. */
static const char *secret;

__attribute__((constructor)) static void begin(void) {
  secret = getenv("WIPED_SECRET");
}

static void report(const char *what, size_t length) {
  if (write(STDERR_FILENO, what, length) < 0 || write(STDERR_FILENO, " left it\n", 9) < 0) abort();
}

static void look(const void *block, size_t size, const void *caller) {
  if (secret == NULL || memmem(block, size, secret, strlen(secret)) == NULL) return;
  Dl_info module;
  const char *name = dladdr(caller, &module) != 0 ? module.dli_fname : "?";
  report(name, strlen(name));
}

/* Zeroed: what others have left in it is not to be held against its next owner. */
EXPORTED void *malloc(size_t size) {
  void *block = allocator_malloc(size);
  return block != NULL && secret != NULL ? memset(block, 0, malloc_usable_size(block)) : block;
}

EXPORTED void *realloc(void *block, size_t size) {
  if (block != NULL && secret != NULL)
    look(block, malloc_usable_size(block), __builtin_return_address(0));
  return allocator_realloc(block, size);
}

EXPORTED void free(void *block) {
  if (block != NULL && secret != NULL)
    look(block, malloc_usable_size(block), __builtin_return_address(0));
  allocator_free(block);
}

/* As libcurl does it: but whoever calls this, and not libcurl, is who leaves what is in the lines. */
EXPORTED void curl_slist_free_all(struct curl_slist *list) {
  for (struct curl_slist *next; list != NULL; list = next) {
    next = list->next;
    look(list->data, strlen(list->data), __builtin_return_address(0));
    allocator_free(list->data);
    allocator_free(list);
  }
}
