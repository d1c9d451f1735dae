/*
 * A download on the disk: `path.part`, which grows, and `path`, which it replaces. Or a nameless file, for
 * reading back.
 */
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Writes are gathered up to this size: measured to be a third cheaper than writing each piece as libcurl
 * hands it over. */
#define WRITE_SIZE 262144u

/* What may be written at most without the system writing to the disk. (What this costs is within the noise of
 * the measurement.) */
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

/* May a file replace what is at `path`? 0, or an errno: only a regular file is replaced. `mode` is that of
 * the file there, 0 when there is none. */
static int path_check(const char *path, mode_t *mode) {
  struct stat status;
  *mode = 0;
  if (lstat(path, &status) != 0) return errno == ENOENT ? 0 : errno;
  *mode = status.st_mode;
  return S_ISREG(*mode) ? 0 : S_ISDIR(*mode) ? EISDIR : EEXIST;
}

/* Is the file at this path still the one that is open? */
static bool path_is_open(int fd, const char *part) {
  struct stat status, named;
  return fstat(fd, &status) == 0 && lstat(part, &named) == 0 && status.st_dev == named.st_dev &&
         status.st_ino == named.st_ino;
}

/* May this process write into a .part file that was there already? 0, or an errno. */
static int part_file_check(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EEXIST;
  return status.st_uid == geteuid() ? 0 : EPERM;
}

/* Keeps all others out, in this process and others. 0, or an errno. */
static int part_file_lock(int fd, const char *part) {
  int locked;
  UNINTERRUPTED(locked, flock(fd, LOCK_EX | LOCK_NB));
  if (locked != 0) return errno == EWOULDBLOCK ? EBUSY : errno;
  /* Between our open and our lock its owner may have published it. */
  return path_is_open(fd, part) ? 0 : EBUSY;
}

/* Cuts the file off behind `end` bytes, where the next one goes. 0, or an errno. */
static int file_truncate(int fd, curl_off_t end) {
  int failed;
  UNINTERRUPTED(failed, ftruncate(fd, end));
  return failed == 0 && lseek(fd, end, SEEK_SET) == end ? 0 : errno;
}

/* Opens path.part for us alone; -1 and errno when it cannot be had. Not through a symbolic link, not another
 * user's, and not while another download into the same path is going on. */
static int part_file_open(const char *part, mode_t mode, bool resume) {
  const int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
  int fd, error = 0;
  UNINTERRUPTED(fd, open(part, flags | O_CREAT | O_EXCL, mode));
  bool made = fd >= 0;
  if (fd < 0 && errno == EEXIST) {
    UNINTERRUPTED(fd, open(part, flags));
    if (fd < 0 && errno == ENOENT) errno = EBUSY; /* its owner has just published it */
    if (fd >= 0) error = part_file_check(fd);
  }
  if (fd < 0) return -1;
  if (error == 0) error = part_file_lock(fd, part);
  if (error == 0 && !resume) error = file_truncate(fd, 0);
  if (error == 0) return fd;
  if (made && error != EBUSY) (void)unlink(part); /* nobody else has it open */
  (void)close(fd);
  errno = error;
  return -1;
}

/* Renames it to `path`: over the file there, whose mode it takes, or only where nothing is. 0, or an errno:
 * EEXIST when something is there that must stay. */
