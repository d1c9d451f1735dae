/*
 * Where the bytes of a file go: `path.part`, which becomes `path` only when Lua says that all is
 * there. Until then whatever was at `path` stays as it was.
 *
 * A sink outlives the requests of one download: a try that broke is followed by another one into
 * the same sink. The .part file is opened when the sink is made, so that a missing directory is
 * told before anything is asked of the network.
 */
#include "http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Writes are gathered up to this size: measured to be a third cheaper than writing what libcurl
 * hands over piece by piece. */
#define GATHER_SIZE 262144u

#define SYNC_SLICE ((curl_off_t)8 * 1024 * 1024)

enum {
  SINK_PATH = 1,
  SINK_PART,
  SINK_STATE,
  SINK_IDENTITY,
  SINK_REFUSE,
  SINK_FILTER,
  SINK_USERVALUES = 6
};

struct Sink {
  /* Kept alive by the user values. Without a path the file has no name: it is for reading back. */
  const char *path, *part, *state, *refuse;
  const char *identity; /* of a file that can be gone on with; NULL: this one cannot */
  bool resume;          /* what has come is left for a later call when this one fails */
  Filter *filter;       /* NULL: the bytes go in as they come */
  int fd;               /* -1: closed */
  Process maker;        /* a child made by fork has the same file, and no business with it */
  int error;
  bool claimed; /* a request writes into it */
  bool whole;   /* the newest body was received to its end */
  char *gathered;
  size_t used;
  curl_off_t bytes;    /* in the file */
  curl_off_t kept;     /* where the next body begins */
  curl_off_t received; /* of the present body, as it came */
  curl_off_t end;      /* where the newest answer ends; -1: not told */
  curl_off_t total;    /* of the present body; -1: not known */
  char *validator;     /* of the present body; NULL: none */
  bool packed;         /* the present body comes in gzip coding */
  curl_off_t syncing;  /* up to here the system has been told to write to the disk */
  char *content_type;  /* of the newest whole answer; NULL: none */
};

bool sink_unpacks(const Sink *sink) {
  return sink->filter != NULL;
}

bool sink_is_unpacking(const Sink *sink) {
  return sink->packed;
}

bool sink_coding_broken(const Sink *sink) {
  return sink->error == 0 && sink->filter != NULL && sink->filter->broken;
}

int sink_error(const Sink *sink) {
  return sink->error;
}

static bool sink_fail(Sink *sink) {
  if (sink->error == 0) sink->error = errno != 0 ? errno : EIO;
  return false;
}

static bool sink_usable(Sink *sink) {
  if (sink->error == 0 && sink->fd < 0) sink->error = EBADF;
  return sink->error == 0;
}

/* All of it, however many calls that takes. */
static bool write_all(Sink *sink, const char *data, size_t length) {
  while (length > 0) {
    ssize_t written;
    UNINTERRUPTED(written, write(sink->fd, data, length));
    if (written < 0) return sink_fail(sink);
    data += written;
    length -= (size_t)written;
  }
  return true;
}

/* Lets the system write to the disk as it goes: one sync of gigabytes at the end would stop every other
 * task. Only a hint; finish makes sure. */
static void sink_sync_slice(Sink *sink, curl_off_t written) {
  if (sink->path == NULL || written - sink->syncing < SYNC_SLICE) return;
#if defined(SYNC_FILE_RANGE_WRITE)
  (void)sync_file_range(sink->fd, sink->syncing, written - sink->syncing, SYNC_FILE_RANGE_WRITE);
#else
  (void)fsync(sink->fd);
#endif
  sink->syncing = written;
}

static bool sink_flush(Sink *sink) {
  bool done = write_all(sink, sink->gathered, sink->used);
  sink->used = 0;
  sink_sync_slice(sink, sink->bytes);
  return done;
}

bool sink_claim(Sink *sink) {
  if (sink->claimed) return false;
  sink->claimed = true;
  sink->whole = false;
  return true;
}

void sink_release(Sink *sink) {
  sink->claimed = false;
}

