/*
 * The headers of a response, taken line by line as libcurl hands them over. (Its own header API looks at all
 * lines for each one that it gives: the time would grow with the square of what a server sends.)
 */
#include "http.h"

#include <string.h>

/* For all lines, those of interim responses included: the limit that libcurl has in newer versions. */
#define HEADERS_LIMIT ((size_t)300 * 1024)

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The text without the blanks around it. */
static const char *trimmed(const char *text, size_t *length) {
  while (*length > 0 && is_blank(text[*length - 1])) (*length)--;
  while (*length > 0 && is_blank(*text)) {
    text++;
    (*length)--;
  }
  return text;
}

/* Adds a value, and the NUL behind it. */
static RequestFailure headers_append_value(Headers *headers, const char *value, size_t length) {
  value = trimmed(value, &length);
  bool done = buffer_append(&headers->text, value, length) && buffer_append(&headers->text, "", 1);
  return done ? FAILURE_NONE : FAILURE_NO_MEMORY;
}

/* A line that begins with a blank continues the value before it. */
static RequestFailure headers_unfold(Headers *headers, const char *line, size_t length) {
  if (headers->text.length == 0) return FAILURE_HEADERS;
  headers->text.data[headers->text.length - 1] = ' '; /* in the place of the NUL */
  return headers_append_value(headers, line, length);
}

static RequestFailure headers_add(Headers *headers, const char *line, size_t length) {
  if (memchr(line, '\0', length) != NULL) return FAILURE_HEADERS;
  if (is_blank(*line)) return headers_unfold(headers, line, length);
  const char *colon = memchr(line, ':', length);
  if (colon == NULL) return FAILURE_HEADERS;
  size_t name = (size_t)(colon - line), at = headers->text.length;
  if (!buffer_append(&headers->text, line, name + 1)) return FAILURE_NO_MEMORY;
  char *lower = headers->text.data + at;
  for (size_t i = 0; i < name; i++)
    if (lower[i] >= 'A' && lower[i] <= 'Z') lower[i] = (char)(lower[i] - 'A' + 'a');
  lower[name] = '\0';
  return headers_append_value(headers, colon + 1, length - name - 1);
}

bool headers_lack(const Headers *headers, const char *line) {
  return headers->text.length == 0 && (*line == ' ' || *line == '\t');
}

RequestFailure headers_take(Headers *headers, const char *line, size_t length) {
  if (length > HEADERS_LIMIT - headers->seen) return FAILURE_HEADERS;
  headers->seen += length;
  if (headers->state != HEADERS_OPEN) {
    if (length < 5 || memcmp(line, "HTTP/", 5) != 0) return FAILURE_NONE; /* a trailer */
    headers->state = HEADERS_OPEN;
    headers->text.length = 0;
    return FAILURE_NONE;
  }
  if (length > 0 && (*line == '\r' || *line == '\n')) {
    headers->state = HEADERS_ENDED;
    return FAILURE_NONE;
  }
  return length > 0 ? headers_add(headers, line, length) : FAILURE_NONE;
}

static bool header_next(const char *text, size_t length, Header *header) {
  const char *at = header->value != NULL ? header->value + strlen(header->value) + 1 : text;
  if (length == 0 || at == text + length) return false;
  header->name = at;
  header->value = at + strlen(at) + 1;
  return true;
}

bool headers_next(const Headers *headers, Header *header) {
  return header_next(headers->text.data, headers->text.length, header);
}

size_t headers_find(const Headers *headers, const char *name, const char **last) {
  size_t count = 0;
  for (Header header = {NULL, NULL}; headers_next(headers, &header);)
    if (strcmp(header.name, name) == 0) {
      *last = header.value;
      count++;
    }
  return count;
}

/* Replaces the list of values on top of the stack by one text. */
static void values_join(lua_State *L) {
  int list = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, list);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (lua_Integer i = 1; i <= count; i++) {
    if (i > 1) luaL_addstring(&text, ", ");
    lua_rawgeti(L, list, i);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  lua_remove(L, list);
}

/* Whatever makes a value of Lua's may run a finaliser, and that may cancel the request, and free its headers: here they
 * are read from a string on the stack. */
static const char *headers_pin(lua_State *L, const Headers *headers, size_t *length) {
  *length = headers->text.length;
  return lua_pushlstring(L, headers->text.data, headers->text.length);
}

void headers_push(lua_State *L, const Headers *headers) {
  size_t length;
  const char *text = headers_pin(L, headers, &length);
  lua_newtable(L); /* [text, all]: lists of values by name */
  for (Header header = {NULL, NULL}; header_next(text, length, &header);) {
    if (lua_getfield(L, -1, header.name) != LUA_TTABLE) {
      lua_pop(L, 1);
      lua_createtable(L, 1, 0);
      lua_pushvalue(L, -1);
      lua_setfield(L, -3, header.name);
    }
    lua_pushstring(L, header.value); /* [text, all, list, value] */
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, -2)) { /* [text, all, name, list] */
    values_join(L);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* Puts a value in the place of nil, or behind the values that are there. */
static void value_put(lua_State *L, int at, const char *value) {
  if (lua_isnil(L, at))
    lua_pushstring(L, value);
  else
    lua_pushfstring(L, "%s, %s", lua_tostring(L, at), value);
  lua_replace(L, at);
}

void headers_push_values(lua_State *L, const Headers *headers, int names, int count) {
  const char *wanted[VALUES_LIMIT];
  size_t length;
  luaL_checkstack(L, count + 4, "headers");
  const char *text = headers_pin(L, headers, &length);
  int values = lua_gettop(L) + 1;
  for (int i = 0; i < count; i++) {
    wanted[i] = luaL_checkstring(L, names + i);
    lua_pushnil(L);
  }
  for (Header header = {NULL, NULL}; header_next(text, length, &header);)
    for (int i = 0; i < count; i++)
      if (header.name[0] == wanted[i][0] && strcmp(header.name, wanted[i]) == 0)
        value_put(L, values + i, header.value);
}

bool media_type_is_in(const char *list, const char *media_type) {
  size_t length = strcspn(media_type, "; \t,");
  if (length == 0) return false;
  for (const char *at = list; *at != '\0'; at += strspn(at, " ")) {
    size_t word = strcspn(at, " ");
    if (word == length && curl_strnequal(at, media_type, length)) return true;
    at += word;
  }
  return false;
}
