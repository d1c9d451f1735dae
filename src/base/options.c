/*
 * Option tables: a list of names and types in C, a table in Lua. A key that is not in the list raises with
 * its name, so that a typing error is never silently ignored.
 */
#include "base.h"

#include <stdint.h>
#include <string.h>

bool text_is_clean(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c < 0x20 || c == 0x7f) return false;
  }
  return true;
}

bool text_is_id(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-' &&
        c != '_')
      return false;
  }
  return length > 0;
}

int id_check(lua_State *L) {
  size_t length = 0;
  const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &length) : "";
  lua_pushboolean(L, length <= 255 && text_is_id(text, length));
  return 1;
}

void field_push(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

static const Option *option_find(const Option *list, const char *name) {
  for (; list->name != NULL; list++)
    if (strcmp(list->name, name) == 0) return list;
  return NULL;
}

static int option_fail(lua_State *L, const Option *option, const char *wanted) {
  return luaL_error(L, "option '%s': %s expected, got %s", option->name, wanted,
                    luaL_typename(L, -1));
}

/* Stores the value on top of the stack in the caller's struct. */
static void option_store(lua_State *L, const Option *option, char *into) {
  char *field = into + option->offset;
  switch (option->type) {
  case OPTION_FLAG: {
    if (!lua_isboolean(L, -1)) option_fail(L, option, "boolean");
    bool flag = lua_toboolean(L, -1) != 0;
    memcpy(field, &flag, sizeof flag);
    break;
  }
  case OPTION_COUNT: {
    int fits;
    lua_Integer integer = lua_tointegerx(L, -1, &fits);
    if (!fits || lua_type(L, -1) != LUA_TNUMBER || integer < 0 ||
        (uintmax_t)integer > (uintmax_t)SIZE_MAX)
      option_fail(L, option, "integer of 0 or more");
    size_t count = (size_t)integer;
    memcpy(field, &count, sizeof count);
    break;
  }
  case OPTION_SECONDS: {
    double seconds = (double)lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(seconds >= 0.0))
      option_fail(L, option, "number of seconds, 0 or more,");
    memcpy(field, &seconds, sizeof seconds);
    break;
  }
  case OPTION_TEXT:
  case OPTION_BYTES: {
    Bytes bytes;
    if (lua_type(L, -1) != LUA_TSTRING) option_fail(L, option, "string");
    bytes.data = lua_tolstring(L, -1, &bytes.length);
    if (option->type == OPTION_BYTES) {
      memcpy(field, &bytes, sizeof bytes);
      break;
    }
    if (!text_is_clean(bytes.data, bytes.length))
      luaL_error(L, "option '%s': control characters are not allowed", option->name);
    memcpy(field, &bytes.data, sizeof bytes.data);
    break;
  }
  case OPTION_VALUE: /* stays in the table */
    break;
  }
}

void options_read(lua_State *L, int index, const Option *list, void *into) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  index = lua_absindex(L, index);
  luaL_checkstack(L, 3, "option table");
  lua_pushnil(L);
  while (lua_next(L, index)) { /* [name, value] */
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "an option name must be a string, got %s", luaL_typename(L, -2));
    const Option *option = option_find(list, lua_tostring(L, -2));
    if (option == NULL)
      luaL_error(L, "unknown option '%s'", lua_tostring(L, -2));
    else if (option->type != OPTION_VALUE)
      option_store(L, option, into);
    lua_pop(L, 1); /* [name] */
  }
}