static bool sink_put(void *context, const char *data, size_t length);

bool sink_complete(Sink *sink) {
  if (!sink_usable(sink)) return false;
  if (sink->filter != NULL && !sink->filter->push(sink->filter, NULL, 0, sink_put, sink))
    return sink_coding_broken(sink) ? false : sink_fail(sink);
  sink->whole = sink_flush(sink);
  return sink->whole;
}

static bool text_replace(Sink *sink, char **place, const char *text) {
  free(*place);
  *place = text != NULL ? strdup(text) : NULL;
  return text == NULL || *place != NULL || sink_fail(sink);
}

/* Remembers what a later part of the body has to agree with. */
static bool head_remember(Sink *sink, const BodyHead *head) {
  sink->received = 0;
  sink->end = head->end;
  sink->total = head->total;
  sink->packed = head->packed;
  return text_replace(sink, &sink->content_type, head->content_type) &&
         text_replace(sink, &sink->validator, head->packed ? NULL : head->validator);
}

bool sink_is_as_told(const Sink *sink) {
  return sink->end < 0 || sink->received == sink->end;
}

bool sink_is_at_end(const Sink *sink) {
  return sink->end < 0 || sink->end == sink->total;
}

bool sink_continue(Sink *sink, const BodyHead *head) {
  if (!sink_usable(sink) || sink->gathered == NULL || head->start != sink->received) return false;
  if (sink->total >= 0 && head->total >= 0 && head->total != sink->total) return false;
  if (sink->total >= 0 && head->end > sink->total) return false;
  /* Without a validator nothing proves that it is still the same file. */
  if (sink->validator == NULL) return false;
  if (head->validator != NULL && strcmp(head->validator, sink->validator) != 0) return false;
  if (sink->total < 0) sink->total = head->total;
  sink->end = head->end;
  return true;
}

/* Is there a .part file, and is it still the one that is held? Somebody may have removed it, and another
 * download begun. */
static bool sink_is_named(const Sink *sink) {
  return sink->part != NULL && part_is_named(sink->fd, sink->part);
}

static void sink_forget_state(const Sink *sink) {
  if (sink_is_named(sink)) (void)unlink(sink->state);
}

bool sink_begin(Sink *sink, const BodyHead *head) {
  if (!sink_usable(sink)) return false;
  sink->used = 0;
  sink->bytes = sink->syncing = sink->kept;
  if (file_truncate(sink->fd, sink->kept) != 0) return sink_fail(sink);
  if (sink->gathered == NULL && (sink->gathered = malloc(GATHER_SIZE)) == NULL)
    return sink_fail(sink);
  if (!head_remember(sink, head)) return false;
  /* Best effort: without it a later process starts anew. A file of several bodies, or one that is written
   * anew on its way, cannot be gone on with by its length. */
  sink_forget_state(sink);
  if (sink->identity != NULL && sink->validator != NULL && sink->kept == 0 && sink_is_named(sink))
    (void)state_write(sink->state, sink->identity, head);
  if (sink->filter != NULL &&
      !sink->filter->reset(sink->filter, head->content_type != NULL ? head->content_type : "",
                           head->packed)) {
    errno = ENOMEM;
    return sink_fail(sink);
  }
  return true;
}

bool sink_write(Sink *sink, const char *data, size_t length) {
  if (!sink_usable(sink)) return false;
  sink->received += (curl_off_t)length;
  if (sink->filter == NULL) return sink_put(sink, data, length);
  if (sink->filter->push(sink->filter, data, length, sink_put, sink)) return true;
  return sink_coding_broken(sink) ? false : sink_fail(sink);
}

/* Into the file. */
static bool sink_put(void *context, const char *data, size_t length) {
  Sink *sink = context;
  sink->bytes += (curl_off_t)length;
  if (length > GATHER_SIZE - sink->used) {
    if (!sink_flush(sink)) return false;
    if (length >= GATHER_SIZE) return write_all(sink, data, length);
  }
  memcpy(sink->gathered + sink->used, data, length);
  sink->used += length;
  return true;
}

