/*
 * The names of a download on the disk: `path.part`, which grows, and `path`, whose place it takes.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int file_error_push(lua_State *L, const char *path, int number) {
  const char *words = number == EEXIST   ? "it is not a regular file"
                      : number == ESTALE ? "its .part file is another download's by now"
                                         : errno_push(L, number);
  lua_pushnil(L);
  if (path != NULL)
    lua_pushfstring(L, "%s: %s", path, words);
  else
    lua_pushstring(L, words);
  lua_pushinteger(L, number);
  return 3;
}

int target_look(const char *path, mode_t *mode) {
  struct stat status;
  *mode = 0;
  if (lstat(path, &status) != 0) return errno == ENOENT ? 0 : errno;
  *mode = status.st_mode;
  return S_ISREG(*mode) ? 0 : S_ISDIR(*mode) ? EISDIR : EEXIST;
}

bool part_is_named(int fd, const char *part) {
  struct stat status, named;
  return fstat(fd, &status) == 0 && lstat(part, &named) == 0 && status.st_dev == named.st_dev &&
         status.st_ino == named.st_ino;
}

/* May this process go on with what was there already? 0, or an errno. */
static int part_check(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EEXIST;
  return status.st_uid == geteuid() ? 0 : EPERM;
}

/* Nobody else is to write into it, in this process or another. 0, or an errno. */
static int part_lock(int fd, const char *part) {
  int locked;
  UNINTERRUPTED(locked, flock(fd, LOCK_EX | LOCK_NB));
  if (locked != 0) return errno == EWOULDBLOCK ? EBUSY : errno;
  /* Between our open and our lock its owner may have made it the finished file. */
  return part_is_named(fd, part) ? 0 : EBUSY;
}

int file_truncate(int fd, curl_off_t end) {
  int failed;
  UNINTERRUPTED(failed, ftruncate(fd, end));
  return failed == 0 && lseek(fd, end, SEEK_SET) == end ? 0 : errno;
}

int part_open(const char *part, mode_t mode, bool resume) {
  const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  int fd, error = 0;
  UNINTERRUPTED(fd, open(part, flags | O_CREAT | O_EXCL, mode));
  bool made = fd >= 0;
  if (fd < 0 && errno == EEXIST) {
    UNINTERRUPTED(fd, open(part, flags));
    if (fd < 0 && errno == ENOENT) errno = EBUSY; /* its owner has just finished it */
    if (fd >= 0) error = part_check(fd);
  }
  if (fd < 0) return -1;
  if (error == 0) error = part_lock(fd, part);
  if (error == 0 && !resume) error = file_truncate(fd, 0);
  if (error == 0) return fd;
  if (made && error != EBUSY) (void)unlink(part); /* nobody else has got hold of it */
  (void)close(fd);
  errno = error;
  return -1;
}

int part_publish(int fd, const char *part, const char *path) {
  mode_t mode;
  int error = target_look(path, &mode);
  if (error != 0) return error;
  if (!part_is_named(fd, part)) return ESTALE;
  if (mode != 0 && fchmod(fd, mode & 07777) != 0) return errno;
  return rename(part, path) == 0 ? 0 : errno;
}

int part_publish_beside(int fd, const char *part, const char *path) {
  mode_t mode;
  int error = target_look(path, &mode);
  if (error != 0) return mode != 0 ? EEXIST : error;
  if (mode != 0) return EEXIST;
  if (!part_is_named(fd, part)) return ESTALE;
  if (link(part, path) == 0) { /* unlike rename, it never takes the place of a file */
    (void)unlink(part);
    return 0;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  return rename(part, path) == 0 ? 0 : errno; /* a file system without links */
}

int spool_open(lua_State *L, const char *directory) {
  int fd;
#if defined(O_TMPFILE) /* never has one, where the file system can do that */
  UNINTERRUPTED(fd, open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd >= 0) return fd;
#endif
  static const char suffix[] = "/.spool-XXXXXX";
  size_t length = strlen(directory);
  char *name = lua_newuserdatauv(L, length + sizeof suffix, 0);
  memcpy(name, directory, length);
  memcpy(name + length, suffix, sizeof suffix);
  UNINTERRUPTED(fd, mkostemp(name, O_CLOEXEC));
  if (fd >= 0) (void)unlink(name);
  lua_pop(L, 1);
  return fd;
}
