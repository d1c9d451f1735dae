/*
 * A session: one multi handle, hence one pool of connections, and the requests in flight on it.
 *
 * Who keeps whom alive: a request holds its session (user value), and the session holds the
 * requests in flight (a table of its own). The C pointers only repeat these references.
 * When both are garbage the collector may run either finaliser first; each detaches itself from the
 * other.
 *
 * A child made by fork has a copy of all this, but the connections are the same ones. To clean up there
 * would end them (TLS close_notify, HTTP/2 GOAWAY) for the parent, and wait for a resolver thread that no
 * child has. So a child leaves everything as it is: its copy of the memory ends with the process.
 */
#include "session.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { SESSION_IN_FLIGHT = 1, SESSION_USERVALUES = 1 };

/* --- lists ------------------------------------------------------------------------------------ */

static void list_push(Request **list, Request *request) {
  request->previous = NULL;
  request->next = *list;
  if (*list != NULL) (*list)->previous = request;
  *list = request;
}

static void list_unlink(Request **list, Request *request) {
  if (request->previous != NULL)
    request->previous->next = request->next;
  else
    *list = request->next;
  if (request->next != NULL) request->next->previous = request->previous;
  request->previous = request->next = NULL;
}

/* --- what requests ask of their session ------------------------------------------------------- */

static Session *session_peek(lua_State *L, int index) {
  return luaL_checkudata(L, index, SESSION_CLASS);
}

Session *session_check(lua_State *L, int index) {
  Session *session = session_peek(L, index);
  if (session->multi == NULL) luaL_error(L, "attempt to use a closed session");
  if (session_is_inherited(session)) (void)process_refuse(L, "this session");
  return session;
}

bool session_is_inherited(const Session *session) {
  return session->maker != process_now();
}

void session_hold(lua_State *L, int at, int index, Request *request) {
  lua_getiuservalue(L, at, SESSION_IN_FLIGHT);
  lua_pushvalue(L, index); /* [in flight, request] */
  request->in_flight = luaL_ref(L, -2);
  lua_pop(L, 1);
}

/* No longer in the table at `index`: nothing is allocated for that, so that nothing raises. */
static void session_release(lua_State *L, int index, Request *request) {
  if (request->in_flight != 0) luaL_unref(L, index, request->in_flight);
  request->in_flight = 0;
}

CURLMcode session_add(Session *session, Request *request) {
  CURLMcode code = curl_multi_add_handle(session->multi, request->easy);
  if (code != CURLM_OK) return code;
  request->state = REQUEST_RUNNING;
  list_push(&session->running, request);
  session->running_count++;
  return CURLM_OK;
}

/* Out of the multi handle. libcurl refuses only a call from inside a callback, which nothing here makes. */
static void running_remove(Session *session, Request *request) {
  (void)curl_multi_remove_handle(session->multi, request->easy);
  list_unlink(&session->running, request);
  session->running_count--;
}

/* Out of whichever list it is in. */
static void session_unlink(Session *session, Request *request) {
  if (request->state == REQUEST_RUNNING) {
    running_remove(session, request);
  } else if (request->state == REQUEST_FINISHED) {
    list_unlink(&session->finished, request);
    session->finished_count--;
  }
  request->state = REQUEST_ENDED;
}

void session_remove(lua_State *L, int index, Request *request) {
  if (request->session == NULL) return;
  int top = lua_gettop(L);
  session_unlink(request->session, request);
  if (lua_getiuservalue(L, index, REQUEST_SESSION) == LUA_TUSERDATA &&
      lua_getiuservalue(L, -1, SESSION_IN_FLIGHT) == LUA_TTABLE)
    session_release(L, -1, request);
  lua_settop(L, top);
}

/* --- easy handles that are used again --------------------------------------------------------- */

CURL *session_take_handle(Session *session, size_t setup, CURLU **address) {
  for (size_t i = session->spare_count; i > 0; i--)
    if (session->spare[i - 1].setup == setup) {
      CURL *easy = session->spare[i - 1].easy;
      *address = session->spare[i - 1].address;
      session->spare[i - 1] = session->spare[--session->spare_count];
      return easy;
    }
  return NULL;
}

bool session_keep_handle(Session *session, size_t setup, CURL *easy, CURLU *address) {
  if (session->multi == NULL || session->spare_count == SPARE_HANDLES) return false;
  session->spare[session->spare_count].easy = easy;
  session->spare[session->spare_count].address = address;
  session->spare[session->spare_count++].setup = setup;
  return true;
}

bool session_checks_lines(const Session *session) {
  return session->checks_lines;
}

size_t session_new_setup(Session *session) {
  return ++session->setups;
}

/* --- driving ---------------------------------------------------------------------------------- */

