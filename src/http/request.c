/*
 * One exchange: an option table becomes an easy handle, and what comes back becomes a response.
 *
 * No Lua function runs inside a libcurl callback: the callbacks below fill C memory or a sink, and
 * say no by a short count. A Lua error that jumped over libcurl would leave the multi handle
 * unusable for good.
 */
#include "http.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcurl's largest receive buffer: a third of the CPU time of a big download off. */
#define SINK_BUFFER_SIZE 524288L

#define MEMORY_LIMIT (64u * 1024u * 1024u)

#ifndef CURL_WRITEFUNC_ERROR /* new in 7.87.0: any count that is not the length given says the     \
                                same */
#define CURL_WRITEFUNC_ERROR 0xFFFFFFFF
#endif

/* --- a buffer with a ceiling
 * --------------------------------------------------------------------------- */

static RequestFailure buffer_append(Buffer *buffer, const char *data, size_t length) {
  if (length > buffer->limit - buffer->length) return FAILURE_TOO_LARGE;
  if (length > buffer->capacity - buffer->length) {
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : 4096;
    while (capacity - buffer->length < length) {
      if (capacity > SIZE_MAX / 2) return FAILURE_NO_MEMORY;
      capacity *= 2;
    }
    char *grown = realloc(buffer->data, capacity);
    if (grown == NULL) return FAILURE_NO_MEMORY;
    buffer->data = grown;
    buffer->capacity = capacity;
  }
  memcpy(buffer->data + buffer->length, data, length);
  buffer->length += length;
  return FAILURE_NONE;
}

static void buffer_free(Buffer *buffer) {
  free(buffer->data);
  buffer->data = NULL;
  buffer->length = buffer->capacity = 0;
}

/* --- callbacks and what they decide
 * --------------------------------------------------------------------- */