/* `refuse` lists media types, separated by spaces. "text/html; charset=utf-8" is of type text/html.
 */
bool sink_refuses(const Sink *sink, const char *media_type) {
  size_t length = strcspn(media_type, "; \t,");
  if (length == 0) return false;
  for (const char *at = sink->refuse; *at != '\0'; at += strspn(at, " ")) {
    size_t word = strcspn(at, " ");
    if (word == length && curl_strnequal(at, media_type, length)) return true;
    at += word;
  }
  return false;
}

static Sink *sink_peek(lua_State *L, int index) {
  return luaL_checkudata(L, index, SINK_CLASS);
}

Sink *sink_check(lua_State *L, int index) {
  Sink *sink = sink_peek(L, index);
  if (sink->fd < 0) luaL_error(L, "attempt to use a closed sink");
  if (sink->maker != process_now()) (void)process_refuse(L, "this sink");
  return sink;
}

/* Removes the .part file and its state, unless another download has taken their place. */
static void sink_remove(const Sink *sink) {
  if (!sink_is_named(sink)) return;
  (void)unlink(sink->part);
  (void)unlink(sink->state);
}

/* A child made by fork holds the lock, too, until it ends: it is to be free all the same. */
static void sink_unlock(const Sink *sink) {
  if (sink->path != NULL) (void)flock(sink->fd, LOCK_UN);
}

/* Closes the .part file and removes it, unless it has become `path`. In a child made by fork both stay
 * as they are: the parent's download goes on. */
static int sink_close(lua_State *L) {
  Sink *sink = sink_peek(L, 1);
  if (sink->fd >= 0 && sink->maker == process_now()) {
    if (sink->resume && sink->bytes > 0)
      (void)sink_flush(sink);
    else
      sink_remove(sink); /* before close: it is ours only as long as the lock is */
    sink_unlock(sink);
  }
  if (sink->fd >= 0) (void)close(sink->fd);
  sink->fd = -1;
  free(sink->gathered);
  free(sink->validator);
  free(sink->content_type);
  sink->gathered = sink->validator = sink->content_type = NULL;
  return 0;
}

/* All that was received is on the disk. */
static bool sink_sync(Sink *sink) {
  int failed;
  if (!sink_usable(sink) || !sink_flush(sink)) return false;
  UNINTERRUPTED(failed, fsync(sink->fd));
  return failed == 0 || sink_fail(sink);
}

/* sink:finish(path | nil) -> true | false: something is at that path | nil, message, errno. Everything is on
 * the disk, then the sink's path is replaced; or the file is put at another one, where nothing is. Raises
 * when the newest request into this sink did not bring a whole body. */
static int sink_finish(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  const char *other = NULL;
  if (!lua_isnoneornil(L, 2)) {
    size_t length;
    luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2, "string expected");
    other = lua_tolstring(L, 2, &length);
    luaL_argcheck(L, length > 0 && text_is_clean(other, length), 2,
                  "path without control characters expected");
  }
  if (sink->claimed || !sink->whole)
    return luaL_error(L, "attempt to finish a sink whose body is not whole");
  if (sink->path == NULL) return luaL_error(L, "attempt to finish a sink without a path");
  int error = sink_sync(sink) ? 0 : sink->error;
  if (error == 0)
    error = other != NULL ? part_publish_beside(sink->fd, sink->part, other)
                          : part_publish(sink->fd, sink->part, sink->path);
  if (error == EEXIST && other != NULL) {
    lua_pushboolean(L, 0);
    return 1;
  }
  if (error == 0) {
    (void)unlink(sink->state);
    sink->part = NULL; /* the name is gone: only the descriptor is left to close */
  }
  sink_close(L);
  if (error != 0) return file_error_push(L, other != NULL ? other : sink->path, error);
  lua_pushboolean(L, 1);
  return 1;
}

/* sink:discard(): what has come is of no use to a later call either. */
static int sink_discard(lua_State *L) {
  sink_check(L, 1)->resume = false;
  return 0;
}

