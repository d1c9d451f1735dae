/*
 * Bytes over the wire: a session drives exchanges (requests), whose bodies go to memory or to a
 * sink. Nothing here knows which API is spoken.
 */
#ifndef HTTP_H
#define HTTP_H

#include "../base/base.h"

#include <curl/curl.h>

#if LIBCURL_VERSION_NUM < 0x075500
#error "libcurl 7.85.0 or newer is needed (CURLOPT_PROTOCOLS_STR)"
#endif

#define SESSION_CLASS "zuora.session"
#define REQUEST_CLASS "zuora.request"
#define SINK_CLASS    "zuora.sink"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

typedef struct Session Session;
typedef struct Request Request;
typedef struct Sink Sink;

/* --- sink.c: where the bytes of a file go -------------------------------------------------------
 */

void sink_open(lua_State *L);
int sink_new(lua_State *L);

/* The open sink at `index`; raises for anything else, and in a process that did not make it. */
Sink *sink_check(lua_State *L, int index);

/* True when a body of this media type is not to be taken for the file that was asked for. */
bool sink_refuses(const Sink *sink, const char *media_type);

/* A request takes the sink for its own, and gives it back; false when another one has it. */
bool sink_claim(Sink *sink);
void sink_release(Sink *sink);

/* What the head of an answer says of its body. Texts are NULL where nothing is said. */
typedef struct BodyHead {
  const char *content_type;
  const char *validator; /* a strong ETag */
  curl_off_t start, end; /* of what comes; the end is -1 where it is not said */
  curl_off_t total;      /* of the whole body; -1: not said */
  bool packed;           /* it comes in gzip coding */
} BodyHead;

#define BODY_HEAD_NONE ((BodyHead){NULL, NULL, 0, -1, -1, false})

/* --- state.c: what a .part file needs to be gone on with -------------------------------------- */

#define STATE_ROOM 4096

/* `identity` says which file it is: validators are its own, and no other file's. */
bool state_write(const char *path, const char *identity, const BodyHead *head);

/* The texts of `head` point into `room`. False: there is no state, or none that is of use. */
bool state_read(const char *path, const char *identity, char room[STATE_ROOM], BodyHead *head);

/* A strong ETag, fit to be sent back in a header. */
bool validator_usable(const char *validator);

/* --- sink.c, on ------------------------------------------------------------------------------- */

/* A whole body starts: forget what an earlier try wrote. False: see sink_error. */
bool sink_begin(Sink *sink, const BodyHead *head);

/* A part of the body starts. True when it is what is missing, and goes behind what is there. */
bool sink_continue(Sink *sink, const BodyHead *head);

/* False when something else has come than was announced. */
bool sink_is_as_told(const Sink *sink);

/* False when what has come is a part, and there is more, or nobody has said that there is not. */
bool sink_is_at_end(const Sink *sink);

/* The body has ended, and is whole: only now may the file be published. False: see sink_error. */
bool sink_complete(Sink *sink);

/* Takes all the bytes, or says false: see sink_error. */
bool sink_write(Sink *sink, const char *data, size_t length);

/* True for a sink that can take gzip coding off a body; when it does so; when that coding was at fault. */
bool sink_unpacks(const Sink *sink);
bool sink_is_unpacking(const Sink *sink);
bool sink_coding_broken(const Sink *sink);

/* The errno of the first call that failed, and 0 when all is well. */
int sink_error(const Sink *sink);

/* What went wrong on our side of libcurl; a CURLcode tells the rest. */
typedef enum RequestFailure {
  FAILURE_NONE,
  FAILURE_NOT_STARTED,
  FAILURE_TOO_LARGE,
  FAILURE_NO_MEMORY,
  FAILURE_FILE,
  FAILURE_CODED,
  FAILURE_LENGTHS,
  FAILURE_UNFRAMED,
  FAILURE_RANGE,
  FAILURE_SHORT,
  FAILURE_PART,
  FAILURE_CODING,
  FAILURE_CUT_HEADERS,
  FAILURE_HEADERS,
  FAILURE_DEADLINE,
  FAILURE_CANCELLED,
  FAILURE_CLOSED,
} RequestFailure;

/* --- headers.c: the headers of an answer ------------------------------------------------------ */

typedef struct Headers {
  enum { HEADERS_NONE, HEADERS_OPEN, HEADERS_ENDED } state; /* ended: the blank line was seen */
  size_t seen;                                              /* bytes of all lines */
  Buffer text; /* of the newest answer: name, NUL, value, NUL and so on, names in lower case */
} Headers;

typedef struct Header {
  const char *name, *value;
} Header;

/* A line, as libcurl has it. FAILURE_HEADERS when it is none, or one too many. */
RequestFailure headers_take(Headers *headers, const char *line, size_t length);

/* Goes to the next one, to the first from {NULL, NULL}; false at the end. */
bool headers_next(const Headers *headers, Header *header);

/* How many there are of this name (in lower case), and the last one's value. */
size_t headers_find(const Headers *headers, const char *name, const char **last);

/* Pushes a table: values by name, those of a repeated one joined by ", ". */
void headers_push(lua_State *L, const Headers *headers);

/* Is it one of a list with blanks between? "text/html; charset=utf-8" is of type text/html. */
bool media_type_is_in(const char *list, const char *media_type);

/* --- request.c: one exchange ---------------------------------------------------------------------
 */