static const char *request_header(Request *request, const char *name) {
  struct curl_header *header;
  if (curl_easy_header(request->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return NULL;
  return header->value;
}

/* A sink takes the bytes as they are: a coding that nobody asked for must not reach the file. */
static bool request_is_coded(Request *request) {
  struct curl_header *header;
  for (size_t i = 0; curl_easy_header(request->easy, "Content-Encoding", i, CURLH_HEADER, -1,
                                      &header) == CURLHE_OK;
       i++)
    if (!curl_strequal(header->value, "identity")) return true;
  return false;
}

static bool request_file_failed(Request *request) {
  request->failure = FAILURE_FILE;
  request->file_error = sink_error(request->sink);
  return false;
}

/* The body begins: does it belong in the sink? Only that of a 200, of a type that is not the type
 * of an error page; all else is kept in memory, where it can be read and reported. */
static bool request_begin(Request *request) {
  request->begun = true;
  if (request->sink == NULL) return true;
  long status = 0;
  if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) return false;
  const char *media_type = request_header(request, "Content-Type");
  if (status != 200 || sink_refuses(request->sink, media_type != NULL ? media_type : ""))
    return true;
  if (request_is_coded(request)) {
    request->failure = FAILURE_CODED;
    return false;
  }
  request->to_sink = true;
  return sink_begin(request->sink) || request_file_failed(request);
}

static size_t request_on_body(char *data, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count; /* libcurl: size is always 1 */
  if (!request->begun && !request_begin(request)) return CURL_WRITEFUNC_ERROR;
  if (request->to_sink) {
    request->last_byte = clock_now();
    if (!sink_write(request->sink, data, length)) (void)request_file_failed(request);
  } else {
    request->failure = buffer_append(&request->body, data, length);
  }
  if (request->failure != FAILURE_NONE) return CURL_WRITEFUNC_ERROR;
  request->received += (curl_off_t)length;
  return length;
}

/* Two different lengths for one body: nothing can be proven about it. libcurl before 8.22 takes the
 * first. */
static bool request_lengths_agree(Request *request) {
  struct curl_header *header;
  char *first = NULL;
  size_t amount = 1;
  bool agree = true;
  for (size_t i = 0; i < amount && agree; i++) {
    if (curl_easy_header(request->easy, "Content-Length", i, CURLH_HEADER, -1, &header) !=
        CURLHE_OK)
      break;
    amount = header->amount;
    if (amount < 2) break;
    if (first == NULL)
      agree = (first = strdup(header->value)) != NULL; /* the next call may reuse the struct */
    else
      agree = strcmp(first, header->value) == 0;
  }
  free(first);
  return agree;
}

/* The connection is there and the request goes out: from now on the answer is waited for. */
static int request_on_send(void *context, char *remote_ip, char *local_ip, int remote_port,
                           int local_port) {
  Request *request = context;
  (void)remote_ip;
  (void)local_ip;
  (void)remote_port;
  (void)local_port;
  request->sent = true;
  request->sent_at = clock_now();
  return CURL_PREREQFUNC_OK;
}

/* libcurl takes headers that break off for headers that end. */
static size_t request_on_header(char *line, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count;
  if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
    request->headers_ended = false;
  else if (length > 0 && (line[0] == '\r' || line[0] == '\n'))
    request->headers_ended = true;
  return length;
}

#if LIBCURL_VERSION_NUM < 0x080800 /* see session_fds */
static curl_socket_t request_on_socket(void *context, curlsocktype purpose,
                                       struct curl_sockaddr *address) {
  (void)purpose;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd >= FD_SETSIZE) session_count_high_socket(context, 1);
  return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static int request_on_socket_end(void *context, curl_socket_t fd) {
  if (fd >= FD_SETSIZE) session_count_high_socket(context, -1);
  return close(fd);
}
#endif

void request_settle(Request *request, CURLcode result) {
  request->result = result;
  if (result == CURLE_OK && request->failure == FAILURE_NONE) {
    if (!request->headers_ended)
      request->failure = FAILURE_CUT_HEADERS;
    else if (!request_lengths_agree(request))
      request->failure = FAILURE_LENGTHS;
    else if (!request->begun)
      (void)request_begin(
          request); /* an empty body makes an empty file; `failure` tells the rest */
    if (request->to_sink && request->failure == FAILURE_NONE) sink_complete(request->sink);
  }
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
}

/* How long the request may go on as it stands, apart from its deadline. While it waits for a
 * connection or makes one, libcurl's own connect timeout counts. */
static double request_patience(const Request *request) {
  if (!request->sent) return (double)INFINITY;
  if (request->to_sink) return request->last_byte + request->stall_timeout;
  return request->sent_at + request->answer_timeout;
}

double request_deadline(const Request *request) {
  return fmin(request->ends_at, request_patience(request));
}

void request_expire(Request *request) {
  if (request->ends_at <= request_patience(request))
    request->failure = FAILURE_DEADLINE;
  else if (request->to_sink)
    (void)snprintf(request->error, sizeof request->error, "no byte for %g seconds",
                   request->stall_timeout);
  else
    (void)snprintf(request->error, sizeof request->error, "no answer within %g seconds",
                   request->answer_timeout);
}

/* --- starting
 * -----------------------------------------------------------------------------------------------
 */

#define TRANSPORT_OPTIONS                                                                          \
  {"connect_timeout", OPTION_SECONDS, offsetof(Exchange, connect_timeout)},                        \
      {"timeout", OPTION_SECONDS, offsetof(Exchange, timeout)},                                    \
      {"stall_timeout", OPTION_SECONDS, offsetof(Exchange, stall_timeout)},                        \
      {"limit", OPTION_COUNT, offsetof(Exchange, limit)},                                          \
      {"ca", OPTION_TEXT, offsetof(Exchange, ca)},                                                 \
      {"proxy", OPTION_TEXT, offsetof(Exchange, proxy)},                                           \
      {"no_proxy", OPTION_TEXT, offsetof(Exchange, no_proxy)}, {                                   \
    "user_agent", OPTION_TEXT, offsetof(Exchange, user_agent)                                      \
  }

#define CALL_OPTIONS                                                                               \
  TRANSPORT_OPTIONS, {"deadline", OPTION_SECONDS, offsetof(Exchange, deadline)},                   \
      {"fresh", OPTION_FLAG, offsetof(Exchange, fresh)}, {"headers", OPTION_VALUE, 0}, {           \
    "sink", OPTION_VALUE, 0                                                                        \
  }

#define END_OF_OPTIONS                                                                             \
  { NULL, OPTION_VALUE, 0 }

const Option transport_options[] = {TRANSPORT_OPTIONS, END_OF_OPTIONS};
const Option call_options[] = {CALL_OPTIONS, END_OF_OPTIONS};
const Option exchange_options[] = {CALL_OPTIONS,
                                   {"method", OPTION_TEXT, offsetof(Exchange, method)},
                                   {"url", OPTION_TEXT, offsetof(Exchange, url)},
                                   {"body", OPTION_BYTES, offsetof(Exchange, body)},
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

/* Adds a header unless it is there; libcurl sends none, not even of its own, when the value is empty. */
static void headers_put(lua_State *L, Request *request, const char *name, const char *value) {
  if (headers_have(request, name, strlen(name))) return;
  const char *line = lua_pushfstring(L, *value != '\0' ? "%s: %s" : "%s:%s", name, value);
  struct curl_slist *grown = curl_slist_append(request->headers, line);
  if (grown == NULL) luaL_error(L, "not enough memory for the headers");
  request->headers = grown;
  lua_pop(L, 1);
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

/* The method, and what goes up. */
static CURLcode request_set_method(CURL *easy, const Exchange *exchange) {
  const char *method = exchange->method;
  bool body = exchange->body.data != NULL;
  CURLcode code = CURLE_OK;
  if (strcmp(method, "GET") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (strcmp(method, "HEAD") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (strcmp(method, "POST") == 0 || body) {
    code = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    if (code == CURLE_OK)
      code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.length);
    if (code == CURLE_OK)
      code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body ? exchange->body.data : "");
  }
  if (code == CURLE_OK && strcmp(method, "POST") != 0)
    code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return code;
}

static CURLcode request_set_transport(CURL *easy, const Exchange *exchange, bool sink) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, exchange->url);
#define SET(option, value)                                                                         \
  if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value)
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_TCP_KEEPALIVE, 1L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_FRESH_CONNECT, exchange->fresh ? 1L : 0L);
  SET(CURLOPT_CONNECTTIMEOUT_MS, seconds_to_ms(exchange->connect_timeout));
  /* libcurl takes a gzip stream that breaks off for one that ends. JSON that breaks off is no JSON, but
   * a file would be short: it comes without coding. */
  if (sink) {
    SET(CURLOPT_BUFFERSIZE, SINK_BUFFER_SIZE);
  } else {
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
#if LIBCURL_VERSION_NUM >= 0x075700
  /* Do not wait for a slow resolver at close. Safe because this module is never unmapped. The libcurl
   * at run time may be older than its header, and not know it. */
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  return code;
}

