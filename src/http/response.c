/*
 * What comes back: the callbacks that take it, what is made of it at the end, and the table that Lua
 * sees.
 *
 * No Lua function runs inside a libcurl callback: these fill C memory or a sink, and say no by a short
 * count. A Lua error that jumped over libcurl would leave the multi handle unusable for good.
 */
#include "http.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef CURL_WRITEFUNC_ERROR /* new in 7.87.0: any count that is not the length given says the same */
#define CURL_WRITEFUNC_ERROR 0xFFFFFFFF
#endif

/* --- callbacks and what they decide ----------------------------------------------------------- */

/* NULL for a header that is not there. */
static const char *response_header(const Request *request, const char *name) {
  const char *value = NULL;
  (void)headers_find(&request->head, name, &value);
  return value;
}

/* Of a header that must be there once: two of them contradict each other. */
static const char *response_sole_header(const Request *request, const char *name) {
  const char *value = NULL;
  return headers_find(&request->head, name, &value) == 1 ? value : NULL;
}

/* In which coding does the body come? One that cannot be taken off must not reach the file. */
static bool response_coding(const Request *request, bool *packed) {
  for (Header header = {NULL, NULL}; headers_next(&request->head, &header);)
    if (strcmp(header.name, "content-encoding") == 0 && !curl_strequal(header.value, "identity")) {
      if (*packed || !curl_strequal(header.value, "gzip") || !sink_unpacks(request->sink))
        return false;
      *packed = true;
    }
  return true;
}

static bool response_file_failed(Request *request) {
  request->failure = sink_coding_broken(request->sink) ? FAILURE_CODING : FAILURE_FILE;
  request->file_error = sink_error(request->sink);
  return false;
}

/* The answer's strong validator. A weak one does not promise the same bytes. */
static const char *response_validator(const Request *request) {
  const char *etag = response_sole_header(request, "etag");
  return validator_usable(etag) ? etag : NULL;
}

/* The number that a text begins with, and what is behind it; NULL: there is none, or it is too large. */
static const char *number_read(const char *text, curl_off_t *number) {
  char *end;
  if (*text < '0' || *text > '9') return NULL;
  errno = 0;
  *number = (curl_off_t)strtoll(text, &end, 10);
  return errno == 0 ? end : NULL;
}

/* "bytes 5-9/10", with a star for a total that is not known. All else is no such header. */
static bool content_range(const char *text, BodyHead *head) {
  curl_off_t last = 0;
  if (text == NULL || strncmp(text, "bytes ", 6) != 0) return false;
  if ((text = number_read(text + 6, &head->start)) == NULL || *text != '-') return false;
  if ((text = number_read(text + 1, &last)) == NULL || *text != '/') return false;
  if (last < head->start || last == INT64_MAX) return false;
  head->end = last + 1;
  if (strcmp(text + 1, "*") == 0) return true;
  text = number_read(text + 1, &head->total);
  return text != NULL && *text == '\0' && head->end <= head->total;
}

/* A part came: it must be the one that is missing, before its first byte is taken. An ETag that is weak, or
 * malformed, or there twice, is not that of the file that is gone on with. */
static bool response_continue(Request *request, BodyHead *head) {
  if (headers_find(&request->head, "etag", &head->validator) < 2 &&
      content_range(response_sole_header(request, "content-range"), head) &&
      sink_continue(request->sink, head))
    return true;
  request->failure = FAILURE_RANGE;
  return false;
}

/* The body begins: does it belong in the sink? Only that of a 200, of a type that is not the type
 * of an error page; all else is kept in memory, where it can be read and reported. */
static bool response_begin(Request *request) {
  request->begun = true;
  if (request->sink == NULL) return true;
  long status = 0;
  if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) return false;
  const char *content_type = response_header(request, "content-type");
  if ((status != 200 && status != 206) ||
      sink_refuses(request->sink, content_type != NULL ? content_type : ""))
    return true;
  BodyHead head = BODY_HEAD_NONE;
  head.content_type = content_type;
  head.validator = response_validator(request);
  if (!response_coding(request, &head.packed) || (head.packed && status == 206)) {
    request->failure = FAILURE_CODED;
    return false;
  }
  request->to_sink = true;
  request->last_byte = clock_now();
  if (status == 206) return response_continue(request, &head);
  if (curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &head.total) != CURLE_OK)
    head.total = -1;
  head.end = head.total;
  return sink_begin(request->sink, &head) || response_file_failed(request);
}

