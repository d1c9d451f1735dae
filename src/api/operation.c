/*
 * Reads a line of operations.c, to send a request or to describe the operation to Lua.
 */
#include "api.h"
#include "../data/data.h"

#include <string.h>

/* --- the words of a line ---------------------------------------------------------------------- */

typedef struct Parameter {
  Bytes name, type;
  bool required, repeated;
} Parameter;

static bool bytes_are(Bytes bytes, const char *text) {
  return strlen(text) == bytes.length && memcmp(bytes.data, text, bytes.length) == 0;
}

/* Reads one "name:type*!" of `length` bytes. */
static Parameter parameter_read(const char *at, size_t length) {
  Parameter parameter = {{at, length}, {"text", 4}, false, false};
  for (; parameter.name.length > 0; parameter.name.length--) {
    char last = at[parameter.name.length - 1];
    if (last == '!')
      parameter.required = true;
    else if (last == '*')
      parameter.repeated = true;
    else
      break;
  }
  const char *colon = memchr(at, ':', parameter.name.length);
  if (colon != NULL) {
    parameter.type.data = colon + 1;
    parameter.type.length = parameter.name.length - (size_t)(colon + 1 - at);
    parameter.name.length = (size_t)(colon - at);
  }
  return parameter;
}

/* Reads the next word of a list; false at its end. */
static bool parameter_next(const char **list, Parameter *parameter) {
  *list += strspn(*list, " ");
  size_t length = strcspn(*list, " ");
  if (length == 0) return false;
  *parameter = parameter_read(*list, length);
  *list += length;
  return true;
}

/* Reads the next "{name:type}" of a path; false when there is none left. `literal` is the text in front of
 * it, or the rest of the path. */
static bool segment_next(const char **path, Bytes *literal, Parameter *parameter) {
  *literal = (Bytes){*path, strcspn(*path, "{")};
  const char *brace = *path + literal->length;
  if (*brace == '\0') return false;
  size_t length = strcspn(brace + 1, "}");
  *parameter = parameter_read(brace + 1, length);
  parameter->required = true;
  *path = brace + 1 + length + 1;
  return true;
}

static bool body_is(const Operation *operation, const char *kind) {
  return strncmp(operation->body, kind, strlen(kind)) == 0;
}

/* The list of the parameters that go into the body. */
static const char *body_list(const Operation *operation) {
  return body_is(operation, "json") ? "body:any" : operation->body + strcspn(operation->body, " ");
}

/* --- from a line to a request ----------------------------------------------------------------- */

static int parameter_fail(lua_State *L, const Operation *operation, Bytes name,
                          const char *problem) {
  lua_pushlstring(L, name.data, name.length);
  return luaL_error(L, "core.%s.%s: parameter '%s' %s", operation->group, operation->name,
                    lua_tostring(L, -1), problem);
}

/* Pushes the value of a parameter (nil when it was not given), and returns its type. */
static int parameter_push(lua_State *L, const Operation *operation, const Parameter *parameter) {
  lua_pushlstring(L, parameter->name.data, parameter->name.length);
  if (lua_rawget(L, ARG_PARAMETERS) == LUA_TNIL && parameter->required)
    return parameter_fail(L, operation, parameter->name, "is missing");
  return lua_type(L, -1);
}

