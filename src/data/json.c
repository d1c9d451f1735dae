/*
 * JSON by lua-cjson, in an instance of our own, so that nobody's settings are touched and nobody
 * touches ours.
 *
 * What decode puts right afterwards: integers are integers (cjson before OpenResty 2.1.0.14 makes
 * floats of all numbers), and null leaves objects, so that `record.field == nil` says what a Lua
 * reader expects. In arrays null stays, since holes would break the length.
 */
#include "data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Deep enough for any API, shallow enough for the C stack. */
#define DEPTH_LIMIT 100

/* Integers from here on are not all to be told apart as doubles: those stay (or become) floats,
 * whichever cjson it is, so that the loss shows. */
#define EXACT_LIMIT 9007199254740992.0

/* Where the registry keeps the encoder: an address of our own, so no name can clash. */
static const char encoder_key = 0;

/* Calls cjson, as lua_pcall does; false: what the message on the stack says. But that there was no memory says
 * nothing about what it was given: that goes on. */
static bool cjson_call(lua_State *L, int arguments, int results) {
  int status = lua_pcall(L, arguments, results, 0);
  if (status == LUA_ERRMEM) lua_error(L);
  return status == LUA_OK;
}

/* --- decoding --------------------------------------------------------------------------------- */

/* Puts right the number on top of the stack; true when it was replaced. */
static bool number_put_right(lua_State *L) {
  lua_Number number = lua_tonumber(L, -1);
  bool exact = fabs((double)number) < EXACT_LIMIT && floor((double)number) == (double)number;
  if (lua_isinteger(L, -1) ? exact : !exact) return false;
  lua_pop(L, 1);
  if (exact)
    lua_pushinteger(L, (lua_Integer)number);
  else
    lua_pushnumber(L, number);
  return true;
}

/* Puts right the table on top of the stack, in place: existing keys may be assigned to (nil, too)
 * while lua_next goes through them. */
static void table_put_right(lua_State *L) {
  luaL_checkstack(L, 6, "JSON");
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* [table, key, value] */
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
      table_put_right(L);
      break;
    case LUA_TNUMBER:
      if (number_put_right(L)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
      }
      break;
    case LUA_TLIGHTUSERDATA: /* null */
      if (lua_type(L, -2) == LUA_TSTRING) {
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, -5);
      }
      break;
    default:
      break;
    }
    lua_pop(L, 1);
  }
}

/* core.decode(text) -> value | nil, message. Null by itself is core.null. */
static int json_decode(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  if (!cjson_call(L, 1, 1)) {
    lua_pushnil(L);
    lua_insert(L, 1);
    return 2;
  }
  if (lua_istable(L, -1))
    table_put_right(L);
  else if (lua_type(L, -1) == LUA_TNUMBER)
    (void)number_put_right(L);
  return 1;
}

/* --- encoding --------------------------------------------------------------------------------- */

/* True when cjson writes this number so that it reads back the same. It writes floats with
 * `precision` digits, and some versions write integers as floats. An amount of money must not
 * change on its way, so what does not survive is refused. */
static bool number_survives(lua_Number number, int precision) {
  char text[64];
  if (fabs((double)number) >= EXACT_LIMIT && floor((double)number) == (double)number) return false;
  int length = snprintf(text, sizeof text, "%.*g", precision, (double)number);
  if (length < 0 || (size_t)length >= sizeof text) return false;
  return strtod(text, NULL) == (double)number;
}

static void value_check(lua_State *L, int index, int precision, int depth) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    if (!number_survives(lua_tonumber(L, index), precision))
      luaL_error(L, "the number %f cannot be written as JSON without loss; send it as a string",
                 (LUAI_UACNUMBER)lua_tonumber(L, index));
  } else if (lua_istable(L, index)) {
    if (depth > DEPTH_LIMIT) luaL_error(L, "a table is nested too deeply to be written as JSON");
    luaL_checkstack(L, 4, "JSON");
    lua_pushnil(L);
    while (lua_next(L, index)) {
      value_check(L, lua_gettop(L), precision, depth + 1);
      lua_pop(L, 1);
    }
  }
}

/* core.encode(value) -> text. Raises for what JSON cannot hold: a function, NaN, a number that
 * would lose digits, a table that refers to itself. */
static int json_encode_value(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  value_check(L, 1, (int)lua_tointeger(L, lua_upvalueindex(2)), 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void json_encode(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &encoder_key);
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
}

/* --- the instance ----------------------------------------------------------------------------- */

/* Calls instance[name](argument) for a setting; false when this cjson refuses it. */
static bool setting_apply(lua_State *L, int instance, const char *name) {
  lua_getfield(L, instance, name); /* [argument, setting] */
  lua_insert(L, -2);
  bool done = cjson_call(L, 1, 0);
  if (!done) lua_pop(L, 1);
  return done;
}

static void setting_require(lua_State *L, int instance, const char *name) {
  if (!setting_apply(L, instance, name)) luaL_error(L, "lua-cjson refuses the setting %s", name);
}

void json_open(lua_State *L) {
  int module = lua_gettop(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1) || lua_getfield(L, -1, "new") != LUA_TFUNCTION)
    luaL_error(L, "the module 'cjson' is not lua-cjson");
  lua_call(L, 0, 1);
  int instance = lua_gettop(L);
  luaL_checktype(L, instance, LUA_TTABLE);

  lua_pushboolean(L, 0);
  setting_require(L, instance, "decode_invalid_numbers");
  lua_pushinteger(L, DEPTH_LIMIT);
  setting_require(L, instance, "decode_max_depth");
  int precision = 16; /* as much as newer versions allow; older ones stop at their default of 14 */
  lua_pushinteger(L, precision);
  if (!setting_apply(L, instance, "encode_number_precision")) precision = 14;

  lua_getfield(L, instance, "decode");
  lua_pushcclosure(L, json_decode, 1);
  lua_setfield(L, module, "decode");

  lua_getfield(L, instance, "encode");
  lua_pushinteger(L, precision);
  lua_pushcclosure(L, json_encode_value, 2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &encoder_key);
  lua_setfield(L, module, "encode");

  lua_pushlightuserdata(L, NULL); /* what cjson decodes null to */
  lua_setfield(L, module, "null");
  lua_settop(L, module);
}
