/*
 * Bytes over the wire: a session drives requests, whose bodies go to memory or to a sink. Nothing here
 * knows which API is spoken.
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
#define FILE_CLASS    "zuora.file"

HIDDEN_BEGIN

typedef struct Session Session;
typedef struct Request Request;
typedef struct Sink Sink;

/* --- failure.c: names and classes of what went wrong ------------------------------------------ */

/* What libcurl has no code for. */
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
  FAILURE_UNASKED,
  FAILURE_HEADERS,
  FAILURE_DEADLINE,
  FAILURE_CANCELLED,
  FAILURE_CLOSED,
} RequestFailure;

/* Push nil, message, name, class; the second, for a request that has failed, also the status where there
 * was one. They return how many values. */
int failure_push(lua_State *L, RequestFailure failure, const char *message);
int failure_push_request(lua_State *L, const Request *request);

/* --- sink.c: where the body of a file goes ---------------------------------------------------- */

void sink_open(lua_State *L);
int sink_new(lua_State *L);

/* --- file.c: a file that Lua writes, which replaces another when it is whole ------------------- */

void file_open(lua_State *L);
int file_new(lua_State *L);
int spool_new(lua_State *L);

/* The open sink at `index`; raises for anything else, and in a process that did not make it. */
Sink *sink_check(lua_State *L, int index);

/* True when a body of this media type is not to be taken for the file that was asked for. */
bool sink_refuses(const Sink *sink, const char *media_type);

/* A request has the sink to itself between the two; false when another request has it. */
bool sink_acquire(Sink *sink);
void sink_release(Sink *sink);

/* What the headers of a response say of its body. Texts are NULL where nothing is said. */
typedef struct BodyInfo {
  const char *content_type;
  const char *validator; /* a strong ETag */
  curl_off_t start, end; /* of what comes; the end is -1 where it is not said */
  curl_off_t total;      /* of the whole body; -1: not said */
  bool packed;           /* it comes in gzip coding */
} BodyInfo;

#define BODY_INFO_NONE ((BodyInfo){NULL, NULL, 0, -1, -1, false})

/* A whole body begins, in the place of what an earlier attempt wrote. False: see sink_error. */
bool sink_begin(Sink *sink, const BodyInfo *info);

/* A part of the body begins. False when it is not the part that is missing. */
bool sink_continue(Sink *sink, const BodyInfo *info);

/* Takes all the bytes, or returns false: see sink_error. */
bool sink_write(Sink *sink, const char *data, size_t length);

/* True when as many bytes have come as the response announced, if it did. */
bool sink_length_matches(const Sink *sink);

/* False when what has come is a part, and there is more, or nothing said that there is not. */
bool sink_reaches_end(const Sink *sink);

/* The body has ended, and is whole: only now may the file be published. False: see sink_error. */
bool sink_end(Sink *sink);

/* True for a sink that can take gzip coding off a body; when it does so; when that coding was damaged. */
bool sink_unpacks(const Sink *sink);
bool sink_is_unpacking(const Sink *sink);
bool sink_coding_broken(const Sink *sink);

/* The errno of the first call that failed, and 0 when all is well. */
int sink_error(const Sink *sink);

/* --- resume_state.c: what a later process must know to resume a part file --------------------- */

#define RESUME_STATE_SIZE 4096

/* `identity` says which file it is: a validator is of use for that file only. */
bool resume_state_write(const char *path, const char *identity, const BodyInfo *info);

/* The texts of `info` point into `room`. False: there is no state, or none that is of use. */
bool resume_state_read(const char *path, const char *identity, char room[RESUME_STATE_SIZE],
                       BodyInfo *info);

/* True for a strong ETag that is fit to be sent back in a header. */
bool validator_usable(const char *validator);

/* --- response_headers.c ----------------------------------------------------------------------- */

typedef struct Headers {
  enum { HEADERS_NONE, HEADERS_OPEN, HEADERS_ENDED } state; /* ended: the blank line was seen */
  size_t seen;                                              /* bytes of all lines */
  Buffer text; /* of the newest response: name, NUL, value, NUL and so on, names in lower case */
} Headers;

typedef struct Header {
  const char *name, *value;
} Header;

/* True for a line that libcurl would join to the header before it, when there is none. */
bool headers_lack(const Headers *headers, const char *line);

/* Takes a line as libcurl has it. FAILURE_HEADERS when it is no header line, or one too many. */
RequestFailure headers_take(Headers *headers, const char *line, size_t length);

