/*
 * What goes out: the options of an exchange, its headers, and all that an easy handle is told.
 */
#include "http.h"

#include <math.h>
#include <string.h>

/* libcurl's largest receive buffer: a third of the CPU time of a big download off. */
#define SINK_BUFFER_SIZE 524288L

#define MEMORY_LIMIT ((size_t)64 * 1024 * 1024)

/* --- options ---------------------------------------------------------------------------------- */

/* clang-format off */
#define TRANSPORT_OPTIONS \
  {"connect_timeout", OPTION_SECONDS, offsetof(Exchange, connect_timeout)}, \
  {"timeout", OPTION_SECONDS, offsetof(Exchange, timeout)}, \
  {"stall_timeout", OPTION_SECONDS, offsetof(Exchange, stall_timeout)}, \
  {"limit", OPTION_COUNT, offsetof(Exchange, limit)}, \
  {"ca", OPTION_TEXT, offsetof(Exchange, ca)}, \
  {"proxy", OPTION_TEXT, offsetof(Exchange, proxy)}, \
  {"no_proxy", OPTION_TEXT, offsetof(Exchange, no_proxy)}, \
  {"user_agent", OPTION_TEXT, offsetof(Exchange, user_agent)}
#define CALL_OPTIONS \
  {"deadline", OPTION_SECONDS, offsetof(Exchange, deadline)}, \
  {"fresh", OPTION_FLAG, offsetof(Exchange, fresh)}, \
  {"headers", OPTION_VALUE, 0}, \
  {"sink", OPTION_VALUE, 0}
#define EXCHANGE_OPTIONS \
  {"method", OPTION_TEXT, offsetof(Exchange, method)}, \
  {"url", OPTION_TEXT, offsetof(Exchange, url)}, \
  {"body", OPTION_BYTES, offsetof(Exchange, body)}
#define END_OF_OPTIONS {NULL, OPTION_VALUE, 0}
/* clang-format on */

const Option transport_options[] = {TRANSPORT_OPTIONS, END_OF_OPTIONS};
const Option call_options[] = {TRANSPORT_OPTIONS, CALL_OPTIONS, END_OF_OPTIONS};
const Option exchange_options[] = {TRANSPORT_OPTIONS, CALL_OPTIONS, EXCHANGE_OPTIONS,
                                   END_OF_OPTIONS};

void exchange_init(Exchange *exchange) {
  memset(exchange, 0, sizeof *exchange);
  exchange->method = "GET";
  exchange->connect_timeout = 10;
  exchange->timeout = 125;
  exchange->stall_timeout = 60;
  exchange->deadline = (double)INFINITY;
  exchange->limit = MEMORY_LIMIT;
}

/* --- headers ---------------------------------------------------------------------------------- */

