/*
 * A connection: where the calls of one client go. It holds the session, a base URL for each family
 * of paths, the headers that stand for each base (credentials, say; replaced when a token is
 * renewed), and defaults for every exchange.
 */
#include "api.h"

/* connection:headers(base, { [name] = value }) sets the standing headers of a base. */
static int connection_set_headers(lua_State *L) {
  luaL_checkudata(L, 1, CONNECTION_CLASS);
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_getiuservalue(L, 1, CONNECTION_BASES);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) == LUA_TNIL)
    return luaL_argerror(L, 2, lua_pushfstring(L, "no base '%s'", lua_tostring(L, 2)));
  lua_getiuservalue(L, 1, CONNECTION_HEADERS);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  return 0;
}

/* Pushes a copy of the table on top of the stack in its place: what was checked must not change. */
static void table_copy(lua_State *L) {
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) { /* [table, copy, key, value] */
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* The base URLs must be plain text: strings for strings. */
static void bases_check(lua_State *L, int bases) {
  lua_pushnil(L);
  while (lua_next(L, bases)) {
    size_t length;
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "option 'bases': strings expected");
    const char *url = lua_tolstring(L, -1, &length);
    if (!text_is_clean(url, length))
      luaL_error(L, "base '%s': control characters are not allowed", lua_tostring(L, -2));
    lua_pop(L, 1);
  }
}

static const Option connection_options[] = {
    {"session", OPTION_VALUE, 0},
    {"bases", OPTION_VALUE, 0},
    {"defaults", OPTION_VALUE, 0},
    {NULL, OPTION_VALUE, 0},
};

/* core.connection { session =, bases = { [name] = url }, defaults = { options of session:start } }
 */
int connection_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  char nothing = 0;
  options_read(L, 1, connection_options, &nothing);
  lua_newuserdatauv(L, 0, CONNECTION_USERVALUES);
  luaL_setmetatable(L, CONNECTION_CLASS);

  lua_getfield(L, 1, "session");
  (void)session_check(L, -1);
  lua_setiuservalue(L, 2, CONNECTION_SESSION);

  lua_getfield(L, 1, "bases");
  luaL_argcheck(L, lua_istable(L, -1), 1, "option 'bases': table expected");
  table_copy(L);
  bases_check(L, lua_gettop(L));
  lua_setiuservalue(L, 2, CONNECTION_BASES);

  lua_newtable(L);
  lua_setiuservalue(L, 2, CONNECTION_HEADERS);

  if (lua_getfield(L, 1, "defaults") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  Exchange checked;
  exchange_init(&checked);
  options_read(L, -1, transport_options, &checked);
  table_copy(L);
  lua_setiuservalue(L, 2, CONNECTION_DEFAULTS);
  return 1;
}

void connection_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"headers", connection_set_headers}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{NULL, NULL}};
  class_new(L, CONNECTION_CLASS, methods, meta);
}