/* Goes to the next one, to the first from {NULL, NULL}; false at the end. */
bool headers_next(const Headers *headers, Header *header);

/* How many there are of this name (in lower case), and the last one's value. */
size_t headers_find(const Headers *headers, const char *name, const char **last);

/* Pushes a table: values by name, those of a repeated one joined by ", ". */
void headers_push(lua_State *L, const Headers *headers);

#define VALUES_LIMIT 16

/* Pushes the values of those whose names (so many at most) stand at `names` and behind it, as in that table;
 * nil for none. */
void headers_push_values(lua_State *L, const Headers *headers, int names, int count);

/* Is it one of a list with blanks between? "text/html; charset=utf-8" is of type text/html. */
bool media_type_is_in(const char *list, const char *media_type);

/* --- request_options.c ------------------------------------------------------------------------ */

/* In functions that have `easy` and `code`. */
#define SET(option, value)                                                                         \
  if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value)

typedef struct RequestOptions {
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
  /* The same for requests that an easy handle is set up for alike; 0: for this one alone. */
  size_t setup;
} RequestOptions;

extern const Option request_options[];   /* all: for session:start */
extern const Option operation_options[]; /* those that an operation does not settle */
extern const Option transport_options[]; /* those that can be defaults of every request */

void request_options_init(RequestOptions *options);

/* True when the body must go up once and no more: see request_on_read. */
bool uploads_once(const RequestOptions *options);

/* Are the options that can be defaults, and that an easy handle is set up with, the same? (The texts are, if they are
 * the same strings.) */
bool request_options_match(const RequestOptions *options, const RequestOptions *other);

/* Sets up the easy handle, but for callbacks and headers. */
CURLcode request_options_apply(CURL *easy, const RequestOptions *options, bool sink);

/* --- request_headers.c ------------------------------------------------------------------------ */

/* A token of RFC 9110: what a method or the name of a header is made of. */
bool text_is_token(const char *text);

/* The headers of many requests, made once: pushes a userdata of the headers that request_add_headers would add for
 * these options and the table at `default_headers`. */
void header_list_push(lua_State *L, const RequestOptions *options, int default_headers);
void header_list_open(lua_State *L);

/* Those lines that a proxy is shown when it is asked for a tunnel: the name of the program, which is the last one. */
struct curl_slist *lines_for_tunnel(struct curl_slist *lines);

/* Wipes the lines, which hold credentials, and frees them. */
void lines_free(struct curl_slist *lines);

/* Fills request->headers from the tables at `headers` and `default_headers`, either of which may be nil;
 * the former win, and false there leaves one out. A list at `default_headers` is all of them. Unless they say more,
 * a body for a sink is to come without coding. */
void request_add_headers(lua_State *L, Request *request, const RequestOptions *options,
                         int default_headers, int headers, bool sink);

/* --- request.c: one request from start to end ------------------------------------------------- */

typedef enum RequestState {
  REQUEST_NEW,      /* being put together; belongs to no list */
  REQUEST_RUNNING,  /* in the multi handle and in the session's list `running` */
  REQUEST_FINISHED, /* out of the multi handle, in the list `finished` until step hands it over */
  REQUEST_ENDED,    /* handed over, cancelled, or closed with its session */
} RequestState;

/* A userdata. Its user values keep alive what libcurl and the callbacks point into. */
enum {
  REQUEST_SESSION = 1,
  REQUEST_BODY,
  REQUEST_SINK,
  REQUEST_RESPONSE,
  REQUEST_HEADERS, /* a list that is shared */
  REQUEST_OWNER,   /* see request:owner */
  REQUEST_USERVALUES = 6
};

/* What a file may bring in one turn: libcurl reads up to a hundred of its buffers while there is something to
 * read, 50 MiB, and whoever has the loop would wait for them. (Measured: up to 1 s on a busy machine.) */
#define TURN_SIZE ((size_t)4 * 1024 * 1024)

