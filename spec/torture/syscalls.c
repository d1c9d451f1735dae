/*
 * LD_PRELOAD=build/spec/torture/syscalls.so SYSCALLS="below=/some/folder at=3 how=ENOSPC" program …
 *
 * Makes one system call of a program go wrong, on files below one folder: its paths, and the descriptors that
 * were opened by them. (Paths are compared as they are spelled; to relative ones the working directory is
 * added.) Not part of the module.
 *
 * The rule (rule.h) is read from the environment when the program begins. In a program that hosts Lua the same library
 * is a module besides: package.loadlib(path, "luaopen_syscalls")() gives
 *   rule(text)    another rule, "" for none; counting begins anew
 *   count()       -> calls that counted so far, how many of them were struck
 *   held()        -> descriptors that were opened below the folder, and not closed
 *
 * What the C library does by itself does not pass here, but for what Lua's io and os use: a file of stdio below
 * the folder is one whose reading, writing, seeking and closing are the calls above.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "rule.h"

#define OUTSIDE __attribute__((visibility("default")))

/* The function that this one stands before. */
#define REAL(name)                                                                                 \
  static __typeof__(name) *real;                                                                   \
  if (real == NULL) {                                                                              \
    void *found = dlsym(RTLD_NEXT, #name);                                                         \
    memcpy(&real, &found, sizeof real);                                                            \
  }

__attribute__((constructor)) static void rule_begin(void) {
  const char *text = getenv("SYSCALLS");
  if (text == NULL || rule_set(text)) return;
  (void)fprintf(stderr, "SYSCALLS is not understood: %s\n", text);
  _exit(2);
}

/* --- what a call is about --------------------------------------------------------------------- */

enum { FD_MAX = 65536 };

/* The path of each descriptor that was opened below the folder. */
static char *opened[FD_MAX];

static const char *of_descriptor(int fd) {
  return fd >= 0 && fd < FD_MAX ? opened[fd] : NULL;
}

/* The path, made absolute in `room`, or NULL when it is not below the folder. */
static const char *of_path(const char *path, char room[TEXT_ROOM]) {
  size_t length = strlen(rule.below);
  if (length == 0 || path == NULL || strlen(path) >= TEXT_ROOM / 2) return NULL;
  if (path[0] == '/') {
    (void)strcpy(room, path);
  } else {
    if (getcwd(room, TEXT_ROOM / 2) == NULL) return NULL;
    (void)strcat(strcat(room, "/"), path);
  }
  return strncmp(room, rule.below, length) == 0 && (room[length] == '/' || room[length] == '\0')
             ? room
             : NULL;
}

static int descriptor_opened(int fd, const char *subject) {
  if (fd >= 0 && fd < FD_MAX && subject != NULL) opened[fd] = strdup(subject);
  return fd;
}

static void descriptor_closed(int fd) {
  if (of_descriptor(fd) == NULL) return;
  free(opened[fd]);
  opened[fd] = NULL;
}

static size_t half_of(size_t count) {
  return count > 1 ? count / 2 : count;
}

/* --- the calls: paths ------------------------------------------------------------------------- */

OUTSIDE int open(const char *path, int flags, ...) {
  REAL(open);
  char room[TEXT_ROOM];
  const char *subject = of_path(path, room);
  va_list list;
  va_start(list, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  if (verdict("open", subject) == VERDICT_FAIL) return -1;
  return descriptor_opened(real(path, flags, mode), subject);
}

OUTSIDE int mkostemp(char *template, int flags) {
  REAL(mkostemp);
  char room[TEXT_ROOM];
  const char *subject = of_path(template, room);
  if (verdict("open", subject) == VERDICT_FAIL) return -1;
  return descriptor_opened(real(template, flags), subject);
}

OUTSIDE int rename(const char *from, const char *to) {
  REAL(rename);
  char room[TEXT_ROOM];
  const char *subject = of_path(from, room);
  if (subject == NULL) subject = of_path(to, room);
  return verdict("rename", subject) == VERDICT_FAIL ? -1 : real(from, to);
}

OUTSIDE int link(const char *from, const char *to) {
  REAL(link);
  char room[TEXT_ROOM];
  return verdict("link", of_path(to, room)) == VERDICT_FAIL ? -1 : real(from, to);
}

OUTSIDE int unlink(const char *path) {
  REAL(unlink);
  char room[TEXT_ROOM];
  return verdict("unlink", of_path(path, room)) == VERDICT_FAIL ? -1 : real(path);
}

OUTSIDE int remove(const char *path) {
  REAL(remove);
  char room[TEXT_ROOM];
  return verdict("unlink", of_path(path, room)) == VERDICT_FAIL ? -1 : real(path);
}

OUTSIDE int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  char room[TEXT_ROOM];
  return verdict("mkdir", of_path(path, room)) == VERDICT_FAIL ? -1 : real(path, mode);
}

/* --- the calls: descriptors ------------------------------------------------------------------- */

OUTSIDE ssize_t read(int fd, void *room, size_t count) {
  REAL(read);
  Verdict done = verdict("read", of_descriptor(fd));
  if (done == VERDICT_FAIL) return -1;
  return real(fd, room, done == VERDICT_HALF ? half_of(count) : count);
}

OUTSIDE ssize_t pread(int fd, void *room, size_t count, off_t at) {
  REAL(pread);
  Verdict done = verdict("pread", of_descriptor(fd));
  if (done == VERDICT_FAIL) return -1;
  return real(fd, room, done == VERDICT_HALF ? half_of(count) : count, at);
}

OUTSIDE ssize_t write(int fd, const void *data, size_t count) {
  REAL(write);
  Verdict done = verdict("write", of_descriptor(fd));
  if (done == VERDICT_FAIL) return -1;
  ssize_t written = real(fd, data, done == VERDICT_HALF ? half_of(count) : count);
  if (done == VERDICT_HALF && rule.how == HOW_TORN) end_process();
  return written;
}

OUTSIDE ssize_t pwrite(int fd, const void *data, size_t count, off_t at) {
  REAL(pwrite);
  Verdict done = verdict("pwrite", of_descriptor(fd));
  if (done == VERDICT_FAIL) return -1;
  return real(fd, data, done == VERDICT_HALF ? half_of(count) : count, at);
}

OUTSIDE off_t lseek(int fd, off_t at, int whence) {
  REAL(lseek);
  return verdict("lseek", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd, at, whence);
}

OUTSIDE int ftruncate(int fd, off_t length) {
  REAL(ftruncate);
  return verdict("ftruncate", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd, length);
}

OUTSIDE int fsync(int fd) {
  REAL(fsync);
  return verdict("fsync", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd);
}

OUTSIDE int fdatasync(int fd) {
  REAL(fdatasync);
  return verdict("fsync", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd);
}

OUTSIDE int fchmod(int fd, mode_t mode) {
  REAL(fchmod);
  return verdict("fchmod", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd, mode);
}

OUTSIDE int flock(int fd, int operation) {
  REAL(flock);
  return verdict("flock", of_descriptor(fd)) == VERDICT_FAIL ? -1 : real(fd, operation);
}

OUTSIDE void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t from) {
  REAL(mmap);
  if ((flags & MAP_ANONYMOUS) == 0 && verdict("mmap", of_descriptor(fd)) == VERDICT_FAIL)
    return MAP_FAILED;
  return real(at, length, protection, flags, fd, from);
}

