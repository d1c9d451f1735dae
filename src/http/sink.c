/*
 * The body of a download as it comes: which bytes of it, of which version of the file, through which filter.
 * They go into a part file, which becomes `path` only when Lua says that all is there; until then whatever
 * was at `path` stays as it was.
 *
 * A sink outlives the requests of one download: an attempt that broke is followed by another one into the
 * same sink. The .part file is opened when the sink is made, so that a missing directory is found before
 * anything is asked of the network.
 *
 *     EMPTY ---acquire---> BUSY ------end------> WHOLE ---publish, close---> CLOSED
 *       ^                  ^   |                 |
 *       |              acquire release      keep, restart, acquire
 *       +--nothing came--- PARTIAL <-------------+
 */
#include "part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum SinkState {
  SINK_EMPTY,   /* no body has begun */
  SINK_BUSY,    /* a request writes into it */
  SINK_PARTIAL, /* a body has begun, and another request may continue it */
  SINK_WHOLE,   /* the newest body was received to its end */
  SINK_CLOSED,
} SinkState;

enum {
  SINK_PATH = 1,
  SINK_PART_PATH,
  SINK_STATE_PATH,
  SINK_IDENTITY,
  SINK_REFUSE,
  SINK_FILTER,
  SINK_USERVALUES = 6
};

struct Sink {
  SinkState state;
  Part part;
  /* Kept alive by the user values, as are the names of the part. */
  const char *refuse;
  const char *identity; /* which file it is; NULL: a later call cannot resume it */
  bool resume;          /* close leaves the part file for a later call */
  Filter *filter;       /* NULL: the bytes go in as they come */
  curl_off_t kept;      /* where the present body begins in the file */
  curl_off_t received;  /* of the present body, as it came */
  curl_off_t end;       /* where the newest response ends; -1: not known */
  curl_off_t total;     /* of the present body; -1: not known */
  char *validator;      /* of the present body; NULL: none */
  bool packed;          /* the present body comes in gzip coding */
  char *content_type;   /* of the newest response that began a body; NULL: none */
};

bool sink_unpacks(const Sink *sink) {
  return sink->filter != NULL;
}

bool sink_is_unpacking(const Sink *sink) {
  return sink->packed;
}

bool sink_coding_broken(const Sink *sink) {
  return sink->part.error == 0 && sink->filter != NULL && sink->filter->broken;
}

int sink_error(const Sink *sink) {
  return sink->part.error;
}

bool sink_acquire(Sink *sink) {
  if (sink->state == SINK_BUSY) return false;
  sink->state = SINK_BUSY;
  return true;
}

void sink_release(Sink *sink) {
  if (sink->state != SINK_BUSY) return;
  sink->state = sink->part.write_buffer != NULL ? SINK_PARTIAL : SINK_EMPTY;
}

static bool sink_pass(Sink *sink, const char *data, size_t length) {
  if (sink->filter == NULL) return data == NULL || part_write(&sink->part, data, length);
  if (sink->filter->push(sink->filter, data, length, part_write, &sink->part)) return true;
  return sink_coding_broken(sink) ? false : part_fail(&sink->part);
}

bool sink_end(Sink *sink) {
  if (!part_usable(&sink->part) || !sink_pass(sink, NULL, 0) || !part_flush(&sink->part))
    return false;
  sink->state = SINK_WHOLE;
  return true;
}

static bool text_replace(Sink *sink, char **text, const char *by) {
  free(*text);
  *text = by != NULL ? strdup(by) : NULL;
  return by == NULL || *text != NULL || part_fail(&sink->part);
}

/* Remembers what a later part of the body has to agree with. */
static bool sink_remember(Sink *sink, const BodyInfo *info) {
  sink->received = 0;
  sink->end = info->end;
  sink->total = info->total;
  sink->packed = info->packed;
  return text_replace(sink, &sink->content_type, info->content_type) &&
         text_replace(sink, &sink->validator, info->packed ? NULL : info->validator);
}

bool sink_length_matches(const Sink *sink) {
  return sink->end < 0 || sink->received == sink->end;
}

bool sink_reaches_end(const Sink *sink) {
  return sink->end < 0 || sink->end == sink->total;
}

bool sink_continue(Sink *sink, const BodyInfo *info) {
  if (!part_usable(&sink->part) || info->start != sink->received) return false;
  if (sink->total >= 0 && info->total >= 0 && info->total != sink->total) return false;
  if (sink->total >= 0 && info->end > sink->total) return false;
  /* Without its validator, which an answer to If-Range has, nothing proves that it is still the same file. */
  if (sink->validator == NULL || info->validator == NULL) return false;
  if (strcmp(info->validator, sink->validator) != 0) return false;
  if (sink->total < 0) sink->total = info->total;
  sink->end = info->end;
  return true;
}

