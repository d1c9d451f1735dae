/*
 * Rows of a delimited file (RFC 4180, comma or tab), as Lua tables or as one lazy row.
 *
 * The file is read in pieces, decoded, and kept in one buffer that always begins with the present
 * record. A record is first cut into spans; then a Lua string is made of each cell that is wanted, and
 * of nothing else.
 */
#include "data.h"
#include "lexer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROWS_CLASS "zuora.rows"
#define LAZY_CLASS "zuora.row"

#define CHUNK_SIZE   262144u
#define PACKED_SIZE  8192u /* of a packed file at a time: it may grow a thousandfold */
#define RECORD_LIMIT (64u * 1024u * 1024u)
#define NAMES_SHOWN  700u /* bytes of a message */

typedef enum Form { FORM_KEYED, FORM_ARRAY, FORM_LAZY } Form;

/* A cell of the present record. */
typedef struct Span {
  size_t start, length; /* within the record; of a quoted cell, what is between the quotes */
  bool doubled;         /* holds quotes that stand twice */
} Span;

/* A column that is wanted. */
typedef struct Column {
  size_t place; /* in the file, from 0 */
  Type type;
} Column;

enum { ROWS_NAMES = 1, ROWS_FAIL, ROWS_LAZY, ROWS_PLACES, ROWS_SOURCE, ROWS_USERVALUES = 5 };

typedef struct Rows {
  int fd;   /* -1: closed */
  off_t at; /* where the next piece begins; -1: in a pipe, which has no places */
  Decoder *decoder;
  char *chunk;
  size_t chunk_size;
  bool sniffed; /* the first piece has told whether the file is packed */
  bool ended;   /* all of the file is in the buffer */

  char *text; /* decoded; from `begin` on it is the present record and what follows */
  size_t begin, length, capacity;
  size_t limit;
  bool out_of_memory;

  char delimiter; /* 0: not known yet */
  bool strict;
  Form form;
  Span *spans;
  size_t span_count, span_capacity;
  size_t file_columns; /* in the header */
  Column *columns;
  size_t column_count;
  char *null_text;
  size_t null_length;
  char *scratch; /* for cells whose doubled quotes are made single */
  size_t scratch_capacity;

  lua_Integer row;         /* of the record given last; 1 is the first after the header */
  unsigned long long byte; /* of decoded text before `begin` */
  const char *record;      /* the present one, for the lazy row */
} Rows;

/* --- failing ---------------------------------------------------------------------------------- */

/* Gives everything back but the memory of the userdata itself. */
static void rows_release(Rows *rows) {
  if (rows->fd >= 0) (void)close(rows->fd);
  rows->fd = -1;
  decoder_free(rows->decoder);
  free(rows->chunk);
  free(rows->text);
  free(rows->spans);
  free(rows->columns);
  free(rows->null_text);
  free(rows->scratch);
  rows->decoder = NULL;
  rows->chunk = rows->text = rows->null_text = rows->scratch = NULL;
  rows->spans = NULL;
  rows->columns = NULL;
  rows->record = NULL;
  rows->span_count = rows->column_count = 0;
}

/* Calls the function that raises an error value: fail(message, row, byte, kind). Does not return. */
static int rows_raise(lua_State *L, Rows *rows, int self, const char *message, size_t at,
                      const char *kind) {
  lua_getiuservalue(L, self, ROWS_FAIL);
  lua_pushstring(L, message); /* a copy: what it points into may go now */
  lua_pushinteger(L, rows->row);
  lua_pushinteger(L, (lua_Integer)(rows->byte + at + 1));
  lua_pushstring(L, kind);
  rows_release(rows); /* after an error there are no more rows */
  lua_call(L, 4, 0);
  return luaL_error(L, "%s", message);
}

static int rows_fail(lua_State *L, Rows *rows, int self, const char *message, size_t at) {
  return rows_raise(L, rows, self, message, at, "text");
}

/* --- the buffer ------------------------------------------------------------------------------- */

