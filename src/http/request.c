/*
 * One exchange from its start to its end: what it holds, how long it may take, how it is given up.
 */
#include "http.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

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

/* The body of a request that must not be repeated. libcurl repeats what gets no answer when its connection
 * has carried others, and with HTTP/2 others may join a connection that was made for this one. But it
 * would have to rewind what it reads from here, and there is no way to do so: CURLE_SEND_FAIL_REWIND. */
static size_t request_on_read(char *room, size_t size, size_t count, void *context) {
  Bytes *upload = &((Request *)context)->upload;
  size_t length = size * count < upload->length ? size * count : upload->length;
  memcpy(room, upload->data, length);
  upload->data += length;
  upload->length -= length;
  return length;
}

/* As libcurl would, but for a child that the host starts; and noting what session_fds asks for. */
static curl_socket_t request_on_socket(void *context, curlsocktype purpose,
                                       struct curl_sockaddr *address) {
  (void)purpose;
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
  session_note_socket(context, fd);
  return fd;
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
  if (request->ends_at <= request_patience(request)) {
    request->failure = FAILURE_DEADLINE;
    return;
  }
  if (request->to_sink)
    (void)snprintf(request->error, sizeof request->error, "no byte for %g seconds",
                   request->stall_timeout);
  else
    (void)snprintf(request->error, sizeof request->error, "no answer within %g seconds",
                   request->answer_timeout);
  /* With HTTP/2 only the stream ends. Should the connection be dead, the next requests are not to join it. */
  (void)curl_easy_setopt(request->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* --- starting --------------------------------------------------------------------------------- */

#define SET(option, value)                                                                         \
  if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value)

static CURLcode request_set_callbacks(Request *request) {
  CURL *easy = request->easy;
  CURLcode code = curl_easy_setopt(easy, CURLOPT_PRIVATE, (void *)request);
  SET(CURLOPT_ERRORBUFFER, request->error);
  SET(CURLOPT_HTTPHEADER, request->headers);
  SET(CURLOPT_WRITEFUNCTION, response_on_body);
  SET(CURLOPT_WRITEDATA, (void *)request);
  SET(CURLOPT_HEADERFUNCTION, response_on_header);
  SET(CURLOPT_HEADERDATA, (void *)request);
  SET(CURLOPT_READFUNCTION, request_on_read);
  SET(CURLOPT_READDATA, (void *)request);
  SET(CURLOPT_PREREQFUNCTION, request_on_send);
  SET(CURLOPT_PREREQDATA, (void *)request);
  SET(CURLOPT_OPENSOCKETFUNCTION, request_on_socket);
  SET(CURLOPT_OPENSOCKETDATA, (void *)request->session);
  return code;
}

/* They hold credentials. */
static void lines_free(struct curl_slist *lines) {
  for (struct curl_slist *line = lines; line != NULL; line = line->next)
    wipe(line->data, strlen(line->data));
  curl_slist_free_all(lines);
}

/* Gives back everything but the memory of the userdata itself. */
static void request_release(Request *request) {
  curl_easy_cleanup(request->easy); /* takes NULL, too */
  request->easy = NULL;
  lines_free(request->headers); /* after the easy handle, which points into it */
  request->headers = NULL;
  buffer_free(&request->head.text);
  buffer_free(&request->body);
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
  request->session = NULL;
}

/* All that libcurl is told; an easy handle that serves one request alone has nothing of another's. */
static CURLcode request_set_up(Request *request, const Exchange *exchange) {
  request->easy = curl_easy_init();
  if (request->easy == NULL) return CURLE_OUT_OF_MEMORY;
  CURLcode code = exchange_apply(request->easy, exchange, request->sink != NULL);
  return code == CURLE_OK ? request_set_callbacks(request) : code;
}

static int request_not_started(lua_State *L, int self, Request *request, const char *problem) {
  session_drop(L, self, request);
  request_release(request);
  return failure_push(L, FAILURE_NOT_STARTED, problem);
}

int request_start(lua_State *L, int session, const Exchange *exchange, int standing, int own,
                  int body, int sink) {
  if (exchange->url == NULL) return luaL_error(L, "option 'url' is missing");
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
    lua_pushvalue(L, sink);
    lua_setiuservalue(L, self, REQUEST_SINK);
  }
  if (exchange_uploads_once(exchange)) request->upload = exchange->body;
  request->limit = exchange->limit;
  request->answer_timeout = exchange->timeout;
  request->stall_timeout = exchange->stall_timeout;
  request->ends_at = clock_now() + exchange->deadline;
  exchange_set_headers(L, request, exchange, standing, own, sink != 0);

  /* From here on no finaliser runs, which could close one of these; and once the sink is taken, nothing
   * raises. */
  Session *owner = session_check(L, session);
  Sink *target = sink != 0 ? sink_check(L, sink) : NULL;
  session_hold(L, session, self, request);
  request->session = owner;
  if (target != NULL && !sink_claim(target)) {
    session_drop(L, self, request);
    return luaL_error(L, "the sink is taken by another request");
  }
  request->sink = target;
  CURLcode code = request_set_up(request, exchange);
  if (code != CURLE_OK) return request_not_started(L, self, request, curl_easy_strerror(code));
  CURLMcode added = session_add(owner, request);
  if (added != CURLM_OK) return request_not_started(L, self, request, curl_multi_strerror(added));
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

/* What the transfer needed is needed no more, while the request may be held for long. */
static void request_let_go(lua_State *L) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_BODY);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, REQUEST_SINK);
}

/* request:response() -> { status, headers, body | to_sink, bytes, framed, seconds, retry_after … }
 *                     | nil, message, name, class, status (of an answer that broke off)
 * The first call gives the memory back; the table stays. */
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
      request_release(request);
      request_let_go(L);
      return 1;
    }
  }
  return failure_push_request(L, request);
}

/* request:finished() -> boolean */
static int request_finished(lua_State *L) {
  const Request *request = request_check(L);
  lua_pushboolean(L, request->state == REQUEST_FINISHED || request->state == REQUEST_ENDED);
  return 1;
}

void request_abandon(Request *request) {
  if (request->failure == FAILURE_NONE) request->failure = FAILURE_CLOSED;
  request_release(request);
}

/* request:cancel(), request:close(), __close, __gc: stops the transfer, gives everything back. A
 * response that was read stays readable. */
static int request_cancel(lua_State *L) {
  Request *request = request_peek(L);
  if (request_is_inherited(request)) return 0; /* left as it is: see session.c */
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
