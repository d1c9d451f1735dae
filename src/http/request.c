/*
 * A request from its start to its end: what it holds, how long it may take, how it is cancelled.
 */
#include "http.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* The connection is there and the request goes out: `timeout` begins. */
static int request_on_send(void *context, char *remote_ip, char *local_ip, int remote_port,
                           int local_port) {
  Request *request = context;
  (void)remote_ip;
  (void)local_ip;
  (void)remote_port;
  long connects = 0;
  bool kept = request->plain &&
              curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &connects) == CURLE_OK &&
              connects == 0;
  int fd = kept ? session_kept_socket(request->session, local_port) : -1;
  request->noted = fd >= 0; /* a new connection is noted anew: its port may have been another's */
  /* An answer that nobody has asked for would be taken for this one's. (TLS sends bytes of its own.) */
  if (fd >= 0 && socket_has_bytes(fd, local_port)) {
    request->failure = FAILURE_UNASKED;
    return CURL_PREREQFUNC_ABORT;
  }
  request->sent = true;
  request->sent_at = clock_now();
  return CURL_PREREQFUNC_OK;
}

/* The body of a request that must not be repeated. libcurl repeats a request that gets no response when its
 * connection has carried others; and with HTTP/2 others may join a connection that was made for this one. To
 * repeat it, libcurl would have to rewind the body, and without a seek function it cannot:
 * CURLE_SEND_FAIL_REWIND. */
static size_t request_on_read(char *room, size_t size, size_t count, void *context) {
  Bytes *upload = &((Request *)context)->upload;
  size_t length = size * count < upload->length ? size * count : upload->length;
  memcpy(room, upload->data, length);
  upload->data += length;
  upload->length -= length;
  return length;
}

