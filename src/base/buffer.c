/*
 * Bytes that grow, outside of Lua's memory: a callback of libcurl's may fill them.
 */
#include "base.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST 256u

bool buffer_reserve(Buffer *buffer, size_t length) {
  if (length <= buffer->capacity - buffer->length) return true;
  if (buffer->capacity > SIZE_MAX / 2 || length > SIZE_MAX - buffer->length) return false;
  size_t capacity = buffer->length + length, twice = 2 * buffer->capacity;
  if (capacity < twice) capacity = twice;
  if (capacity < SMALLEST) capacity = SMALLEST;
  char *data = malloc(capacity); /* realloc might leave a copy behind */
  if (data == NULL) return false;
  size_t kept = buffer->length;
  if (kept > 0) memcpy(data, buffer->data, kept);
  buffer_free(buffer);
  buffer->data = data;
  buffer->length = kept;
  buffer->capacity = capacity;
  return true;
}

bool buffer_append(Buffer *buffer, const char *data, size_t length) {
  if (!buffer_reserve(buffer, length)) return false;
  if (length > 0) memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  return true;
}

void buffer_free(Buffer *buffer) {
  if (buffer->data != NULL) wipe(buffer->data, buffer->capacity);
  free(buffer->data);
  *buffer = (Buffer){NULL, 0, 0};
}
