/*
 * The header of a file, and which of its columns are wanted as what.
 */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 700u /* bytes of a message */

Type type_named(lua_State *L, const char *name) {
  static const char *const names[] = {"string", "integer", "number", "boolean", "time"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i], name) == 0) return (Type)i;
  luaL_error(L, "option 'types': '%s' is no type", name);
}

/* Pushes the names in the header, and { [name] = place }: of a repeated one, the first. An empty file has
 * no columns, and no rows. */
static void header_push(lua_State *L, Rows *rows, int self) {
  lua_newtable(L);
  lua_newtable(L);
  if (!record_next(L, rows, self)) return;
  for (size_t i = 0; i < rows->scanner.columns; i++) {
    text_push(L, rows, i);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) { /* [names, places, name, nil] */
      lua_pushvalue(L, -2);
      lua_pushinteger(L, (lua_Integer)i + 1);
      lua_rawset(L, -5);
    }
    lua_pop(L, 1);
    lua_rawseti(L, -3, (lua_Integer)i + 1);
  }
}

/* The column `name` is not there: told with those that are, whose names are at `places` - 1. */
static void column_missing(lua_State *L, Rows *rows, int self, int places, int name) {
  lua_pushfstring(L, "the file has no column %s, but", luaL_tolstring(L, name, NULL));
  int told = lua_gettop(L);
  for (size_t i = 1; i <= rows->scanner.columns && lua_rawlen(L, told) < NAMES_SHOWN; i++) {
    lua_rawgeti(L, places - 1, (lua_Integer)i);
    lua_pushfstring(L, "%s%s \"%s\"", lua_tostring(L, told), i > 1 ? "," : "", lua_tostring(L, -1));
    lua_replace(L, told);
    lua_settop(L, told);
  }
  rows_fail(L, rows, self, lua_tostring(L, told), 0);
}

/* The place in the file of the name on top of the stack. It must be there. */
static size_t place_of(lua_State *L, Rows *rows, int self, int places) {
  lua_pushvalue(L, -1);
  if (lua_rawget(L, places) == LUA_TNIL) column_missing(L, rows, self, places, lua_gettop(L) - 1);
  size_t place = (size_t)lua_tointeger(L, -1) - 1;
  lua_pop(L, 1);
  return place;
}

/* The types must be types, of columns that are there. */
static void types_check(lua_State *L, Rows *rows, int self, int places, int types) {
  lua_pushnil(L);
  while (lua_next(L, types)) {
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "option 'types': names of types expected");
    (void)type_named(L, lua_tostring(L, -1));
    lua_pop(L, 1);
    (void)place_of(L, rows, self, places);
  }
}

void columns_open(lua_State *L, Rows *rows, int self, int wanted, int types) {
  header_push(L, rows, self);
  int names = lua_gettop(L) - 1, places = names + 1;
  bool all = !lua_istable(L, wanted) || rows->scanner.columns == 0;
  size_t count = all ? rows->scanner.columns : (size_t)lua_rawlen(L, wanted);
  if (lua_istable(L, types) && rows->scanner.columns > 0) types_check(L, rows, self, places, types);
  rows->columns = calloc(count + 1, sizeof *rows->columns);
  if (rows->columns == NULL) rows_short(L, rows);
  rows->column_count = count;
  lua_newtable(L); /* chosen names */
  lua_newtable(L); /* their places among the chosen; and places themselves */
  for (size_t i = 0; i < count; i++) {
    Column *column = &rows->columns[i];
    lua_rawgeti(L, all ? names : wanted, (lua_Integer)i + 1);
    column->place = all ? i : place_of(L, rows, self, places);
    column->type = TYPE_STRING;
    if (lua_istable(L, types)) {
      lua_pushvalue(L, -1);
      if (lua_rawget(L, types) == LUA_TSTRING) column->type = type_named(L, lua_tostring(L, -1));
      lua_pop(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, (lua_Integer)i + 1);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawset(L, -3);
    lua_pushinteger(L, (lua_Integer)i + 1);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, self, ROWS_PLACES);
  lua_setiuservalue(L, self, ROWS_NAMES);
  lua_settop(L, names - 1);
}