static CURLcode request_set_callbacks(Request *request, Session *session) {
  CURL *easy = request->easy;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)request);
  SET(CURLOPT_ERRORBUFFER, request->error);
  SET(CURLOPT_HTTPHEADER, request->headers);
  SET(CURLOPT_WRITEFUNCTION, request_on_body);
  SET(CURLOPT_WRITEDATA, (void *)request);
  SET(CURLOPT_HEADERFUNCTION, request_on_header);
  SET(CURLOPT_HEADERDATA, (void *)request);
  SET(CURLOPT_PREREQFUNCTION, request_on_send);
  SET(CURLOPT_PREREQDATA, (void *)request);
#if LIBCURL_VERSION_NUM < 0x080800
  SET(CURLOPT_OPENSOCKETFUNCTION, request_on_socket);
  SET(CURLOPT_OPENSOCKETDATA, (void *)session);
  SET(CURLOPT_CLOSESOCKETFUNCTION, request_on_socket_end);
  SET(CURLOPT_CLOSESOCKETDATA, (void *)session);
#else
  (void)session;
#endif
#undef SET
  return code;
}

/* Gives back everything but the memory of the userdata itself. */
static void request_release(Request *request) {
  if (request->easy != NULL) {
    if (request->session != NULL)
      session_give_easy(request->session, request->easy);
    else
      curl_easy_cleanup(request->easy);
    request->easy = NULL;
  }
  curl_slist_free_all(request->headers); /* after the easy handle, which points into it */
  request->headers = NULL;
  buffer_free(&request->body);
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
  request->session = NULL;
}

