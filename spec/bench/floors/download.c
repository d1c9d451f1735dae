/*
 * Files by libcurl: a big receive buffer, and what comes gathered into pieces that are written at once.
 *
 *   download files BASE CA ENCODING CONNECTIONS DIRECTORY NAME…     ENCODING: gzip, or - for none
 */
#include "floor.h"

#include <fcntl.h>
#include <unistd.h>

#define RECEIVE_SIZE 524288L
#define PIECE_SIZE   262144u

typedef struct File {
  int fd;
  size_t length;
  long long bytes;
  char *piece;
} File;

static void file_flush(File *file) {
  for (size_t done = 0; done < file->length;) {
    ssize_t written = write(file->fd, file->piece + done, file->length - done);
    need(written > 0, "write");
    done += (size_t)written;
  }
  file->bytes += (long long)file->length;
  file->length = 0;
}

static size_t file_take(char *data, size_t one, size_t size, void *context) {
  File *file = context;
  size_t left = size;
  (void)one;
  while (left > 0) {
    size_t room = PIECE_SIZE - file->length, part = left < room ? left : room;
    memcpy(file->piece + file->length, data, part);
    file->length += part;
    data += part;
    left -= part;
    if (file->length == PIECE_SIZE) file_flush(file);
  }
  return size;
}

static void file_start(CURLM *multi, File *file, char **argv, const char *name) {
  const char *base = argv[2], *ca = argv[3], *encoding = argv[4], *directory = argv[6];
  char path[400], url[400];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  snprintf(url, sizeof url, "%s/v1/files/%s", base, name);
  file->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  file->piece = malloc(PIECE_SIZE);
  need(file->fd >= 0 && file->piece != NULL, path);
  CURL *easy = easy_new(ca);
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_SIZE);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, file_take);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)file);
  if (strcmp(encoding, "-") != 0) curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, encoding);
  need(curl_multi_add_handle(multi, easy) == CURLM_OK, "curl_multi_add_handle");
}

int main(int argc, char **argv) {
  if (argc < 8 || strcmp(argv[1], "files") != 0) return 2;
  int count = argc - 7, running, left;
  long long bytes = 0;
  CURLMsg *message;
  File *files = calloc((size_t)count, sizeof *files);
  need(files != NULL, "calloc");
  Spent since = spent_begin();
  need_curl(curl_global_init(CURL_GLOBAL_DEFAULT));
  CURLM *multi = multi_new(atol(argv[5]));
  for (int i = 0; i < count; i++) file_start(multi, &files[i], argv, argv[7 + i]);
  do {
    need(curl_multi_perform(multi, &running) == CURLM_OK, "curl_multi_perform");
    if (running > 0) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  } while (running > 0);
  while ((message = curl_multi_info_read(multi, &left)) != NULL) need_curl(message->data.result);
  for (int i = 0; i < count; i++) {
    file_flush(&files[i]);
    need(close(files[i].fd) == 0, "close");
    bytes += files[i].bytes;
  }
  spent_print(since, count, bytes);
  return 0;
}