/* sink:content_type() -> of what has come | nil */
static int sink_content_type(lua_State *L) {
  lua_pushstring(L, sink_check(L, 1)->content_type);
  return 1;
}

/* sink:position() -> bytes of the present body that have come, validator | nil, bytes in all | nil */
static int sink_position(lua_State *L) {
  const Sink *sink = sink_check(L, 1);
  lua_pushinteger(L, (lua_Integer)sink->received);
  lua_pushstring(L, sink->validator);
  if (sink->total >= 0 && !sink->packed)
    lua_pushinteger(L, (lua_Integer)sink->total);
  else
    lua_pushnil(L);
  return 3;
}

/* sink:restart(): what has come of the present body is of no use; the next answer is to bring all of it. */
static int sink_restart(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  free(sink->validator);
  sink->validator = NULL;
  sink->received = 0;
  sink->bytes = sink->kept;
  sink->end = sink->total = -1;
  sink_forget_state(sink);
  return 0;
}

/* sink:complete() -> true | nil, message: the body has been proven whole by other means. */
static int sink_prove(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->claimed || sink->gathered == NULL)
    return luaL_error(L, "attempt to complete a body that is still coming, or never came");
  if (!sink_complete(sink)) return file_error_push(L, NULL, sink->error);
  lua_pushboolean(L, 1);
  return 1;
}

/* sink:keep(): the body that has just come stays, and the next one is put behind it. */
static int sink_keep(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->claimed || !sink->whole)
    return luaL_error(L, "attempt to keep a body that is not whole");
  sink->kept = sink->bytes;
  sink->received = 0;
  sink->total = -1;
  free(sink->validator);
  sink->validator = NULL;
  sink->whole = false;
  if (sink->filter != NULL && !sink->filter->keep(sink->filter))
    return luaL_error(L, "attempt to keep a body that is not as it should be");
  return 0;
}

/* sink:fd() -> descriptor of a sink without a path, once its body is whole. It stays the sink's. */
static int sink_fd(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->claimed || !sink->whole)
    return luaL_error(L, "attempt to read a sink whose body is not whole");
  lua_pushinteger(L, sink->fd);
  return 1;
}

/* sink:bytes() -> integer */
static int sink_bytes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sink_peek(L, 1)->bytes);
  return 1;
}

static int sink_tostring(lua_State *L) {
  lua_pushfstring(L, SINK_CLASS "%s", sink_peek(L, 1)->fd < 0 ? " (closed)" : "");
  return 1;
}

typedef struct SinkOptions {
  const char *path, *directory, *refuse;
  const char *identity;
  bool resume;
} SinkOptions;

static const Option sink_options[] = {
    {"path", OPTION_TEXT, offsetof(SinkOptions, path)},
    {"directory", OPTION_TEXT, offsetof(SinkOptions, directory)},
    {"refuse", OPTION_TEXT, offsetof(SinkOptions, refuse)},
    {"filter", OPTION_VALUE, 0},
    {"resume", OPTION_FLAG, offsetof(SinkOptions, resume)},
    {"identity", OPTION_TEXT, offsetof(SinkOptions, identity)},
    {NULL, OPTION_VALUE, 0},
};

/* For bytes that are in the file already. */
static bool emit_nowhere(void *context, const char *data, size_t length) {
  (void)context;
  (void)data;
  (void)length;
  return true;
}