static bool text_append(void *context, const char *data, size_t length) {
  Rows *rows = context;
  if (length > rows->capacity - rows->length) {
    size_t capacity = rows->capacity > 0 ? rows->capacity : 2 * CHUNK_SIZE;
    while (capacity - rows->length < length) {
      if (capacity > SIZE_MAX / 2) return !(rows->out_of_memory = true);
      capacity *= 2;
    }
    char *grown = realloc(rows->text, capacity);
    if (grown == NULL) return !(rows->out_of_memory = true);
    rows->text = grown;
    rows->capacity = capacity;
  }
  memcpy(rows->text + rows->length, data, length);
  rows->length += length;
  return true;
}

/* Reads another piece of the file behind the present record; `ended` when there is none. */
static void rows_fill(lua_State *L, Rows *rows, int self) {
  if (rows->begin > 0) {
    memmove(rows->text, rows->text + rows->begin, rows->length - rows->begin);
    rows->length -= rows->begin;
    rows->begin = 0;
  }
  if (rows->length > rows->limit)
    rows_fail(L, rows, self, "a record is too long (is a quote missing?)", 0);
  size_t size = rows->chunk_size;
  if ((!rows->sniffed || decoder_unpacks(rows->decoder)) && size > PACKED_SIZE) size = PACKED_SIZE;
  rows->sniffed = true;
  ssize_t got;
  do {
    /* By place: a child made by fork, which may read on, shares the descriptor's own position. */
    got = rows->at < 0 ? read(rows->fd, rows->chunk, size)
                       : pread(rows->fd, rows->chunk, size, rows->at);
    if (got < 0 && errno == ESPIPE && rows->at == 0) {
      rows->at = -1;
      errno = EINTR;
    }
  } while (got < 0 && errno == EINTR);
  if (got > 0 && rows->at >= 0) rows->at += got;
  if (got < 0) rows_raise(L, rows, self, errno_push(L, errno), rows->length, "file");
  bool done = got == 0 ? decoder_finish(rows->decoder, text_append, rows)
                       : decoder_push(rows->decoder, rows->chunk, (size_t)got, text_append, rows);
  if (rows->out_of_memory) luaL_error(L, "not enough memory for a record");
  if (!done) rows_fail(L, rows, self, decoder_problem(rows->decoder), rows->length);
  rows->ended = got == 0;
}

/* --- one record ------------------------------------------------------------------------------- */

static bool span_add(Rows *rows, size_t start, size_t length, bool doubled) {
  if (rows->span_count == rows->span_capacity) {
    size_t capacity = rows->span_capacity > 0 ? 2 * rows->span_capacity : 32;
    if (capacity > SIZE_MAX / sizeof(Span)) return false;
    Span *grown = realloc(rows->spans, capacity * sizeof(Span));
    if (grown == NULL) return false;
    rows->spans = grown;
    rows->span_capacity = capacity;
  }
  rows->spans[rows->span_count++] = (Span){start, length, doubled};
  return true;
}

typedef enum Cut {
  CUT_DONE,  /* the spans of a whole record, and `*length` with its newline */
  CUT_MORE,  /* the record goes on behind the buffer */
  CUT_QUOTE, /* something stands behind a closing quote */
  CUT_OPEN,  /* the text ends within quotes */
  CUT_MEMORY,
} Cut;

