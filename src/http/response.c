/*
 * The response: the callbacks that take it, the check at its end, and the table that Lua sees.
 *
 * No Lua function runs inside a libcurl callback, since a Lua error that jumped over libcurl would leave the
 * multi handle unusable for good. The callbacks fill C memory or a sink, and stop the transfer by a short
 * count.
 */
#include "http.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef CURL_WRITEFUNC_ERROR /* new in 7.87.0: any count that is not the length given says the same */
#define CURL_WRITEFUNC_ERROR 0xFFFFFFFF
#endif

/* --- as it comes ------------------------------------------------------------------------------ */

/* The header's last value; NULL: it is not there. */
static const char *response_header(const Request *request, const char *name) {
  const char *value = NULL;
  (void)headers_find(&request->response_headers, name, &value);
  return value;
}

/* The value of a header that must be there once: two of them contradict each other. */
static const char *response_sole_header(const Request *request, const char *name) {
  const char *value = NULL;
  return headers_find(&request->response_headers, name, &value) == 1 ? value : NULL;
}

/* Does the body come in gzip coding? False for a coding that cannot be taken off: it must not reach the
 * file. */
static bool body_coding(const Request *request, bool *packed) {
  for (Header header = {NULL, NULL}; headers_next(&request->response_headers, &header);)
    if (strcmp(header.name, "content-encoding") == 0 && !curl_strequal(header.value, "identity")) {
      if (*packed || !curl_strequal(header.value, "gzip") || !sink_unpacks(request->sink))
        return false;
      *packed = true;
    }
  return true;
}

/* The sink has failed. */
static bool sink_failure(Request *request) {
  request->failure = sink_coding_broken(request->sink) ? FAILURE_CODING : FAILURE_FILE;
  request->file_error = sink_error(request->sink);
  return false;
}

/* The strong validator. A weak one does not promise the same bytes. */
static const char *response_validator(const Request *request) {
  const char *etag = response_sole_header(request, "etag");
  return validator_usable(etag) ? etag : NULL;
}

/* Reads the number that a text begins with, and returns what follows; NULL: none, or it is too large. */
static const char *number_read(const char *text, curl_off_t *number) {
  char *end;
  if (*text < '0' || *text > '9') return NULL;
  errno = 0;
  *number = (curl_off_t)strtoll(text, &end, 10);
  return errno == 0 ? end : NULL;
}

/* Reads "bytes 5-9/10", or "bytes 5-9" and a star where the total is not known. */
static bool content_range_read(const char *text, BodyInfo *info) {
  curl_off_t last = 0;
  if (text == NULL || strncmp(text, "bytes ", 6) != 0) return false;
  if ((text = number_read(text + 6, &info->start)) == NULL || *text != '-') return false;
  if ((text = number_read(text + 1, &last)) == NULL || *text != '/') return false;
  if (last < info->start || last == INT64_MAX) return false;
  info->end = last + 1;
  if (strcmp(text + 1, "*") == 0) return true;
  text = number_read(text + 1, &info->total);
  return text != NULL && *text == '\0' && info->end <= info->total;
}

/* A part begins. Before its first byte is taken it must be the one that is missing. An ETag that is weak, or
 * malformed, or there twice, is not that of the file. */
static bool part_begins(Request *request, BodyInfo *info) {
  if (headers_find(&request->response_headers, "etag", &info->validator) < 2 &&
      content_range_read(response_sole_header(request, "content-range"), info) &&
      sink_continue(request->sink, info))
    return true;
  request->failure = FAILURE_RANGE;
  return false;
}

/* The body begins. Into the sink goes only that of a 200 or 206 whose type is not that of an error page; all
 * else is kept in memory, where it can be read and reported. */
static bool body_begins(Request *request) {
  request->begun = true;
  if (request->sink == NULL) return true;
  long status = 0;
  if (curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK) return false;
  const char *content_type = response_header(request, "content-type");
  if ((status != 200 && status != 206) ||
      sink_refuses(request->sink, content_type != NULL ? content_type : ""))
    return true;
  BodyInfo info = BODY_INFO_NONE;
  info.content_type = content_type;
  info.validator = response_validator(request);
  if (!body_coding(request, &info.packed) || (info.packed && status == 206)) {
    request->failure = FAILURE_CODED;
    return false;
  }
  request->to_sink = true;
  request->last_byte_at = clock_now();
  if (status == 206) return part_begins(request, &info);
  if (curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &info.total) != CURLE_OK)
    info.total = -1;
  info.end = info.total;
  return sink_begin(request->sink, &info) || sink_failure(request);
}

