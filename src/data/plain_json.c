/*
 * Plain JSON, as nearly all answers are: no backslash and no NUL, integers of few digits, few levels and few
 * members. It is read here into tables that have their size from the start, and is what json.c makes of it by
 * lua-cjson, which reads all else, and says what is wrong with it.
 *
 * Values are pushed one after another, and taken together where their table ends. Nothing is held that an error of
 * Lua's would lose.
 */
#include "data.h"

#include <string.h>

/* Beyond these it is not plain. */
#define LEVELS  8
#define MEMBERS 128
#define DIGITS  15

/* On the stack, for a member and what its table is made with. */
#define ROOM 6

typedef struct Text {
  const char *at, *end;
} Text;

static bool value_push(lua_State *L, Text *text, int levels);

/* The next byte that is no blank; NUL, which is nowhere plain, at the end. */
static inline char next_byte(Text *text) {
  const char *at = text->at;
  while (at < text->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) at++;
  text->at = at;
  return at < text->end ? *at : '\0';
}

static bool byte_skip(Text *text, char byte) {
  if (next_byte(text) != byte) return false;
  text->at++;
  return true;
}

static bool string_push(lua_State *L, Text *text) {
  const char *start = text->at + 1, *end = memchr(start, '"', (size_t)(text->end - start));
  if (end == NULL) return false;
  lua_pushlstring(L, start, (size_t)(end - start));
  text->at = end + 1;
  return true;
}

static bool integer_push(lua_State *L, Text *text) {
  lua_Integer integer = 0;
  bool negative = *text->at == '-';
  if (negative) text->at++;
  const char *start = text->at;
  for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++) {
    if (text->at - start == DIGITS) return false;
    integer = integer * 10 + (*text->at - '0');
  }
  /* What follows must be the value's end: else this was but the beginning of a number. */
  if (text->at == start || (*start == '0' && (negative || text->at - start > 1))) return false;
  lua_pushinteger(L, negative ? -integer : integer);
  return true;
}

static bool word_skip(Text *text, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(text->end - text->at) < length || memcmp(text->at, word, length) != 0) return false;
  text->at += length;
  return true;
}

/* [values] -> [list] */
static void list_make(lua_State *L, int count) {
  lua_createtable(L, count, 0);
  lua_insert(L, -count - 1);
  for (; count > 0; count--) lua_rawseti(L, -count - 1, count);
}

/* [name, value and so on] -> [object]. In their order: of two with one name the last is it. */
static void object_make(lua_State *L, int count) {
  int first = lua_gettop(L) - 2 * count + 1;
  lua_createtable(L, 0, count);
  int object = lua_gettop(L);
  for (int at = first; at < object; at += 2) {
    lua_pushvalue(L, at);
    lua_pushvalue(L, at + 1);
    lua_rawset(L, object); /* null is nil here */
  }
  if (count > 0) lua_replace(L, first);
  lua_settop(L, first);
}

static bool list_push(lua_State *L, Text *text, int levels) {
  int count = 0;
  text->at++;
  if (!byte_skip(text, ']')) {
    do {
      if (count++ == MEMBERS || !lua_checkstack(L, ROOM) || !value_push(L, text, levels))
        return false;
      if (lua_isnil(L, -1)) { /* in a list null stays: see json.c */
        lua_pop(L, 1);
        lua_pushlightuserdata(L, NULL);
      }
    } while (byte_skip(text, ','));
    if (!byte_skip(text, ']')) return false;
  }
  list_make(L, count);
  return true;
}

static bool object_push(lua_State *L, Text *text, int levels) {
  int count = 0;
  text->at++;
  if (!byte_skip(text, '}')) {
    do {
      if (count++ == MEMBERS || !lua_checkstack(L, ROOM) || next_byte(text) != '"' ||
          !string_push(L, text) || !byte_skip(text, ':') || !value_push(L, text, levels))
        return false;
    } while (byte_skip(text, ','));
    if (!byte_skip(text, '}')) return false;
  }
  object_make(L, count);
  return true;
}

static bool value_push(lua_State *L, Text *text, int levels) {
  switch (next_byte(text)) {
  case '"':
    return string_push(L, text);
  case '{':
    return levels > 0 && object_push(L, text, levels - 1);
  case '[':
    return levels > 0 && list_push(L, text, levels - 1);
  case 't':
    lua_pushboolean(L, 1);
    return word_skip(text, "true");
  case 'f':
    lua_pushboolean(L, 0);
    return word_skip(text, "false");
  case 'n':
    lua_pushnil(L);
    return word_skip(text, "null");
  default:
    return text->at < text->end && integer_push(L, text);
  }
}

bool plain_json_push(lua_State *L, const char *json, size_t length) {
  Text text = {json, json + length};
  int top = lua_gettop(L);
  if (memchr(json, '\\', length) != NULL || memchr(json, '\0', length) != NULL) return false;
  if (lua_checkstack(L, ROOM) && value_push(L, &text, LEVELS) && next_byte(&text) == '\0' &&
      text.at == text.end)
    return true;
  lua_settop(L, top);
  return false;
}
