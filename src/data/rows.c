/*
 * Rows of a delimited file, as Lua tables or as one lazy row.
 *
 * The file is read in pieces, decoded, and handed to the scanner; of each record that it finds Lua values
 * are made.
 */
#include "rows.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_SIZE  262144u
#define PACKED_SIZE 8192u /* of a packed file at a time: it may grow a thousandfold */

/* --- leaving ---------------------------------------------------------------------------------- */

/* Gives everything back but the memory of the userdata itself. */
void rows_release(Rows *rows) {
  if (rows->fd >= 0) (void)close(rows->fd);
  rows->fd = -1;
  decoder_free(rows->decoder);
  scanner_free(&rows->scanner);
  free(rows->chunk);
  free(rows->columns);
  free(rows->null_text);
  buffer_free(&rows->scratch);
  buffer_free(&rows->made);
  rows->decoder = NULL;
  rows->chunk = rows->null_text = NULL;
  rows->columns = NULL;
  rows->column_count = 0;
  rows->valid = rows->busy = false;
}

/* Calls the function that raises an error value: fail(message, row, byte, kind). Does not return. */
static int rows_raise(lua_State *L, Rows *rows, int self, const char *message, size_t at,
                      const char *kind) {
  const Scanner *scanner = &rows->scanner;
  lua_getiuservalue(L, self, ROWS_FAIL);
  lua_pushstring(L, message); /* a copy: what it points into may go now */
  lua_pushinteger(L, scanner->row > 0 ? (lua_Integer)scanner->row : 0);
  lua_pushinteger(L, (lua_Integer)(scanner->byte + at + 1));
  lua_pushstring(L, kind);
  rows_release(rows); /* after an error there are no more rows */
  lua_call(L, 4, 0);
  return luaL_error(L, "%s", message);
}

int rows_fail(lua_State *L, Rows *rows, int self, const char *message, size_t at) {
  return rows_raise(L, rows, self, message, at, "text");
}

