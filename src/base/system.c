/*
 * What is asked of the system: its words for an errno, directories, who may read a file, room on a disk, random
 * bytes.
 */
#include "base.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h> /* getentropy; in FreeBSD unistd.h has it */
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* There are two functions of the name strerror_r: glibc's returns the text, that of POSIX writes it into the
 * room, and returns a number. */
static const char *text_returned(const char *text, const char *room) {
  (void)room;
  return text;
}

static const char *text_written(int failed, const char *room) {
  return failed == 0 ? room : "unknown error";
}

const char *errno_push(lua_State *L, int number) {
  char room[128] = "";
  return lua_pushstring(L, _Generic(strerror_r(0, room, sizeof room),
                                    char *: text_returned,
                                    int: text_written)(strerror_r(number, room, sizeof room), room));
}

const char *path_argument(lua_State *L, int index, size_t *length) {
  const char *path = luaL_checklstring(L, index, length);
  luaL_argcheck(L, strlen(path) == *length, index, "path with a zero byte");
  return path;
}

/* 0, also when it is there already, or an errno. */
static int directory_make(const char *path, mode_t mode) {
  struct stat status;
  if (mkdir(path, mode) == 0) return 0;
  int error = errno;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : error;
}

/* core.mkdir(path, private) -> true (also when it is there) | nil, message. Missing parents are made, too. What is made
 * private nobody else can look into. */
int directories_make(lua_State *L) {
  size_t length;
  const char *path = path_argument(L, 1, &length);
  luaL_argcheck(L, length > 0, 1, "path expected");
  mode_t mode = lua_toboolean(L, 2) ? 0700 : 0777;
  char *parent = lua_newuserdatauv(L, length + 1, 0);
  memcpy(parent, path, length + 1);
  for (size_t i = 1; i <= length; i++) {
    if (parent[i] != '/' && parent[i] != '\0') continue;
    parent[i] = '\0';
    int error = directory_make(parent, mode);
    if (error != 0) {
      const char *text = errno_push(L, error);
      lua_pushnil(L);
      lua_pushfstring(L, "%s: %s", parent, text);
      return 2;
    }
    parent[i] = path[i];
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.sync(path) -> true | nil, message: a file or a directory is what it is after a loss of power, too. */
int path_sync(lua_State *L) {
  size_t length;
  const char *path = path_argument(L, 1, &length);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  int done = 0;
  if (fd >= 0) {
    UNINTERRUPTED(done, fsync(fd));
    if (done < 0) error = errno;
    (void)close(fd); /* nothing was written by it */
  }
  if (error == 0) {
    lua_pushboolean(L, 1);
    return 1;
  }
  const char *text = errno_push(L, error);
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, text);
  return 2;
}

/* core.mode(file | path) -> permission bits, is it this user's or root's, is it a regular file | nil, message. Of an
 * open file: what is learnt is about what is read. */
int mode_push(lua_State *L) {
  struct stat status;
  size_t length;
  luaL_Stream *stream = luaL_testudata(L, 1, LUA_FILEHANDLE);
  const char *path = stream == NULL ? path_argument(L, 1, &length) : NULL;
  luaL_argcheck(L, stream == NULL || stream->closef != NULL, 1, "an open file expected");
  if ((stream != NULL ? fstat(fileno(stream->f), &status) : stat(path, &status)) != 0) {
    const char *text = errno_push(L, errno);
    lua_pushnil(L);
    lua_pushstring(L, text);
    return 2;
  }
  lua_pushinteger(L, (lua_Integer)(status.st_mode & 07777));
  lua_pushboolean(L, status.st_uid == geteuid() || status.st_uid == 0);
  lua_pushboolean(L, S_ISREG(status.st_mode));
  return 3;
}

/* core.random(n) -> n bytes (at most 256) from the system's random source */
int random_push(lua_State *L) {
  unsigned char bytes[256];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= (lua_Integer)sizeof bytes, 1, "1 to 256 expected");
  if (getentropy(bytes, (size_t)count) != 0)
    return luaL_error(L, "no random bytes from the system");
  lua_pushlstring(L, (const char *)bytes, (size_t)count);
  return 1;
}

/* core.space(path) -> bytes that this user can still write on its disk | nil, message */
int space_push(lua_State *L) {
  size_t length;
  const char *path = path_argument(L, 1, &length);
  struct statvfs disk;
  int done;
  UNINTERRUPTED(done, statvfs(path, &disk));
  if (done != 0) {
    const char *text = errno_push(L, errno);
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", path, text);
    return 2;
  }
  lua_pushnumber(L, (lua_Number)disk.f_bavail * (lua_Number)disk.f_frsize);
  return 1;
}
