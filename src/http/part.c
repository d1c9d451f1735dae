/*
 * A download on the disk: `path.part`, which grows, and `path`, whose place it takes. Or a file without a
 * name, for reading back.
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Writes are gathered up to this size: measured to be a third cheaper than writing what libcurl
 * hands over piece by piece. */
#define GATHER_SIZE 262144u

#define SYNC_SLICE ((curl_off_t)8 * 1024 * 1024)

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

/* May a file take the place of what is at `path`? 0, or an errno: never of what is no regular file. `mode`
 * is that of the file there, 0 when there is none. */
static int target_look(const char *path, mode_t *mode) {
  struct stat status;
  *mode = 0;
  if (lstat(path, &status) != 0) return errno == ENOENT ? 0 : errno;
  *mode = status.st_mode;
  return S_ISREG(*mode) ? 0 : S_ISDIR(*mode) ? EISDIR : EEXIST;
}

/* Does the name still stand for this file? */
static bool name_stands(int fd, const char *part) {
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
  return name_stands(fd, part) ? 0 : EBUSY;
}

/* Cuts the file off at that byte, where the next one goes. 0, or an errno. */
static int file_truncate(int fd, curl_off_t end) {
  int failed;
  UNINTERRUPTED(failed, ftruncate(fd, end));
  return failed == 0 && lseek(fd, end, SEEK_SET) == end ? 0 : errno;
}

/* Opens path.part for us alone; -1 and errno. Not through a symbolic link, not another user's, and not
 * while another download into the same path is going on. */