/* Cuts the record at the beginning of the buffer into spans. `*at`: where a problem is. */
static Cut record_cut(Rows *rows, size_t *length, size_t *at) {
  const char *base = rows->text + rows->begin, *end = rows->text + rows->length, *p = base;
  const char delimiter = rows->delimiter;
  rows->span_count = 0;
  for (;;) {
    const char *start = p;
    bool doubled = false;
    if (p < end && *p == '"') {
      start = ++p;
      for (;;) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL) {
          *at = (size_t)(start - base) - 1;
          return rows->ended ? CUT_OPEN : CUT_MORE;
        }
        p = quote + 1;
        if (p == end && !rows->ended) return CUT_MORE; /* another quote may follow */
        if (p < end && *p == '"') {
          doubled = true;
          p++;
          continue;
        }
        break;
      }
      size_t inside = (size_t)(p - 1 - start);
      if (p < end && *p == '\r' && p + 1 == end && !rows->ended) return CUT_MORE;
      if (p < end && *p != delimiter && *p != '\n' &&
          !(*p == '\r' && p + 1 < end && p[1] == '\n')) {
        *at = (size_t)(p - base);
        if (rows->strict) return CUT_QUOTE;
        /* kept as it stands: the cell is the text from its first quote to the next delimiter */
        do {
          p = lexer_bare_end(*p == '\r' ? p + 1 : p, end, delimiter);
        } while (p < end && *p == '\r' && !(p + 1 < end && p[1] == '\n'));
        start--;
        inside = (size_t)(p - start);
        doubled = false;
      }
      if (!span_add(rows, (size_t)(start - base), inside, doubled)) return CUT_MEMORY;
    } else {
      for (;;) {
        p = lexer_bare_end(p, end, delimiter);
        /* a carriage return by itself is part of the cell */
        if (p < end && *p == '\r' && (p + 1 < end ? p[1] != '\n' : rows->ended)) {
          p++;
          continue;
        }
        break;
      }
      if (!span_add(rows, (size_t)(start - base), (size_t)(p - start), false)) return CUT_MEMORY;
    }
    if (p == end) {
      if (!rows->ended) return CUT_MORE;
      *length = (size_t)(p - base);
      return CUT_DONE;
    }
    if (*p == delimiter) {
      p++;
      continue;
    }
    if (*p == '\r') {
      if (p + 1 == end && !rows->ended) return CUT_MORE;
      p++;
    }
    if (p < end && *p == '\n') p++;
    *length = (size_t)(p - base);
    return CUT_DONE;
  }
}

/* An empty line is no record, unless the file has a single column: then it is an empty cell. */
static bool record_is_blank(const Rows *rows, size_t length) {
  const char *text = rows->text + rows->begin;
  return rows->file_columns > 1 &&
         (text[0] == '\n' || (length >= 2 && text[0] == '\r' && text[1] == '\n'));
}

static int record_problem(lua_State *L, Rows *rows, int self, Cut cut, size_t at) {
  if (cut == CUT_MEMORY) return luaL_error(L, "not enough memory for a record");
  return rows_fail(L, rows, self,
                   cut == CUT_OPEN
                       ? "a quote is opened and never closed"
                       : "something stands between a closing quote and the end of the cell",
                   at);
}

/* Finds the next record. False at the end of the file. */
static bool record_next(lua_State *L, Rows *rows, int self, size_t *length) {
  for (;;) {
    while (rows->begin == rows->length) {
      if (rows->ended) return false;
      rows_fill(L, rows, self);
    }
    size_t at = 0;
    Cut cut = record_cut(rows, length, &at);
    if (cut == CUT_MORE) {
      rows_fill(L, rows, self);
    } else if (cut == CUT_OPEN && !rows->strict) {
      /* kept: the rest of the file is one cell */
      *length = rows->length - rows->begin;
      if (!span_add(rows, at, *length - at, false)) luaL_error(L, "not enough memory for a record");
      return true;
    } else if (cut != CUT_DONE) {
      rows->row++;
      record_problem(L, rows, self, cut, at);
    } else if (record_is_blank(rows, *length)) {
      rows->begin += *length;
      rows->byte += *length;
    } else {
      return true;
    }
  }
}

static void record_check(lua_State *L, Rows *rows, int self, size_t length) {
  const char *text = rows->text + rows->begin;
  if (rows->span_count != rows->file_columns) {
    lua_pushfstring(L, "the row has %I cells, the header has %I", (LUAI_UACINT)rows->span_count,
                    (LUAI_UACINT)rows->file_columns);
    rows_fail(L, rows, self, lua_tostring(L, -1), 0);
  }
  const char *nul = memchr(text, '\0', length);
  if (nul != NULL) rows_fail(L, rows, self, "a NUL byte", (size_t)(nul - text));
  size_t valid = utf8_valid(text, length);
  if (valid < length) rows_fail(L, rows, self, "bytes that are no UTF-8", valid);
}

/* --- cells ------------------------------------------------------------------------------------ */

