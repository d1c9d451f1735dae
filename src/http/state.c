/*
 * What has to be known to go on with a .part file that an earlier process left: its validator, its size
 * when it is whole, and its type, in a small file beside it. One line each; a line may be empty.
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

bool state_write(const char *path, const char *identity, const BodyHead *head) {
  char text[STATE_ROOM];
  int length = snprintf(text, sizeof text, "%s\n%s\n%lld\n%s\n", identity,
                        head->validator != NULL ? head->validator : "", (long long)head->total,
                        head->content_type != NULL ? head->content_type : "");
  if (length < 0 || (size_t)length >= sizeof text)
    return false; /* no state is better than half of one */
  int fd;
  UNINTERRUPTED(fd, open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)); /* nobody's */
  if (fd < 0) return false;
  ssize_t written;
  UNINTERRUPTED(written, write(fd, text, (size_t)length));
  return (close(fd) == 0) && written == (ssize_t)length;
}

/* The next line of the text, its newline made its end; NULL when there is none. */
static char *line_next(char **text) {
  char *line = *text, *newline = strchr(line, '\n');
  if (newline == NULL) return NULL;
  *newline = '\0';
  *text = newline + 1;
  return line;
}

bool state_read(const char *path, const char *identity, char room[STATE_ROOM], BodyHead *head) {
  int fd;
  UNINTERRUPTED(fd, open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)); /* no FIFO */
  if (fd < 0) return false;
  struct stat status;
  bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  ssize_t got = -1;
  if (regular) UNINTERRUPTED(got, read(fd, room, STATE_ROOM - 1));
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
  head->total = (curl_off_t)strtoll(total, &end, 10);
  if (*end != '\0' || end == total || errno != 0) return false;
  head->validator = validator;
  head->content_type = *content_type != '\0' ? content_type : NULL;
  return true;
}