static bool filter_reset(Filter *filter, const BodyInfo *info) {
  return filter == NULL ||
         filter->reset(filter, info->content_type != NULL ? info->content_type : "", info->packed);
}

bool sink_begin(Sink *sink, const BodyInfo *info) {
  Part *part = &sink->part;
  if (!part_usable(part) || !part_begin(part, sink->kept) || !sink_remember(sink, info))
    return false;
  /* Best effort: without it a later process starts anew. A file of several bodies, or of rewritten ones,
   * cannot be resumed by its length. */
  part_remove_state(part);
  if (sink->identity != NULL && sink->validator != NULL && sink->kept == 0 && part_is_named(part))
    (void)resume_state_write(part->state_path, sink->identity, info);
  if (filter_reset(sink->filter, info)) return true;
  errno = ENOMEM;
  return part_fail(part);
}

bool sink_write(Sink *sink, const char *data, size_t length) {
  if (!part_usable(&sink->part)) return false;
  sink->received += (curl_off_t)length;
  return sink_pass(sink, data, length);
}

bool sink_refuses(const Sink *sink, const char *media_type) {
  return media_type_is_in(sink->refuse, media_type);
}

static Sink *sink_peek(lua_State *L, int index) {
  return luaL_checkudata(L, index, SINK_CLASS);
}

Sink *sink_check(lua_State *L, int index) {
  Sink *sink = sink_peek(L, index);
  if (sink->state == SINK_CLOSED) luaL_error(L, "attempt to use a closed sink");
  if (sink->part.maker != process_now()) (void)process_refuse(L, "this sink");
  return sink;
}

static int sink_close(lua_State *L) {
  Sink *sink = sink_peek(L, 1);
  part_close(&sink->part, sink->resume && sink->part.bytes > 0);
  free(sink->validator);
  free(sink->content_type);
  sink->validator = sink->content_type = NULL;
  sink->state = SINK_CLOSED;
  return 0;
}

/* sink:publish(path | nil) -> true | false: something is at that path | nil, message, errno. Syncs the file to
 * the disk, then renames it over the sink's path; or to another path, where nothing is. Raises when the newest
 * request into this sink did not bring a whole body. */
static int sink_publish(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  const char *other = NULL;
  if (!lua_isnoneornil(L, 2)) {
    size_t length;
    luaL_argcheck(L, lua_type(L, 2) == LUA_TSTRING, 2, "string expected");
    other = lua_tolstring(L, 2, &length);
    luaL_argcheck(L, length > 0 && text_is_clean(other, length), 2,
                  "path without control characters expected");
  }
  if (sink->state != SINK_WHOLE)
    return luaL_error(L, "attempt to publish a sink whose body is not whole");
  if (sink->part.path == NULL) return luaL_error(L, "attempt to publish a sink without a path");
  int error = part_publish(&sink->part, other);
  if (error == EEXIST && other != NULL) {
    lua_pushboolean(L, 0);
    return 1;
  }
  sink_close(L);
  if (error != 0) return file_error_push(L, other != NULL ? other : sink->part.path, error);
  lua_pushboolean(L, 1);
  return 1;
}

/* sink:discard(): close removes the part file, also one that could be resumed. */
static int sink_discard(lua_State *L) {
  sink_check(L, 1)->resume = false;
  return 0;
}

/* sink:content_type() -> string | nil */
static int sink_content_type(lua_State *L) {
  lua_pushstring(L, sink_check(L, 1)->content_type);
  return 1;
}

/* sink:position() -> bytes of the present body that have come, its validator | nil, its size | nil */
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

/* Another body comes next, or the same one anew: nothing is known of it. */
static void sink_expect_body(Sink *sink) {
  free(sink->validator);
  sink->validator = NULL;
  sink->received = 0;
  sink->end = sink->total = -1;
  if (sink->state == SINK_WHOLE) sink->state = SINK_PARTIAL;
}

/* sink:restart(): what has come of the present body is of no use; the next response is to bring all of it. */
static int sink_restart(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  sink_expect_body(sink);
  sink->part.bytes = sink->kept;
  part_remove_state(&sink->part);
  return 0;
}

/* sink:complete() -> true | nil, message. For a body that Lua has proven to be whole. */
static int sink_complete(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->state != SINK_PARTIAL && sink->state != SINK_WHOLE)
    return luaL_error(L, "attempt to complete a body that is still coming, or never came");
  if (!sink_end(sink)) return file_error_push(L, NULL, sink->part.error);
  lua_pushboolean(L, 1);
  return 1;
}

/* sink:keep(): the body that has just come stays, and the next one goes behind it. */
static int sink_keep(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->state != SINK_WHOLE) return luaL_error(L, "attempt to keep a body that is not whole");
  sink->kept = sink->part.bytes;
  sink_expect_body(sink);
  if (sink->filter != NULL && !sink->filter->keep(sink->filter))
    return luaL_error(L, "attempt to keep a body that is not as it should be");
  return 0;
}

