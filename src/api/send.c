/*
 * What all requests to the two APIs share; and core.request, for those that no operation describes: to a
 * path below a base, with its default headers, or to a URL of somebody else's, which is shown none of them.
 */
#include "api.h"

#include <string.h>

void send_arguments(lua_State *L, RequestOptions *options) {
  const Endpoints *endpoints = luaL_checkudata(L, ARG_ENDPOINTS, ENDPOINTS_CLASS);
  lua_settop(L, ARG_OPTIONS);
  for (int at = ARG_PARAMETERS; at <= ARG_OPTIONS; at++) {
    if (lua_isnil(L, at)) {
      lua_newtable(L);
      lua_replace(L, at);
    }
    luaL_checktype(L, at, LUA_TTABLE);
  }
  *options = endpoints->defaults;
  options_read(L, ARG_OPTIONS, operation_options, options);
}

/* A plain request: a GET for JSON, with the endpoints' own options and headers. They are alike, but for the URL: their
 * headers are made once, and so is what their easy handles are set up with. */
static bool is_plain(lua_State *L, const Endpoints *endpoints, const RequestOptions *options,
                     int headers, int sink) {
  return strcmp(options->method, "GET") == 0 && options->body.data == NULL && !options->fresh &&
         options->content_type == NULL && options->accept != NULL &&
         strcmp(options->accept, "application/json") == 0 && lua_isnil(L, headers) &&
         lua_isnil(L, sink) && request_options_match(options, &endpoints->defaults);
}

/* [default headers of the base] -> [the list of all headers of its plain requests] */
static void list_push(lua_State *L, const RequestOptions *options, const char *base) {
  int default_headers = lua_gettop(L);
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_LISTS);
  if (lua_getfield(L, -1, base) == LUA_TNIL) {
    header_list_push(L, options, default_headers);
    lua_pushvalue(L, -1);
    lua_setfield(L, default_headers + 1, base);
  }
  lua_replace(L, default_headers);
  lua_settop(L, default_headers);
}

int send_request(lua_State *L, RequestOptions *options, const char *base, int body) {
  const Endpoints *endpoints = lua_touserdata(L, ARG_ENDPOINTS); /* send_arguments has checked it */
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_SESSION);
  int session = lua_gettop(L);
  field_push(L, ARG_OPTIONS, "headers");
  field_push(L, ARG_OPTIONS, "sink");
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_HEADERS);
  lua_pushstring(L, base);
  lua_rawget(L, -2);
  lua_remove(L, -2); /* [session, headers, sink, default headers] */
  if (base != NULL && is_plain(L, endpoints, options, session + 1, session + 2)) {
    list_push(L, options, base);
    options->setup = endpoints->setups[curl_strnequal(options->url, "https:", 6) != 0];
  }
  return request_start(L, session, options, session + 3, session + 1, body, session + 2);
}

/* --- core.request ----------------------------------------------------------------------------- */

typedef struct Target {
  RequestOptions options;
  const char *base, *path, *query;
  bool fresh;
} Target;

static const Option target_options[] = {
    {"method", OPTION_TEXT, offsetof(Target, options.method)},
    {"url", OPTION_TEXT, offsetof(Target, options.url)},
    {"content_type", OPTION_TEXT, offsetof(Target, options.content_type)},
    {"accept", OPTION_TEXT, offsetof(Target, options.accept)},
    {"body", OPTION_BYTES, offsetof(Target, options.body)},
    {"base", OPTION_TEXT, offsetof(Target, base)},
    {"path", OPTION_TEXT, offsetof(Target, path)},
    {"query", OPTION_TEXT, offsetof(Target, query)},
    {"fresh", OPTION_FLAG, offsetof(Target, fresh)},
    {NULL, OPTION_VALUE, 0},
};

/* The default headers hold credentials: they go to the base's own host, and nowhere else. A path that
 * does not begin with a slash could lengthen the host's name. */
static void target_check(lua_State *L, const Target *target) {
  if ((target->base == NULL) == (target->options.url == NULL))
    luaL_error(L, "core.request: either 'base' or 'url' expected");
  if (target->base == NULL && (target->path != NULL || target->query != NULL))
    luaL_error(L, "core.request: 'path' and 'query' go with 'base'");
  if (target->path != NULL && *target->path != '\0' && *target->path != '/')
    luaL_error(L, "core.request: 'path' must begin with a slash");
}

int target_send(lua_State *L) {
  Target target;
  memset(&target, 0, sizeof target);
  send_arguments(L, &target.options);
  options_read(L, ARG_PARAMETERS, target_options, &target);
  target_check(L, &target);
  if (target.base != NULL) {
    lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_BASES);
    if (lua_getfield(L, -1, target.base) != LUA_TSTRING)
      return luaL_error(L, "core.request: there is no base '%s'", target.base);
    const char *path = target.path != NULL ? target.path : "";
    const char *query = target.query != NULL ? target.query : "";
    target.options.url =
        lua_pushfstring(L, "%s%s%s%s", lua_tostring(L, -1), path, *query != '\0' ? "?" : "", query);
  }
  if (target.fresh) target.options.fresh = true;
  field_push(L, ARG_PARAMETERS, "body");
  return send_request(L, &target.options, target.base, lua_gettop(L));
}