static int part_file_rename(int fd, const char *part, const char *path, bool over) {
  mode_t mode;
  int error = path_check(path, &mode);
  if (mode != 0 && !over) return EEXIST;
  if (error != 0) return error;
  if (!path_is_open(fd, part)) return ESTALE;
  if (!over && link(part, path) == 0) { /* unlike rename, it never replaces a file */
    (void)unlink(part);
    return 0;
  }
  /* else the file system has no links */
  if (!over && errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return errno;
  if (mode != 0 && fchmod(fd, mode & 07777) != 0) return errno;
  return rename(part, path) == 0 ? 0 : errno;
}

/* A nameless file in `directory`: gone when it is closed, however that comes about. */
static int nameless_open(lua_State *L, const char *directory) {
  int fd;
#if defined(O_TMPFILE) /* never has a name, where the file system can do that */
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

/* Gives back the room behind the end of the file: cuts it off there, whatever its length should be. */
static void room_release(const Part *part) {
  curl_off_t end = part->ahead ? lseek(part->fd, 0, SEEK_END) : -1;
  if (end >= 0) (void)file_truncate(part->fd, end);
}

/* Lets the system write to the disk as the file grows: one sync of gigabytes at the end would stop every
 * other task. And takes room for the next slice, so that the system need not look for it at each write. Both are
 * only hints; part_publish makes sure. */
static void sync_slice(Part *part) {
  if (part->path == NULL || part->bytes - part->syncing < SYNC_SLICE) return;
#if defined(SYNC_FILE_RANGE_WRITE)
  (void)sync_file_range(part->fd, part->syncing, part->bytes - part->syncing,
                        SYNC_FILE_RANGE_WRITE);
#else
  (void)fsync(part->fd);
#endif
  part->syncing = part->bytes;
#if defined(FALLOC_FL_KEEP_SIZE) /* measured on ext4: a quarter off what writing costs */
  part->ahead = true;
  if (fallocate(part->fd, FALLOC_FL_KEEP_SIZE, part->bytes, SYNC_SLICE) != 0 && errno != EOPNOTSUPP)
    room_release(part); /* ext4 keeps what it could take, which is all that a full disk had left */
#endif
}

bool part_flush(Part *part) {
  bool done = write_all(part, part->write_buffer, part->buffered);
  part->buffered = 0;
  if (done) sync_slice(part);
  return done;
}

/* Pieces of the same size, so that they lie in the file as the system's memory does. */
bool part_write(void *context, const char *data, size_t length) {
  Part *part = context;
  while (length > 0) {
    size_t room = WRITE_SIZE - part->buffered, taken = length < room ? length : room;
    memcpy(part->write_buffer + part->buffered, data, taken);
    part->buffered += taken;
    part->bytes += (curl_off_t)taken;
    if (taken == room && !part_flush(part)) return false;
    data += taken;
    length -= taken;
  }
  return true;
}

bool part_begin(Part *part, curl_off_t end) {
  part->buffered = 0;
  part->bytes = part->syncing = end;
  if (file_truncate(part->fd, end) != 0) return part_fail(part);
  if (part->write_buffer == NULL) part->write_buffer = malloc(WRITE_SIZE);
  return part->write_buffer != NULL || part_fail(part);
}

bool part_read_back(Part *part, Emit *emit, void *context) {
  if ((part->write_buffer = malloc(WRITE_SIZE)) == NULL) return false;
  curl_off_t size = part->bytes = lseek(part->fd, 0, SEEK_END);
  part->ahead = true; /* it may have had no time to give it back */
  if (emit == NULL) return true;
  ssize_t got;
  if (lseek(part->fd, 0, SEEK_SET) != 0) return false;
  do {
    UNINTERRUPTED(got, read(part->fd, part->write_buffer, WRITE_SIZE));
    if (got > 0 && !emit(context, part->write_buffer, (size_t)got)) return false;
  } while (got > 0);
  return got == 0 && lseek(part->fd, 0, SEEK_CUR) == size;
}

/* --- the file --------------------------------------------------------------------------------- */

bool part_is_named(const Part *part) {
  return part->part_path != NULL && path_is_open(part->fd, part->part_path);
}

void part_remove_state(const Part *part) {
  if (part_is_named(part)) (void)unlink(part->state_path);
}

void part_clear(Part *part) {
  free(part->write_buffer);
  part->write_buffer = NULL;
  part->bytes = 0;
  if (part->state_path != NULL) (void)unlink(part->state_path);
}

int part_open_nameless(lua_State *L, Part *part, const char *directory) {
  part->fd = nameless_open(L, directory);
  return part->fd >= 0 ? 0 : file_error_push(L, directory, errno);
}

int part_open(lua_State *L, Part *part, bool resume) {
  mode_t mode;
  int error = path_check(part->path, &mode);
  if (error != 0) return file_error_push(L, part->path, error);
  /* A file that only its owner may read stays so while it grows. */
  part->fd = part_file_open(part->part_path, mode != 0 ? (mode & 0666) | 0600 : 0666, resume);
  return part->fd >= 0 ? 0 : file_error_push(L, part->part_path, errno);
}

int part_publish(Part *part, const char *other) {
  int failed;
  if (!part_usable(part) || !part_flush(part)) return part->error;
  room_release(part);
  UNINTERRUPTED(failed, fsync(part->fd));
  if (failed != 0) {
    (void)part_fail(part);
    return part->error;
  }
  int error = part_file_rename(part->fd, part->part_path, other != NULL ? other : part->path,
                               other == NULL);
  if (error != 0) return error;
  (void)unlink(part->state_path);
  part->part_path = NULL;
  return 0;
}

/* Removes the .part file and its state, unless another download has taken their place. */
static void part_remove(const Part *part) {
  if (!part_is_named(part)) return;
  (void)unlink(part->part_path);
  (void)unlink(part->state_path);
}

void part_close(Part *part, bool keep) {
  if (part->fd >= 0 && part->maker == process_now()) {
    if (keep) {
      (void)part_flush(part);
      room_release(part);
    } else {
      part_remove(part); /* before close: it is ours only as long as the lock is */
    }
    /* A child made by fork holds the lock, too, until it ends: close alone would not free it. */
    if (part->path != NULL) (void)flock(part->fd, LOCK_UN);
  }
  if (part->fd >= 0) (void)close(part->fd);
  part->fd = -1;
  free(part->write_buffer);
  part->write_buffer = NULL;
}