static void running_finish(Session *session, Request *request, CURLcode result) {
  if (request->plain && !request->noted && result == CURLE_OK)
    session_note_kept(session, request->easy);
  running_remove(session, request);
  request->state = REQUEST_FINISHED;
  list_push(&session->finished, request);
  session->finished_count++;
  response_verify(request, result);
  request->ended_well =
      request->setup != 0 && request->result == CURLE_OK && request->failure == FAILURE_NONE;
}

/* libcurl says that the multi handle is broken: everything on it has failed. */
static void session_fail(Session *session, CURLMcode code) {
  while (session->running != NULL) {
    Request *request = session->running;
    strncpy(request->error, curl_multi_strerror(code), sizeof request->error - 1);
    running_finish(session, request, CURLE_FAILED_INIT);
  }
}

/* Lets libcurl do what can be done at once, and takes all its messages before any Lua value is made: libcurl
 * gives a message once, and a memory error of Lua's would lose it. */
static void session_perform(Session *session) {
  int left;
  CURLMcode code = curl_multi_perform(session->multi, &left);
  CURLMsg *message;
  while ((message = curl_multi_info_read(session->multi, &left)) != NULL) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result; /* the message dies with remove_handle */
    char *request = NULL;
    if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request) == CURLE_OK)
      running_finish(session, (Request *)(void *)request, result);
  }
  if (code != CURLM_OK) session_fail(session, code);
  /* Those that had their part of this turn go on at once in the next one. */
  for (Request *request = session->running; request != NULL; request = request->next) {
    bool paused = request->taken >= TURN_SIZE;
    request->taken = 0; /* first: what libcurl has held back comes at once, and counts */
    if (paused) (void)curl_easy_pause(request->easy, CURLPAUSE_CONT);
  }
}

double session_next_expiry(const Session *session) {
  double first = (double)INFINITY;
  for (const Request *request = session->running; request != NULL; request = request->next)
    first = fmin(first, request_expiry(request));
  return first;
}

static void session_expire(Session *session) {
  double now = clock_now();
  Request *request = session->running;
  while (request != NULL) {
    Request *next = request->next;
    if (request_expiry(request) <= now) {
      request_expire(request);
      running_finish(session, request, CURLE_OPERATION_TIMEDOUT);
    }
    request = next;
  }
}

/* session:step(seconds) -> running, { finished requests }. Waits until something happens, at most
 * so long; 0 does not wait. */
static int session_step(lua_State *L) {
  Session *session = session_check(L, 1);
  lua_Number seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds must be 0 or more");
  session_perform(session);
  session_expire(session);
  if (session->finished == NULL && seconds > 0) {
    double wait = fmin((double)seconds, session_next_expiry(session) - clock_now());
    int ms = wait > 0 ? (int)seconds_to_ms(wait) : 0;
    CURLMcode code = curl_multi_poll(session->multi, NULL, 0, ms, NULL);
    if (code != CURLM_OK) session_fail(session, code);
    session_perform(session);
    session_expire(session);
  }

  lua_settop(L, 1);
  lua_pushinteger(L, (lua_Integer)session->running_count);
  lua_createtable(L, (int)session->finished_count, 0);
  lua_getiuservalue(L, 1, SESSION_IN_FLIGHT); /* [session, running, finished, in flight] */
  lua_Integer n = (lua_Integer)session->finished_count;
  for (Request *request = session->finished; request != NULL; request = request->next) {
    lua_rawgeti(L, 4, request->in_flight);
    lua_rawseti(L, 3, n--); /* the list has the newest first */
  }
  /* From here on nothing allocates, so that nothing raises: all are handed over, or none. */
  while (session->finished != NULL) {
    Request *request = session->finished;
    session_unlink(session, request);
    session_release(L, 4, request);
  }
  lua_pop(L, 1);
  return 2;
}

/* --- for Lua ---------------------------------------------------------------------------------- */

static int session_close(lua_State *L) {
  Session *session = session_peek(L, 1);
  if (session->multi == NULL || session_is_inherited(session)) return 0;
  while (session->running != NULL || session->finished != NULL) {
    Request *request = session->running != NULL ? session->running : session->finished;
    session_unlink(session, request);
    request_close(request);
  }
  while (session->spare_count > 0) {
    curl_easy_cleanup(session->spare[--session->spare_count].easy);
    curl_url_cleanup(session->spare[session->spare_count].address);
  }
  CURLM *multi = session->multi;
  session->multi = NULL;
  (void)curl_multi_cleanup(multi);
  buffer_free(&session->high_sockets);
  /* The references, too, so that the requests can be collected before their session. */
  lua_pushnil(L);
  lua_setiuservalue(L, 1, SESSION_IN_FLIGHT);
  return 0;
}