/* Takes what an earlier process has left: the filter goes through it once more. */
static bool sink_take_over(Sink *sink) {
  char room[STATE_ROOM];
  BodyHead head = BODY_HEAD_NONE;
  curl_off_t size = lseek(sink->fd, 0, SEEK_END);
  if (size <= 0 || !state_read(sink->state, sink->identity, room, &head)) return false;
  if (head.total >= 0 && size > head.total) return false;
  if ((sink->gathered = malloc(GATHER_SIZE)) == NULL || !head_remember(sink, &head)) return false;
  sink->received = sink->bytes = size;
  if (sink->filter == NULL) return true;
  if (!sink->filter->reset(sink->filter, head.content_type != NULL ? head.content_type : "", false))
    return false;
  ssize_t got;
  if (lseek(sink->fd, 0, SEEK_SET) != 0) return false;
  do {
    UNINTERRUPTED(got, read(sink->fd, sink->gathered, GATHER_SIZE));
    if (got > 0 &&
        !sink->filter->push(sink->filter, sink->gathered, (size_t)got, emit_nowhere, NULL))
      return false;
  } while (got > 0);
  return got == 0 && lseek(sink->fd, 0, SEEK_CUR) == size;
}

static void sink_start_over(Sink *sink) {
  free(sink->gathered);
  sink->gathered = NULL;
  sink->received = sink->bytes = 0;
  sink->total = -1;
  free(sink->validator);
  sink->validator = NULL;
  (void)unlink(sink->state);
}

/* core.sink { path = | directory =, refuse = "media types that are no files", filter =, identity =, resume = }
 *   -> Sink | nil, message, errno. With a directory the file has no name, and is read by sink:fd(). identity:
 * which file it is, for bytes that go in as they come: its .part can be gone on with; resume: it is, when
 * there is one. */
int sink_new(lua_State *L) {
  SinkOptions options = {NULL, NULL, "", NULL, false};
  lua_settop(L, 1);
  options_read(L, 1, sink_options, &options);
  if ((options.path == NULL || *options.path == '\0') ==
      (options.directory == NULL || *options.directory == '\0'))
    return luaL_error(L, "option 'path' or 'directory' is missing");
  Sink *sink = lua_newuserdatauv(L, sizeof *sink, SINK_USERVALUES);
  memset(sink, 0, sizeof *sink);
  sink->fd = -1;
  sink->end = sink->total = -1;
  sink->maker = process_now();
  luaL_setmetatable(L, SINK_CLASS);
  sink->refuse = lua_pushstring(L, options.refuse);
  lua_setiuservalue(L, 2, SINK_REFUSE);
  field_push(L, 1, "filter");
  if (!lua_isnil(L, -1)) sink->filter = filter_check(L, -1);
  lua_setiuservalue(L, 2, SINK_FILTER);
  if (options.directory != NULL) {
    sink->fd = spool_open(L, options.directory);
    return sink->fd >= 0 ? 1 : file_error_push(L, options.directory, errno);
  }
  sink->path = lua_pushstring(L, options.path);
  lua_setiuservalue(L, 2, SINK_PATH);
  sink->part = lua_pushfstring(L, "%s.part", options.path);
  lua_setiuservalue(L, 2, SINK_PART);
  mode_t mode;
  int error = target_look(sink->path, &mode);
  if (error != 0) return file_error_push(L, sink->path, error);
  sink->state = lua_pushfstring(L, "%s.state", sink->part);
  lua_setiuservalue(L, 2, SINK_STATE);
  if (options.identity != NULL) {
    sink->identity = lua_pushstring(L, options.identity);
    lua_setiuservalue(L, 2, SINK_IDENTITY);
    sink->resume = options.resume;
  }
  /* What is secret there is secret while it grows. */
  sink->fd = part_open(sink->part, mode != 0 ? (mode & 0666) | 0600 : 0666, sink->resume);
  if (sink->fd < 0) return file_error_push(L, sink->part, errno);
  if (!sink->resume || !sink_take_over(sink)) sink_start_over(sink);
  return 1;
}

void sink_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"finish", sink_finish},
      {"fd", sink_fd},
      {"keep", sink_keep},
      {"position", sink_position},
      {"complete", sink_prove},
      {"restart", sink_restart},
      {"discard", sink_discard},
      {"content_type", sink_content_type},
      {"bytes", sink_bytes},
      {"close", sink_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {
      {"__gc", sink_close},
      {"__close", sink_close},
      {"__tostring", sink_tostring},
      {NULL, NULL},
  };
  class_new(L, SINK_CLASS, methods, meta);
}