typedef enum RequestState {
  REQUEST_NEW,      /* being put together; belongs to no list */
  REQUEST_RUNNING,  /* in the multi handle and in the session's list `running` */
  REQUEST_FINISHED, /* out of the multi handle, in the list `finished` until step hands it over */
  REQUEST_ENDED,    /* handed over, cancelled, or left behind by its session */
} RequestState;

/* A userdata. Its user values keep alive what libcurl and the callbacks point into. */
enum { REQUEST_SESSION = 1, REQUEST_BODY, REQUEST_SINK, REQUEST_RESPONSE, REQUEST_USERVALUES = 4 };

struct Request {
  Session *session; /* NULL once the session is gone */
  Request *previous, *next;
  RequestState state;
  CURL *easy;
  struct curl_slist *headers;
  Sink *sink;
  Bytes upload; /* what goes up piece by piece: see request_on_read */
  Headers head;
  Buffer body;
  size_t limit; /* of what the body may hold in memory */
  bool sent;    /* the request has a connection, and goes out */
  bool begun;   /* the first byte of the body, or the end of an empty one, was seen */
  bool to_sink; /* this body goes to the sink, not to memory */
  bool framed;  /* the message itself says where its body ends */
  CURLcode result;
  RequestFailure failure;
  int file_error;      /* the errno of FAILURE_FILE */
  curl_off_t received; /* bytes of the body, as they were handed to us */
  double ends_at;      /* clock_now() at which the request is given up, whatever it does */
  double sent_at;      /* clock_now() when it went out … */
  double last_byte;    /* … and at the newest byte of a body that goes to a sink */
  double
      answer_timeout; /* seconds from the one to the answer: a file's first byte, or all of a JSON text */
  double stall_timeout; /* seconds without a byte of a file */
  char error[CURL_ERROR_SIZE];
};

/* What an exchange is to be, as the option table of session:start says. */
typedef struct Exchange {
  const char *method, *url;
  Bytes body; /* data is NULL when there is none */
  double connect_timeout, timeout, stall_timeout;
  double deadline; /* seconds in all, waiting for a connection included */
  size_t limit;
  const char *ca, *proxy, *no_proxy, *user_agent;
  const char *content_type, *accept; /* headers that the caller knows; NULL: none */
  /* On a connection of its own, and never repeated: libcurl repeats a request, a POST too, by itself
   * when a connection that others have used turns out to be dead. */
  bool fresh;
} Exchange;

/* Its body must go up once, and no more. */
bool exchange_uploads_once(const Exchange *exchange);

extern const Option exchange_options[];  /* all, for session:start */
extern const Option call_options[];      /* those that a known call leaves open */
extern const Option transport_options[]; /* those that make sense for every exchange */
void exchange_init(Exchange *exchange);

/* Fills request->headers. `standing` and `own` are stack positions of header tables, or 0: own wins over
 * standing, and false there leaves one out. A body for a `sink` comes without coding, unless they say more. */
void exchange_set_headers(lua_State *L, Request *request, const Exchange *exchange, int standing,
                          int own, bool sink);

/* Tells the easy handle all that is not the request's own business. */
CURLcode exchange_apply(CURL *easy, const Exchange *exchange, bool sink);

/* --- request.c: one exchange from start to end ------------------------------------------------ */

void request_open(lua_State *L);

/* Starts the exchange on the session at `session`. `standing`, `own` (header tables; own wins over
 * standing, and false there leaves one out), `body` (the string that exchange->body points into) and
 * `sink` are stack positions, or 0. Pushes the request, or nil, message, name, class; returns how many
 * values it pushed. */
int request_start(lua_State *L, int session, const Exchange *exchange, int standing, int own,
                  int body, int sink);

/* When this request will have waited too long. */
double request_deadline(const Request *request);

void request_expire(Request *request);

/* The session is going away: gives back what belongs to it. */
void request_abandon(Request *request);

/* --- response.c: what comes back -------------------------------------------------------------- */

/* For libcurl: a header line, and a piece of the body. The context is the request. */
size_t response_on_header(char *line, size_t size, size_t count, void *context);
size_t response_on_body(char *data, size_t size, size_t count, void *context);

/* The transfer is over and out of the multi handle: was what came an answer, and a whole one? */
void response_settle(Request *request, CURLcode result);

/* Pushes the response as a table. */
CURLcode response_push(lua_State *L, Request *request);

/* --- failure.c: names and classes of what went wrong ------------------------------------------ */

/* Push nil, message, name, class; the second, of a request that has failed, also the status where there was
 * one. They return how many values. */
int failure_push(lua_State *L, RequestFailure failure, const char *message);
int failure_push_request(lua_State *L, const Request *request);

/* --- session.c: the multi handle -------------------------------------------------------------- */

void session_open(lua_State *L);
int session_new(lua_State *L);

/* The open session at `index`; raises for anything else, and in a process that did not make it. */
Session *session_check(lua_State *L, int index);

/* Remembers a socket that is too high for an fd_set (see fds.c). */
void session_note_socket(Session *session, int fd);

/* This is a child made by fork, and the session its parent's: not to be touched. */
bool session_is_inherited(const Session *session);

/* The session at `at` keeps the request at `index` alive until it is handed over, or dropped. Raises when
 * there is no memory; `index` counts from the bottom. */
void session_hold(lua_State *L, int at, int index, const Request *request);

/* Puts a request that is held to work. */
CURLMcode session_add(Session *session, Request *request);

/* The request, at `index` on the stack, leaves its session: out of the multi handle, and no longer
 * kept alive by it. Raises nothing, also in a finaliser. */
void session_drop(lua_State *L, int index, Request *request);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
