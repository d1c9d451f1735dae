/*
 * What the floors share: clocks, and handles that ask for what the module asks for. Errors of the machine's end the
 * process.
 */
#pragma once

#define _GNU_SOURCE

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UNUSED __attribute__((unused))

static void UNUSED need(bool ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void UNUSED need_curl(CURLcode code) {
  if (code == CURLE_OK) return;
  fprintf(stderr, "libcurl: %s\n", curl_easy_strerror(code));
  exit(1);
}

static double UNUSED clock_read(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What was spent since the beginning. */
typedef struct Spent {
  double cpu, wall;
} Spent;

static Spent UNUSED spent_begin(void) {
  return (Spent){clock_read(CLOCK_PROCESS_CPUTIME_ID), clock_read(CLOCK_MONOTONIC)};
}

/* `count` and `check` say what has been done: every contender has to say the same. */
static void UNUSED spent_print(Spent since, long long count, long long check) {
  printf("cpu=%.6f wall=%.6f count=%lld check=%lld\n",
         clock_read(CLOCK_PROCESS_CPUTIME_ID) - since.cpu, clock_read(CLOCK_MONOTONIC) - since.wall,
         count, check);
}

/* Its memory grows with what comes. */
typedef struct Body {
  char *data;
  size_t length, capacity;
} Body;

static size_t UNUSED body_take(char *data, size_t one, size_t size, void *context) {
  Body *body = context;
  (void)one;
  if (body->length + size + 1 > body->capacity) {
    body->capacity = 2 * (body->length + size + 1);
    body->data = realloc(body->data, body->capacity);
    need(body->data != NULL, "realloc");
  }
  memcpy(body->data + body->length, data, size);
  body->length += size;
  body->data[body->length] = '\0';
  return size;
}

/* "-" is no file of certificates. */
static CURL UNUSED *easy_new(const char *ca) {
  static struct curl_slist *headers;
  if (headers == NULL) {
    need_curl(curl_global_init(CURL_GLOBAL_DEFAULT));
    headers = curl_slist_append(NULL, "Authorization: Bearer t");
    headers = curl_slist_append(headers, "Accept: application/json");
  }
  CURL *easy = curl_easy_init();
  need(easy != NULL, "curl_easy_init");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "floor");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
  if (strcmp(ca, "-") != 0) curl_easy_setopt(easy, CURLOPT_CAINFO, ca);
  return easy;
}

static CURLM UNUSED *multi_new(long connections) {
  CURLM *multi = curl_multi_init();
  need(multi != NULL, "curl_multi_init");
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
  /* As the module has it: before 8.5.0 libcurl may cross the answers on a shared connection. */
  bool shares = curl_version_info(CURLVERSION_NOW)->version_num >= 0x080500;
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, shares ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
  return multi;
}