OUTSIDE int fcntl(int fd, int command, ...) {
  REAL(fcntl);
  va_list list;
  va_start(list, command);
  void *argument = va_arg(list, void *);
  va_end(list);
  int result = real(fd, command, argument);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
    return descriptor_opened(result, of_descriptor(fd));
  return result;
}

OUTSIDE int close(int fd) {
  REAL(close);
  Verdict done = verdict("close", of_descriptor(fd));
  int error = errno;
  descriptor_closed(fd);
  int result = real(fd);
  if (done != VERDICT_FAIL) return result;
  errno = error;
  return -1;
}

OUTSIDE int connect(int fd, __CONST_SOCKADDR_ARG address, socklen_t length) {
  REAL(connect);
  return verdict("connect", "an address") == VERDICT_FAIL ? -1 : real(fd, address, length);
}

/* The same by their names for large files; on 64-bit systems, the only ones that this is for, there is no
 * difference. */
#define ALIAS(name) __attribute__((alias(#name))) OUTSIDE
ALIAS(open) int open64(const char *path, int flags, ...);
ALIAS(mkostemp) int mkostemp64(char *template, int flags);
ALIAS(pread) ssize_t pread64(int fd, void *room, size_t count, off_t at);
ALIAS(pwrite) ssize_t pwrite64(int fd, const void *data, size_t count, off_t at);
ALIAS(lseek) off_t lseek64(int fd, off_t at, int whence) __THROW;
ALIAS(ftruncate) int ftruncate64(int fd, off_t length) __THROW;
ALIAS(mmap) void *mmap64(void *, size_t, int, int, int, off_t) __THROW;
ALIAS(fcntl) int fcntl64(int fd, int command, ...);

