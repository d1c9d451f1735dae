/*
 * A filter that counts the records of a file as its bytes pass through, and lets them pass as they are. (Where
 * they are to be written anew, rewrite.c does that with the records found here.)
 */
#include "filter.h"

#include <string.h>

/* Longer than most records. */
#define SLICE_SIZE 256u

bool records_fail(Records *records, const char *problem) {
  records->problem = problem;
  records->row = records->scanner.row;
  records->byte = records->scanner.byte;
  return false;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The length of the record without its newline. */
static size_t line_length(const Scanner *scanner) {
  size_t length = scanner->length;
  if (length > 0 && scanner->record[length - 1] == '\n') length--;
  if (length > 0 && scanner->record[length - 1] == '\r') length--;
  return length;
}

/* The header of another body is the same as before, and not written again. */
static bool head_take(Records *records) {
  const Scanner *scanner = &records->scanner;
  size_t length = line_length(scanner);
  if (records->kept)
    return (length == records->head.length &&
            (length == 0 || memcmp(scanner->record, records->head.data, length) == 0)) ||
           records_fail(records, "the parts of the file have different headers");
  records->head.length = 0;
  if (!buffer_append(&records->head, scanner->record, length))
    return records_fail(records, "not enough memory");
  return !records->rewrites || record_write(records);
}

/* Takes the records that are there. */
static bool records_take(Records *records) {
  Scanner *scanner = &records->scanner;
  for (;;) {
    switch (records->rewrites ? scanner_next(scanner) : scanner_find(scanner)) {
    case SCAN_RECORD:
      if (scanner->row == 0 ? !head_take(records) : records->rewrites && !record_write(records))
        return false;
      break;
    case SCAN_PROBLEM:
      return records_fail(records, scanner->problem);
    case SCAN_MEMORY:
      return records_fail(records, "not enough memory");
    case SCAN_MORE:
    case SCAN_END:
      return true;
    }
  }
}

static bool records_read(Records *records, const char *data, size_t length) {
  if (!scanner_push(&records->scanner, data, length))
    return records_fail(records, "not enough memory");
  return records_take(records);
}

/* Most records are passed over, and need be nowhere as a whole. The others are read: a few bytes, and more and
 * more until one has come to its end. */
static bool records_text(void *context, const char *data, size_t length) {
  Records *records = context;
  if (records->rewrites) return records_read(records, data, length);
  size_t slice = SLICE_SIZE;
  while (length > 0) {
    size_t taken = scanner_skip(&records->scanner, data, length);
    if (taken == 0) {
      taken = length < slice ? length : slice;
      if (!records_read(records, data, taken)) return false;
      size_t left = scanner_take_back(&records->scanner, taken);
      slice = left > 0 ? SLICE_SIZE : 2 * slice;
      taken -= left;
    }
    data += taken;
    length -= taken;
  }
  return true;
}

/* --- the filter -------------------------------------------------------------------------------- */

/* The charset of "text/csv; charset=utf-16", or NULL. */
static const char *charset_of(const char *content_type, char *room, size_t size) {
  for (const char *at = strchr(content_type, ';'); at != NULL; at = strchr(at, ';')) {
    at += 1 + strspn(at + 1, " \t");
    const char *key = "charset=";
    size_t i = 0;
    while (key[i] != '\0' && (at[i] | 0x20) == (key[i] | 0x20)) i++;
    if (key[i] != '\0') continue;
    at += i + (at[i] == '"' ? 1 : 0);
    size_t length = strcspn(at, "\"; \t");
    if (length == 0 || length >= size) return NULL;
    memcpy(room, at, length);
    room[length] = '\0';
    return room;
  }
  return NULL;
}

static bool filter_reset(Filter *filter, const char *content_type, bool packed) {
  Records *records = (Records *)filter;
  char room[32];
  Encoding encoding = encoding_of(charset_of(content_type, room, sizeof room));
  inflater_free(records->wire);
  records->wire = packed ? inflater_new() : NULL;
  records->filter.broken = false;
  if (packed && records->wire == NULL) return false;
  decoder_free(records->decoder);
  records->decoder = decoder_new(encoding, records->strict);
  scanner_free(&records->scanner);
  scanner_new(&records->scanner, records->strict, RECORD_LIMIT);
  records->problem = NULL;
  records->first_length = records->out.length = 0;
  return records->decoder != NULL;
}

static bool filter_keep(Filter *filter) {
  Records *records = (Records *)filter;
  if (records->problem != NULL) return false;
  if (records->scanner.row < 0) return true; /* a body of no bytes has no header */
  records->kept = true;
  records->kept_rows += records->scanner.row;
  return true;
}

/* Runs the decoder over a piece or, with NULL, the end. A counter never stops the bytes: what it cannot
 * read it does not count. */
static bool records_push(Records *records, const char *data, size_t length) {
  if (data != NULL && records->first_length < FIRST_SIZE) {
    size_t room = FIRST_SIZE - records->first_length, taken = length < room ? length : room;
    memcpy(records->first + records->first_length, data, taken);
    records->first_length += taken;
  }
  if (records->problem == NULL) {
    Decoder *decoder = records->decoder;
    bool done = data != NULL ? decoder_push(decoder, data, length, records_text, records)
                             : decoder_finish(decoder, records_text, records);
    const char *damage = decoder_problem(decoder);
    if (damage != NULL || (done && data == NULL)) {
      scanner_end(&records->scanner, damage);
      done = records_take(records);
    }
    /* the file refused it: `emit` said so */
    if (!done && records->problem == NULL) return false;
  }
  if (!records->rewrites) return data == NULL || records->emit(records->context, data, length);
  if (records->problem != NULL) return true; /* told at the end; nothing of it is published */
  return data != NULL || rewrite_flush(records);
}

static bool records_unpacked(void *context, const char *data, size_t length) {
  return records_push(context, data, length);
}

/* The coding of the body comes off first, and has to come to its end: a stream that breaks off is no
 * file, whatever the message around it says. */
static bool filter_push(Filter *filter, const char *data, size_t length, Emit *emit,
                        void *context) {
  Records *records = (Records *)filter;
  records->emit = emit;
  records->context = context;
  if (records->wire == NULL) return records_push(records, data, length);
  bool done = data == NULL || inflater_push(records->wire, data, length, records_unpacked, records);
  filter->broken = data == NULL ? !inflater_ended(records->wire) : inflater_damaged(records->wire);
  if (!done || filter->broken) return false;
  return data != NULL || records_push(records, NULL, 0);
}

static Records *records_peek(lua_State *L) {
  return luaL_checkudata(L, 1, FILTER_CLASS);
}

/* filter:records() -> integer, without the header | nil, what is wrong with the text, row, byte */
static int filter_records(lua_State *L) {
  const Records *records = records_peek(L);
  if (records->problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, records->problem);
    lua_pushinteger(L, (lua_Integer)records->row);
    lua_pushinteger(L, (lua_Integer)records->byte + 1);
    return 4;
  }
  long long rows = records->scanner.row > 0 ? records->scanner.row : 0;
  lua_pushinteger(L, (lua_Integer)(records->kept_rows + rows));
  return 1;
}