int request_start(lua_State *L, int session, const Exchange *exchange, int standing, int own,
                  int body, int sink) {
  if (exchange->url == NULL) return luaL_error(L, "option 'url' is missing");
  if (!text_is_token(exchange->method)) return luaL_error(L, "option 'method' is not a method");
  luaL_checkstack(L, 8, "request");

  Request *request = lua_newuserdatauv(L, sizeof *request, REQUEST_USERVALUES);
  memset(request, 0, sizeof *request);
  luaL_setmetatable(L, REQUEST_CLASS);
  int self = lua_gettop(L);
  lua_pushvalue(L, session);
  lua_setiuservalue(L, self, REQUEST_SESSION);
  if (body != 0) {
    lua_pushvalue(L, body);
    lua_setiuservalue(L, self, REQUEST_BODY);
  }
  if (sink != 0) {
    Sink *target = sink_check(L, sink);
    lua_pushvalue(L, sink);
    lua_setiuservalue(L, self, REQUEST_SINK);
    if (!sink_claim(target)) return luaL_error(L, "the sink is taken by another request");
    request->sink = target;
  }
  request->body.limit = exchange->limit;
  request->answer_timeout = exchange->timeout;
  request->stall_timeout = exchange->stall_timeout;
  request->ends_at = clock_now() + exchange->deadline;

  headers_read(L, request, own);
  if (exchange->accept != NULL) headers_put(L, request, "Accept", exchange->accept);
  headers_put(L, request, "Content-Type",
              exchange->content_type != NULL ? exchange->content_type : "");
  headers_read(L, request, standing);
  headers_put(L, request, "Expect", ""); /* no round trip before a big body */
  if (sink != 0) headers_put(L, request, "Accept-Encoding", "identity");

  Session *owner = session_check(L, session);
  request->easy = session_take_easy(owner);
  if (request->easy == NULL) return luaL_error(L, "curl_easy_init: not enough memory");
  CURLcode code = request_set_transport(request->easy, exchange, sink != 0);
  if (code == CURLE_OK) code = request_set_method(request->easy, exchange);
  if (code == CURLE_OK) code = request_set_callbacks(request, owner);
  const char *problem = code != CURLE_OK ? curl_easy_strerror(code) : NULL;
  if (problem == NULL) {
    CURLMcode added = session_add(L, session, owner, self, request);
    if (added != CURLM_OK) problem = curl_multi_strerror(added);
  }
  if (problem == NULL) return 1;
  request->state = REQUEST_ENDED;
  request_release(request);
  lua_pushnil(L);
  lua_pushstring(L, problem);
  lua_pushliteral(L, "NOT_STARTED");
  return 3;
}

/* --- the response
 * -----------------------------------------------------------------------------------------------
 */

static const struct {
  CURLcode code;
  const char *name;
} result_names[] = {
    {CURLE_UNSUPPORTED_PROTOCOL, "UNSUPPORTED_PROTOCOL"},
    {CURLE_URL_MALFORMAT, "URL_MALFORMAT"},
    {CURLE_COULDNT_RESOLVE_PROXY, "COULDNT_RESOLVE_PROXY"},
    {CURLE_COULDNT_RESOLVE_HOST, "COULDNT_RESOLVE_HOST"},
    {CURLE_COULDNT_CONNECT, "COULDNT_CONNECT"},
    {CURLE_WEIRD_SERVER_REPLY, "WEIRD_SERVER_REPLY"},
    {CURLE_HTTP2, "HTTP2"},
    {CURLE_PARTIAL_FILE, "PARTIAL_FILE"},
    {CURLE_WRITE_ERROR, "WRITE_ERROR"},
    {CURLE_OUT_OF_MEMORY, "OUT_OF_MEMORY"},
    {CURLE_OPERATION_TIMEDOUT, "OPERATION_TIMEDOUT"},
    {CURLE_SSL_CONNECT_ERROR, "SSL_CONNECT_ERROR"},
    {CURLE_GOT_NOTHING, "GOT_NOTHING"},
    {CURLE_SEND_ERROR, "SEND_ERROR"},
    {CURLE_RECV_ERROR, "RECV_ERROR"},
    {CURLE_PEER_FAILED_VERIFICATION, "PEER_FAILED_VERIFICATION"},
    {CURLE_BAD_CONTENT_ENCODING, "BAD_CONTENT_ENCODING"},
    {CURLE_SSL_CACERT_BADFILE, "SSL_CACERT_BADFILE"},
    {CURLE_HTTP2_STREAM, "HTTP2_STREAM"},
    {CURLE_PROXY, "PROXY"},
};