/* As libcurl does it, but closed in programs that the host starts, and noted for session_fds. */
static curl_socket_t request_on_socket(void *context, curlsocktype purpose,
                                       struct curl_sockaddr *address) {
  (void)purpose;
#if defined(SOCK_CLOEXEC)
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else /* macOS */
  int fd = socket(address->family, address->socktype, address->protocol);
  if (fd >= 0) (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  if (fd < 0) return CURL_SOCKET_BAD;
  session_note_socket(context, fd);
  return fd;
}

/* When `timeout` or `stall_timeout` passes. While the request waits for a connection or makes one, only
 * libcurl's connect timeout counts. */
static double request_timeout_at(const Request *request) {
  if (!request->sent) return (double)INFINITY;
  if (request->to_sink) return request->last_byte_at + request->stall_timeout;
  return request->sent_at + request->timeout;
}

double request_expiry(const Request *request) {
  return fmin(request->deadline, request_timeout_at(request));
}

void request_expire(Request *request) {
  if (request->deadline <= request_timeout_at(request)) {
    request->failure = FAILURE_DEADLINE;
    return;
  }
  if (request->to_sink)
    (void)snprintf(request->error, sizeof request->error, "no byte for %g seconds",
                   request->stall_timeout);
  else
    (void)snprintf(request->error, sizeof request->error, "no answer within %g seconds",
                   request->timeout);
  /* With HTTP/2 only the stream ends. Should the connection be dead, the next requests are not to join it. */
  (void)curl_easy_setopt(request->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* --- starting --------------------------------------------------------------------------------- */

static CURLcode easy_set_callbacks(CURL *easy, Session *session, bool sees_lines) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, response_on_body);
  SET(CURLOPT_HEADER, sees_lines ? 1L : 0L);
  SET(CURLOPT_HEADERFUNCTION, response_on_header);
  SET(CURLOPT_READFUNCTION, request_on_read);
  SET(CURLOPT_PREREQFUNCTION, request_on_send);
  SET(CURLOPT_OPENSOCKETFUNCTION, request_on_socket);
  SET(CURLOPT_OPENSOCKETDATA, (void *)session);
  return code;
}

/* What is of this request alone. The address is read here, as libcurl would do it: of one that it has read by itself it
 * writes the whole anew for each request, character by character. (One that cannot be read it refuses.) */
static CURLcode request_set_own(Request *request, const char *url) {
  CURL *easy = request->easy;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, url);
  if (request->address == NULL) request->address = curl_url();
  bool is_read = request->address != NULL &&
                 curl_url_set(request->address, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK;
  SET(CURLOPT_CURLU, is_read ? request->address : NULL);
  SET(CURLOPT_PRIVATE, (void *)request);
  SET(CURLOPT_ERRORBUFFER, request->error);
  SET(CURLOPT_HTTPHEADER, request->headers);
  SET(CURLOPT_PROXYHEADER, request->plain ? NULL : lines_for_tunnel(request->headers));
  SET(CURLOPT_WRITEDATA, (void *)request);
  SET(CURLOPT_HEADERDATA, (void *)request);
  SET(CURLOPT_READDATA, (void *)request);
  SET(CURLOPT_PREREQDATA, (void *)request);
  return code;
}

/* The handle of a request that has ended well may serve the next one. What it points to goes with this one. */
static bool request_give_handle(Request *request) {
  CURL *easy = request->easy;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
  SET(CURLOPT_HTTPHEADER, NULL);
  SET(CURLOPT_PROXYHEADER, NULL);
  return code == CURLE_OK &&
         session_keep_handle(request->session, request->setup, easy, request->address);
}

/* Frees everything but the memory of the userdata itself. */
static void request_free(Request *request) {
  bool kept = request->easy != NULL && request->ended_well && request_give_handle(request);
  if (!kept) {
    curl_easy_cleanup(request->easy); /* takes NULL, too; and so does the next one */
    curl_url_cleanup(request->address);
  }
  request->easy = NULL;
  request->address = NULL;
  if (!request->shares_headers) lines_free(request->headers); /* after the handle has lost them */
  request->headers = NULL;
  buffer_free(&request->response_headers.text);
  buffer_free(&request->body);
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
  request->session = NULL;
}

/* A new easy handle has no option of another request left; one that is used again has none that differs. */
static CURLcode request_set_up(Request *request, const RequestOptions *options) {
  CURLcode code = CURLE_OK;
  if (options->setup != 0) {
    request->easy = session_take_handle(request->session, options->setup, &request->address);
    request->sees_lines = session_checks_lines(request->session);
  }
  if (request->easy == NULL) {
    request->easy = curl_easy_init();
    if (request->easy == NULL) return CURLE_OUT_OF_MEMORY;
    code = request_options_apply(request->easy, options, request->sink != NULL);
    if (code == CURLE_OK)
      code = easy_set_callbacks(request->easy, request->session, request->sees_lines);
  }
  return code == CURLE_OK ? request_set_own(request, options->url) : code;
}

static int request_start_failed(lua_State *L, int self, Request *request, const char *problem) {
  session_remove(L, self, request);
  request_free(request);
  return failure_push(L, FAILURE_NOT_STARTED, problem);
}

int request_start(lua_State *L, int session, const RequestOptions *options, int default_headers,
                  int headers, int body, int sink) {
  if (options->url == NULL) return luaL_error(L, "option 'url' is missing");
  if (!text_is_token(options->method)) return luaL_error(L, "option 'method' is not a method");
  luaL_checkstack(L, 8, "request");

  Request *request = lua_newuserdatauv(L, sizeof *request, REQUEST_USERVALUES);
  memset(request, 0, sizeof *request);
  luaL_setmetatable(L, REQUEST_CLASS);
  int self = lua_gettop(L);
  lua_pushvalue(L, session);
  lua_setiuservalue(L, self, REQUEST_SESSION);
  lua_pushvalue(L, body);
  lua_setiuservalue(L, self, REQUEST_BODY);
  lua_pushvalue(L, sink);
  lua_setiuservalue(L, self, REQUEST_SINK);
  if (uploads_once(options)) request->upload = options->body;
  request->setup = options->setup;
  request->plain = curl_strnequal(options->url, "http://", 7);
  request->limit = options->limit;
  request->timeout = options->timeout;
  request->stall_timeout = options->stall_timeout;
  request->deadline = clock_now() + options->deadline;
  bool to_sink = !lua_isnil(L, sink);
  request_add_headers(L, request, options, default_headers, headers, to_sink);
  if (request->shares_headers) {
    lua_pushvalue(L, default_headers);
    lua_setiuservalue(L, self, REQUEST_HEADERS);
  }

  /* From here on no finaliser runs, which could close one of these; and once the sink is acquired, nothing
   * raises. */
  Session *owner = session_check(L, session);
  Sink *target = to_sink ? sink_check(L, sink) : NULL;
  session_hold(L, session, self, request);
  request->session = owner;
  if (target != NULL && !sink_acquire(target)) {
    session_remove(L, self, request);
    return luaL_error(L, "the sink is taken by another request");
  }
  request->sink = target;
  CURLcode code = request_set_up(request, options);
  if (code != CURLE_OK) return request_start_failed(L, self, request, curl_easy_strerror(code));
  CURLMcode added = session_add(owner, request);
  if (added != CURLM_OK) return request_start_failed(L, self, request, curl_multi_strerror(added));
  return 1;
}

static Request *request_peek(lua_State *L) {
  return luaL_checkudata(L, 1, REQUEST_CLASS);
}

/* In a child made by fork: what the request has is on its parent's connections. */
static bool request_is_inherited(const Request *request) {
  return request->session != NULL && session_is_inherited(request->session);
}

static Request *request_check(lua_State *L) {
  Request *request = request_peek(L);
  if (request_is_inherited(request)) (void)process_refuse(L, "this request");
  return request;
}

/* The transfer needs them no more, and the script may hold the request for long. */
static void request_clear_uservalues(lua_State *L) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_BODY);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_SINK);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_HEADERS);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_OWNER);
}