/* filter:first() -> the first bytes of the newest body, as they came */
static int filter_first(lua_State *L) {
  const Records *records = records_peek(L);
  lua_pushlstring(L, records->first, records->first_length);
  return 1;
}

static int filter_close(lua_State *L) {
  Records *records = records_peek(L);
  inflater_free(records->wire);
  records->wire = NULL;
  decoder_free(records->decoder);
  records->decoder = NULL;
  scanner_free(&records->scanner);
  buffer_free(&records->head);
  buffer_free(&records->out);
  return 0;
}

typedef struct FilterOptions {
  bool rewrites, strict;
} FilterOptions;

static const Option filter_options[] = {
    {"rewrite", OPTION_FLAG, offsetof(FilterOptions, rewrites)},
    {"strict", OPTION_FLAG, offsetof(FilterOptions, strict)},
    {NULL, OPTION_VALUE, 0},
};

/* core.filter { rewrite = (else: only count), strict = true } -> Filter, for core.sink { filter = } */
int filter_new(lua_State *L) {
  FilterOptions options = {false, true};
  options_read(L, 1, filter_options, &options);
  Records *records = lua_newuserdatauv(L, sizeof *records, 0);
  memset(records, 0, sizeof *records);
  luaL_setmetatable(L, FILTER_CLASS);
  records->filter.reset = filter_reset;
  records->filter.keep = filter_keep;
  records->filter.push = filter_push;
  records->rewrites = options.rewrites;
  records->strict = options.strict;
  scanner_new(&records->scanner, options.strict, RECORD_LIMIT);
  return 1;
}

void filters_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"records", filter_records}, {"first", filter_first}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", filter_close}, {NULL, NULL}};
  class_new(L, FILTER_CLASS, methods, meta);
}
