/*
 * Endpoints: where the requests of one client go. They are the session, a base URL for each family of
 * paths, the default headers of each base (credentials, say; replaced when a token is renewed), and the
 * default options of every request.
 */
#include "api.h"

/* endpoints:headers(base, { [name] = value }) sets the default headers of a base. */
static int endpoints_set_headers(lua_State *L) {
  luaL_checkudata(L, 1, ENDPOINTS_CLASS);
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_getiuservalue(L, 1, ENDPOINTS_BASES);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) == LUA_TNIL)
    return luaL_argerror(L, 2, lua_pushfstring(L, "no base '%s'", lua_tostring(L, 2)));
  lua_getiuservalue(L, 1, ENDPOINTS_HEADERS);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 3);
  lua_rawset(L, -3);
  lua_getiuservalue(L, 1, ENDPOINTS_LISTS);
  lua_pushvalue(L, 2);
  lua_pushnil(L);
  lua_rawset(L, -3); /* it is made again when it is needed */
  return 0;
}

/* Replaces the table on top of the stack by a copy: what was checked must not change. */
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

static const Option endpoints_options[] = {
    {"session", OPTION_VALUE, 0},
    {"bases", OPTION_VALUE, 0},
    {"defaults", OPTION_VALUE, 0},
    {NULL, OPTION_VALUE, 0},
};

/* core.endpoints { session =, bases = { [name] = url }, defaults = { options of session:start } }
 */
int endpoints_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  options_read(L, 1, endpoints_options, NULL);
  Endpoints *endpoints = lua_newuserdatauv(L, sizeof *endpoints, ENDPOINTS_USERVALUES);
  request_options_init(&endpoints->defaults);
  luaL_setmetatable(L, ENDPOINTS_CLASS);

  field_push(L, 1, "session");
  Session *session = session_check(L, -1);
  for (size_t i = 0; i < 2; i++) endpoints->setups[i] = session_new_setup(session);
  lua_setiuservalue(L, 2, ENDPOINTS_SESSION);

  field_push(L, 1, "bases");
  luaL_argcheck(L, lua_istable(L, -1), 1, "option 'bases': table expected");
  table_copy(L);
  bases_check(L, lua_gettop(L));
  lua_setiuservalue(L, 2, ENDPOINTS_BASES);

  lua_newtable(L);
  lua_setiuservalue(L, 2, ENDPOINTS_HEADERS);
  lua_newtable(L);
  lua_setiuservalue(L, 2, ENDPOINTS_LISTS);

  field_push(L, 1, "defaults");
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
  }
  luaL_argcheck(L, lua_istable(L, -1), 1, "option 'defaults': table expected");
  table_copy(L); /* which keeps the texts alive */
  options_read(L, -1, transport_options, &endpoints->defaults);
  lua_setiuservalue(L, 2, ENDPOINTS_DEFAULTS);
  return 1;
}

void endpoints_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"headers", endpoints_set_headers}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{NULL, NULL}};
  class_new(L, ENDPOINTS_CLASS, methods, meta);
}