static const char *result_name(lua_State *L, CURLcode code) {
  for (size_t i = 0; i < sizeof result_names / sizeof *result_names; i++)
    if (result_names[i].code == code) return result_names[i].name;
  return lua_pushfstring(L, "CURL_%d", (int)code);
}

static const struct {
  RequestFailure failure;
  const char *name, *message;
} failure_names[] = {
    {FAILURE_TOO_LARGE, "TOO_LARGE", NULL}, /* the message names the limit */
    {FAILURE_NO_MEMORY, "OUT_OF_MEMORY", "not enough memory for the answer"},
    {FAILURE_FILE, "FILE", NULL}, /* the message is errno's */
    {FAILURE_CODED, "CODED", "the file came in a coding that was not asked for"},
    {FAILURE_LENGTHS, "LENGTHS", "the answer has two different lengths"},
    {FAILURE_CUT_HEADERS, "CUT_HEADERS", "the connection ended within the headers of the answer"},
    {FAILURE_DEADLINE, "DEADLINE", "the deadline has passed"},
    {FAILURE_CANCELLED, "CANCELLED", "the request was cancelled"},
    {FAILURE_CLOSED, "CLOSED", "the session was closed"},
};

static int response_push_failure(lua_State *L, const Request *request) {
  const char *name = NULL, *message = NULL;
  for (size_t i = 0; i < sizeof failure_names / sizeof *failure_names; i++)
    if (failure_names[i].failure == request->failure) {
      name = failure_names[i].name;
      message = failure_names[i].message;
    }
  if (request->failure == FAILURE_FILE) message = strerror(request->file_error);
  if (request->failure == FAILURE_TOO_LARGE)
    message =
        lua_pushfstring(L, "the answer is larger than the %I bytes that may be held in memory",
                        (LUAI_UACINT)request->body.limit);
  if (name == NULL) {
    name = result_name(L, request->result);
    message = request->error[0] != '\0' ? request->error : curl_easy_strerror(request->result);
  }
  long status = 0;
  lua_pushnil(L);
  lua_pushstring(L, message);
  lua_pushstring(L, name);
  if (request->easy == NULL ||
      curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status == 0)
    return 3;
  lua_pushinteger(L, (lua_Integer)status); /* the answer had begun */
  return 4;
}

static void set_string(lua_State *L, const char *key, const char *value, size_t length) {
  lua_pushlstring(L, value, length);
  lua_setfield(L, -2, key);
}

/* Header names in lower case; the values of a repeated one are joined by ", ". */
static void response_push_headers(lua_State *L, CURL *easy) {
  lua_newtable(L); /* [headers] */
  struct curl_header *header = NULL;
  while ((header = curl_easy_nextheader(easy, CURLH_HEADER, -1, header)) != NULL) {
    luaL_Buffer name;
    size_t length = strlen(header->name);
    char *lower = luaL_buffinitsize(L, &name, length);
    for (size_t i = 0; i < length; i++) {
      char c = header->name[i];
      lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    luaL_pushresultsize(&name, length); /* [headers, name] */
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TSTRING) /* [headers, name, earlier] */
      lua_pushfstring(L, "%s, %s", lua_tostring(L, -1), header->value);
    else
      lua_pushstring(L, header->value);
    lua_remove(L, -2); /* [headers, name, value] */
    lua_rawset(L, -3);
  }
}

/* Does the message itself say where the body ends? If not, only the closing of the connection did,
 * and a connection that broke looks the same. */
static bool response_is_framed(Request *request, long status) {
  long version = 0;
  curl_off_t length = -1;
  if (curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
      version >= CURL_HTTP_VERSION_2_0)
    return true;
  if (status == 204 || status == 304) return true;
  if (curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
      length >= 0)
    return true;
  const char *coding = request_header(request, "Transfer-Encoding");
  size_t size = coding != NULL ? strlen(coding) : 0;
  return size >= 7 && curl_strequal(coding + size - 7, "chunked"); /* the last coding delimits */
}