/* The text of a cell: within the buffer, or in the scratch space when quotes are to be made single. */
static const char *cell_text(lua_State *L, Rows *rows, const Span *span, size_t *length) {
  const char *text = rows->record + span->start;
  *length = span->length;
  if (!span->doubled) return text;
  if (span->length > rows->scratch_capacity) {
    char *grown = realloc(rows->scratch, span->length);
    if (grown == NULL) luaL_error(L, "not enough memory for a cell");
    rows->scratch = grown;
    rows->scratch_capacity = span->length;
  }
  char *out = rows->scratch;
  const char *end = text + span->length;
  while (text < end) {
    const char *quote = memchr(text, '"', (size_t)(end - text));
    size_t piece = quote != NULL ? (size_t)(quote + 1 - text) : (size_t)(end - text);
    memcpy(out, text, piece);
    out += piece;
    text += piece + (quote != NULL ? 1 : 0);
  }
  *length = (size_t)(out - rows->scratch);
  return rows->scratch;
}

/* strict = false: bytes that are no UTF-8 become U+FFFD. */
static void push_repaired(lua_State *L, const char *text, size_t length) {
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (length > 0) {
    size_t valid = utf8_valid(text, length);
    luaL_addlstring(&out, text, valid);
    text += valid;
    length -= valid;
    if (length > 0) {
      luaL_addlstring(&out, "\xef\xbf\xbd", 3);
      do {
        text++;
        length--;
      } while (length > 0 && ((unsigned char)*text & 0xc0) == 0x80);
    }
  }
  luaL_pushresult(&out);
}

/* Pushes the cell of a wanted column; false, and nothing, for an empty one with a type. */
static bool cell_push(lua_State *L, Rows *rows, int self, const Column *column) {
  static const char *const wanted[] = {"", "no integer", "no number", "neither true nor false",
                                       "no time"};
  if (column->place >= rows->span_count) { /* a short row; strict would have refused it */
    if (column->type != TYPE_STRING) return false;
    lua_pushliteral(L, "");
    return true;
  }
  const Span *span = &rows->spans[column->place];
  size_t length;
  const char *text = cell_text(L, rows, span, &length);
  bool empty = length == 0 || (rows->null_text != NULL && length == rows->null_length &&
                               memcmp(text, rows->null_text, length) == 0);
  if (column->type == TYPE_STRING) {
    if (empty)
      lua_pushliteral(L, "");
    else if (rows->strict)
      lua_pushlstring(L, text, length);
    else
      push_repaired(L, text, length);
    return true;
  }
  if (empty) return false;
  if (typed_push(L, column->type, text, length)) return true;
  if (rows->strict) {
    lua_getiuservalue(L, self, ROWS_NAMES);
    lua_rawgeti(L, -1, (lua_Integer)(column - rows->columns) + 1);
    lua_pushfstring(L, "column %s: %s", lua_tostring(L, -1), wanted[column->type]);
    rows_fail(L, rows, self, lua_tostring(L, -1), span->start);
  }
  push_repaired(L, text, length); /* kept */
  return true;
}

/* --- rows ------------------------------------------------------------------------------------- */

static Rows *rows_peek(lua_State *L, int index) {
  return luaL_checkudata(L, index, ROWS_CLASS);
}

static void row_push_keyed(lua_State *L, Rows *rows, int self) {
  lua_getiuservalue(L, self, ROWS_NAMES);
  int names = lua_gettop(L);
  lua_createtable(L, 0, (int)rows->column_count);
  for (size_t i = 0; i < rows->column_count; i++) {
    lua_rawgeti(L, names, (lua_Integer)i + 1);
    if (cell_push(L, rows, self, &rows->columns[i]))
      lua_rawset(L, -3);
    else
      lua_pop(L, 1);
  }
}