struct Request {
  Session *session; /* NULL once the session is closed */
  Request *previous, *next;
  RequestState state;
  int in_flight; /* where its session keeps it alive; 0: it does not */
  CURL *easy;
  CURLU *address; /* of the easy handle: see request_set_own */
  struct curl_slist *headers;
  bool shares_headers; /* they are a HeaderList's */
  size_t setup;        /* see RequestOptions */
  bool ended_well;     /* then its easy handle may serve another one */
  bool sees_lines;     /* header lines come to response_on_body first: see session_checks_lines */
  bool in_line;        /* of one of them only the beginning has come there */
  bool interim;        /* the newest response was one of those that precede the final one */
  Sink *sink;
  Bytes upload; /* what goes up piece by piece: see request_on_read */
  Headers response_headers;
  Buffer body;
  size_t limit; /* of what the body may hold in memory */
  bool plain;   /* without TLS */
  bool noted;   /* its session remembers the connection: see session_note_kept */
  bool sent;    /* the request has a connection, and goes out */
  bool begun;   /* the first byte of the body, or the end of an empty one, was seen */
  bool to_sink; /* this body goes to the sink, not to memory */
  CURLcode result;
  RequestFailure failure;
  int file_error;       /* the errno of FAILURE_FILE */
  curl_off_t received;  /* bytes of the body, as they were handed to us */
  size_t taken;         /* bytes for the sink in this turn of the session; see TURN_SIZE */
  double deadline;      /* clock_now() at which the request ends, whatever it does */
  double sent_at;       /* clock_now() when it went out */
  double last_byte_at;  /* clock_now() at the newest byte of a body that goes to a sink */
  double timeout;       /* seconds from sent_at to a file's first byte, or to the end of all else */
  double stall_timeout; /* seconds without a byte of a file */
  char error[CURL_ERROR_SIZE];
};

void request_open(lua_State *L);

/* Starts a request on the session at `session`. The other positions hold tables of headers (see
 * request_add_headers), the string that options->body points into, and a sink; each may be nil. Pushes the
 * request, or nil, message, name, class; returns how many values it pushed. */
int request_start(lua_State *L, int session, const RequestOptions *options, int default_headers,
                  int headers, int body, int sink);

/* When the first of this request's time limits passes, by clock_now(). */
double request_expiry(const Request *request);

/* Notes which limit has passed. */
void request_expire(Request *request);

/* Frees what belongs to the request: its session is being closed. */
void request_close(Request *request);

/* --- response.c: what comes back -------------------------------------------------------------- */

/* For libcurl: a header line, and a piece of the body. The context is the request. */
size_t response_on_header(char *line, size_t size, size_t count, void *context);
size_t response_on_body(char *data, size_t size, size_t count, void *context);

/* The transfer is over and out of the multi handle: was what came a response, and a whole one? */
void response_verify(Request *request, CURLcode result);

/* Pushes the response as a table. */
CURLcode response_push(lua_State *L, Request *request);

/* Is it a whole 200 in memory, and not read yet? */
bool response_is_plain_200(const Request *request);

/* --- session.c: the multi handle -------------------------------------------------------------- */

void session_open(lua_State *L);
int session_new(lua_State *L);

/* The open session at `index`; raises for anything else, and in a process that did not make it. */
Session *session_check(lua_State *L, int index);

/* Remembers a socket that is too high for an fd_set (see fds.c). */
void session_note_socket(Session *session, int fd);

/* Remembers the connection without TLS that a request has just used. */
void session_note_kept(Session *session, CURL *easy);

/* The socket of a connection that is remembered, known by its own port; -1: none. */
int session_kept_socket(const Session *session, int port);

/* Do bytes wait there to be read, and is it still the connection with that port of its own? */
bool socket_has_bytes(int fd, int port);

/* This is a child made by fork, and the session its parent's: not to be touched. */
bool session_is_inherited(const Session *session);

/* The session at `at` keeps the request at `index` alive until it is handed over, or removed. Raises when
 * there is no memory; `index` counts from the bottom. */
void session_hold(lua_State *L, int at, int index, Request *request);

/* An easy handle that is set up like this, of a request that has ended; NULL: there is none. */
CURL *session_take_handle(Session *session, size_t setup, CURLU **address);

/* Takes back the handle of a request that has ended well. False: it is not wanted. */
bool session_keep_handle(Session *session, size_t setup, CURL *easy, CURLU *address);

/* Must a handle that is used again have its header lines looked at before libcurl takes them? */
bool session_checks_lines(const Session *session);

/* A number for requests whose handles are set up alike. */
size_t session_new_setup(Session *session);

/* Puts a request that is held to work. */
CURLMcode session_add(Session *session, Request *request);

/* The request, at `index` on the stack, leaves its session: out of the multi handle, and no longer
 * kept alive by it. Raises nothing, also in a finaliser. */
void session_remove(lua_State *L, int index, Request *request);

HIDDEN_END

#endif