/* A token of RFC 9110: what a method or the name of a header is made of. */
static bool text_is_token(const char *text) {
  if (*text == '\0') return false;
  return text[strspn(text, "!#$%&'*+-.^_`|~0123456789"
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

/* Is there a line for this header already? The first one counts. */
static bool headers_have(const Request *request, const char *name, size_t length) {
  for (const struct curl_slist *line = request->headers; line != NULL; line = line->next)
    if (curl_strnequal(line->data, name, length) && line->data[length] == ':') return true;
  return false;
}

/* Adds a header unless it is there; libcurl sends none, not even of its own, when the value is empty. The line
 * is put together in memory that is wiped: a Lua string would be one more copy of a credential. */
static void headers_put(lua_State *L, Request *request, const char *name, const char *value) {
  if (headers_have(request, name, strlen(name))) return;
  const char *const parts[] = {name, *value != '\0' ? ": " : ":", value};
  Buffer line = {NULL, 0, 0};
  struct curl_slist *grown = NULL;
  bool done = true;
  for (size_t i = 0; i < 3 && done; i++) done = buffer_append(&line, parts[i], strlen(parts[i]));
  if (done && buffer_append(&line, "", 1)) grown = curl_slist_append(request->headers, line.data);
  buffer_free(&line);
  if (grown == NULL) luaL_error(L, "not enough memory for the headers");
  request->headers = grown;
}

/* Adds the headers of the table at `table` (0: none). False as a value: no such header. */
static void headers_read(lua_State *L, Request *request, int table) {
  if (table == 0 || lua_isnil(L, table)) return;
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
    headers_put(L, request, name, value);
    lua_pop(L, 1);
  }
}

/* What the exchange says of headers, then what its caller knows, then what stands for all. */
void exchange_set_headers(lua_State *L, Request *request, const Exchange *exchange, int standing,
                          int own, bool sink) {
  if (!text_is_token(exchange->method)) luaL_error(L, "option 'method' is not a method");
  headers_read(L, request, own);
  if (exchange->accept != NULL) headers_put(L, request, "Accept", exchange->accept);
  headers_put(L, request, "Content-Type",
              exchange->content_type != NULL ? exchange->content_type : "");
  headers_read(L, request, standing);
  headers_put(L, request, "Expect", ""); /* no round trip before a big body */
  if (sink) headers_put(L, request, "Accept-Encoding", "identity");
}

/* --- the easy handle -------------------------------------------------------------------------- */

#define SET(option, value)                                                                         \
  if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value)

bool exchange_uploads_once(const Exchange *exchange) {
  return exchange->fresh && exchange->body.length > 0;
}

/* The method, and what goes up. */
static CURLcode exchange_set_method(CURL *easy, const Exchange *exchange) {
  const char *method = exchange->method;
  bool body = exchange->body.data != NULL;
  CURLcode code = CURLE_OK;
  if (strcmp(method, "GET") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (strcmp(method, "HEAD") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (strcmp(method, "POST") == 0 || body) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.length);
    SET(CURLOPT_POSTFIELDS, exchange_uploads_once(exchange) ? NULL
                            : body                          ? exchange->body.data
                                                            : "");
  }
  if (strcmp(method, "POST") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, method);
  }
  return code;
}

/* HTTP/2 where TLS agrees on it. A fresh request without a body, which would be repeated without rewinding
 * anything (see request_on_read), keeps to HTTP/1.1, where nobody joins it. (PIPEWAIT would save
 * connections at a cold start. But who waits so has no connect timeout, and behind a handshake that
 * stalls everybody would wait, one time-out after another.) */
static CURLcode exchange_set_version(CURL *easy, const Exchange *exchange) {
  bool secure = curl_strnequal(exchange->url, "https:", 6) != 0;
  bool alone = exchange->fresh && !exchange_uploads_once(exchange);
  if (secure && !alone) return CURLE_OK; /* libcurl's own choice */
  return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* What is good to have: a request goes out without it, too. The libcurl at run time may be older than its
 * header. */
static void exchange_set_hints(CURL *easy, bool sink) {
  (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  if (sink) (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, SINK_BUFFER_SIZE);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* Do not wait for a slow resolver at close. Safe because this module is never unmapped. */
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

CURLcode exchange_apply(CURL *easy, const Exchange *exchange, bool sink) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_FRESH_CONNECT, exchange->fresh ? 1L : 0L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, seconds_to_ms(exchange->connect_timeout));
  /* libcurl takes a gzip stream that breaks off for one that ends. JSON that breaks off is no JSON, but
   * a file would be short: it comes without coding. */
  if (!sink) {
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  if (exchange->ca != NULL) {
    SET(CURLOPT_CAINFO, exchange->ca);
  }
  if (exchange->proxy != NULL) {
    SET(CURLOPT_PROXY, exchange->proxy);
  }
  if (exchange->no_proxy != NULL) {
    SET(CURLOPT_NOPROXY, exchange->no_proxy);
  }
  if (exchange->user_agent != NULL) {
    SET(CURLOPT_USERAGENT, exchange->user_agent);
  }
  exchange_set_hints(easy, sink);
  if (code == CURLE_OK) code = exchange_set_version(easy, exchange);
  return code == CURLE_OK ? exchange_set_method(easy, exchange) : code;
}