static CURLcode response_push(lua_State *L, Request *request) {
  long status = 0, connects = 0;
  curl_off_t retry_after = 0, total = 0;
  CURLcode code = curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK) code = curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
  if (code == CURLE_OK) code = curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total);
  if (code == CURLE_OK) code = curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects);
  if (code != CURLE_OK) return code;

  lua_createtable(L, 0, 9);
  lua_pushinteger(L, (lua_Integer)status);
  lua_setfield(L, -2, "status");
  response_push_headers(L, request->easy);
  lua_setfield(L, -2, "headers");
  if (!request->to_sink)
    set_string(L, "body", request->body.data != NULL ? request->body.data : "",
               request->body.length);
  lua_pushinteger(L, (lua_Integer)request->received);
  lua_setfield(L, -2, "bytes");
  lua_pushboolean(L, request->to_sink);
  lua_setfield(L, -2, "to_sink");
  lua_pushboolean(L, response_is_framed(request, status));
  lua_setfield(L, -2, "framed");
  lua_pushinteger(L, (lua_Integer)connects);
  lua_setfield(L, -2, "new_connections");
  lua_pushnumber(L, (lua_Number)total / 1e6);
  lua_setfield(L, -2, "seconds");
  if (retry_after > 0) { /* 0: none, or not to be understood; less: a date that is past */
    lua_pushinteger(L, (lua_Integer)retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  return CURLE_OK;
}

static Request *request_peek(lua_State *L) {
  return luaL_checkudata(L, 1, REQUEST_CLASS);
}

/* What the transfer needed is needed no more, while the request may be held for long. */
static void request_let_go(lua_State *L) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_BODY);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_SINK);
}

/* request:response() -> { status, headers, body | to_sink, bytes, framed, seconds, retry_after … }
 *                     | nil, message, name, status (of an answer that broke off)
 * The first call gives the memory back; the table stays. */
static int request_response(lua_State *L) {
  Request *request = request_peek(L);
  if (request->state == REQUEST_NEW || request->state == REQUEST_RUNNING)
    return luaL_error(L, "attempt to read the response of a request that has not finished");
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, REQUEST_RESPONSE) == LUA_TTABLE) return 1;
  if (request->failure == FAILURE_NONE && request->result == CURLE_OK && request->easy != NULL) {
    request->result = response_push(L, request);
    if (request->result == CURLE_OK) {
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, 1, REQUEST_RESPONSE);
      request_release(request);
      request_let_go(L);
      return 1;
    }
  }
  return response_push_failure(L, request);
}

/* request:finished() -> boolean */
static int request_finished(lua_State *L) {
  const Request *request = request_peek(L);
  lua_pushboolean(L, request->state == REQUEST_FINISHED || request->state == REQUEST_ENDED);
  return 1;
}

void request_abandon(Request *request) {
  if (request->failure == FAILURE_NONE) request->failure = FAILURE_CLOSED;
  request->session = NULL; /* so that the easy handle is freed, not given back */
  request_release(request);
}

/* request:cancel(), request:close(), __close, __gc: stops the transfer, gives everything back. A
 * response that was read stays readable. */
static int request_cancel(lua_State *L) {
  Request *request = request_peek(L);
  if (request->easy == NULL) { /* given back already, or never had: at most a header list */
    request_release(request);
    return 0;
  }
  if (request->failure == FAILURE_NONE && request->result == CURLE_OK)
    request->failure = FAILURE_CANCELLED;
  session_drop(L, 1, request);
  request_release(request);
  request_let_go(L);
  return 0;
}

static int request_tostring(lua_State *L) {
  static const char *const states[] = {"new", "running", "finished", "ended"};
  lua_pushfstring(L, REQUEST_CLASS " (%s)", states[request_peek(L)->state]);
  return 1;
}

void request_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"response", request_response},
      {"finished", request_finished},
      {"cancel", request_cancel},
      {"close", request_cancel},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", request_cancel},
      {"__close", request_cancel},
      {"__tostring", request_tostring},
      {NULL, NULL},
  };
  class_new(L, REQUEST_CLASS, methods, meta);
}