static void row_push_array(lua_State *L, Rows *rows, int self) {
  lua_createtable(L, (int)rows->column_count, 0);
  for (size_t i = 0; i < rows->column_count; i++) {
    if (!cell_push(L, rows, self, &rows->columns[i]))
      lua_pushlightuserdata(L, NULL); /* core.null */
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* it() -> row | nil at the end. Raises through the function `fail`. */
static int rows_next(lua_State *L) {
  Rows *rows = rows_peek(L, 1);
  lua_settop(L, 1);
  rows->record = NULL;
  if (rows->fd < 0) return 0;
  size_t length;
  if (!record_next(L, rows, 1, &length)) {
    rows_release(rows); /* at the end of the file nobody may come to close it */
    return 0;
  }
  rows->row++;
  if (rows->strict) record_check(L, rows, 1, length);
  rows->record = rows->text + rows->begin;
  switch (rows->form) {
  case FORM_KEYED:
    row_push_keyed(L, rows, 1);
    break;
  case FORM_ARRAY:
    row_push_array(L, rows, 1);
    break;
  case FORM_LAZY:
    lua_getiuservalue(L, 1, ROWS_LAZY);
    break;
  }
  rows->begin += length;
  rows->byte += length;
  return 1;
}

static int rows_close(lua_State *L) {
  rows_release(rows_peek(L, 1));
  return 0;
}

/* it.columns, it.row, it.close */
static int rows_index(lua_State *L) {
  Rows *rows = rows_peek(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "columns") == 0)
    lua_getiuservalue(L, 1, ROWS_NAMES);
  else if (strcmp(name, "row") == 0)
    lua_pushinteger(L, rows->row);
  else if (strcmp(name, "close") == 0)
    lua_pushcfunction(L, rows_close);
  else
    lua_pushnil(L);
  return 1;
}

/* --- the lazy row ----------------------------------------------------------------------------- */

/* row[name], row[position]: the cell, made a value now. The metatable is this file's alone, and its
 * functions know the rows and the places of their names as upvalues: no class is looked up for a cell. */
static int lazy_index(lua_State *L) {
  Rows *rows = lua_touserdata(L, lua_upvalueindex(1));
  if (rows->record == NULL)
    return luaL_error(L, "the row is over: a lazy row is valid until the next one");
  lua_Integer place;
  if (lua_isinteger(L, 2)) {
    place = lua_tointeger(L, 2);
  } else {
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    place = lua_tointeger(L, -1);
  }
  if (place < 1 || (size_t)place > rows->column_count) return 0;
  return cell_push(L, rows, lua_upvalueindex(1), &rows->columns[place - 1]) ? 1 : 0;
}

static int lazy_length(lua_State *L) {
  const Rows *rows = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushinteger(L, (lua_Integer)rows->column_count);
  return 1;
}

/* Pushes the one object that serves every row. */
static void lazy_push(lua_State *L, int self) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, LAZY_CLASS);
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, self);
  lua_pushcclosure(L, lazy_length, 1);
  lua_setfield(L, -2, "__len");
  lua_pushvalue(L, self);
  lua_getiuservalue(L, self, ROWS_PLACES);
  if (!lua_istable(L, -1)) { /* an empty file has no columns */
    lua_pop(L, 1);
    lua_newtable(L);
  }
  lua_pushcclosure(L, lazy_index, 2);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

/* --- opening ---------------------------------------------------------------------------------- */

typedef struct RowsOptions {
  const char *form, *charset;
  Bytes null_bytes;
  bool strict;
  size_t chunk, limit;
} RowsOptions;

static const Option rows_options[] = {
    {"form", OPTION_TEXT, offsetof(RowsOptions, form)},
    {"charset", OPTION_TEXT, offsetof(RowsOptions, charset)},
    {"null", OPTION_BYTES, offsetof(RowsOptions, null_bytes)},
    {"strict", OPTION_FLAG, offsetof(RowsOptions, strict)},
    {"chunk", OPTION_COUNT, offsetof(RowsOptions, chunk)},
    {"limit", OPTION_COUNT, offsetof(RowsOptions, limit)},
    {"columns", OPTION_VALUE, 0},
    {"types", OPTION_VALUE, 0},
    {"fail", OPTION_VALUE, 0},
    {NULL, OPTION_VALUE, 0},
};

