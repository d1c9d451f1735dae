/*
 * JSON by lua-cjson, in an instance of our own, so that nobody's settings are touched and nobody touches
 * ours.
 *
 * Two things are made sure of before it is called: that memory for its buffers can be had, since without it
 * lua-cjson ends the process; and that it knows the decimal point of the locale.
 *
 * What it decodes is then normalised: integers are integers (lua-cjson before OpenResty's 2.1.0.14 makes
 * floats of all numbers), and null leaves objects, so that `record.field == nil` holds as a Lua reader
 * expects. In arrays null stays, since holes would break the length.
 */
#include "data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deep enough for any API, shallow enough for the C stack. */
#define DEPTH_LIMIT 100

/* 2^53: from here on a double does not tell all integers apart. Those stay (or become) floats, whichever
 * lua-cjson it is, so that the loss shows. */
#define EXACT_LIMIT 9007199254740992.0

/* lua-cjson counts bytes in an int, and doubles its buffer: beyond this it would overflow. */
#define SIZE_LIMIT ((size_t)1 << 30)

/* What it needs besides the text: its first buffer, and the number that it is reading. */
#define SIZE_SMALL 4096u

/* Where the registry keeps both: addresses of our own, so no name can clash. */
static const char decoder_key = 0, encoder_key = 0;

/* Is it what the lua program raises, wherever it is, after Ctrl-C? */
static bool is_interruption(const char *message) {
  return message != NULL && strstr(message, "interrupted!") != NULL;
}

/* Calls lua-cjson by lua_pcall. False: there is a message on the stack. A lack of memory and an interruption are raised
 * again: they say nothing about the JSON. */
static bool cjson_call(lua_State *L, int arguments, int results) {
  int status = lua_pcall(L, arguments, results, 0);
  if (status == LUA_ERRMEM || (status != LUA_OK && is_interruption(lua_tostring(L, -1))))
    lua_error(L);
  return status == LUA_OK;
}

/* --- the instance ----------------------------------------------------------------------------- */

/* A table: its functions, how to make it anew, and with how many digits it writes numbers. */
enum { CJSON_DECODE = 1, CJSON_ENCODE, CJSON_NEW, CJSON_PRECISION };

/* Raises when so much memory cannot be had. */
static void memory_probe(lua_State *L, size_t size) {
  void *volatile room = malloc(size); /* else the compiler leaves out both calls */
  bool there = room != NULL;
  free(room);
  if (!there) luaL_error(L, "not enough memory for JSON");
}

/* Calls cjson[name](argument) for a setting; false when this cjson refuses it. */
static bool setting_apply(lua_State *L, int cjson, const char *name) {
  lua_getfield(L, cjson, name); /* [argument, setting] */
  lua_insert(L, -2);
  bool done = cjson_call(L, 1, 0);
  if (!done) lua_pop(L, 1);
  return done;
}

static void setting_require(lua_State *L, int cjson, const char *name) {
  if (!setting_apply(L, cjson, name)) luaL_error(L, "lua-cjson refuses the setting %s", name);
}

static void instance_make(lua_State *L, int instance) {
  char half[8];
  memory_probe(L, SIZE_SMALL);
  /* Such a locale makes new() end the process. */
  if (snprintf(half, sizeof half, "%g", 0.5) != 3)
    luaL_error(L,
               "lua-cjson cannot read numbers in this locale: its decimal point has several bytes");
  lua_rawgeti(L, instance, CJSON_NEW);
  lua_call(L, 0, 1);
  int cjson = lua_gettop(L);
  int precision = 16; /* what newer versions allow; older ones refuse it, and keep their 14 */
  luaL_checktype(L, cjson, LUA_TTABLE);
  lua_pushboolean(L, 0);
  setting_require(L, cjson, "decode_invalid_numbers");
  lua_pushinteger(L, DEPTH_LIMIT);
  setting_require(L, cjson, "decode_max_depth");
  lua_pushinteger(L, precision);
  if (!setting_apply(L, cjson, "encode_number_precision")) precision = 14;
  lua_getfield(L, cjson, "decode");
  lua_rawseti(L, instance, CJSON_DECODE);
  lua_getfield(L, cjson, "encode");
  lua_rawseti(L, instance, CJSON_ENCODE);
  lua_pushinteger(L, precision);
  lua_rawseti(L, instance, CJSON_PRECISION);
  lua_settop(L, cjson - 1);
}

/* Does it know the decimal point? lua-cjson reads the locale only in new(), for all instances at once: after
 * os.setlocale, or somebody else's new() before that, it would read [1,5] as { 1.5 }. */