size_t response_on_header(char *line, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count;
  long status = 0;
  request->failure = headers_take(&request->response_headers, line, length);
  if (request->sees_lines && request->response_headers.state == HEADERS_ENDED &&
      curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
    request->interim = status / 100 == 1 && status != 101;
  return request->failure == FAILURE_NONE ? length : CURL_WRITEFUNC_ERROR;
}

/* A header line before libcurl looks at it itself, or a piece of one: here a long one comes cut, at any byte. */
static size_t line_check(Request *request, const char *line, size_t length) {
  bool begins = !request->in_line;
  request->in_line = line[length - 1] != '\n';
  if (!begins || !headers_lack(&request->response_headers, line)) return length;
  request->failure = FAILURE_HEADERS;
  return CURL_WRITEFUNC_ERROR;
}

/* Into memory. A long body whose length is known is not copied at each doubling; but it gets no more room than eight
 * times what has come, whatever the response says of its length. */
static bool body_take(Request *request, const char *data, size_t length) {
  Buffer *body = &request->body;
  size_t needed = body->length + length;
  curl_off_t all = 0;
  if (needed > body->capacity &&
      curl_easy_getinfo(request->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &all) == CURLE_OK) {
    size_t most = needed < request->limit / 8 ? 8 * needed : request->limit;
    if (all >= 0 && (uint64_t)all < most) most = (size_t)all;
    if (all >= 0 && most > needed) (void)buffer_reserve(body, most - body->length);
  }
  return buffer_append(body, data, length);
}

size_t response_on_body(char *data, size_t size, size_t count, void *context) {
  Request *request = context;
  size_t length = size * count; /* libcurl: size is always 1 */
  if (request->sees_lines && (request->response_headers.state != HEADERS_ENDED || request->interim))
    return line_check(request, data, length);
  if (!request->begun && !body_begins(request)) return CURL_WRITEFUNC_ERROR;
  if (request->to_sink) {
    request->last_byte_at = clock_now();
    request->taken += length;
    if (request->taken >= TURN_SIZE) (void)curl_easy_pause(request->easy, CURLPAUSE_RECV);
    if (!sink_write(request->sink, data, length)) (void)sink_failure(request);
  } else if (length > request->limit - request->body.length) {
    request->failure = FAILURE_TOO_LARGE;
  } else if (!body_take(request, data, length)) {
    request->failure = FAILURE_NO_MEMORY;
  }
  if (request->failure != FAILURE_NONE) return CURL_WRITEFUNC_ERROR;
  request->received += (curl_off_t)length;
  return length;
}

/* --- at its end ------------------------------------------------------------------------------- */

/* Two different lengths prove nothing. libcurl before 8.22 takes the first. */
static bool lengths_agree(const Request *request) {
  const char *last = response_header(request, "content-length");
  for (Header header = {NULL, NULL}; headers_next(&request->response_headers, &header);)
    if (strcmp(header.name, "content-length") == 0 && strcmp(header.value, last) != 0) return false;
  return true;
}

/* In HTTP/2 the stream says where it ends. But libcurl before 8.0.0 may take a stream that was reset, or whose
 * connection was lost, for one that ended: then only a length proves anything, or the end of the gzip
 * coding. */
static bool stream_is_framed(const Request *request) {
  if (curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000) return true;
  return request->to_sink && sink_is_unpacking(request->sink);
}

/* Does the message itself say where the body ends? If not, the connection was closed there, and one that broke
 * looks the same. */
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

static RequestFailure response_check(Request *request) {
  /* libcurl takes headers that break off for ones that end */
  if (request->response_headers.state != HEADERS_ENDED) return FAILURE_CUT_HEADERS;
  if (!lengths_agree(request)) return FAILURE_LENGTHS;
  if (!request->begun) (void)body_begins(request); /* an empty body makes an empty file */
  if (!request->to_sink || request->failure != FAILURE_NONE) return request->failure;
  if (!response_is_framed(request)) return FAILURE_UNFRAMED;
  if (!sink_length_matches(request->sink)) return FAILURE_SHORT;
  if (!sink_reaches_end(request->sink)) return FAILURE_PART;
  if (!sink_end(request->sink)) (void)sink_failure(request);
  return request->failure;
}

void response_verify(Request *request, CURLcode result) {
  /* libcurl 7.88 says so of a first header line that begins with a blank */
  if (result == CURLE_BAD_FUNCTION_ARGUMENT) result = CURLE_WEIRD_SERVER_REPLY;
  request->result = result;
  if (result == CURLE_OK && request->failure == FAILURE_NONE)
    request->failure = response_check(request);
  if (request->sink != NULL) sink_release(request->sink);
  request->sink = NULL;
}

/* --- for Lua ---------------------------------------------------------------------------------- */

bool response_is_plain_200(const Request *request) {
  long status = 0;
  return request->easy != NULL && request->state >= REQUEST_FINISHED &&
         request->failure == FAILURE_NONE && request->result == CURLE_OK && !request->to_sink &&
         curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
         status == 200;
}

CURLcode response_push(lua_State *L, Request *request) {
  long status = 0;
  curl_off_t retry_after = 0, total = 0;
  CURLcode code = curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK) code = curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
  if (code == CURLE_OK) code = curl_easy_getinfo(request->easy, CURLINFO_TOTAL_TIME_T, &total);
  if (code != CURLE_OK) return code;

  bool framed = !request->to_sink && response_is_framed(request); /* its sink is gone by now */
  lua_createtable(L, 0, 8);
  if (!request->to_sink) {
    lua_pushlstring(L, request->body.data, request->body.length);
    lua_setfield(L, -2, "body");
    lua_pushboolean(L, framed);
    lua_setfield(L, -2, "framed");
  }
  headers_push(L, &request->response_headers);
  lua_setfield(L, -2, "headers");
  lua_pushinteger(L, (lua_Integer)status);
  lua_setfield(L, -2, "status");
  lua_pushinteger(L, (lua_Integer)request->received);
  lua_setfield(L, -2, "bytes");
  lua_pushboolean(L, request->to_sink);
  lua_setfield(L, -2, "to_sink");
  lua_pushnumber(L, (lua_Number)total / 1e6);
  lua_setfield(L, -2, "seconds");
  if (retry_after > 0) { /* 0: none, or not to be understood; less: a date that is past */
    lua_pushinteger(L, (lua_Integer)retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  /* A finaliser may have cancelled it in the meantime, and freed what had still to be read. */
  return request->failure == FAILURE_NONE ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}