static int name_open(const char *part, mode_t mode, bool resume) {
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

/* Puts it in the place of `path`, whose mode it takes when a file is there. 0, or an errno. */
static int name_publish(int fd, const char *part, const char *path) {
  mode_t mode;
  int error = target_look(path, &mode);
  if (error != 0) return error;
  if (!name_stands(fd, part)) return ESTALE;
  if (mode != 0 && fchmod(fd, mode & 07777) != 0) return errno;
  return rename(part, path) == 0 ? 0 : errno;
}

/* The same where nothing is: EEXIST when something is there. */
static int name_publish_beside(int fd, const char *part, const char *path) {
  mode_t mode;
  int error = target_look(path, &mode);
  if (error != 0) return mode != 0 ? EEXIST : error;
  if (mode != 0) return EEXIST;
  if (!name_stands(fd, part)) return ESTALE;
  if (link(part, path) == 0) { /* unlike rename, it never takes the place of a file */
    (void)unlink(part);
    return 0;
  }
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  return rename(part, path) == 0 ? 0 : errno; /* a file system without links */
}

/* A file without a name in `directory`: gone when it is closed, however that comes about. */
static int spool_open(lua_State *L, const char *directory) {
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

/* --- writing ---------------------------------------------------------------------------------- */

bool part_fail(Part *part) {
  if (part->error == 0) part->error = errno != 0 ? errno : EIO;
  return false;
}

bool part_usable(Part *part) {
  if (part->error == 0 && part->fd < 0) part->error = EBADF;
  return part->error == 0;
}

/* All of it, however many calls that takes. */
static bool write_all(Part *part, const char *data, size_t length) {
  while (length > 0) {
    ssize_t written;
    UNINTERRUPTED(written, write(part->fd, data, length));
    if (written < 0) return part_fail(part);
    data += written;
    length -= (size_t)written;
  }
  return true;
}

/* Lets the system write to the disk as it goes: one sync of gigabytes at the end would stop every other
 * task. Only a hint; part_sync makes sure. */
static void sync_slice(Part *part) {
  if (part->path == NULL || part->bytes - part->syncing < SYNC_SLICE) return;
#if defined(SYNC_FILE_RANGE_WRITE)
  (void)sync_file_range(part->fd, part->syncing, part->bytes - part->syncing,
                        SYNC_FILE_RANGE_WRITE);
#else
  (void)fsync(part->fd);
#endif
  part->syncing = part->bytes;
}

bool part_flush(Part *part) {
  bool done = write_all(part, part->gathered, part->used);
  part->used = 0;
  sync_slice(part);
  return done;
}

bool part_write(void *context, const char *data, size_t length) {
  Part *part = context;
  part->bytes += (curl_off_t)length;
  if (length > GATHER_SIZE - part->used) {
    if (!part_flush(part)) return false;
    if (length >= GATHER_SIZE) return write_all(part, data, length);
  }
  memcpy(part->gathered + part->used, data, length);
  part->used += length;
  return true;
}

bool part_begin(Part *part, curl_off_t end) {
  part->used = 0;
  part->bytes = part->syncing = end;
  if (file_truncate(part->fd, end) != 0) return part_fail(part);
  if (part->gathered == NULL) part->gathered = malloc(GATHER_SIZE);
  return part->gathered != NULL || part_fail(part);
}

bool part_read_back(Part *part, Emit *emit, void *context) {
  if ((part->gathered = malloc(GATHER_SIZE)) == NULL) return false;
  curl_off_t size = part->bytes = lseek(part->fd, 0, SEEK_END);
  if (emit == NULL) return true;
  ssize_t got;
  if (lseek(part->fd, 0, SEEK_SET) != 0) return false;
  do {
    UNINTERRUPTED(got, read(part->fd, part->gathered, GATHER_SIZE));
    if (got > 0 && !emit(context, part->gathered, (size_t)got)) return false;
  } while (got > 0);
  return got == 0 && lseek(part->fd, 0, SEEK_CUR) == size;
}

/* --- the file --------------------------------------------------------------------------------- */

bool part_is_named(const Part *part) {
  return part->name != NULL && name_stands(part->fd, part->name);
}

void part_forget_state(const Part *part) {
  if (part_is_named(part)) (void)unlink(part->state);
}

void part_start_over(Part *part) {
  free(part->gathered);
  part->gathered = NULL;
  part->bytes = 0;
  if (part->state != NULL) (void)unlink(part->state);
}

int part_open_nameless(lua_State *L, Part *part, const char *directory) {
  part->fd = spool_open(L, directory);
  return part->fd >= 0 ? 0 : file_error_push(L, directory, errno);
}

int part_open(lua_State *L, Part *part, bool resume) {
  mode_t mode;
  int error = target_look(part->path, &mode);
  if (error != 0) return file_error_push(L, part->path, error);
  /* What is secret there is secret while it grows. */
  part->fd = name_open(part->name, mode != 0 ? (mode & 0666) | 0600 : 0666, resume);
  return part->fd >= 0 ? 0 : file_error_push(L, part->name, errno);
}

int part_publish(Part *part, const char *other) {
  int failed;
  if (!part_usable(part) || !part_flush(part)) return part->error;
  UNINTERRUPTED(failed, fsync(part->fd));
  if (failed != 0) {
    (void)part_fail(part);
    return part->error;
  }
  int error = other != NULL ? name_publish_beside(part->fd, part->name, other)
                            : name_publish(part->fd, part->name, part->path);
  if (error != 0) return error;
  (void)unlink(part->state);
  part->name = NULL; /* it is gone: only the descriptor is left to close */
  return 0;
}

/* Removes the .part file and its state, unless another download has taken their place. */
static void part_remove(const Part *part) {
  if (!part_is_named(part)) return;
  (void)unlink(part->name);
  (void)unlink(part->state);
}

void part_close(Part *part, bool keep) {
  if (part->fd >= 0 && part->maker == process_now()) {
    if (keep)
      (void)part_flush(part);
    else
      part_remove(part); /* before close: it is ours only as long as the lock is */
    /* A child made by fork holds the lock, too, until it ends: it is to be free all the same. */
    if (part->path != NULL) (void)flock(part->fd, LOCK_UN);
  }
  if (part->fd >= 0) (void)close(part->fd);
  part->fd = -1;
  free(part->gathered);
  part->gathered = NULL;
}
