/*
 * Stages: what the bytes of a file go through on their way into it.
 *
 * A counter lets them pass and counts records; an exporter writes them anew, as UTF-8 with commas,
 * quoted as RFC 4180 asks. Both read records as rows.c does, but from a stream that is cut anywhere.
 */
#include "data.h"
#include "lexer.h"

#include <stdlib.h>

#define STAGE_CLASS "zuora.stage"

#define OUT_SIZE     65536u
#define HEADER_LIMIT 1048576u
#define CELL_LIMIT   (64u * 1024u * 1024u)

/* Bytes of each body that are kept as they came: enough to see what is no file. */
#define FIRST_SIZE 4096u

typedef struct Grown {
  char *data;
  size_t length, capacity;
} Grown;

typedef enum State { STATE_START, STATE_BARE, STATE_RETURN, STATE_QUOTED, STATE_QUOTE } State;

typedef struct Records {
  Stage stage; /* first: a Stage * is a Records * */
  bool exports;
  Inflater *wire; /* takes off the coding in which the body comes; NULL: it has none */
  Decoder *decoder;
  const char *problem;
  char first[FIRST_SIZE]; /* of this body, without the coding in which it came */
  size_t first_length;

  char delimiter; /* 0: the header line is not whole yet */
  Grown head, cell, out;
  State state;
  bool cells_seen, bytes_seen; /* of the present record */
  bool ending;                 /* its last cell is being written */
  size_t columns;              /* of the header, counted while it passes */
  lua_Integer count;           /* records of this body, the header among them */

  /* Bodies that came before, with the same header. */
  bool kept;
  Grown kept_head;
  size_t kept_columns;
  lua_Integer kept_count; /* without the header */

  Emit *emit;
  void *context;
} Records;

static bool records_fail(Records *records, const char *problem) {
  if (records->problem == NULL) records->problem = problem;
  return false;
}

