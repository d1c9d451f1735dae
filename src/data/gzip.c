/*
 * Unpacks gzip, in pieces of any size.
 */
#include "data.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INFLATE_SIZE 65536u

typedef enum Step { STEP_ON, STEP_END, STEP_DAMAGED, STEP_MEMORY } Step;

/* What is to be unpacked, and the room for what becomes of it. */
typedef struct Pieces {
  const unsigned char *in;
  size_t in_length;
  unsigned char *out;
  size_t out_length;
} Pieces;

#if defined(WITH_ISAL) /* where `make` finds it: 0.05 s for 64 MiB of text, zlib 0.14 */

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

enum { HEAD_FIXED, HEAD_SIZE, HEAD_EXTRA, HEAD_NAME, HEAD_COMMENT, HEAD_CHECK, HEAD_ENDS };

typedef struct Stream {
  struct inflate_state state;
  int part;  /* of the member's header: it is before this one's byte */
  size_t at; /* with this number */
  unsigned char fixed[10];
  size_t word, size; /* a number of two bytes; the one of the extra field */
  uint32_t sum;
} Stream;

static void stream_reset(Stream *stream) {
  isal_inflate_reset(&stream->state);
  stream->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
  stream->part = HEAD_FIXED;
  stream->at = stream->word = stream->size = stream->sum = 0;
}

static bool stream_open(Stream *stream) {
  isal_inflate_init(&stream->state);
  stream_reset(stream);
  return true;
}

static void stream_close(Stream *stream) {
  (void)stream;
}

/* Goes to the next part of the header that is there. */
static void head_next(Stream *stream) {
  static const unsigned char flags[] = {0, 4, 4, 8, 16, 2, 0xff};
  stream->size = stream->part == HEAD_SIZE ? stream->word : 0;
  stream->at = stream->word = 0;
  do stream->part++;
  while (stream->part != HEAD_ENDS && ((stream->fixed[3] & flags[stream->part]) == 0 ||
                                       (stream->part == HEAD_EXTRA && stream->size == 0)));
}

/* A byte of the header (RFC 1952): false when it is none. ISA-L's own way does not look at reserved flags, and
 * fails for a header with a checksum that comes in pieces. */
static bool head_take(Stream *stream, unsigned char byte) {
  size_t at = stream->at++;
  bool good = true, last = at == 1;
  if (stream->part < HEAD_CHECK) stream->sum = crc32_gzip_refl(stream->sum, &byte, 1);
  if (at < 2) stream->word |= (size_t)byte << (8 * at);
  if (stream->part == HEAD_FIXED) {
    stream->fixed[at] = byte;
    if (at == 1) good = stream->word == 0x8b1f;
    if (at == 3) good = stream->fixed[2] == 8 && (byte & 0xe0) == 0;
    last = at == 9;
  } else if (stream->part == HEAD_EXTRA) {
    last = at + 1 == stream->size;
  } else if (stream->part == HEAD_CHECK) {
    good = at == 0 || stream->word == (stream->sum & 0xffff);
  } else if (stream->part != HEAD_SIZE) {
    last = byte == 0;
  }
  if (last) head_next(stream);
  return good;
}

static Step stream_step(Stream *stream, Pieces *pieces) {
  struct inflate_state *state = &stream->state;
  for (; stream->part != HEAD_ENDS && pieces->in_length > 0; pieces->in_length--)
    if (!head_take(stream, *pieces->in++)) return STEP_DAMAGED;
  if (stream->part != HEAD_ENDS) return STEP_ON;
  state->next_in = (unsigned char *)pieces->in; /* it only reads there */
  state->avail_in = (uint32_t)pieces->in_length;
  state->next_out = pieces->out;
  state->avail_out = (uint32_t)pieces->out_length;
  int code = isal_inflate(state);
  *pieces = (Pieces){state->next_in, state->avail_in, state->next_out, state->avail_out};
  if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT) return STEP_DAMAGED;
  return state->block_state == ISAL_BLOCK_FINISH ? STEP_END : STEP_ON;
}

#else

#include <zlib.h>

typedef z_stream Stream;

static bool stream_open(Stream *stream) {
  return inflateInit2(stream, 15 + 16) == Z_OK; /* gzip, and nothing else */
}

static void stream_close(Stream *stream) {
  (void)inflateEnd(stream);
}

static void stream_reset(Stream *stream) {
  (void)inflateReset(stream); /* fails only for a stream that was never opened */
}

static Step stream_step(Stream *stream, Pieces *pieces) {
  stream->next_in = (z_const Bytef *)pieces->in;
  stream->avail_in = (uInt)pieces->in_length;
  stream->next_out = pieces->out;
  stream->avail_out = (uInt)pieces->out_length;
  int code = inflate(stream, Z_NO_FLUSH);
  *pieces = (Pieces){stream->next_in, stream->avail_in, stream->next_out, stream->avail_out};
  return code == Z_STREAM_END                  ? STEP_END
         : code == Z_MEM_ERROR                 ? STEP_MEMORY
         : code == Z_OK || code == Z_BUF_ERROR ? STEP_ON
                                               : STEP_DAMAGED;
}

#endif

struct Inflater {
  Stream stream;
  bool ended, damaged;
  const char *problem;
  unsigned char out[INFLATE_SIZE];
};

Inflater *inflater_new(void) {
  Inflater *inflater = calloc(1, sizeof *inflater);
  if (inflater == NULL) return NULL;
  if (stream_open(&inflater->stream)) return inflater;
  free(inflater);
  return NULL;
}

void inflater_free(Inflater *inflater) {
  if (inflater == NULL) return;
  stream_close(&inflater->stream);
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

static bool inflater_fail(Inflater *inflater, Step step) {
  inflater->damaged = step == STEP_DAMAGED;
  inflater->problem =
      inflater->damaged ? "the gzip data is damaged" : "there is not enough memory to unpack it";
  if (!inflater->damaged) errno = ENOMEM;
  return false;
}

/* A piece of a size that 32 bits can count. */
static bool inflater_piece(Inflater *inflater, const char *data, size_t length, Emit *emit,
                           void *context) {
  Pieces pieces = {(const unsigned char *)data, length, NULL, 0};
  do {
    if (inflater->ended && pieces.in_length > 0) { /* another member follows */
      stream_reset(&inflater->stream);
      inflater->ended = false;
    }
    pieces.out = inflater->out;
    pieces.out_length = INFLATE_SIZE;
    Step step = stream_step(&inflater->stream, &pieces);
    size_t ready = INFLATE_SIZE - pieces.out_length;
    if (ready > 0 && !emit(context, (const char *)inflater->out, ready)) return false;
    inflater->ended = step == STEP_END;
    if (step == STEP_DAMAGED || step == STEP_MEMORY) return inflater_fail(inflater, step);
    /* A full buffer: there may be more, though all of the input is taken. */
  } while (pieces.in_length > 0 || (pieces.out_length == 0 && !inflater->ended));
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
