/*
 * The peer and the floor of spec/bench/many.lua.
 *
 *   many server LOOKS DELAY_MS    prints its port; answers GET …/jobs/jN after the delay, "executing" and at
 *                                 each LOOKS-th look "completed" (0: never); GET /quit ends it
 *   many floor PORT JOBS LOOKS CONNECTIONS
 *                                 sends what the module sends, by curl multi and nothing else; prints the
 *                                 seconds, the CPU seconds and the number of requests
 *
 * Linux only; errors of the machine's end the process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define JOBS_MAX 100000
#define REQUEST_MAX 8192

static void need(bool ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- the server ------------------------------------------------------------------------------- */

typedef struct Peer {
  char request[REQUEST_MAX];
  size_t length;
} Peer;

/* Answers that are due later. The delay is the same for all, so the first in is the first out. */
typedef struct Due {
  int64_t at;
  int fd, job;
} Due;

static Peer *peers[CONNECTIONS_MAX];
static int looks_of[JOBS_MAX];
static Due queue[CONNECTIONS_MAX];
static size_t queue_first, queue_count;

static void answer(const Due *due, int looks) {
  char body[256], text[512];
  bool completed = looks > 0 && ++looks_of[due->job] >= looks;
  if (completed) looks_of[due->job] = 0;
  int size = snprintf(body, sizeof body,
                      "{\"id\":\"j%d\",\"status\":\"%s\",\"format\":\"CSV\",\"version\":\"1.0\","
                      "\"startTime\":\"2024-01-01 00:00:00\",\"batches\":[]}",
                      due->job, completed ? "completed" : "executing");
  int length = snprintf(text, sizeof text,
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: %d\r\n\r\n%s",
                        size, body);
  (void)!write(due->fd, text, (size_t)length);
}

static void peer_read(int fd, int64_t delay) {
  Peer *peer = peers[fd];
  ssize_t got = read(fd, peer->request + peer->length, REQUEST_MAX - 1 - peer->length);
  if (got <= 0) {
    close(fd);
    free(peer);
    peers[fd] = NULL;
    return;
  }
  peer->length += (size_t)got;
  peer->request[peer->length] = '\0';
  if (strstr(peer->request, "\r\n\r\n") == NULL) return;
  peer->length = 0;
  if (strncmp(peer->request, "GET /quit", 9) == 0) exit(0);
  const char *job = strstr(peer->request, "/jobs/j");
  int number = job != NULL ? atoi(job + 7) : 0;
  need(number >= 0 && number < JOBS_MAX && queue_count < CONNECTIONS_MAX, "too many");
  queue[(queue_first + queue_count++) % CONNECTIONS_MAX] = (Due){now_us() + delay, fd, number};
}

static void timer_set(int timer) {
  struct itimerspec when = {{0, 0}, {0, 0}};
  if (queue_count > 0) {
    int64_t at = queue[queue_first].at;
    when.it_value.tv_sec = (time_t)(at / 1000000);
    when.it_value.tv_nsec = (long)(at % 1000000) * 1000;
  }
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void watch(int poll, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  need(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static _Noreturn void serve(int looks, int64_t delay) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  signal(SIGPIPE, SIG_IGN);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), on = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  need(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 512) == 0, "listen");
  getsockname(listener, (struct sockaddr *)&address, &size);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  watch(poll, listener);
  watch(poll, timer);
  for (;;) {
    struct epoll_event events[256];
    int count = epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) {
        int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (peer < 0) continue;
        need(peer < CONNECTIONS_MAX, "too many connections");
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        peers[peer] = calloc(1, sizeof *peers[peer]);
        need(peers[peer] != NULL, "calloc");
        watch(poll, peer);
      } else if (fd == timer) {
        uint64_t expired;
        (void)!read(timer, &expired, sizeof expired);
      } else {
        peer_read(fd, delay);
      }
    }
    while (queue_count > 0 && queue[queue_first].at <= now_us()) {
      answer(&queue[queue_first], looks);
      queue_first = (queue_first + 1) % CONNECTIONS_MAX;
      queue_count--;
    }
    timer_set(timer);
  }
}

/* --- the floor -------------------------------------------------------------------------------- */

static size_t on_body(char *data, size_t one, size_t size, void *context) {
  char *body = context;
  size_t length = strlen(body), take = size < REQUEST_MAX - 1 - length ? size : REQUEST_MAX - 1 - length;
  (void)one;
  memcpy(body + length, data, take);
  body[length + take] = '\0';
  return size;
}

static int run_floor(int port, long jobs, long looks, long connections) {
  long total = jobs * looks, sent = 0, ended = 0, completed = 0;
  int64_t began = now_us();
  curl_global_init(CURL_GLOBAL_ALL);
  CURLM *multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
  struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Bearer t");
  headers = curl_slist_append(headers, "Accept: application/json");
  char url[200];
  for (long i = 0; i < connections && sent < total; i++) {
    CURL *easy = curl_easy_init();
    char *body = calloc(1, REQUEST_MAX);
    need(easy != NULL && body != NULL, "curl_easy_init");
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/batch-query/jobs/j%ld", port, sent++ % jobs);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "lua-zuora/0.0.0 floor");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, body);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_multi_add_handle(multi, easy);
  }
  while (ended < total) {
    int left;
    CURLMsg *message;
    curl_multi_perform(multi, &left);
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
      CURL *easy = message->easy_handle;
      char *body;
      if (message->data.result != CURLE_OK) {
        fprintf(stderr, "%s\n", curl_easy_strerror(message->data.result));
        return 1;
      }
      curl_easy_getinfo(easy, CURLINFO_PRIVATE, &body);
      completed += strstr(body, "\"completed\"") != NULL;
      body[0] = '\0';
      ended++;
      curl_multi_remove_handle(multi, easy);
      if (sent == total) continue;
      snprintf(url, sizeof url, "http://127.0.0.1:%d/v1/batch-query/jobs/j%ld", port, sent++ % jobs);
      curl_easy_setopt(easy, CURLOPT_URL, url);
      curl_multi_add_handle(multi, easy);
    }
    if (ended < total) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  printf("%.4f %.4f %ld %ld\n", (double)(now_us() - began) / 1e6,
         (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
             (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
         ended, completed);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "server") == 0)
    serve(atoi(argv[2]), (int64_t)atoi(argv[3]) * 1000);
  if (argc == 6 && strcmp(argv[1], "floor") == 0)
    return run_floor(atoi(argv[2]), atol(argv[3]), atol(argv[4]), atol(argv[5]));
  fprintf(stderr, "usage: many server LOOKS DELAY_MS | many floor PORT JOBS LOOKS CONNECTIONS\n");
  return 2;
}
