/*
 * Bytes that grow, outside of Lua's memory: what fills them may be a callback of libcurl's.
 */
#include "data.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 256u

bool grown_append(Grown *grown, const char *data, size_t length) {
  if (length > grown->capacity - grown->length) {
    size_t capacity = grown->capacity > 0 ? grown->capacity : SMALLEST;
    while (capacity - grown->length < length) {
      if (capacity > SIZE_MAX / 2) return false;
      capacity *= 2;
    }
    char *data_grown = realloc(grown->data, capacity);
    if (data_grown == NULL) return false;
    grown->data = data_grown;
    grown->capacity = capacity;
  }
  if (length > 0) memcpy(grown->data + grown->length, data, length);
  grown->length += length;
  return true;
}

void grown_free(Grown *grown) {
  free(grown->data);
  *grown = (Grown){NULL, 0, 0};
}