/* Replaces the value on top of the stack by its text, percent-encoded. */
static void parameter_escape(lua_State *L, const Operation *operation, const Parameter *parameter) {
  int type = lua_type(L, -1);
  if (type == LUA_TNUMBER && !lua_isinteger(L, -1))
    parameter_fail(L, operation, parameter->name, "must be an integer, or text");
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    parameter_fail(L, operation, parameter->name, "must be text, an integer or a boolean");
  if (type == LUA_TBOOLEAN)
    lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
  else
    lua_pushvalue(L, -1); /* which lua_tolstring may change */
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  escaped_push(L, text, length); /* [value, text, escaped] */
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* A segment of a path is never empty, never "." or "..", and holds nothing that a server could take
 * for the end of a line or of a string. */
static void segment_check(lua_State *L, const Operation *operation, const Parameter *parameter) {
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING)
    parameter_fail(L, operation, parameter->name, "must be a string");
  const char *text = lua_tolstring(L, -1, &length);
  if (length == 0 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
    parameter_fail(L, operation, parameter->name, "must not be empty, \".\" or \"..\"");
  if (!text_is_clean(text, length))
    parameter_fail(L, operation, parameter->name, "has control characters");
  if (bytes_are(parameter->type, "id") && !text_is_id(text, length))
    parameter_fail(L, operation, parameter->name, "may hold letters, digits, - and _ only");
}

/* Pushes "a=1&b=2" of those parameters of a list that were given, for a query or a form. */
static void urlencoded_push(lua_State *L, const Operation *operation, const char *list) {
  Parameter parameter;
  luaL_Buffer out;
  const char *separator = "";
  luaL_buffinit(L, &out);
  while (parameter_next(&list, &parameter)) {
    /* A luaL_Buffer may use the stack: values are pushed and popped between the calls for it. */
    int type = parameter_push(L, operation, &parameter);
    lua_Integer count = type == LUA_TNIL ? 0 : 1;
    if (parameter.repeated && type == LUA_TTABLE) count = (lua_Integer)lua_rawlen(L, -1);
    if (parameter.required && count == 0)
      parameter_fail(L, operation, parameter.name, "is missing");
    lua_pop(L, 1);
    for (lua_Integer i = 1; i <= count; i++, separator = "&") {
      luaL_addstring(&out, separator);
      luaL_addlstring(&out, parameter.name.data, parameter.name.length);
      luaL_addchar(&out, '=');
      if (parameter_push(L, operation, &parameter) == LUA_TTABLE && parameter.repeated) {
        lua_rawgeti(L, -1, i);
        lua_remove(L, -2);
      }
      parameter_escape(L, operation, &parameter);
      luaL_addvalue(&out);
    }
  }
  luaL_pushresult(&out);
}

static void url_push(lua_State *L, const Operation *operation) {
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_BASES);
  if (lua_getfield(L, -1, operation->base) != LUA_TSTRING)
    luaL_error(L, "core.%s.%s: there is no base '%s'", operation->group, operation->name,
               operation->base);
  lua_remove(L, -2);
  urlencoded_push(L, operation, operation->query); /* [base, query] */
  int base = lua_gettop(L) - 1, query = base + 1;

  luaL_Buffer url;
  Parameter parameter;
  Bytes literal;
  const char *path = operation->path;
  luaL_buffinit(L, &url);
  lua_pushvalue(L, base);
  luaL_addvalue(&url);
  while (segment_next(&path, &literal, &parameter)) {
    luaL_addlstring(&url, literal.data, literal.length);
    (void)parameter_push(L, operation, &parameter);
    segment_check(L, operation, &parameter);
    parameter_escape(L, operation, &parameter);
    luaL_addvalue(&url);
  }
  luaL_addlstring(&url, literal.data, literal.length);
  if (lua_rawlen(L, query) > 0) {
    luaL_addchar(&url, '?');
    lua_pushvalue(L, query);
    luaL_addvalue(&url);
  }
  luaL_pushresult(&url);
  lua_replace(L, base);
  lua_settop(L, base);
}

/* Pushes the body, or nil when there is none, and returns its media type. */
static const char *body_push(lua_State *L, const Operation *operation) {
  const char *list = body_list(operation);
  Parameter parameter;
  if (body_is(operation, "form")) {
    urlencoded_push(L, operation, list);
    return "application/x-www-form-urlencoded";
  }
  if (body_is(operation, "fields")) {
    lua_newtable(L);
    while (parameter_next(&list, &parameter)) {
      lua_pushlstring(L, parameter.name.data, parameter.name.length);
      (void)parameter_push(L, operation, &parameter);
      lua_rawset(L, -3);
    }
  } else if (!parameter_next(&list, &parameter)) {
    lua_pushnil(L);
    return NULL;
  } else {
    int type = parameter_push(L, operation, &parameter);
    if (type == LUA_TNIL) return NULL;
    if (type == LUA_TSTRING) return "application/json";
  }
  json_encode(L, -1);
  lua_remove(L, -2);
  return "application/json";
}

/* The upvalues of an operation's C function: its place in the table, and the set of its parameters. */
enum { OPERATION_INDEX = 1, OPERATION_PARAMETERS };

static void parameters_check(lua_State *L, const Operation *operation) {
  lua_pushnil(L);
  while (lua_next(L, ARG_PARAMETERS)) { /* [name, value] */
    lua_pushvalue(L, -2);
    if (lua_rawget(L, lua_upvalueindex(OPERATION_PARAMETERS)) == LUA_TNIL) {
      Bytes name = {"?", 1};
      if (lua_type(L, -3) == LUA_TSTRING) name.data = lua_tolstring(L, -3, &name.length);
      parameter_fail(L, operation, name, "is unknown");
    }
    lua_pop(L, 2); /* [name] */
  }
}

