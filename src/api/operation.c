/*
 * What reads a line of operations.c: from it to a request, and to the table that Lua sees.
 */
#include "operation.h"
#include "../data/data.h"

#include <string.h>

/* --- the words of a line ---------------------------------------------------------------------- */

typedef struct Text {
  const char *at;
  size_t length;
} Text;

typedef struct Parameter {
  Text name, type;
  bool required, repeated;
} Parameter;

static bool text_is(Text text, const char *word) {
  return strlen(word) == text.length && memcmp(text.at, word, text.length) == 0;
}

/* One "name:type*!" of `length` bytes. */
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
    parameter.type.at = colon + 1;
    parameter.type.length = parameter.name.length - (size_t)(colon + 1 - at);
    parameter.name.length = (size_t)(colon - at);
  }
  return parameter;
}

/* The next word of a list; false at its end. */
static bool list_next(const char **list, Parameter *parameter) {
  *list += strspn(*list, " ");
  size_t length = strcspn(*list, " ");
  if (length == 0) return false;
  *parameter = parameter_read(*list, length);
  *list += length;
  return true;
}

/* The next "{name:type}" of a path; false when there is none left. `before` is what stands in front
 * of it, or the rest of the path. */
static bool path_next(const char **path, Text *before, Parameter *parameter) {
  size_t literal = strcspn(*path, "{");
  *before = (Text){*path, literal};
  if ((*path)[literal] == '\0') return false;
  const char *name = *path + literal + 1;
  size_t length = strcspn(name, "}");
  *parameter = parameter_read(name, length);
  parameter->required = true;
  *path = name + length + 1;
  return true;
}

/* The parameters of the body, when they have names of their own: "form …" and "fields …". */
static const char *body_list(const Operation *operation) {
  const char *blank = strchr(operation->body, ' ');
  return blank != NULL ? blank : "";
}

static bool body_is(const Operation *operation, const char *kind) {
  return strncmp(operation->body, kind, strlen(kind)) == 0;
}

/* --- from a line to a request ----------------------------------------------------------------- */

static int call_fail(lua_State *L, const Operation *operation, Text parameter,
                     const char *problem) {
  lua_pushlstring(L, parameter.at, parameter.length);
  return luaL_error(L, "core.%s.%s: parameter '%s' %s", operation->group, operation->name,
                    lua_tostring(L, -1), problem);
}

/* Pushes the value of a parameter (nil when it was not given). */
static int value_push(lua_State *L, const Operation *operation, const Parameter *parameter) {
  lua_pushlstring(L, parameter->name.at, parameter->name.length);
  if (lua_rawget(L, ARG_PARAMETERS) == LUA_TNIL && parameter->required)
    return call_fail(L, operation, parameter->name, "is missing");
  return lua_type(L, -1);
}

/* Turns the value on top of the stack into text, and that into its escaped form. */
static void value_escape(lua_State *L, const Operation *operation, const Parameter *parameter) {
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    if (!lua_isinteger(L, -1))
      call_fail(L, operation, parameter->name, "must be an integer, or text");
    lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, -1));
    break;
  case LUA_TSTRING:
    lua_pushvalue(L, -1);
    break;
  default:
    call_fail(L, operation, parameter->name, "must be text, an integer or a boolean");
  }
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  escape_append(&out, text, length);
  luaL_pushresult(&out); /* [value, text, escaped] */
  lua_replace(L, -3);
  lua_pop(L, 1);
}

/* A segment of a path is never empty, never "." or "..", and holds nothing that a server could take
 * for the end of a line or of a string. */