int rows_short(lua_State *L, Rows *rows) {
  rows_release(rows);
  return luaL_error(L, "not enough memory for a record");
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads another piece of the file; 0 at its end. */
static size_t rows_read(lua_State *L, Rows *rows, int self, char *into, size_t size) {
  ssize_t got;
  do {
    /* By place: a child made by fork, which may read on, shares the descriptor's own position. */
    got = rows->at < 0 ? read(rows->fd, into, size) : pread(rows->fd, into, size, rows->at);
    if (got < 0 && errno == ESPIPE && rows->at == 0) {
      rows->at = -1;
      errno = EINTR;
    }
  } while (got < 0 && errno == EINTR);
  if (got < 0) rows_raise(L, rows, self, errno_push(L, errno), 0, "file");
  if (rows->at >= 0) rows->at += got;
  return (size_t)got;
}

/* Puts another piece of the file before the scanner, or its end. */
static void rows_fill(lua_State *L, Rows *rows, int self) {
  size_t size = rows->chunk_size;
  if ((!rows->sniffed || decoder_unpacks(rows->decoder)) && size > PACKED_SIZE) size = PACKED_SIZE;
  rows->sniffed = true;
  bool plain = decoder_is_plain(rows->decoder);
  char *into = plain ? scanner_room(&rows->scanner, size) : rows->chunk;
  if (into == NULL) rows_short(L, rows);
  size_t got = rows_read(L, rows, self, into, size);
  if (plain) rows->scanner.text.length += got;
  bool done = plain && got > 0;
  if (!done)
    done = got == 0 ? decoder_finish(rows->decoder, scanner_push, &rows->scanner)
                    : decoder_push(rows->decoder, into, got, scanner_push, &rows->scanner);
  const char *damage = decoder_problem(rows->decoder);
  if (!done && damage == NULL) rows_short(L, rows);
  if (damage != NULL || got == 0) scanner_end(&rows->scanner, damage);
}

bool record_next(lua_State *L, Rows *rows, int self) {
  for (;;) {
    switch (scanner_next(&rows->scanner)) {
    case SCAN_RECORD:
      return true;
    case SCAN_END:
      return false;
    case SCAN_MORE:
      rows_fill(L, rows, self);
      break;
    case SCAN_PROBLEM:
      rows_fail(L, rows, self, rows->scanner.problem, 0);
      break;
    case SCAN_MEMORY:
      rows_short(L, rows);
      break;
    }
  }
}

/* --- the iterator ----------------------------------------------------------------------------- */

static Rows *rows_peek(lua_State *L, int index) {
  return luaL_checkudata(L, index, ROWS_CLASS);
}

/* The same with the class as an upvalue: it is not looked up for each row. */
static Rows *rows_called(lua_State *L) {
  bool own = lua_getmetatable(L, 1) != 0 && lua_rawequal(L, -1, lua_upvalueindex(1)) != 0;
  return own ? lua_touserdata(L, 1) : rows_peek(L, 1);
}

/* it() -> row | nil at the end. Raises through the function `fail`. */
static int rows_next(lua_State *L) {
  Rows *rows = rows_called(L);
  if (rows->fd < 0) return 0;
  rows_hold(L, rows);
  rows->valid = false;
  bool is_copy = rows->form == FORM_COPY;
  if (is_copy ? !copy_push(L, rows, 1) : !record_next(L, rows, 1)) {
    rows_release(rows); /* at the end of the file nobody may come to close it */
    return 0;
  }
  rows->valid = !is_copy;
  if (!is_copy) row_push(L, rows, 1);
  rows_let_go(rows);
  return 1;
}

/* Of a row that is being made nothing may go: then it is left to that. */
static int rows_close(lua_State *L) {
  Rows *rows = rows_peek(L, 1);
  rows->leaves = true;
  if (!rows->busy) rows_release(rows);
  return 0;
}

/* Nobody is making a row any more, even if that has failed. */
static int rows_collect(lua_State *L) {
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
    lua_pushinteger(L, rows->scanner.row > 0 ? (lua_Integer)rows->scanner.row : 0);
  else if (strcmp(name, "close") == 0)
    lua_pushcfunction(L, rows_close);
  else
    lua_pushnil(L);
  return 1;
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

static int rows_source(lua_State *L, int index, const char **problem) {
  if (lua_isinteger(L, index)) { /* a descriptor: a duplicate is ours */
    lua_Integer number = lua_tointeger(L, index);
    luaL_argcheck(L, number >= 0 && number <= INT_MAX, index, "descriptor expected");
    int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) *problem = errno_push(L, errno);
    return fd;
  }
  size_t length;
  const char *path = path_argument(L, index, &length);
  int fd;
  UNINTERRUPTED(fd, open(path, O_RDONLY | O_CLOEXEC));
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

  static const char *const forms[] = {"keyed", "array", "lazy", "copy"};
  size_t form = 0;
  while (form < 4 && strcmp(forms[form], options.form) != 0) form++;
  if (form == 4) return luaL_error(L, "option 'form': keyed, array, lazy or copy expected");
  if (form == FORM_COPY && !options.strict) return luaL_error(L, "option 'strict': copy is strict");
  rows->form = (Form)form;
  rows->chunk_size = options.chunk;
  scanner_new(&rows->scanner, options.strict, options.limit);
  if (options.null_bytes.data != NULL) {
    rows->null_text = malloc(options.null_bytes.length + 1);
    if (rows->null_text == NULL) return luaL_error(L, "not enough memory");
    memcpy(rows->null_text, options.null_bytes.data, options.null_bytes.length);
    rows->null_length = options.null_bytes.length;
  }
  rows->chunk = malloc(rows->chunk_size);
  rows->decoder = decoder_new(encoding_of(options.charset), options.strict);
  if (rows->chunk == NULL || rows->decoder == NULL) return luaL_error(L, "not enough memory");

  const char *problem = NULL;
  rows->fd = rows_source(L, 1, &problem);
  if (problem != NULL) {
    lua_pushnil(L);
    lua_pushstring(L, problem);
    return 2;
  }
  columns_open(L, rows, self, wanted, types);
  lazy_push(L, self);
  lua_setiuservalue(L, self, ROWS_LAZY);
  lua_settop(L, self);
  return 1;
}

void rows_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", rows_collect},
      {"__close", rows_close},
      {NULL, NULL},
  };
  class_new(L, ROWS_CLASS, none, meta);
  /* It answers to names by a function, not by a table of methods. */
  luaL_getmetatable(L, ROWS_CLASS);
  lua_pushcfunction(L, rows_index);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, rows_next, 1);
  lua_setfield(L, -2, "__call");
  lua_pop(L, 1);
}