/* --- stdio ------------------------------------------------------------------------------------ */

static ssize_t file_read(void *cookie, char *room, size_t count) {
  return read((int)(intptr_t)cookie, room, count);
}

/* As stdio does: all of it, unless something goes wrong. */
static ssize_t file_write(void *cookie, const char *data, size_t count) {
  size_t done = 0;
  while (done < count) {
    ssize_t written = write((int)(intptr_t)cookie, data + done, count - done);
    if (written < 0) break;
    done += (size_t)written;
  }
  return (ssize_t)done;
}

static int file_seek(void *cookie, off_t *at, int whence) {
  off_t place = lseek((int)(intptr_t)cookie, *at, whence);
  if (place < 0) return -1;
  *at = place;
  return 0;
}

static int file_close(void *cookie) {
  return close((int)(intptr_t)cookie);
}

OUTSIDE FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  char room[TEXT_ROOM];
  if (of_path(path, room) == NULL) return real(path, mode);
  int flags = strchr(mode, '+') != NULL ? O_RDWR : mode[0] == 'r' ? O_RDONLY : O_WRONLY;
  if (mode[0] != 'r') flags |= O_CREAT | (mode[0] == 'w' ? O_TRUNC : O_APPEND);
  int fd = open(path, flags, 0666);
  if (fd < 0) return NULL;
  if (flags == O_RDONLY && rule.calls[0] != '\0' && !list_has(rule.calls, "read")) {
    descriptor_closed(fd); /* nothing more counts, and psql asks for the descriptor of its file */
    return fdopen(fd, mode);
  }
  FILE *file = fopencookie((void *)(intptr_t)fd, mode,
                           (cookie_io_functions_t){file_read, file_write, file_seek, file_close});
  if (file == NULL) (void)close(fd);
  return file;
}

ALIAS(fopen) FILE *fopen64(const char *path, const char *mode);

/* --- for Lua ---------------------------------------------------------------------------------- */

static int syscalls_rule(lua_State *L) {
  if (!rule_set(luaL_checkstring(L, 1))) return luaL_error(L, "a rule that is not understood");
  return 0;
}

static int syscalls_count(lua_State *L) {
  lua_pushinteger(L, rule.count);
  lua_pushinteger(L, rule.struck);
  return 2;
}

static int syscalls_held(lua_State *L) {
  lua_Integer count = 0;
  for (int fd = 0; fd < FD_MAX; fd++) count += opened[fd] != NULL;
  lua_pushinteger(L, count);
  return 1;
}

OUTSIDE int luaopen_syscalls(lua_State *L);

int luaopen_syscalls(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"rule", syscalls_rule}, {"count", syscalls_count}, {"held", syscalls_held}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