static bool grown_append(Grown *grown, const char *data, size_t length, size_t limit) {
  if (length > limit - grown->length) return false;
  if (length > grown->capacity - grown->length) {
    size_t capacity = grown->capacity > 0 ? grown->capacity : 256;
    while (capacity - grown->length < length) capacity *= 2;
    char *data_grown = realloc(grown->data, capacity);
    if (data_grown == NULL) return false;
    grown->data = data_grown;
    grown->capacity = capacity;
  }
  if (length > 0) memcpy(grown->data + grown->length, data, length);
  grown->length += length;
  return true;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool out_flush(Records *records) {
  size_t length = records->out.length;
  records->out.length = 0;
  return length == 0 || records->emit(records->context, records->out.data, length);
}

static bool out_put(Records *records, const char *data, size_t length) {
  if (records->out.length >= OUT_SIZE && !out_flush(records)) return false;
  return grown_append(&records->out, data, length, SIZE_MAX) ||
         records_fail(records, "not enough memory");
}

/* The cell is whole: out with it, in quotes where it needs them. */
static bool cell_out(Records *records) {
  const char *at = records->cell.data, *end = at + records->cell.length;
  bool plain = records->cell.length == 0 ||
               (lexer_bare_end(at, end, ',') == end && memchr(at, '"', (size_t)(end - at)) == NULL);
  records->cell.length = 0;
  if (plain) return at == NULL || out_put(records, at, (size_t)(end - at));
  if (!out_put(records, "\"", 1)) return false;
  while (at < end) {
    const char *quote = memchr(at, '"', (size_t)(end - at));
    size_t piece = quote != NULL ? (size_t)(quote + 1 - at) : (size_t)(end - at);
    if (!out_put(records, at, piece)) return false;
    if (quote != NULL && !out_put(records, "\"", 1)) return false;
    at += piece;
  }
  return out_put(records, "\"", 1);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool cell_add(Records *records, const char *data, size_t length) {
  if (length > 0) records->bytes_seen = true;
  if (!records->exports) return true;
  return grown_append(&records->cell, data, length, CELL_LIMIT) ||
         records_fail(records, "a cell is too long (is a quote missing?)");
}

static bool cell_end(Records *records) {
  if (records->count == 0) records->columns++;
  if (!records->exports) return true;
  if (records->cells_seen && !out_put(records, ",", 1)) return false;
  /* A record of one empty cell among longer ones must not look like an empty line. */
  if (!records->cells_seen && records->cell.length == 0 && records->state != STATE_START &&
      records->count > 0 && records->columns > 1 && records->ending)
    return out_put(records, "\"\"", 2);
  return cell_out(records);
}

static bool record_end(Records *records) {
  /* An empty line is no record, unless the file has a single column. */
  bool blank =
      !records->cells_seen && !records->bytes_seen && records->count > 0 && records->columns > 1;
  if (!blank) {
    records->ending = true;
    if (!cell_end(records)) return false;
    records->ending = false;
    if (records->exports && !out_put(records, "\n", 1)) return false;
    records->count++;
  }
  records->state = STATE_START;
  records->cells_seen = records->bytes_seen = false;
  return true;
}

static bool text_push(Records *records, const char *p, size_t length) {
  if (length == 0) return true; /* p may be NULL */
  const char *end = p + length;
  while (p < end) {
    switch (records->state) {
    case STATE_START:
      records->state = *p == '"' ? STATE_QUOTED : STATE_BARE;
      if (*p == '"') {
        records->bytes_seen = true;
        p++;
      }
      break;
    case STATE_BARE: {
      const char *stop = lexer_bare_end(p, end, records->delimiter);
      if (!cell_add(records, p, (size_t)(stop - p))) return false;
      p = stop;
      if (p == end) break;
      char c = *p++;
      if (c == records->delimiter) {
        if (!cell_end(records)) return false;
        records->cells_seen = true;
        records->state = STATE_START;
      } else if (c == '\r') {
        records->state = STATE_RETURN;
      } else if (!record_end(records)) {
        return false;
      }
      break;
    }
    case STATE_RETURN:
      if (*p == '\n') {
        p++;
        if (!record_end(records)) return false;
      } else { /* by itself it is part of the cell */
        if (!cell_add(records, "\r", 1)) return false;
        records->state = STATE_BARE;
      }
      break;
    case STATE_QUOTED: {
      const char *quote = memchr(p, '"', (size_t)(end - p));
      if (!cell_add(records, p, (size_t)((quote != NULL ? quote : end) - p))) return false;
      p = quote != NULL ? quote + 1 : end;
      if (quote != NULL) records->state = STATE_QUOTE;
      break;
    }
    case STATE_QUOTE:
      if (*p == '"') {
        if (!cell_add(records, p, 1)) return false;
        p++;
        records->state = STATE_QUOTED;
      } else {
        records->state = STATE_BARE;
      }
      break;
    }
  }
  return true;
}

/* A line without its newline. */
static size_t line_length(const Grown *line) {
  size_t length = line->length;
  while (length > 0 && (line->data[length - 1] == '\n' || line->data[length - 1] == '\r')) length--;
  return length;
}

/* The header of another body: the same as before, and not written again. */
static bool head_again(Records *records) {
  size_t length = line_length(&records->head);
  if (length != line_length(&records->kept_head) ||
      (length > 0 && memcmp(records->head.data, records->kept_head.data, length) != 0))
    return records_fail(records, "the parts of the file have different headers");
  records->columns = records->kept_columns;
  records->count = 1;
  return true;
}

/* The header line is whole: now it is known what separates the cells. */
static bool head_end(Records *records) {
  (void)lexer_head(records->head.data != NULL ? records->head.data : "", records->head.length,
                   &records->delimiter);
  if (records->kept && records->head.length > 0) return head_again(records);
  return text_push(records, records->head.data, records->head.length);
}

static bool records_text(void *context, const char *data, size_t length) {
  Records *records = context;
  while (records->delimiter == 0 && length > 0) {
    const char *newline = memchr(data, '\n', length);
    size_t piece = newline != NULL ? (size_t)(newline + 1 - data) : length;
    if (!grown_append(&records->head, data, piece, HEADER_LIMIT))
      return records_fail(records, "the header line is too long");
    data += piece;
    length -= piece;
    /* a newline within quotes is not its end */
    char delimiter;
    if (newline != NULL && lexer_head(records->head.data, records->head.length, &delimiter) > 0 &&
        !head_end(records))
      return false;
  }
  return length == 0 || text_push(records, data, length);
}

static bool records_end(Records *records) {
  if (records->delimiter == 0 && !head_end(records)) return false;
  if (records->state == STATE_QUOTED)
    return records_fail(records, "a quote is opened and never closed");
  if (records->state == STATE_RETURN && !cell_add(records, "\r", 1)) return false;
  if (records->cells_seen || records->bytes_seen) return record_end(records);
  return true;
}

/* --- the stage -------------------------------------------------------------------------------- */

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

static bool stage_reset(Stage *stage, const char *content_type, bool packed) {
  Records *records = (Records *)stage;
  char room[32];
  Encoding encoding = encoding_of(charset_of(content_type, room, sizeof room));
  inflater_free(records->wire);
  records->wire = packed ? inflater_new() : NULL;
  records->stage.broken = false;
  if (packed && records->wire == NULL) return false;
  decoder_free(records->decoder);
  records->decoder = decoder_new(encoding, false);
  records->problem = NULL;
  records->delimiter = 0;
  records->first_length = 0;
  records->head.length = records->cell.length = records->out.length = 0;
  records->state = STATE_START;
  records->cells_seen = records->bytes_seen = records->ending = false;
  records->columns = 0;
  records->count = 0;
  return records->decoder != NULL;
}

static bool stage_keep(Stage *stage) {
  Records *records = (Records *)stage;
  if (records->count > 0) records->kept_count += records->count - 1;
  if (!records->kept &&
      !grown_append(&records->kept_head, records->head.data, records->head.length, SIZE_MAX))
    return false;
  if (!records->kept) records->kept_columns = records->columns;
  records->kept = records->kept_head.length > 0; /* a body of no bytes has no header */
  return true;
}

/* Runs the decoder over a piece or, with NULL, the end. A counter never stops the bytes: what it cannot
 * read it does not count. */
static bool records_push(Records *records, const char *data, size_t length) {
  if (data != NULL && records->first_length < FIRST_SIZE) {
    size_t room = FIRST_SIZE - records->first_length;
    memcpy(records->first + records->first_length, data, length < room ? length : room);
    records->first_length += length < room ? length : room;
  }
  if (records->problem == NULL) {
    bool done = data != NULL ? decoder_push(records->decoder, data, length, records_text, records)
                             : decoder_finish(records->decoder, records_text, records) &&
                                   records_end(records);
    if (!done && records->problem == NULL) {
      const char *problem = decoder_problem(records->decoder);
      records->problem = problem != NULL ? problem : "it could not be written";
      if (problem == NULL && records->exports)
        return false; /* the file refused it: `emit` said so */
    }
  }
  if (!records->exports) return data == NULL || records->emit(records->context, data, length);
  if (records->problem != NULL) return true; /* told at the end; nothing of it is published */
  return data != NULL || out_flush(records);
}

static bool records_unpacked(void *context, const char *data, size_t length) {
  return records_push(context, data, length);
}

/* The coding of the body comes off first, and has to come to its end: a stream that breaks off is no
 * file, whatever the message around it says. */
static bool stage_push(Stage *stage, const char *data, size_t length, Emit *emit, void *context) {
  Records *records = (Records *)stage;
  records->emit = emit;
  records->context = context;
  if (records->wire == NULL) return records_push(records, data, length);
  bool done = data == NULL || inflater_push(records->wire, data, length, records_unpacked, records);
  stage->broken = data == NULL ? !inflater_ended(records->wire) : inflater_damaged(records->wire);
  if (!done || stage->broken) return false;
  return data != NULL || records_push(records, NULL, 0);
}

static Records *records_peek(lua_State *L) {
  return luaL_checkudata(L, 1, STAGE_CLASS);
}

/* stage:records() -> integer, without the header | nil, what is wrong with the text */
static int stage_records(lua_State *L) {
  const Records *records = records_peek(L);
  if (records->problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, records->problem);
    return 2;
  }
  lua_pushinteger(L, records->kept_count + (records->count > 0 ? records->count - 1 : 0));
  return 1;
}

/* stage:first() -> the first bytes of the newest body, as they came */
static int stage_first(lua_State *L) {
  const Records *records = records_peek(L);
  lua_pushlstring(L, records->first, records->first_length);
  return 1;
}

static int stage_close(lua_State *L) {
  Records *records = records_peek(L);
  inflater_free(records->wire);
  records->wire = NULL;
  decoder_free(records->decoder);
  free(records->head.data);
  free(records->cell.data);
  free(records->out.data);
  free(records->kept_head.data);
  records->decoder = NULL;
  records->head = records->cell = records->out = records->kept_head = (Grown){NULL, 0, 0};
  return 0;
}

typedef struct StageOptions {
  bool exports;
} StageOptions;

static const Option stage_options[] = {
    {"export", OPTION_FLAG, offsetof(StageOptions, exports)},
    {NULL, OPTION_VALUE, 0},
};

/* core.stage { export = write anew (else: only count) } -> Stage, for core.sink { stage = } */
int stage_new(lua_State *L) {
  StageOptions options = {false};
  options_read(L, 1, stage_options, &options);
  Records *records = lua_newuserdatauv(L, sizeof *records, 0);
  memset(records, 0, sizeof *records);
  luaL_setmetatable(L, STAGE_CLASS);
  records->stage.reset = stage_reset;
  records->stage.keep = stage_keep;
  records->stage.push = stage_push;
  records->exports = options.exports;
  return 1;
}

Stage *stage_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, STAGE_CLASS);
}

void stages_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"records", stage_records}, {"first", stage_first}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", stage_close}, {NULL, NULL}};
  class_new(L, STAGE_CLASS, methods, meta);
}
