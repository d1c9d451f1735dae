/*
 * What the transport knows of a failure: its name, and the class by which others decide what to do about
 * it. Nobody else has a list of libcurl's codes.
 *
 *   unsent      nothing of the request went out
 *   broken      the connection broke, or what came is not HTTP
 *   incomplete  the body that came is not a whole one
 *   timeout     a time limit has passed
 *   local       all else, which another attempt will not mend: a full disk, a certificate that does not fit
 */
#include "http.h"

typedef struct Failure {
  const char *name, *class, *message;
} Failure;

/* The messages are libcurl's. */
static const struct {
  CURLcode code;
  const char *name, *class;
} codes[] = {
    {CURLE_UNSUPPORTED_PROTOCOL, "UNSUPPORTED_PROTOCOL", "local"},
    {CURLE_URL_MALFORMAT, "URL_MALFORMAT", "local"},
    {CURLE_COULDNT_RESOLVE_PROXY, "COULDNT_RESOLVE_PROXY", "unsent"},
    {CURLE_COULDNT_RESOLVE_HOST, "COULDNT_RESOLVE_HOST", "unsent"},
    {CURLE_COULDNT_CONNECT, "COULDNT_CONNECT", "unsent"},
    {CURLE_WEIRD_SERVER_REPLY, "WEIRD_SERVER_REPLY", "broken"},
    {CURLE_HTTP2, "HTTP2", "broken"},
    {CURLE_PARTIAL_FILE, "PARTIAL_FILE", "broken"},
    {CURLE_WRITE_ERROR, "WRITE_ERROR", "local"},
    {CURLE_OUT_OF_MEMORY, "OUT_OF_MEMORY", "local"},
    {CURLE_OPERATION_TIMEDOUT, "OPERATION_TIMEDOUT", "timeout"},
    {CURLE_SSL_CONNECT_ERROR, "SSL_CONNECT_ERROR", "unsent"},
    {CURLE_GOT_NOTHING, "GOT_NOTHING", "broken"},
    {CURLE_SEND_ERROR, "SEND_ERROR", "broken"},
    {CURLE_SEND_FAIL_REWIND, "SEND_ERROR", "broken"}, /* see request_on_read */
    {CURLE_RECV_ERROR, "RECV_ERROR", "broken"},
    {CURLE_PEER_FAILED_VERIFICATION, "PEER_FAILED_VERIFICATION", "local"},
    {CURLE_BAD_CONTENT_ENCODING, "BAD_CONTENT_ENCODING", "local"},
    {CURLE_SSL_CACERT_BADFILE, "SSL_CACERT_BADFILE", "local"},
    {CURLE_HTTP2_STREAM, "HTTP2_STREAM", "broken"},
    {CURLE_PROXY, "PROXY", "broken"},
};

static const Failure failures[] = {
    [FAILURE_NOT_STARTED] = {"NOT_STARTED", "unsent", NULL}, /* the message is libcurl's */
    [FAILURE_TOO_LARGE] = {"TOO_LARGE", "local", NULL},      /* the message names the limit */
    [FAILURE_NO_MEMORY] = {"OUT_OF_MEMORY", "local", "not enough memory for the answer"},
    [FAILURE_FILE] = {"FILE", "local", NULL}, /* the message is errno's */
    [FAILURE_CODED] = {"CODED", "local", "the file came in a coding that was not asked for"},
    [FAILURE_LENGTHS] = {"LENGTHS", "incomplete", "the answer has two different lengths"},
    [FAILURE_UNFRAMED] = {"UNFRAMED", "incomplete",
                          "the answer does not say where it ends, and may not be whole"},
    [FAILURE_RANGE] = {"RANGE", "incomplete",
                       "the answer is another part of the file than the one that was asked for"},
    [FAILURE_SHORT] = {"SHORT", "incomplete",
                       "the file has another number of bytes than was announced"},
    [FAILURE_PART] = {"PART", "incomplete",
                      "the answer is a part of the file that does not prove to be its end"},
    [FAILURE_CODING] = {"CODING", "incomplete",
                        "the gzip coding of the answer is damaged, or ends too early"},
    [FAILURE_CUT_HEADERS] = {"CUT_HEADERS", "broken",
                             "the connection ended within the headers of the answer"},
    [FAILURE_UNASKED] = {"UNASKED", "unsent",
                         "the connection held bytes that nobody had asked for"},
    [FAILURE_HEADERS] = {"WEIRD_SERVER_REPLY", "broken",
                         "the headers of the answer are damaged, or too large"},
    [FAILURE_DEADLINE] = {"DEADLINE", "timeout", "the deadline has passed"},
    [FAILURE_CANCELLED] = {"CANCELLED", "local", "the request was cancelled"},
    [FAILURE_CLOSED] = {"CLOSED", "local", "the session was closed"},
};

static int values_push(lua_State *L, const Failure *failure) {
  lua_pushnil(L);
  lua_pushstring(L, failure->message);
  lua_pushstring(L, failure->name);
  lua_pushstring(L, failure->class);
  return 4;
}

int failure_push(lua_State *L, RequestFailure failure, const char *message) {
  return values_push(L, &(Failure){failures[failure].name, failures[failure].class, message});
}

/* What libcurl says; a code that is not in the list is named by its number. */
static Failure failure_of_code(lua_State *L, const Request *request) {
  CURLcode code = request->result;
  Failure failure = {NULL, "local", request->error};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
    if (codes[i].code == code) failure = (Failure){codes[i].name, codes[i].class, request->error};
  if (failure.name == NULL) failure.name = lua_pushfstring(L, "CURL_%d", (int)code);
  if (*failure.message == '\0') failure.message = curl_easy_strerror(code);
  if (code == CURLE_SEND_FAIL_REWIND)
    failure.message = "the connection ended before there was an answer";
  return failure;
}

int failure_push_request(lua_State *L, const Request *request) {
  Failure failure =
      request->failure == FAILURE_NONE ? failure_of_code(L, request) : failures[request->failure];
  if (request->failure == FAILURE_FILE) failure.message = errno_push(L, request->file_error);
  if (request->failure == FAILURE_TOO_LARGE)
    failure.message =
        lua_pushfstring(L, "the answer is larger than the %I bytes that may be held in memory",
                        (LUAI_UACINT)request->limit);
  int count = values_push(L, &failure);
  long status = 0;
  if (request->easy == NULL ||
      curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status == 0)
    return count;
  lua_pushinteger(L, (lua_Integer)status); /* the response had begun */
  return count + 1;
}