/* request:response() -> { status, headers, body, framed | to_sink, bytes, seconds, retry_after }
 *                     | nil, message, name, class, status (of a response that broke off)
 * The first call frees the memory; the table stays. */
static int request_response(lua_State *L) {
  Request *request = request_check(L);
  if (request->state == REQUEST_NEW || request->state == REQUEST_RUNNING)
    return luaL_error(L, "attempt to read the response of a request that has not finished");
  lua_settop(L, 1);
  if (lua_getiuservalue(L, 1, REQUEST_RESPONSE) == LUA_TTABLE) return 1;
  if (request->failure == FAILURE_NONE && request->result == CURLE_OK && request->easy != NULL) {
    request->result = response_push(L, request);
    if (request->result == CURLE_OK) {
      lua_pushvalue(L, -1);
      lua_setiuservalue(L, 1, REQUEST_RESPONSE);
      request_free(request);
      request_clear_uservalues(L);
      return 1;
    }
  }
  return failure_push_request(L, request);
}

/* request:header(name, …) -> the value of each of these headers, nil for none, of a whole response that is not read
 * yet; names in lower case */
static int request_header(lua_State *L) {
  static const Headers none = {HEADERS_NONE, 0, {NULL, 0, 0}};
  const Request *request = request_check(L);
  bool is_whole = request->failure == FAILURE_NONE && request->result == CURLE_OK;
  int count = lua_gettop(L) - 1;
  luaL_argcheck(L, count <= VALUES_LIMIT, 2, "too many names");
  headers_push_values(L, is_whole ? &request->response_headers : &none, 2, count);
  return count;
}

/* request:finished() -> boolean */
static int request_finished(lua_State *L) {
  const Request *request = request_check(L);
  lua_pushboolean(L, request->state == REQUEST_FINISHED || request->state == REQUEST_ENDED);
  return 1;
}

/* request:owner(value) remembers who waits for it; request:owner() -> that value */
static int request_owner(lua_State *L) {
  (void)request_peek(L);
  if (lua_gettop(L) == 1) {
    lua_getiuservalue(L, 1, REQUEST_OWNER);
    return 1;
  }
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, REQUEST_OWNER);
  return 0;
}

void request_close(Request *request) {
  if (request->failure == FAILURE_NONE) request->failure = FAILURE_CLOSED;
  request_free(request);
}

/* request:cancel(), request:close(), __close, __gc: stops the transfer, and frees everything. A response
 * that was read stays readable. */
static int request_cancel(lua_State *L) {
  Request *request = request_peek(L);
  if (request_is_inherited(request)) return 0; /* left as it is: see session.c */
  if (request->easy == NULL) { /* freed already, or never set up: at most a list of headers */
    request_free(request);
    return 0;
  }
  if (request->failure == FAILURE_NONE && request->result == CURLE_OK)
    request->failure = FAILURE_CANCELLED;
  session_remove(L, 1, request);
  request_free(request);
  request_clear_uservalues(L);
  return 0;
}

static int request_tostring(lua_State *L) {
  static const char *const states[] = {"new", "running", "finished", "ended"};
  lua_pushfstring(L, REQUEST_CLASS " (%s)", states[request_peek(L)->state]);
  return 1;
}

void request_open(lua_State *L) {
  header_list_open(L);
  static const luaL_Reg methods[] = {
      {"response", request_response},
      {"finished", request_finished},
      {"header", request_header},
      {"cancel", request_cancel},
      {"close", request_cancel},
      {"owner", request_owner},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__tostring", request_tostring}, {NULL, NULL}};
  class_new(L, REQUEST_CLASS, methods, meta);
}
