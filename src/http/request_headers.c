/*
 * The headers of a request, in the list that libcurl sends.
 */
#include "http.h"

#include <string.h>

bool text_is_token(const char *text) {
  if (*text == '\0') return false;
  return text[strspn(text, "!#$%&'*+-.^_`|~0123456789"
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

static bool header_exists(const struct curl_slist *lines, const char *name) {
  size_t length = strlen(name);
  for (const struct curl_slist *line = lines; line != NULL; line = line->next)
    if (curl_strnequal(line->data, name, length) && line->data[length] == ':') return true;
  return false;
}

/* Adds a header unless it is there; an empty value keeps libcurl from sending one of its own. The line is
 * put together in memory that is wiped: a Lua string would be one more copy of a credential. */
static void header_add(lua_State *L, struct curl_slist **lines, const char *name,
                       const char *value) {
  if (header_exists(*lines, name)) return;
  Buffer line = {NULL, 0, 0};
  struct curl_slist *longer = NULL;
  if (buffer_append(&line, name, strlen(name)) &&
      buffer_append(&line, ": ", *value != '\0' ? 2 : 1) &&
      buffer_append(&line, value, strlen(value) + 1))
    longer = curl_slist_append(*lines, line.data);
  buffer_free(&line);
  if (longer == NULL) luaL_error(L, "not enough memory for the headers");
  *lines = longer;
}

/* Adds the headers of the table at `table`, which may be nil. False as a value: no such header. */
static void table_add(lua_State *L, struct curl_slist **lines, int table) {
  if (lua_isnil(L, table)) return;
  if (!lua_istable(L, table)) luaL_error(L, "option 'headers': table expected");
  lua_pushnil(L);
  while (lua_next(L, table)) { /* [name, value] */
    size_t name_length, value_length = 0;
    if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "headers: a name must be a string");
    const char *name = lua_tolstring(L, -2, &name_length), *value = "";
    if (strlen(name) != name_length || !text_is_token(name))
      luaL_error(L, "headers: a name has characters that are not allowed");
    if (!lua_isboolean(L, -1) || lua_toboolean(L, -1)) {
      if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "header '%s': string expected", name);
      value = lua_tolstring(L, -1, &value_length);
      if (!text_is_clean(value, value_length) || strspn(value, " ") == value_length)
        luaL_error(L, "header '%s': the value is blank or has control characters", name);
    }
    header_add(L, lines, name, value);
    lua_pop(L, 1);
  }
}

/* (libcurl would put together two of them anew for each request, character by character: CURLOPT_USERAGENT and
 * CURLOPT_ACCEPT_ENCODING.) */
static void lines_add(lua_State *L, struct curl_slist **lines, const RequestOptions *options,
                      int default_headers, int headers, bool sink) {
  table_add(L, lines, headers);
  if (options->accept != NULL) header_add(L, lines, "Accept", options->accept);
  header_add(L, lines, "Content-Type", options->content_type != NULL ? options->content_type : "");
  table_add(L, lines, default_headers);
  header_add(L, lines, "Expect", ""); /* no round trip before a big body */
  header_add(L, lines, "Accept-Encoding", sink ? "identity" : "gzip");
  if (options->user_agent != NULL) header_add(L, lines, "User-Agent", options->user_agent);
}

struct curl_slist *lines_for_tunnel(struct curl_slist *lines) {
  while (lines != NULL && lines->next != NULL) lines = lines->next;
  return lines != NULL && curl_strnequal(lines->data, "User-Agent:", 11) ? lines : NULL;
}

void lines_free(struct curl_slist *lines) {
  for (struct curl_slist *line = lines; line != NULL; line = line->next)
    wipe(line->data, strlen(line->data));
  curl_slist_free_all(lines);
}

/* --- a list that many requests share ---------------------------------------------------------- */

#define HEADER_LIST_CLASS "zuora.headers"

typedef struct HeaderList {
  struct curl_slist *lines;
} HeaderList;

static int header_list_close(lua_State *L) {
  HeaderList *list = luaL_checkudata(L, 1, HEADER_LIST_CLASS);
  lines_free(list->lines);
  list->lines = NULL;
  return 0;
}

void header_list_push(lua_State *L, const RequestOptions *options, int default_headers) {
  lua_pushnil(L);
  int headers = lua_gettop(L);
  HeaderList *list = lua_newuserdatauv(L, sizeof *list, 0);
  list->lines = NULL;
  luaL_setmetatable(L, HEADER_LIST_CLASS);
  lines_add(L, &list->lines, options, default_headers, headers, false);
  lua_remove(L, headers);
}

void header_list_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", header_list_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{NULL, NULL}};
  class_new(L, HEADER_LIST_CLASS, methods, meta);
}

void request_add_headers(lua_State *L, Request *request, const RequestOptions *options,
                         int default_headers, int headers, bool sink) {
  const HeaderList *list = luaL_testudata(L, default_headers, HEADER_LIST_CLASS);
  request->shares_headers = list != NULL;
  if (list != NULL)
    request->headers = list->lines;
  else
    lines_add(L, &request->headers, options, default_headers, headers, sink);
}