static void segment_check(lua_State *L, const Operation *operation, const Parameter *parameter) {
  size_t length;
  if (lua_type(L, -1) != LUA_TSTRING) call_fail(L, operation, parameter->name, "must be a string");
  const char *text = lua_tolstring(L, -1, &length);
  if (length == 0 || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
    call_fail(L, operation, parameter->name, "must not be empty, \".\" or \"..\"");
  if (!text_is_clean(text, length))
    call_fail(L, operation, parameter->name, "has control characters");
  if (text_is(parameter->type, "id")) {
    for (size_t i = 0; i < length; i++)
      if (strchr("-_", text[i]) == NULL && !(text[i] >= '0' && text[i] <= '9') &&
          !(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= 'A' && text[i] <= 'Z'))
        call_fail(L, operation, parameter->name, "may hold letters, digits, - and _ only");
  }
}

/* Appends "name=value" for the escaped value on top of the stack, and pops it. */
static void pair_add(luaL_Buffer *out, const char *separator, const Parameter *parameter) {
  luaL_addstring(out, separator);
  luaL_addlstring(out, parameter->name.at, parameter->name.length);
  luaL_addchar(out, '=');
}

/* Pushes "a=1&b=2" of the named parameters that were given, for a query or a form. */
static void pairs_push(lua_State *L, const Operation *operation, const char *list) {
  Parameter parameter;
  luaL_Buffer out;
  const char *separator = "";
  luaL_buffinit(L, &out);
  while (list_next(&list, &parameter)) {
    /* Values are pushed and popped between the buffer's own calls, which see a balanced stack. */
    int type = value_push(L, operation, &parameter);
    lua_Integer count = type == LUA_TNIL ? 0 : 1;
    if (parameter.repeated && type == LUA_TTABLE) count = (lua_Integer)lua_rawlen(L, -1);
    if (parameter.required && count == 0) call_fail(L, operation, parameter.name, "is missing");
    lua_pop(L, 1);
    for (lua_Integer i = 1; i <= count; i++, separator = "&") {
      pair_add(&out, separator, &parameter);
      if (value_push(L, operation, &parameter) == LUA_TTABLE && parameter.repeated) {
        lua_rawgeti(L, -1, i);
        lua_remove(L, -2);
      }
      value_escape(L, operation, &parameter);
      luaL_addvalue(&out);
    }
  }
  luaL_pushresult(&out);
}

/* Pushes the URL. */
static void url_push(lua_State *L, const Operation *operation) {
  lua_getiuservalue(L, ARG_ENDPOINTS, ENDPOINTS_BASES);
  if (lua_getfield(L, -1, operation->base) != LUA_TSTRING)
    luaL_error(L, "core.%s.%s: there is no base '%s'", operation->group, operation->name,
               operation->base);
  lua_remove(L, -2);
  pairs_push(L, operation, operation->query); /* [base, query] */
  int base = lua_gettop(L) - 1, query = base + 1;

  luaL_Buffer url;
  Parameter parameter;
  Text before;
  const char *path = operation->path;
  luaL_buffinit(L, &url);
  lua_pushvalue(L, base);
  luaL_addvalue(&url);
  for (;;) {
    bool more = path_next(&path, &before, &parameter);
    luaL_addlstring(&url, before.at, before.length);
    if (!more) break;
    (void)value_push(L, operation, &parameter);
    segment_check(L, operation, &parameter);
    value_escape(L, operation, &parameter);
    luaL_addvalue(&url);
  }
  if (lua_rawlen(L, query) > 0) {
    luaL_addchar(&url, '?');
    lua_pushvalue(L, query);
    luaL_addvalue(&url);
  }
  luaL_pushresult(&url);
  lua_replace(L, base);
  lua_settop(L, base);
}

/* Pushes the body, or nil when there is none; says its type. */
static const char *body_push(lua_State *L, const Operation *operation) {
  if (body_is(operation, "form")) {
    pairs_push(L, operation, body_list(operation));
    return "application/x-www-form-urlencoded";
  }
  if (body_is(operation, "fields")) {
    Parameter parameter;
    const char *list = body_list(operation);
    lua_newtable(L);
    while (list_next(&list, &parameter)) {
      lua_pushlstring(L, parameter.name.at, parameter.name.length);
      (void)value_push(L, operation, &parameter);
      lua_rawset(L, -3);
    }
    json_encode(L, -1);
    lua_remove(L, -2);
    return "application/json";
  }
  if (body_is(operation, "json")) {
    const Parameter body = {{"body", 4}, {"any", 3}, false, false};
    int type = value_push(L, operation, &body);
    if (type != LUA_TNIL && type != LUA_TSTRING) {
      json_encode(L, -1);
      lua_remove(L, -2);
    }
    return type == LUA_TNIL ? NULL : "application/json";
  }
  lua_pushnil(L);
  return NULL;
}

static bool list_has(const char *list, const char *name) {
  Parameter parameter;
  while (list_next(&list, &parameter))
    if (text_is(parameter.name, name)) return true;
  return false;
}

static bool operation_has(const Operation *operation, const char *name) {
  Parameter parameter;
  Text before;
  const char *path = operation->path;
  while (path_next(&path, &before, &parameter))
    if (text_is(parameter.name, name)) return true;
  if (strcmp(operation->body, "json") == 0 && strcmp(name, "body") == 0) return true;
  return list_has(operation->query, name) || list_has(body_list(operation), name);
}

static void parameters_check(lua_State *L, const Operation *operation) {
  lua_pushnil(L);
  while (lua_next(L, ARG_PARAMETERS)) {
    lua_pop(L, 1);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?";
    if (!operation_has(operation, name))
      call_fail(L, operation, (Text){name, strlen(name)}, "is unknown");
  }
}

/* core.<group>.<name>(endpoints, { parameters }, { options of session:start }) -> Request
 *                                                                       | nil, message, name, class */
static int operation_call(lua_State *L) {
  const Operation *operation = &operations[lua_tointeger(L, lua_upvalueindex(1))];
  call_arguments(L);
  parameters_check(L, operation);

  Exchange exchange;
  call_exchange(L, &exchange);
  url_push(L, operation);
  exchange.url = lua_tostring(L, -1);
  exchange.method = operation->method;
  exchange.content_type = body_push(L, operation);
  int body = lua_gettop(L);
  exchange.body.data = lua_tolstring(L, body, &exchange.body.length);
  if (strcmp(operation->result, "json") == 0) exchange.accept = "application/json";
  if (strcmp(operation->result, "xml") == 0) exchange.accept = "text/xml, application/xml";
  if (operation->repeat == KEYED) exchange.fresh = true;

  return call_send(L, &exchange, operation->base, body);
}

/* --- the tables that Lua sees ----------------------------------------------------------------- */

static void parameter_describe(lua_State *L, const Parameter *parameter, const char *place) {
  lua_createtable(L, 0, 5);
  lua_pushlstring(L, parameter->name.at, parameter->name.length);
  lua_setfield(L, -2, "name");
  lua_pushlstring(L, parameter->type.at, parameter->type.length);
  lua_setfield(L, -2, "type");
  lua_pushstring(L, place);
  lua_setfield(L, -2, "place");
  lua_pushboolean(L, parameter->required);
  lua_setfield(L, -2, "required");
  lua_pushboolean(L, parameter->repeated);
  lua_setfield(L, -2, "repeated");
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

static void list_describe(lua_State *L, const char *list, const char *place) {
  Parameter parameter;
  while (list_next(&list, &parameter)) parameter_describe(L, &parameter, place);
}

static void set_text(lua_State *L, const char *key, const char *value, size_t length) {
  lua_pushlstring(L, value, length);
  lua_setfield(L, -2, key);
}

/* Pushes { method, base, path, query names …, safe, result, hosts, body kind, parameters } of a line. */
static void operation_describe(lua_State *L, const Operation *operation) {
  lua_createtable(L, 0, 10);
  set_text(L, "group", operation->group, strlen(operation->group));
  set_text(L, "name", operation->name, strlen(operation->name));
  set_text(L, "method", operation->method, strlen(operation->method));
  set_text(L, "base", operation->base, strlen(operation->base));
  set_text(L, "result", operation->result, strlen(operation->result));
  set_text(L, "hosts", operation->hosts, strlen(operation->hosts));
  set_text(L, "body", operation->body, strcspn(operation->body, " "));
  lua_pushboolean(L, operation->repeat == SAFE);
  lua_setfield(L, -2, "safe");

  Parameter parameter;
  Text before;
  const char *path = operation->path;
  lua_newtable(L); /* [description, parameters] */
  luaL_Buffer shown;
  luaL_buffinit(L, &shown);
  for (;;) {
    bool more = path_next(&path, &before, &parameter);
    luaL_addlstring(&shown, before.at, before.length);
    if (!more) break;
    luaL_addchar(&shown, '{');
    luaL_addlstring(&shown, parameter.name.at, parameter.name.length);
    luaL_addchar(&shown, '}');
  }
  luaL_pushresult(&shown);
  lua_setfield(L, -3, "path");
  for (path = operation->path; path_next(&path, &before, &parameter);)
    parameter_describe(L, &parameter, "path");
  list_describe(L, operation->query, "query");
  if (strcmp(operation->body, "json") == 0) {
    const Parameter body = {{"body", 4}, {"any", 3}, false, false};
    parameter_describe(L, &body, "body");
  }
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
  int module = lua_gettop(L);
  lua_newtable(L);
  int described = lua_gettop(L);
  for (size_t i = 0; i < operations_count; i++) {
    const Operation *operation = &operations[i];
    subtable_push(L, module, operation->group);
    lua_pushinteger(L, (lua_Integer)i);
    lua_pushcclosure(L, operation_call, 1);
    lua_setfield(L, -2, operation->name);
    subtable_push(L, described, operation->group);
    operation_describe(L, operation);
    lua_setfield(L, -2, operation->name);
    lua_settop(L, described);
  }
  lua_setfield(L, module, "operations");
}