/* sink:fd() -> descriptor, once the body is whole. The sink goes on owning it. */
static int sink_fd(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->state != SINK_WHOLE)
    return luaL_error(L, "attempt to read a sink whose body is not whole");
  lua_pushinteger(L, sink->part.fd);
  return 1;
}

/* sink:bytes() -> integer */
static int sink_bytes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sink_peek(L, 1)->part.bytes);
  return 1;
}

static int sink_tostring(lua_State *L) {
  lua_pushfstring(L, SINK_CLASS "%s", sink_peek(L, 1)->state == SINK_CLOSED ? " (closed)" : "");
  return 1;
}

typedef struct SinkOptions {
  const char *path, *directory, *refuse, *identity;
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

static bool emit_nothing(void *context, const char *data, size_t length) {
  (void)context, (void)data, (void)length;
  return true;
}

/* Counts the bytes that are in the file already. */
static bool filter_again(void *context, const char *data, size_t length) {
  Filter *filter = context;
  return filter->push(filter, data, length, emit_nothing, NULL);
}

/* Takes over what an earlier process left: the filter counts it once more. */
static bool sink_resume(Sink *sink) {
  char room[RESUME_STATE_SIZE];
  BodyInfo info = BODY_INFO_NONE;
  if (!resume_state_read(sink->part.state_path, sink->identity, room, &info) ||
      !sink_remember(sink, &info) || !filter_reset(sink->filter, &info) ||
      !part_read_back(&sink->part, sink->filter != NULL ? filter_again : NULL, sink->filter))
    return false;
  sink->received = sink->part.bytes;
  if (sink->received <= 0 || (info.total >= 0 && sink->received > info.total)) return false;
  sink->state = SINK_PARTIAL;
  return true;
}

/* Names the files, and keeps the names alive in user values. */
static void sink_set_paths(lua_State *L, Sink *sink, const char *path) {
  Part *part = &sink->part;
  part->path = lua_pushstring(L, path);
  lua_setiuservalue(L, 2, SINK_PATH);
  part->part_path = lua_pushfstring(L, "%s.part", path);
  lua_setiuservalue(L, 2, SINK_PART_PATH);
  part->state_path = lua_pushfstring(L, "%s.state", part->part_path);
  lua_setiuservalue(L, 2, SINK_STATE_PATH);
}

/* core.sink { path = | directory =, refuse = "media types that are no files", filter =, identity =, resume = }
 *   -> Sink | nil, message, errno. With a directory the file is nameless, and read by sink:fd().
 * identity: says which file it is, so that a later call can resume it; resume: resume what an earlier call
 * left, if there is any. */
int sink_new(lua_State *L) {
  SinkOptions options = {NULL, NULL, "", NULL, false};
  lua_settop(L, 1);
  options_read(L, 1, sink_options, &options);
  bool is_named = options.path != NULL && *options.path != '\0';
  if (is_named == (options.directory != NULL && *options.directory != '\0'))
    return luaL_error(L, "option 'path' or 'directory' is missing");
  Sink *sink = lua_newuserdatauv(L, sizeof *sink, SINK_USERVALUES);
  memset(sink, 0, sizeof *sink);
  sink->part.fd = -1;
  sink->part.maker = process_now();
  sink->end = sink->total = -1;
  luaL_setmetatable(L, SINK_CLASS);
  sink->refuse = lua_pushstring(L, options.refuse);
  lua_setiuservalue(L, 2, SINK_REFUSE);
  field_push(L, 1, "filter");
  if (!lua_isnil(L, -1)) sink->filter = luaL_checkudata(L, -1, FILTER_CLASS);
  lua_setiuservalue(L, 2, SINK_FILTER);
  if (!is_named) {
    int pushed = part_open_nameless(L, &sink->part, options.directory);
    return pushed > 0 ? pushed : 1;
  }
  sink_set_paths(L, sink, options.path);
  if (options.identity != NULL) {
    sink->identity = lua_pushstring(L, options.identity);
    lua_setiuservalue(L, 2, SINK_IDENTITY);
    sink->resume = options.resume;
  }
  int pushed = part_open(L, &sink->part, sink->resume);
  if (pushed > 0) return pushed;
  if (!sink->resume || !sink_resume(sink)) {
    sink_expect_body(sink);
    part_clear(&sink->part);
  }
  return 1;
}

void sink_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"publish", sink_publish},
      {"fd", sink_fd},
      {"keep", sink_keep},
      {"position", sink_position},
      {"complete", sink_complete},
      {"restart", sink_restart},
      {"discard", sink_discard},
      {"content_type", sink_content_type},
      {"bytes", sink_bytes},
      {"close", sink_close},
      {NULL, NULL},
  };
  static const luaL_Reg meta[] = {{"__tostring", sink_tostring}, {NULL, NULL}};
  class_new(L, SINK_CLASS, methods, meta);
}