static Type type_of(lua_State *L, const char *name) {
  static const char *const names[] = {"string", "integer", "number", "boolean", "time"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return (Type)i;
  luaL_error(L, "option 'types': '%s' is no type", name);
  return TYPE_STRING;
}

/* Pushes { [name] = place } of the header; repeated names count once (strict refuses them). */
static void header_push(lua_State *L, Rows *rows, int self) {
  size_t length;
  lua_newtable(L);
  int places = lua_gettop(L);
  if (!record_next(L, rows, self, &length)) return; /* an empty file has no columns, and no rows */
  rows->file_columns = rows->span_count;
  if (rows->strict) record_check(L, rows, self, length);
  rows->record = rows->text + rows->begin;
  for (size_t i = 0; i < rows->span_count; i++) {
    size_t name_length;
    const char *name = cell_text(L, rows, &rows->spans[i], &name_length);
    lua_pushlstring(L, name, name_length);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, places) == LUA_TNIL) {
      lua_pop(L, 1);
      lua_pushinteger(L, (lua_Integer)i + 1);
      lua_rawset(L, places);
    } else {
      lua_pop(L, 1);
      if (rows->strict) {
        lua_pushfstring(L, "the header names the column %s twice", lua_tostring(L, -1));
        rows_fail(L, rows, self, lua_tostring(L, -1), rows->spans[i].start);
      }
      lua_pop(L, 1);
    }
  }
  /* For names by place: the header's own spans are gone with the next record. */
  lua_createtable(L, (int)rows->span_count, 0);
  for (size_t i = 0; i < rows->span_count; i++) {
    size_t name_length;
    const char *name = cell_text(L, rows, &rows->spans[i], &name_length);
    lua_pushlstring(L, name, name_length);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, self, ROWS_NAMES);
  rows->begin += length;
  rows->byte += length;
  rows->record = NULL;
}

/* Adds a wanted column by its place in the file. */
static void column_add(lua_State *L, Rows *rows, size_t place, int types, int name) {
  Column *grown = realloc(rows->columns, (rows->column_count + 1) * sizeof(Column));
  if (grown == NULL) luaL_error(L, "not enough memory for the columns");
  rows->columns = grown;
  Type type = TYPE_STRING;
  if (lua_istable(L, types)) {
    lua_pushvalue(L, name);
    if (lua_rawget(L, types) == LUA_TSTRING) type = type_of(L, lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  rows->columns[rows->column_count++] = (Column){place, type};
}

/* The column whose name is on top of the stack is not there: told with those that are. */
static void column_missing(lua_State *L, Rows *rows, int self) {
  lua_pushfstring(L, "the file has no column %s, but", luaL_tolstring(L, -1, NULL));
  lua_getiuservalue(L, self, ROWS_NAMES);
  int header = lua_gettop(L);
  lua_pushvalue(L, header - 1);
  for (size_t i = 1; i <= rows->file_columns && lua_rawlen(L, -1) < NAMES_SHOWN; i++) {
    lua_rawgeti(L, header, (lua_Integer)i);
    lua_pushfstring(L, "%s%s \"%s\"", lua_tostring(L, -2), i > 1 ? "," : "", lua_tostring(L, -1));
    lua_replace(L, header + 1);
    lua_settop(L, header + 1);
  }
  rows_fail(L, rows, self, lua_tostring(L, -1), 0);
}

/* Chooses the columns: all of the file's, or those of the list `wanted`, which must be there. */
static void columns_choose(lua_State *L, Rows *rows, int self, int places, int wanted, int types) {
  bool all = !lua_istable(L, wanted);
  lua_getiuservalue(L, self, ROWS_NAMES);
  int header = lua_gettop(L);
  size_t count = all ? rows->file_columns : (size_t)lua_rawlen(L, wanted);
  lua_newtable(L); /* chosen names */
  lua_newtable(L); /* their places among the chosen */
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, all ? header : wanted, (lua_Integer)i);
    int name = lua_gettop(L);
    size_t place = i - 1;
    if (!all) {
      lua_pushvalue(L, name);
      if (lua_rawget(L, places) == LUA_TNIL) {
        lua_settop(L, name);
        column_missing(L, rows, self);
      }
      place = (size_t)lua_tointeger(L, -1) - 1;
      lua_pop(L, 1);
    }
    column_add(L, rows, place, types, name);
    lua_pushvalue(L, name);
    lua_rawseti(L, header + 1, (lua_Integer)i);
    lua_pushvalue(L, name);
    lua_pushinteger(L, (lua_Integer)i);
    lua_rawset(L, header + 2);
    lua_settop(L, header + 2);
  }
  lua_setiuservalue(L, self, ROWS_PLACES);
  lua_setiuservalue(L, self, ROWS_NAMES);
  lua_settop(L, header - 1);
}