size_t response_on_body(char *data, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count; /* libcurl: size is always 1 */
  if (!request->begun && !response_begin(request)) return CURL_WRITEFUNC_ERROR;
  if (request->to_sink) {
    request->last_byte = clock_now();
    if (!sink_write(request->sink, data, length)) (void)response_file_failed(request);
  } else if (length > request->limit - request->body.length) {
    request->failure = FAILURE_TOO_LARGE;
  } else if (!buffer_append(&request->body, data, length)) {
    request->failure = FAILURE_NO_MEMORY;
  }
  if (request->failure != FAILURE_NONE) return CURL_WRITEFUNC_ERROR;
  request->received += (curl_off_t)length;
  return length;
}

/* Two different lengths for one body: nothing can be proven about it. libcurl before 8.22 takes the
 * first. */
static bool response_lengths_agree(const Request *request) {
  const char *last = response_header(request, "content-length");
  for (Header header = {NULL, NULL}; headers_next(&request->head, &header);)
    if (strcmp(header.name, "content-length") == 0 && strcmp(header.value, last) != 0) return false;
  return true;
}

size_t response_on_header(char *line, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count;
  request->failure = headers_take(&request->head, line, length);
  return request->failure == FAILURE_NONE ? length : CURL_WRITEFUNC_ERROR;
}

/* With HTTP/2 the end of a stream says so. But libcurl before 8.0.0 may take for an end that a stream was
 * reset, or its connection lost: then only a length proves anything, or the end of the gzip coding. */
static bool stream_is_framed(const Request *request) {
  if (curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000) return true;
  return request->to_sink && sink_is_unpacking(request->sink);
}

/* Does the message itself say where the body ends? If not, only the closing of the connection did, and
 * a connection that broke looks the same. */
static bool response_is_framed(const Request *request) {
  long version = 0, status = 0;
  curl_off_t length = -1;
  if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
      (status == 204 || status == 304))
    return true;
  if (curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK &&
      length >= 0)
    return true;
  if (curl_easy_getinfo(request->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
      version >= CURL_HTTP_VERSION_2_0)
    return stream_is_framed(request);
  const char *coding = response_header(request, "transfer-encoding");
  size_t size = coding != NULL ? strlen(coding) : 0;
  return size >= 7 && curl_strequal(coding + size - 7, "chunked"); /* the last coding delimits */
}

void response_settle(Request *request, CURLcode result) {
  /* What libcurl 7.88 says of a first header line that begins with a blank. */
  if (result == CURLE_BAD_FUNCTION_ARGUMENT) result = CURLE_WEIRD_SERVER_REPLY;
  request->result = result;
  if (result == CURLE_OK && request->failure == FAILURE_NONE) {
    if (request->head.state != HEADERS_ENDED) /* libcurl takes headers that break off for an end */
      request->failure = FAILURE_CUT_HEADERS;
    else if (!response_lengths_agree(request))
      request->failure = FAILURE_LENGTHS;
    else if (!request->begun)
      (void)response_begin(
          request); /* an empty body makes an empty file; `failure` tells the rest */
    request->framed = response_is_framed(request);
    if (request->to_sink && request->failure == FAILURE_NONE && !request->framed)
      request->failure = FAILURE_UNFRAMED;
    if (request->to_sink && request->failure == FAILURE_NONE && !sink_is_as_told(request->sink))
      request->failure = FAILURE_SHORT;
    if (request->to_sink && request->failure == FAILURE_NONE && !sink_is_at_end(request->sink))
      request->failure = FAILURE_PART;
    if (request->to_sink && request->failure == FAILURE_NONE && !sink_complete(request->sink))
      (void)response_file_failed(request);
  }
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
}

/* --- the response ----------------------------------------------------------------------------- */

static void set_string(lua_State *L, const char *key, const char *value, size_t length) {
  lua_pushlstring(L, value, length);
  lua_setfield(L, -2, key);
}

CURLcode response_push(lua_State *L, Request *request) {
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
  headers_push(L, &request->head);
  lua_setfield(L, -2, "headers");
  if (!request->to_sink)
    set_string(L, "body", request->body.data != NULL ? request->body.data : "",
               request->body.length);
  lua_pushinteger(L, (lua_Integer)request->received);
  lua_setfield(L, -2, "bytes");
  lua_pushboolean(L, request->to_sink);
  lua_setfield(L, -2, "to_sink");
  lua_pushboolean(L, request->framed);
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