static bool instance_knows_point(lua_State *L, int instance) {
  lua_rawgeti(L, instance, CJSON_DECODE);
  lua_pushliteral(L, "0.5");
  bool fits = cjson_call(L, 1, 1) && lua_tonumber(L, -1) == 0.5;
  lua_pop(L, 1);
  return fits;
}

/* Pushes a function of the instance in the upvalue, which will need so much memory. */
static void instance_push(lua_State *L, int which, size_t size) {
  const int instance = lua_upvalueindex(1);
  memory_probe(L, size + SIZE_SMALL);
  if (!instance_knows_point(L, instance)) instance_make(L, instance);
  lua_rawgeti(L, instance, which);
}

/* --- decoding --------------------------------------------------------------------------------- */

/* An integer where it is exact, else a float. True when the number on top of the stack was replaced. */
static bool number_normalise(lua_State *L) {
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

/* Normalises the table on top of the stack, in place: lua_next allows that existing keys are assigned to
 * (nil, too) as it goes. */
static void table_normalise(lua_State *L) {
  luaL_checkstack(L, 6, "JSON");
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* [table, key, value] */
    switch (lua_type(L, -1)) {
    case LUA_TTABLE:
      table_normalise(L);
      break;
    case LUA_TNUMBER:
      if (number_normalise(L)) {
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

/* The value of four hexadecimal digits behind "\u"; -1: there are none. */
static long unit_read(const char *text, size_t length) {
  char digits[5] = {0};
  if (length < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  memcpy(digits, text + 2, 4);
  return strspn(digits, "0123456789abcdefABCDEF") == 4 ? strtol(digits, NULL, 16) : -1;
}

/* Half a pair of UTF-16 is no character, and lua-cjson refuses all of the text for it: U+FFFD stands in its place.
 * Pushes such a text; false, and nothing: there is no half in it. */
static bool halves_mend(lua_State *L, int index) {
  static const char digits[4] = {'f', 'f', 'f', 'd'};
  size_t length, step;
  bool found = false;
  const char *source = lua_tolstring(L, index, &length);
  char *text = lua_newuserdatauv(L, length, 0);
  memcpy(text, source, length);
  for (size_t at = 0; at < length; at += step) {
    step = text[at] == '\\' ? 2 : 1;
    long unit = unit_read(text + at, length - at), next = -1;
    if (unit < 0xD800 || unit > 0xDFFF) continue;
    if (unit < 0xDC00 && length - at > 6) next = unit_read(text + at + 6, length - at - 6);
    step = next >= 0xDC00 && next <= 0xDFFF ? 12 : 6;
    if (step == 12) continue;
    memcpy(text + at + 2, digits, sizeof digits);
    found = true;
  }
  if (found) lua_pushlstring(L, text, length);
  lua_remove(L, found ? -2 : -1);
  return found;
}

/* core.decode(text) -> value | nil, message. Null by itself is core.null. */
static int json_decode_text(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  size_t length = lua_rawlen(L, 1);
  if (length > SIZE_LIMIT) {
    lua_pushnil(L);
    lua_pushliteral(L, "the text is too long to be read as JSON");
    return 2;
  }
  /* for all that may be a string; and, for another decimal point, for all that may be a number */
  instance_push(L, CJSON_DECODE, 2 * length);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, 1);
  bool done = cjson_call(L, 1, 1); /* [text, decode, value or message] */
  if (!done && halves_mend(L, 1)) {
    lua_replace(L, 1);
    lua_settop(L, 2);
    lua_insert(L, 1);
    done = cjson_call(L, 1, 1);
  }
  if (!done) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (lua_istable(L, -1))
    table_normalise(L);
  else if (lua_type(L, -1) == LUA_TNUMBER)
    (void)number_normalise(L);
  return 1;
}

/* --- encoding --------------------------------------------------------------------------------- */

/* True when lua-cjson writes this number so that it reads back the same. It writes floats with `precision`
 * digits, and some versions write integers as floats. An amount of money must not change on its way: what
 * would change is refused. */
static bool number_survives(lua_Number number, int precision) {
  char text[64];
  if (fabs((double)number) >= EXACT_LIMIT && floor((double)number) == (double)number) return false;
  int length = snprintf(text, sizeof text, "%.*g", precision, (double)number);
  if (length < 0 || (size_t)length >= sizeof text) return false;
  return strtod(text, NULL) == (double)number;
}

/* A check of the value before it is written. */
typedef struct EncodeCheck {
  int precision;
  bool raw;    /* text may be any bytes */
  size_t size; /* more than what lua-cjson needs in the worst case; above SIZE_LIMIT: too much */
} EncodeCheck;

static void size_add(EncodeCheck *check, size_t size) {
  check->size = size > SIZE_LIMIT || check->size > SIZE_LIMIT ? SIZE_LIMIT + 1 : check->size + size;
}

/* [] -> [path, message]: the path of a value begins at its end. */
static bool value_refuse(lua_State *L, const char *message) {
  lua_pushliteral(L, "");
  lua_pushstring(L, message);
  return false;
}

static bool string_check(lua_State *L, int index, EncodeCheck *check) {
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  size_add(check, length < SIZE_LIMIT / 6 ? 6 * length + 4 : SIZE_LIMIT + 1);
  return check->raw || utf8_valid(text, length) == length;
}

/* [key, value, path, message] -> [path, message], with the key before it. */
static void path_extend(lua_State *L) {
  const char *path = lua_tostring(L, -2);
  if (lua_isinteger(L, -4))
    lua_pushfstring(L, "[%I]%s", (LUAI_UACINT)lua_tointeger(L, -4), path);
  else if (lua_type(L, -4) == LUA_TSTRING)
    lua_pushfstring(L, ".%s%s", lua_tostring(L, -4), path);
  else
    lua_pushfstring(L, "[%s]%s", luaL_typename(L, -4), path);
  lua_replace(L, -5); /* [path, value, old path, message] */
  lua_replace(L, -3); /* [path, message, old path] */
  lua_pop(L, 1);
}

/* Can JSON hold the value? False: [path, message] are pushed. */
static bool value_check(lua_State *L, int index, EncodeCheck *check, int depth) {
  size_add(check, 64); /* a number, or brackets and a comma */
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    return string_check(L, index, check) || value_refuse(L, "not UTF-8");
  case LUA_TNUMBER:
    if (number_survives(lua_tonumber(L, index), check->precision)) return true;
    lua_pushliteral(L, "");
    lua_pushfstring(L, "the number %f cannot be written as JSON without loss; send it as a string",
                    (LUAI_UACNUMBER)lua_tonumber(L, index));
    return false;
  case LUA_TTABLE:
    break;
  default:
    return true; /* lua-cjson refuses what is no JSON */
  }
  if (depth > DEPTH_LIMIT)
    return value_refuse(L, "a table is nested too deeply to be written as JSON");
  luaL_checkstack(L, 6, "JSON");
  lua_pushnil(L);
  while (lua_next(L, index)) {
    size_add(check, 64);
    if (lua_type(L, -2) == LUA_TSTRING && !string_check(L, -2, check)) {
      lua_pop(L, 2);
      return value_refuse(L, "a key is not UTF-8");
    }
    if (!value_check(L, lua_gettop(L), check, depth + 1)) {
      path_extend(L);
      return false;
    }
    lua_pop(L, 1);
  }
  return true;
}

/* core.encode(value, raw) -> text. Raises for what JSON cannot hold, and says where it is: a number that would
 * lose digits, text that is no UTF-8 (with raw = true it goes as it is), a function, a table that refers to
 * itself. */
static int json_encode_value(lua_State *L) {
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  lua_rawgeti(L, lua_upvalueindex(1), CJSON_PRECISION);
  EncodeCheck check = {(int)lua_tointeger(L, -1), lua_toboolean(L, 2) != 0, 0};
  if (!value_check(L, 1, &check, 0)) {
    const char *path = lua_tostring(L, -2);
    return luaL_error(L, "%s%s%s", *path == '.' ? path + 1 : path, *path != '\0' ? ": " : "",
                      lua_tostring(L, -1));
  }
  if (check.size > SIZE_LIMIT) return luaL_error(L, "the value is too large to be written as JSON");
  /* a buffer that is up to twice as large as needed, and the one before it */
  instance_push(L, CJSON_ENCODE, 3 * check.size);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

void json_decode(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &decoder_key);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

void json_encode(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &encoder_key);
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
}

/* --- opening ---------------------------------------------------------------------------------- */

void json_open(lua_State *L) {
  int module = lua_gettop(L), instance = module + 1;
  lua_createtable(L, CJSON_PRECISION, 0);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  lua_call(L, 1, 1);
  if (!lua_istable(L, -1) || lua_getfield(L, -1, "new") != LUA_TFUNCTION)
    luaL_error(L, "the module 'cjson' is not lua-cjson");
  lua_rawseti(L, instance, CJSON_NEW);
  instance_make(L, instance);

  lua_pushvalue(L, instance);
  lua_pushcclosure(L, json_decode_text, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &decoder_key);
  lua_setfield(L, module, "decode");

  lua_pushvalue(L, instance);
  lua_pushcclosure(L, json_encode_value, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &encoder_key);
  lua_setfield(L, module, "encode");

  lua_pushlightuserdata(L, NULL); /* what cjson decodes null to */
  lua_setfield(L, module, "null");
  lua_settop(L, module);
}
