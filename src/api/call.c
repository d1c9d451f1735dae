/*
 * What all calls share; and the calls that no operation describes: to a path below a
 * base, with its standing headers, or to a URL of somebody else's, which is shown none of them.
 */
#include "api.h"

#include <string.h>

void call_arguments(lua_State *L) {
  luaL_checkudata(L, ARG_ENDPOINTS, ENDPOINTS_CLASS);
  lua_settop(L, ARG_OPTIONS);
  for (int at = ARG_PARAMETERS; at <= ARG_OPTIONS; at++) {
    if (lua_isnil(L, at)) {
      lua_newtable(L);
      lua_replace(L, at);
    }
    luaL_checktype(L, at, LUA_TTABLE);
  }
}

void call_exchange(lua_State *L, Exchange *exchange) {
  const Endpoints *endpoints = lua_touserdata(L, ARG_ENDPOINTS); /* call_arguments has looked */
  *exchange = endpoints->defaults;
  options_read(L, ARG_OPTIONS, call_options, exchange);
}

int call_send(lua_State *L, const Exchange *exchange, const char *base, int body) {
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_SESSION);
  int session = lua_gettop(L), standing = 0;
  if (base != NULL) {
    lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_HEADERS);
    lua_getfield(L, -1, base);
    standing = lua_gettop(L);
  }
  field_push(L, ARG_OPTIONS, "headers");
  int own = lua_gettop(L);
  field_push(L, ARG_OPTIONS, "sink");
  int sink = lua_isnil(L, -1) ? 0 : lua_gettop(L);
  return request_start(L, session, exchange, standing, own, body, sink);
}

typedef struct Target {
  const char *method, *base, *path, *query, *url, *content_type, *accept;
  Bytes body;
  bool fresh;
} Target;

static const Option target_options[] = {
    {"method", OPTION_TEXT, offsetof(Target, method)},
    {"base", OPTION_TEXT, offsetof(Target, base)},
    {"path", OPTION_TEXT, offsetof(Target, path)},
    {"query", OPTION_TEXT, offsetof(Target, query)},
    {"url", OPTION_TEXT, offsetof(Target, url)},
    {"content_type", OPTION_TEXT, offsetof(Target, content_type)},
    {"accept", OPTION_TEXT, offsetof(Target, accept)},
    {"body", OPTION_BYTES, offsetof(Target, body)},
    {"fresh", OPTION_FLAG, offsetof(Target, fresh)},
    {NULL, OPTION_VALUE, 0},
};

/* The standing headers hold credentials: they go to the base's own host, and nowhere else. A path that
 * does not begin with a slash could lengthen the host's name. */
static void target_check(lua_State *L, const Target *target) {
  if ((target->base == NULL) == (target->url == NULL))
    luaL_error(L, "core.request: either 'base' or 'url' expected");
  if (target->url != NULL && (target->path != NULL || target->query != NULL))
    luaL_error(L, "core.request: 'path' and 'query' go with 'base'");
  if (target->path != NULL && *target->path != '\0' && *target->path != '/')
    luaL_error(L, "core.request: 'path' must begin with a slash");
}

/* core.request(endpoints, { base =, path =, query = | url =, method =, body =, content_type =, accept =,
 *   fresh = }, options) -> Request | nil, message, name, class. `query` is escaped already. */
int call_request(lua_State *L) {
  Target target;
  memset(&target, 0, sizeof target);
  call_arguments(L);
  options_read(L, ARG_PARAMETERS, target_options, &target);
  target_check(L, &target);

  Exchange exchange;
  call_exchange(L, &exchange);
  exchange.url = target.url;
  if (target.base != NULL) {
    lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_BASES);
    if (lua_getfield(L, -1, target.base) != LUA_TSTRING)
      return luaL_error(L, "core.request: there is no base '%s'", target.base);
    const char *path = target.path != NULL ? target.path : "";
    const char *query = target.query != NULL ? target.query : "";
    exchange.url =
        lua_pushfstring(L, "%s%s%s%s", lua_tostring(L, -1), path, *query != '\0' ? "?" : "", query);
  }
  if (target.method != NULL) exchange.method = target.method;
  exchange.content_type = target.content_type;
  exchange.accept = target.accept;
  exchange.body = target.body;
  if (target.fresh) exchange.fresh = true;
  field_push(L, ARG_PARAMETERS, "body");
  return call_send(L, &exchange, target.base, lua_gettop(L));
}