static int session_tostring(lua_State *L) {
  const Session *session = session_peek(L, 1);
  if (session->multi == NULL)
    lua_pushliteral(L, SESSION_CLASS " (closed)");
  else
    lua_pushfstring(L, SESSION_CLASS " (%I running)", (LUAI_UACINT)session->running_count);
  return 1;
}

/* session:inherited() -> true in a child made by fork, where the session cannot be used */
static int session_inherited(lua_State *L) {
  lua_pushboolean(L, session_is_inherited(session_peek(L, 1)));
  return 1;
}

/* session:running() -> number of requests in flight */
static int session_running(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)session_check(L, 1)->running_count);
  return 1;
}

static int session_start(lua_State *L) {
  (void)session_check(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  RequestOptions options;
  request_options_init(&options);
  options_read(L, 2, request_options, &options);
  lua_settop(L, 3); /* no default headers */
  field_push(L, 2, "headers");
  field_push(L, 2, "body");
  field_push(L, 2, "sink"); /* [session, options, nil, headers, body, sink] */
  return request_start(L, 1, &options, 3, 4, 5, 6);
}

static const Option session_options[] = {
    {"max_connections", OPTION_COUNT, 0},
    {NULL, OPTION_VALUE, 0},
};

/* As soon as one connection to a host is of HTTP/2, libcurl before 8.5.0 takes all of them for ones that can be
 * shared. Two requests then share one of HTTP/1.1, and their responses are mixed up. (There are such: see
 * easy_set_version; and the servers of a host need not be alike.) So with these versions each request has a
 * connection to itself as long as it lasts. */
static long connections_sharing(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num >= 0x080500 ? CURLPIPE_MULTIPLEX
                                                                     : CURLPIPE_NOTHING;
}

/* Before 8.1.1 libcurl kept a pointer to the last header of a handle's transfer into the next one, where its memory is
 * freed: a first header line that begins with a blank was joined to it, and ended the process (curl/curl #11101). No
 * other line looks at it, and each line but the status sets it. Such a line is refused before libcurl has it: with
 * CURLOPT_HEADER it goes to response_on_body first. */
static bool lines_are_unsafe(void) {
  return curl_version_info(CURLVERSION_NOW)->version_num < 0x080101;
}

/* core.session { max_connections = for one host; 0: no limit } -> Session */
int session_new(lua_State *L) {
  size_t max_connections = 0;
  options_read(L, 1, session_options, &max_connections);
  Session *session = lua_newuserdatauv(L, sizeof *session, SESSION_USERVALUES);
  memset(session, 0, sizeof *session);
  session->maker = process_now();
  session->checks_lines = lines_are_unsafe();
  luaL_setmetatable(L, SESSION_CLASS);
  lua_newtable(L);
  lua_setiuservalue(L, -2, SESSION_IN_FLIGHT);
  session->multi = curl_multi_init();
  if (session->multi == NULL) return luaL_error(L, "curl_multi_init: not enough memory");
  CURLMcode code = curl_multi_setopt(session->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                                     (long)(max_connections < LONG_MAX ? max_connections : 0));
  if (code == CURLM_OK)
    code = curl_multi_setopt(session->multi, CURLMOPT_PIPELINING, connections_sharing());
  if (code != CURLM_OK) return luaL_error(L, "curl_multi_setopt: %s", curl_multi_strerror(code));
  return 1;
}

static void libcurl_open(lua_State *L) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    luaL_error(L, "libcurl cannot be initialised");
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  if (info->version_num < 0x075500)
    luaL_error(L, "libcurl 7.85.0 or newer is needed, this is %s", info->version);
  lua_pushfstring(L, "libcurl/%s", info->version);
  lua_setfield(L, -2, "version");
  /* And what it stands on. (curl_version writes that into room that all threads share.) */
  lua_pushfstring(L, "libcurl/%s %s", info->version,
                  info->ssl_version != NULL ? info->ssl_version : "");
  if (info->libz_version != NULL) {
    lua_pushfstring(L, " zlib/%s", info->libz_version);
    lua_concat(L, 2);
  }
  if (info->nghttp2_version != NULL) {
    lua_pushfstring(L, " nghttp2/%s", info->nghttp2_version);
    lua_concat(L, 2);
  }
  lua_setfield(L, -2, "libraries");
}

void session_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"start", session_start},
      {"step", session_step},
      {"fds", session_fds},
      {"running", session_running},
      {"close", session_close},
      {"inherited", session_inherited},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__tostring", session_tostring}, {NULL, NULL}};
  libcurl_open(L);
  class_new(L, SESSION_CLASS, methods, meta);
}
