/*
 * Lua values of the present record: of each cell that is wanted one, and of nothing else.
 */
#include "rows.h"

#include <string.h>

#define LAZY_CLASS "zuora.row"

/* --- cells ------------------------------------------------------------------------------------ */

/* The text of a cell: within the record, or in the scratch space when quotes are to be made single. */
static const char *cell_text(lua_State *L, Rows *rows, size_t place, size_t *length) {
  const char *record = rows->scanner.record;
  Span span = scanner_cell(&rows->scanner, place);
  *length = span.length;
  if (!span.doubled) return record + span.start;
  if (!buffer_reserve(&rows->scratch, span.length)) rows_short(L, rows);
  *length = span_copy(&span, record, rows->scratch.data);
  return rows->scratch.data;
}

/* Bytes that are no UTF-8 are there only where they are to be replaced. */
static void string_push(lua_State *L, const Rows *rows, const char *text, size_t length) {
  if (rows->scanner.strict || !rows->scanner.odd) {
    lua_pushlstring(L, text, length);
    return;
  }
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (length > 0) {
    size_t valid = utf8_valid(text, length), bad = utf8_invalid(text + valid, length - valid);
    luaL_addlstring(&out, text, valid);
    if (bad > 0) luaL_addlstring(&out, UTF8_REPLACEMENT, 3);
    text += valid + bad;
    length -= valid + bad;
  }
  luaL_pushresult(&out);
}

void text_push(lua_State *L, Rows *rows, size_t place) {
  size_t length;
  const char *text = cell_text(L, rows, place, &length);
  string_push(L, rows, text, length);
}

/* Of a cell that is refused a message shows so many bytes. */
#define SHOWN_BYTES 40u

int type_refuse(lua_State *L, Rows *rows, int self, const Column *column, Type type,
                const char *text, size_t length) {
  static const char *const wanted[] = {"", "no integer", "no number", "neither true nor false",
                                       "no time"};
  lua_getiuservalue(L, self, ROWS_NAMES);
  lua_rawgeti(L, -1, (lua_Integer)(column - rows->columns) + 1);
  lua_pushlstring(L, text, length < SHOWN_BYTES ? length : SHOWN_BYTES);
  lua_pushfstring(L, "column %s: %s: \"%s%s\"", lua_tostring(L, -2), wanted[type],
                  lua_tostring(L, -1), length > SHOWN_BYTES ? "..." : "");
  return rows_fail(L, rows, self, lua_tostring(L, -1),
                   scanner_cell(&rows->scanner, column->place).start);
}

const char *column_text(lua_State *L, Rows *rows, const Column *column, size_t *length) {
  *length = 0;
  if (column->place >= rows->scanner.cells) return ""; /* a short row; strict refuses it */
  const char *text = cell_text(L, rows, column->place, length);
  if (rows->null_text != NULL && *length == rows->null_length &&
      memcmp(text, rows->null_text, *length) == 0)
    *length = 0;
  return text;
}

/* Pushes the cell of a wanted column; false, and nothing, for an empty one with a type. */
static bool value_push(lua_State *L, Rows *rows, int self, const Column *column) {
  size_t length;
  const char *text = column_text(L, rows, column, &length);
  if (column->type == TYPE_STRING) {
    string_push(L, rows, text, length);
    return true;
  }
  if (length == 0) return false;
  if (typed_push(L, column->type, text, length)) return true;
  if (rows->scanner.strict) type_refuse(L, rows, self, column, column->type, text, length);
  string_push(L, rows, text, length); /* kept */
  return true;
}

/* Most are bytes of the record, as they stand. */
static inline bool cell_push(lua_State *L, Rows *rows, int self, const Column *column) {
  const Scanner *scanner = &rows->scanner;
  if (column->type == TYPE_STRING && column->place < scanner->cells && rows->null_text == NULL &&
      (scanner->strict || !scanner->odd)) {
    Span span = scanner_cell(scanner, column->place);
    if (!span.doubled) {
      lua_pushlstring(L, scanner->record + span.start, span.length);
      return true;
    }
  }
  return value_push(L, rows, self, column);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void keyed_push(lua_State *L, Rows *rows, int self) {
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

static void array_push(lua_State *L, Rows *rows, int self) {
  lua_createtable(L, (int)rows->column_count, 0);
  for (size_t i = 0; i < rows->column_count; i++) {
    if (!cell_push(L, rows, self, &rows->columns[i]))
      lua_pushlightuserdata(L, NULL); /* core.null */
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

void row_push(lua_State *L, Rows *rows, int self) {
  switch (rows->form) {
  case FORM_KEYED:
    keyed_push(L, rows, self);
    break;
  case FORM_ARRAY:
    array_push(L, rows, self);
    break;
  case FORM_LAZY:
    lua_getiuservalue(L, self, ROWS_LAZY);
    break;
  case FORM_COPY: /* is no row */
    break;
  }
}

/* --- the lazy row ----------------------------------------------------------------------------- */

/* row[name], row[position]: the cell, made a value now. The metatable is this file's alone, and its
 * functions know the rows and the places of their names as upvalues: no class is looked up for a cell. */
static int lazy_index(lua_State *L) {
  Rows *rows = lua_touserdata(L, lua_upvalueindex(1));
  if (!rows->valid) return luaL_error(L, "the row is over: a lazy row is valid until the next one");
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  size_t place = (size_t)lua_tointeger(L, -1);
  if (place == 0) return 0; /* there is none of that name */
  rows_hold(L, rows);
  bool there = cell_push(L, rows, lua_upvalueindex(1), &rows->columns[place - 1]);
  rows_let_go(rows);
  return there ? 1 : 0;
}

static int lazy_length(lua_State *L) {
  const Rows *rows = lua_touserdata(L, lua_upvalueindex(1));
  lua_pushinteger(L, (lua_Integer)rows->column_count);
  return 1;
}

void lazy_push(lua_State *L, int self) {
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
  lua_pushcclosure(L, lazy_index, 2);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}
