/*
 * The options of a request, and how an easy handle is set up by them.
 */
#include "http.h"

#include <math.h>
#include <string.h>

/* libcurl's largest receive buffer: measured to save a third of the CPU time of a big download. */
#define SINK_BUFFER_SIZE 524288L

#define MEMORY_LIMIT ((size_t)64 * 1024 * 1024)

/* clang-format off */
#define TRANSPORT_OPTIONS \
  {"connect_timeout", OPTION_SECONDS, offsetof(RequestOptions, connect_timeout)}, \
  {"timeout", OPTION_SECONDS, offsetof(RequestOptions, timeout)}, \
  {"stall_timeout", OPTION_SECONDS, offsetof(RequestOptions, stall_timeout)}, \
  {"limit", OPTION_COUNT, offsetof(RequestOptions, limit)}, \
  {"ca", OPTION_TEXT, offsetof(RequestOptions, ca)}, \
  {"proxy", OPTION_TEXT, offsetof(RequestOptions, proxy)}, \
  {"no_proxy", OPTION_TEXT, offsetof(RequestOptions, no_proxy)}, \
  {"user_agent", OPTION_TEXT, offsetof(RequestOptions, user_agent)}
#define OPERATION_OPTIONS \
  {"deadline", OPTION_SECONDS, offsetof(RequestOptions, deadline)}, \
  {"fresh", OPTION_FLAG, offsetof(RequestOptions, fresh)}, \
  {"headers", OPTION_VALUE, 0}, \
  {"sink", OPTION_VALUE, 0}
#define ALL_OPTIONS \
  {"method", OPTION_TEXT, offsetof(RequestOptions, method)}, \
  {"url", OPTION_TEXT, offsetof(RequestOptions, url)}, \
  {"body", OPTION_BYTES, offsetof(RequestOptions, body)}
#define END_OF_OPTIONS {NULL, OPTION_VALUE, 0}
/* clang-format on */

const Option transport_options[] = {TRANSPORT_OPTIONS, END_OF_OPTIONS};
const Option operation_options[] = {TRANSPORT_OPTIONS, OPERATION_OPTIONS, END_OF_OPTIONS};
const Option request_options[] = {TRANSPORT_OPTIONS, OPERATION_OPTIONS, ALL_OPTIONS,
                                  END_OF_OPTIONS};

/* The defaults that settings.lua has, for who starts a request without them. */
void request_options_init(RequestOptions *options) {
  memset(options, 0, sizeof *options);
  options->method = "GET";
  options->connect_timeout = 10;
  options->timeout = 125;
  options->stall_timeout = 60;
  options->deadline = (double)INFINITY;
  options->limit = MEMORY_LIMIT;
}

bool request_options_match(const RequestOptions *options, const RequestOptions *other) {
  return options->connect_timeout == other->connect_timeout && options->ca == other->ca &&
         options->proxy == other->proxy && options->no_proxy == other->no_proxy &&
         options->user_agent == other->user_agent;
}

/* --- the easy handle -------------------------------------------------------------------------- */

bool uploads_once(const RequestOptions *options) {
  return options->fresh && options->body.length > 0;
}

static CURLcode easy_set_method(CURL *easy, const RequestOptions *options) {
  const char *method = options->method;
  bool body = options->body.data != NULL;
  CURLcode code = CURLE_OK;
  if (strcmp(method, "GET") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (strcmp(method, "HEAD") == 0 && !body) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (strcmp(method, "POST") == 0 || body) {
    SET(CURLOPT_POST, 1L);
    SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.length);
    SET(CURLOPT_POSTFIELDS, uploads_once(options) ? NULL : body ? options->body.data : "");
  }
  if (strcmp(method, "POST") != 0) {
    SET(CURLOPT_CUSTOMREQUEST, method);
  }
  return code;
}

/* HTTP/2 where TLS agrees on it. A fresh request without a body has nothing that could not be rewound (see
 * request_on_read), so that libcurl might repeat it: it keeps to HTTP/1.1, where no other request joins its
 * connection. (CURLOPT_PIPEWAIT would save connections at a cold start. But a request that waits so has no
 * connect timeout: behind a handshake that stalls all would wait, one timeout after another.) */
static CURLcode easy_set_version(CURL *easy, const RequestOptions *options) {
  bool secure = curl_strnequal(options->url, "https:", 6) != 0;
  bool alone = options->fresh && !uploads_once(options);
  if (secure && !alone) return CURLE_OK; /* libcurl's default */
  return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
}

/* A request works without these. Their result does not count: the libcurl at run time may be older than its
 * header, and not know them. */
static void easy_set_hints(CURL *easy, bool sink) {
  (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  if (sink) (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, SINK_BUFFER_SIZE);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* Do not wait for a slow resolver at close. Safe because this module is never unmapped. */
  (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

CURLcode request_options_apply(CURL *easy, const RequestOptions *options, bool sink) {
  CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, options->url);
  SET(CURLOPT_PATH_AS_IS, 1L);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "http,https");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_SSL_VERIFYPEER, 1L);
  SET(CURLOPT_SSL_VERIFYHOST, 2L);
  SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  SET(CURLOPT_FRESH_CONNECT, options->fresh ? 1L : 0L);
  SET(CURLOPT_PROXY, options->proxy); /* NULL, here and in the next two, is libcurl's default */
  SET(CURLOPT_NOPROXY, options->no_proxy);
  SET(CURLOPT_CONNECTTIMEOUT_MS, seconds_to_ms(options->connect_timeout));
  /* libcurl takes a gzip stream that breaks off for one that ends. JSON that breaks off is no JSON, but
   * a file would be short: it comes without coding. */
  if (!sink) {
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
  }
  if (options->ca != NULL) { /* NULL would not be the default: it means "no certificates" */
    SET(CURLOPT_CAINFO, options->ca);
  }
  easy_set_hints(easy, sink);
  if (code == CURLE_OK) code = easy_set_version(easy, options);
  return code == CURLE_OK ? easy_set_method(easy, options) : code;
}
