/*
 * Calls by libcurl and nothing else.
 *
 *   calls one BASE N WARM CA              one after another
 *   calls many BASE N IN_FLIGHT CA TIMES  all at once, so many in flight; measured so many times
 *   calls paced BASE N SECONDS            spread evenly over a time, as the polls of jobs that wait
 *
 * The count of the jobs that came, and the sum of their numbers, are printed.
 */
#include "floor.h"

#define PATH "%s/v1/batch-query/jobs/j%ld"

static long number_of(const Body *body) {
  const char *found = body->length > 0 ? strstr(body->data, "\"recordCount\":") : NULL;
  need(found != NULL && strstr(body->data, "\"status\":\"completed\"") != NULL, "no such job");
  return atol(found + strlen("\"recordCount\":"));
}

static void run_one(const char *base, long count, long warm, const char *ca) {
  CURL *easy = easy_new(ca);
  Body body = {0};
  char url[200];
  long sum = 0;
  Spent since = spent_begin();
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)&body);
  for (long i = 1 - warm; i <= count; i++) {
    if (i == 1) since = spent_begin();
    snprintf(url, sizeof url, PATH, base, i < 1 ? 1 : i);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    body.length = 0;
    need_curl(curl_easy_perform(easy));
    long number = number_of(&body);
    if (i >= 1) sum += number;
  }
  spent_print(since, count, sum);
}

/* --- many ------------------------------------------------------------------------------------- */

typedef struct Slot {
  CURL *easy;
  Body body;
} Slot;

typedef struct Many {
  CURLM *multi;
  const char *base;
  Slot **idle;
  size_t idle_count;
  long sum, ended;
} Many;

static void many_open(Many *many, const char *base, size_t slots, long connections,
                      const char *ca) {
  memset(many, 0, sizeof *many);
  many->base = base;
  many->idle = calloc(slots, sizeof *many->idle);
  need(many->idle != NULL, "calloc");
  for (size_t i = 0; i < slots; i++) {
    Slot *slot = calloc(1, sizeof *slot);
    need(slot != NULL, "calloc");
    slot->easy = easy_new(ca);
    curl_easy_setopt(slot->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, body_take);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEDATA, (void *)&slot->body);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, (void *)slot);
    many->idle[many->idle_count++] = slot;
  }
  many->multi = multi_new(connections);
}

static void many_start(Many *many, long number) {
  Slot *slot = many->idle[--many->idle_count];
  char url[200];
  snprintf(url, sizeof url, PATH, many->base, number);
  curl_easy_setopt(slot->easy, CURLOPT_URL, url);
  slot->body.length = 0;
  need(curl_multi_add_handle(many->multi, slot->easy) == CURLM_OK, "curl_multi_add_handle");
}

static void many_step(Many *many) {
  int left;
  CURLMsg *message;
  need(curl_multi_perform(many->multi, &left) == CURLM_OK, "curl_multi_perform");
  while ((message = curl_multi_info_read(many->multi, &left)) != NULL) {
    char *private;
    CURL *easy = message->easy_handle;
    need_curl(message->data.result);
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
    Slot *slot = (void *)private;
    many->sum += number_of(&slot->body);
    many->ended++;
    curl_multi_remove_handle(many->multi, easy);
    many->idle[many->idle_count++] = slot;
  }
}

static void many_all(Many *many, long count) {
  long started = 0;
  many->ended = many->sum = 0;
  while (many->ended < count) {
    while (started < count && many->idle_count > 0) many_start(many, ++started);
    many_step(many);
    if (many->ended < count && (started == count || many->idle_count == 0))
      curl_multi_poll(many->multi, NULL, 0, 1000, NULL);
  }
}

static void run_many(const char *base, long count, long in_flight, const char *ca, long times) {
  Many many;
  long long ended = 0, sum = 0;
  many_open(&many, base, (size_t)in_flight, in_flight, ca);
  many_all(&many, 2 * in_flight);
  Spent since = spent_begin();
  for (long i = 0; i < times; i++) {
    many_all(&many, count);
    ended += many.ended;
    sum += many.sum;
  }
  spent_print(since, ended, sum);
}

static void run_paced(const char *base, long count, double seconds) {
  Many many;
  many_open(&many, base, 64, 8, "-");
  many_all(&many, 8);
  many.ended = many.sum = 0;
  Spent since = spent_begin();
  for (long started = 0; many.ended < count;) {
    double due = since.wall + (double)(started + 1) * seconds / (double)count;
    double now = clock_read(CLOCK_MONOTONIC);
    if (started < count && now >= due) {
      many_start(&many, ++started);
      continue;
    }
    many_step(&many);
    int wait = started < count ? (int)((due - now) * 1000) + 1 : 1000;
    if (many.ended < count) curl_multi_poll(many.multi, NULL, 0, wait, NULL);
  }
  spent_print(since, many.ended, many.sum);
}

int main(int argc, char **argv) {
  const char *verb = argc > 2 ? argv[1] : "";
  if (argc == 6 && strcmp(verb, "one") == 0)
    run_one(argv[2], atol(argv[3]), atol(argv[4]), argv[5]);
  else if (argc == 7 && strcmp(verb, "many") == 0)
    run_many(argv[2], atol(argv[3]), atol(argv[4]), argv[5], atol(argv[6]));
  else if (argc == 5 && strcmp(verb, "paced") == 0)
    run_paced(argv[2], atol(argv[3]), atof(argv[4]));
  else
    return 2;
  return 0;
}