/* core.<group>.<name>(endpoints, { parameters }, { options of session:start }) -> Request
 *                                                                       | nil, message, name, class */
static int operation_send(lua_State *L) {
  const Operation *operation = &operations[lua_tointeger(L, lua_upvalueindex(OPERATION_INDEX))];
  RequestOptions options;
  send_arguments(L, &options);
  parameters_check(L, operation);
  url_push(L, operation);
  options.url = lua_tostring(L, -1);
  options.method = operation->method;
  options.content_type = body_push(L, operation);
  int body = lua_gettop(L);
  options.body.data = lua_tolstring(L, body, &options.body.length);
  if (strcmp(operation->result, "json") == 0) options.accept = "application/json";
  if (strcmp(operation->result, "xml") == 0) options.accept = "text/xml, application/xml";
  if (operation->repeat == KEYED) options.fresh = true;
  return send_request(L, &options, operation->base, body);
}

/* --- the tables that Lua sees ----------------------------------------------------------------- */

/* [names, operation, parameters]: adds a parameter to the list, and its name to the set. */
static void parameter_describe(lua_State *L, const Parameter *parameter, const char *location) {
  lua_createtable(L, 0, 5);
  lua_pushlstring(L, parameter->type.data, parameter->type.length);
  lua_setfield(L, -2, "type");
  lua_pushstring(L, location);
  lua_setfield(L, -2, "location"); /* OpenAPI calls it "in" */
  lua_pushboolean(L, parameter->required);
  lua_setfield(L, -2, "required");
  lua_pushboolean(L, parameter->repeated);
  lua_setfield(L, -2, "repeated");
  const char *name = lua_pushlstring(L, parameter->name.data, parameter->name.length);
  lua_pushboolean(L, 1);
  lua_setfield(L, -6, name);
  lua_setfield(L, -2, "name");
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

static void list_describe(lua_State *L, const char *list, const char *location) {
  Parameter parameter;
  while (parameter_next(&list, &parameter)) parameter_describe(L, &parameter, location);
}

/* Pushes "/reports/{id}", without the types. */
static void path_push(lua_State *L, const char *path) {
  Bytes literal;
  Parameter parameter;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (segment_next(&path, &literal, &parameter)) {
    luaL_addlstring(&out, literal.data, literal.length);
    luaL_addchar(&out, '{');
    luaL_addlstring(&out, parameter.name.data, parameter.name.length);
    luaL_addchar(&out, '}');
  }
  luaL_addlstring(&out, literal.data, literal.length);
  luaL_pushresult(&out);
}

/* Pushes the set of the names of the parameters, and the operation as a table. */
static void operation_describe(lua_State *L, const Operation *operation) {
  const char *const texts[][2] = {
      {"group", operation->group}, {"name", operation->name},     {"method", operation->method},
      {"base", operation->base},   {"result", operation->result}, {"hosts", operation->hosts},
  };
  lua_newtable(L);
  lua_createtable(L, 0, 10);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    lua_pushstring(L, texts[i][1]);
    lua_setfield(L, -2, texts[i][0]);
  }
  lua_pushlstring(L, operation->body, strcspn(operation->body, " "));
  lua_setfield(L, -2, "body");
  lua_pushboolean(L, operation->repeat == SAFE);
  lua_setfield(L, -2, "safe");
  path_push(L, operation->path);
  lua_setfield(L, -2, "path");

  Parameter parameter;
  Bytes literal;
  lua_newtable(L); /* [names, operation, parameters] */
  for (const char *path = operation->path; segment_next(&path, &literal, &parameter);)
    parameter_describe(L, &parameter, "path");
  list_describe(L, operation->query, "query");
  list_describe(L, body_list(operation), "body");
  lua_setfield(L, -2, "parameters");
}

/* Pushes table[key], made when it is missing. */
static void subtable_push(lua_State *L, int table, const char *key) {
  if (lua_getfield(L, table, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, table, key);
}

void operations_open(lua_State *L) {
  int module = lua_gettop(L), all = module + 1;
  lua_newtable(L);
  for (size_t i = 0; i < operations_count; i++) {
    const Operation *operation = &operations[i];
    subtable_push(L, all, operation->group);
    subtable_push(L, module, operation->group);
    lua_pushinteger(L, (lua_Integer)i);
    /* [all, its group there, functions, index, names, operation] */
    operation_describe(L, operation);
    lua_setfield(L, all + 1, operation->name);
    lua_pushcclosure(L, operation_send, 2);
    lua_setfield(L, all + 2, operation->name);
    lua_settop(L, all);
  }
  lua_setfield(L, module, "operations");
}
