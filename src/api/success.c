/*
 * Which JSON tells of a failure, and the short way from a response to its value when it tells of none. All other
 * responses take the long way, where Lua decides: see lua/zuora/caller/responses.lua.
 */
#include "api.h"
#include "../data/data.h"

#include <string.h>

/* Longer bodies take the long way, on which there is no second copy of them. */
#define BODY_LIMIT 65536

/* A field whose truth, or whose text, says that the call failed. */
static bool is_refused(lua_State *L, int body, const char *name) {
  int type = lua_getfield(L, body, name);
  bool refused = (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) ||
                 (type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "false") == 0);
  lua_pop(L, 1);
  return refused;
}

/* Without any of these fields a response tells of no failure. */
static bool tells_failure(lua_State *L, int body) {
  static const char *const signs[] = {
      "reasons",           "Errors",    "errors",  "error",        "code",
      "errorCode",         "faultcode", "message", "errorMessage", "faultstring",
      "error_description",
  };
  if (is_refused(L, body, "success") || is_refused(L, body, "Success")) return true;
  for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
    bool is_there = lua_getfield(L, body, signs[i]) != LUA_TNIL;
    lua_pop(L, 1);
    if (is_there) return true;
  }
  return false;
}

int tells_failure_push(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushboolean(L, tells_failure(L, 1));
  return 1;
}

/* A record may have this status, or it is all that is said of a failure: Lua looks. */
static bool has_error_status(lua_State *L, int body) {
  int type = lua_getfield(L, body, "status");
  bool is_error = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "error") == 0;
  lua_pop(L, 1);
  return is_error;
}

int success_push(lua_State *L) {
  const Request *request = luaL_checkudata(L, 1, REQUEST_CLASS);
  const char *body = request->body.data;
  if (!response_is_plain_200(request) || body == NULL || request->body.length > BODY_LIMIT ||
      (*body != '{' && *body != '['))
    return 0;
  lua_settop(L, 1);
  lua_pushlstring(L, body, request->body.length);
  json_decode(L);
  return lua_istable(L, 2) && !tells_failure(L, 2) && !has_error_status(L, 2) ? 1 : 0;
}