/* The types must be for columns that are there. */
static void types_check(lua_State *L, Rows *rows, int self, int places, int types) {
  if (!lua_istable(L, types) || rows->file_columns == 0) return;
  lua_pushnil(L);
  while (lua_next(L, types)) {
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "option 'types': names of types expected");
    (void)type_of(L, lua_tostring(L, -1));
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, places) == LUA_TNIL) {
      lua_pop(L, 1);
      column_missing(L, rows, self);
    }
    lua_pop(L, 1);
  }
}

static int rows_source(lua_State *L, int index, const char **problem) {
  if (lua_isinteger(L, index)) { /* a descriptor: a duplicate is ours */
    int fd = fcntl((int)lua_tointeger(L, index), F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) *problem = errno_push(L, errno);
    return fd;
  }
  int fd = open(luaL_checkstring(L, index), O_RDONLY | O_CLOEXEC);
  if (fd < 0) *problem = errno_push(L, errno);
  return fd;
}

/* core.rows(path | fd, { form, columns, types, null, strict, charset, chunk, limit, fail }) -> Rows
 *                                                                  | nil, message (of the system) */
int rows_new(lua_State *L) {
  RowsOptions options = {"keyed", NULL, {NULL, 0}, true, CHUNK_SIZE, RECORD_LIMIT};
  lua_settop(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  options_read(L, 2, rows_options, &options);
  luaL_argcheck(L, options.chunk > 0, 2, "chunk must be above 0");
  Rows *rows = lua_newuserdatauv(L, sizeof *rows, ROWS_USERVALUES);
  memset(rows, 0, sizeof *rows);
  rows->fd = -1;
  luaL_setmetatable(L, ROWS_CLASS);
  const int self = 3, wanted = 4, types = 5;
  field_push(L, 2, "columns");
  field_push(L, 2, "types");
  field_push(L, 2, "fail");
  luaL_checktype(L, -1, LUA_TFUNCTION);
  lua_setiuservalue(L, self, ROWS_FAIL);
  lua_newtable(L);
  lua_setiuservalue(L, self, ROWS_NAMES);

  static const char *const forms[] = {"keyed", "array", "lazy"};
  size_t form = 0;
  while (form < 3 && strcmp(forms[form], options.form) != 0) form++;
  if (form == 3) return luaL_error(L, "option 'form': keyed, array or lazy expected");
  rows->form = (Form)form;
  rows->strict = options.strict;
  rows->chunk_size = options.chunk;
  rows->limit = options.limit;
  if (options.null_bytes.data != NULL) {
    rows->null_text = malloc(options.null_bytes.length + 1);
    if (rows->null_text == NULL) return luaL_error(L, "not enough memory");
    memcpy(rows->null_text, options.null_bytes.data, options.null_bytes.length);
    rows->null_length = options.null_bytes.length;
  }
  rows->chunk = malloc(rows->chunk_size);
  rows->decoder = decoder_new(encoding_of(options.charset), rows->strict);
  if (rows->chunk == NULL || rows->decoder == NULL) return luaL_error(L, "not enough memory");

  const char *problem = NULL;
  rows->fd = rows_source(L, 1, &problem);
  if (problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, problem);
    return 2;
  }
  /* The delimiter is told by the header line: all of it must be there. */
  while (lexer_head(rows->text != NULL ? rows->text : "", rows->length, &rows->delimiter) == 0 &&
         !rows->ended)
    rows_fill(L, rows, self);
  header_push(L, rows, self);
  int places = lua_gettop(L);
  types_check(L, rows, self, places, types);
  if (rows->file_columns > 0) columns_choose(L, rows, self, places, wanted, types);

  lazy_push(L, self);
  lua_setiuservalue(L, self, ROWS_LAZY);
  lua_settop(L, self);
  return 1;
}

void rows_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__call", rows_next},
      {"__gc", rows_close},
      {"__close", rows_close},
      {NULL, NULL},
  };
  class_new(L, ROWS_CLASS, none, meta);
  /* It answers to names by a function, not by a table of methods. */
  luaL_getmetatable(L, ROWS_CLASS);
  lua_pushcfunction(L, rows_index);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
