/*
 * A file that is written from Lua as a download is from the network: as `path.part`, under the same lock, until it
 * is whole, and then in the place of `path`.
 */
#include "part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FILE_PATH = 1, FILE_PART_PATH, FILE_STATE_PATH, FILE_USERVALUES = 3 };

static Part *file_check(lua_State *L) {
  Part *part = luaL_checkudata(L, 1, FILE_CLASS);
  if (part->fd < 0) luaL_error(L, "attempt to use a closed file");
  if (part->maker != process_now()) (void)process_refuse(L, "this file");
  return part;
}

/* file:close(): what was not published is gone. */
static int file_close(lua_State *L) {
  part_close(luaL_checkudata(L, 1, FILE_CLASS), false);
  return 0;
}

static int file_done(lua_State *L, const Part *part, bool done) {
  if (!done) return file_error_push(L, part->path, part->error);
  lua_pushboolean(L, 1);
  return 1;
}

/* file:write(text) -> true | nil, message, errno */
static int file_write(lua_State *L) {
  Part *part = file_check(L);
  size_t length;
  const char *text = luaL_checklstring(L, 2, &length);
  return file_done(L, part, part_usable(part) && part_write(part, text, length));
}

/* file:publish() -> true | nil, message, errno. Syncs it to the disk, renames it to its path, and closes it. */
static int file_publish(lua_State *L) {
  Part *part = file_check(L);
  int error = part_publish(part, NULL);
  if (error != 0) part->error = error;
  part_close(part, false);
  return file_done(L, part, error == 0);
}

static int file_tostring(lua_State *L) {
  const Part *part = luaL_checkudata(L, 1, FILE_CLASS);
  lua_pushfstring(L, FILE_CLASS "%s", part->fd < 0 ? " (closed)" : "");
  return 1;
}

static const char *file_name(lua_State *L, const char *path, const char *ending, int place) {
  const char *name = lua_pushfstring(L, "%s%s", path, ending);
  lua_setiuservalue(L, -2, place);
  return name;
}

/* core.file(path) -> File | nil, message, errno */
int file_new(lua_State *L) {
  size_t length;
  const char *path = path_argument(L, 1, &length);
  luaL_argcheck(L, length > 0, 1, "path expected");
  Part *part = lua_newuserdatauv(L, sizeof *part, FILE_USERVALUES);
  memset(part, 0, sizeof *part);
  part->fd = -1;
  part->maker = process_now();
  luaL_setmetatable(L, FILE_CLASS);
  part->path = file_name(L, path, "", FILE_PATH);
  part->part_path = file_name(L, path, ".part", FILE_PART_PATH);
  part->state_path = file_name(L, path, ".part.state", FILE_STATE_PATH);
  int pushed = part_open(L, part, false);
  if (pushed > 0) return pushed;
  part_clear(part);
  if (part_begin(part, 0)) return 1;
  pushed = file_error_push(L, path, part->error);
  part_close(part, false);
  return pushed;
}

static int spool_close(lua_State *L) {
  const luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

/* core.spool(directory) -> file of Lua's own, without a name, for writing and reading back | nil, message, errno */
int spool_new(lua_State *L) {
  size_t length;
  const char *directory = path_argument(L, 1, &length);
  luaL_Stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
  stream->closef = NULL; /* it is closed until there is a file */
  luaL_setmetatable(L, LUA_FILEHANDLE);
  Part part = {.fd = -1};
  int pushed = part_open_nameless(L, &part, directory);
  if (pushed > 0) return pushed;
  stream->f = fdopen(part.fd, "w+b");
  if (stream->f == NULL) {
    int error = errno;
    (void)close(part.fd); /* before anything that may raise */
    return file_error_push(L, directory, error);
  }
  stream->closef = spool_close;
  return 1;
}

void file_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"write", file_write}, {"publish", file_publish}, {"close", file_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", file_tostring}, {NULL, NULL}};
  class_new(L, FILE_CLASS, methods, meta);
}
