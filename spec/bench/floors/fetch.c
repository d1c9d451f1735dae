/*
 * A Lua module that gets an answer as a string by libcurl's easy interface: fetch.new(ca) -> handle,
 * handle(url) -> body. It is what is left of a client under Lua when everything is left out.
 */
#include "floor.h"

#include <lauxlib.h>
#include <lua.h>

typedef struct Fetch {
  CURL *easy;
  Body body;
} Fetch;

static int fetch_get(lua_State *L) {
  Fetch *fetch = lua_touserdata(L, lua_upvalueindex(1));
  curl_easy_setopt(fetch->easy, CURLOPT_URL, luaL_checkstring(L, 1));
  fetch->body.length = 0;
  need_curl(curl_easy_perform(fetch->easy));
  lua_pushlstring(L, fetch->body.data, fetch->body.length);
  return 1;
}

static int fetch_new(lua_State *L) {
  const char *ca = luaL_optstring(L, 1, "-");
  Fetch *fetch = lua_newuserdatauv(L, sizeof *fetch, 0);
  memset(fetch, 0, sizeof *fetch);
  fetch->easy = easy_new(ca);
  curl_easy_setopt(fetch->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  curl_easy_setopt(fetch->easy, CURLOPT_WRITEFUNCTION, body_take);
  curl_easy_setopt(fetch->easy, CURLOPT_WRITEDATA, (void *)&fetch->body);
  lua_pushcclosure(L, fetch_get, 1);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_fetch(lua_State *L);

int luaopen_fetch(lua_State *L) {
  static const luaL_Reg functions[] = {{"new", fetch_new}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
