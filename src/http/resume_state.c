/*
 * The resume state: what a process must know to resume a part file that an earlier one left. Which file it
 * is, its validator, its size when it is whole, and its type, in a small file beside it: a line for each,
 * which may be empty.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool validator_usable(const char *validator) {
  size_t length = validator != NULL ? strlen(validator) : 0;
  if (length < 2 || validator[0] != '"' || validator[length - 1] != '"') return false;
  for (size_t i = 1; i + 1 < length; i++) {
    unsigned char c = (unsigned char)validator[i];
    if (c < 0x21 || c == '"' || c == 0x7f) return false;
  }
  return true;
}

bool resume_state_write(const char *path, const char *identity, const BodyInfo *info) {
  char text[RESUME_STATE_SIZE];
  int length = snprintf(text, sizeof text, "%s\n%s\n%lld\n%s\n", identity,
                        info->validator != NULL ? info->validator : "", (long long)info->total,
                        info->content_type != NULL ? info->content_type : "");
  if (length < 0 || (size_t)length >= sizeof text)
    return false; /* none is better than half of one */
  int fd;
  UNINTERRUPTED(fd, open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (fd < 0) return false;
  ssize_t written;
  UNINTERRUPTED(written, write(fd, text, (size_t)length));
  return (close(fd) == 0) && written == (ssize_t)length;
}

/* Cuts the next line off the text; NULL when there is none. */
static char *line_next(char **text) {
  char *line = *text, *newline = strchr(line, '\n');
  if (newline == NULL) return NULL;
  *newline = '\0';
  *text = newline + 1;
  return line;
}

bool resume_state_read(const char *path, const char *identity, char room[RESUME_STATE_SIZE],
                       BodyInfo *info) {
  int fd;
  UNINTERRUPTED(fd, open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)); /* no FIFO */
  if (fd < 0) return false;
  struct stat status;
  bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  ssize_t got = -1;
  if (regular) UNINTERRUPTED(got, read(fd, room, RESUME_STATE_SIZE - 1));
  (void)close(fd);
  if (got <= 0) return false;
  room[got] = '\0';
  char *text = room, *end;
  const char *name = line_next(&text), *validator = name != NULL ? line_next(&text) : NULL;
  const char *total = validator != NULL ? line_next(&text) : NULL;
  const char *content_type = total != NULL ? line_next(&text) : NULL;
  if (content_type == NULL || strcmp(name, identity) != 0 || !validator_usable(validator))
    return false;
  errno = 0;
  info->total = (curl_off_t)strtoll(total, &end, 10);
  if (*end != '\0' || end == total || errno != 0) return false;
  info->validator = validator;
  info->content_type = *content_type != '\0' ? content_type : NULL;
  return true;
}
