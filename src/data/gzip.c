/*
 * Unpacks gzip, in pieces of any size.
 */
#include "data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#define INFLATE_SIZE 65536u

/* The window bits of zlib for "gzip, and nothing else". */
#define GZIP_WINDOW (15 + 16)

struct Inflater {
  z_stream stream;
  bool ended, damaged;
  const char *problem;
  unsigned char out[INFLATE_SIZE];
};

Inflater *inflater_new(void) {
  Inflater *inflater = calloc(1, sizeof *inflater);
  if (inflater == NULL) return NULL;
  if (inflateInit2(&inflater->stream, GZIP_WINDOW) == Z_OK) return inflater;
  free(inflater);
  return NULL;
}

void inflater_free(Inflater *inflater) {
  if (inflater == NULL) return;
  (void)inflateEnd(&inflater->stream);
  free(inflater);
}

bool inflater_damaged(const Inflater *inflater) {
  return inflater->damaged;
}

const char *inflater_problem(const Inflater *inflater) {
  return inflater->problem;
}

bool inflater_ended(const Inflater *inflater) {
  return inflater->ended && inflater->problem == NULL;
}

static bool inflater_fail(Inflater *inflater, int code) {
  inflater->damaged = code != Z_MEM_ERROR;
  inflater->problem =
      inflater->damaged ? "the gzip data is damaged" : "there is not enough memory to unpack it";
  if (!inflater->damaged) errno = ENOMEM;
  return false;
}

/* A piece of a size that zlib can count. */
static bool inflater_piece(Inflater *inflater, const char *data, size_t length, Emit *emit,
                           void *context) {
  z_stream *stream = &inflater->stream;
  stream->next_in = (z_const Bytef *)(const void *)data;
  stream->avail_in = (uInt)length;
  do {
    if (inflater->ended && stream->avail_in > 0) { /* another member follows */
      (void)inflateReset(stream); /* fails only for a stream that was never opened */
      inflater->ended = false;
    }
    stream->next_out = inflater->out;
    stream->avail_out = INFLATE_SIZE;
    int code = inflate(stream, Z_NO_FLUSH);
    size_t ready = INFLATE_SIZE - stream->avail_out;
    if (ready > 0 && !emit(context, (const char *)inflater->out, ready)) return false;
    if (code == Z_STREAM_END)
      inflater->ended = true;
    else if (code != Z_OK && code != Z_BUF_ERROR)
      return inflater_fail(inflater, code);
    /* A full buffer: zlib may hold more, though all of its input is taken. */
  } while (stream->avail_in > 0 || (stream->avail_out == 0 && !inflater->ended));
  return true;
}

bool inflater_push(Inflater *inflater, const char *data, size_t length, Emit *emit, void *context) {
  if (inflater->problem != NULL) return false;
  while (length > 0) {
    size_t piece = length < 0x40000000u ? length : 0x40000000u;
    if (!inflater_piece(inflater, data, piece, emit, context)) return false;
    data += piece;
    length -= piece;
  }
  return true;
}

typedef struct Room {
  char *data;
  size_t length, size;
} Room;

static bool room_add(void *context, const char *data, size_t length) {
  Room *room = context;
  size_t left = room->size - room->length, taken = length < left ? length : left;
  memcpy(room->data + room->length, data, taken);
  room->length += taken;
  return room->length < room->size;
}

int gunzip(lua_State *L) {
  size_t length;
  const char *packed = luaL_checklstring(L, 1, &length);
  lua_Integer limit = luaL_checkinteger(L, 2);
  luaL_argcheck(L, limit > 0, 2, "1 or more expected");
  Room room = {lua_newuserdatauv(L, (size_t)limit, 0), 0, (size_t)limit};
  Inflater *inflater = inflater_new();
  if (inflater == NULL) return luaL_error(L, "gzip: out of memory");
  (void)inflater_push(inflater, packed, length, room_add, &room);
  inflater_free(inflater);
  lua_pushlstring(L, room.data, room.length);
  return 1;
}
