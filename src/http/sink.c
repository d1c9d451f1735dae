/*
 * What the body of a download is, as it comes: which bytes of it, of which version of the file, through
 * which filter. They go into a part file, which becomes `path` only when Lua says that all is there; until
 * then whatever was at `path` stays as it was.
 *
 * A sink outlives the requests of one download: a try that broke is followed by another one into
 * the same sink. The .part file is opened when the sink is made, so that a missing directory is
 * told before anything is asked of the network.
 *
 *     EMPTY ----claim----> TAKEN ---complete---> WHOLE ---finish, close---> CLOSED
 *       ^                  ^   |                 |
 *       |                claim release         keep, restart, claim
 *       +--nothing came--- PARTIAL <-------------+
 */
#include "part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum SinkState {
  SINK_EMPTY,   /* no body has begun */
  SINK_TAKEN,   /* a request writes into it */
  SINK_PARTIAL, /* a body has begun, and another request may go on with it */
  SINK_WHOLE,   /* the newest body was received to its end */
  SINK_CLOSED,
} SinkState;

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
  SinkState state;
  Part part;
  /* Kept alive by the user values, as are the names of the part. */
  const char *refuse;
  const char *identity; /* of a file that can be gone on with; NULL: this one cannot */
  bool resume;          /* what has come is left for a later call when this one fails */
  Filter *filter;       /* NULL: the bytes go in as they come */
  curl_off_t kept;      /* where the present body begins in the file */
  curl_off_t received;  /* of the present body, as it came */
  curl_off_t end;       /* where the newest answer ends; -1: not told */
  curl_off_t total;     /* of the present body; -1: not known */
  char *validator;      /* of the present body; NULL: none */
  bool packed;          /* the present body comes in gzip coding */
  char *content_type;   /* of the newest whole answer; NULL: none */
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

bool sink_claim(Sink *sink) {
  if (sink->state == SINK_TAKEN) return false;
  sink->state = SINK_TAKEN;
  return true;
}

void sink_release(Sink *sink) {
  if (sink->state != SINK_TAKEN) return;
  sink->state = sink->part.gathered != NULL ? SINK_PARTIAL : SINK_EMPTY;
}

static bool sink_pass(Sink *sink, const char *data, size_t length) {
  if (sink->filter == NULL) return data == NULL || part_write(&sink->part, data, length);
  if (sink->filter->push(sink->filter, data, length, part_write, &sink->part)) return true;
  return sink_coding_broken(sink) ? false : part_fail(&sink->part);
}

bool sink_complete(Sink *sink) {
  if (!part_usable(&sink->part) || !sink_pass(sink, NULL, 0) || !part_flush(&sink->part))
    return false;
  sink->state = SINK_WHOLE;
  return true;
}

static bool text_replace(Sink *sink, char **place, const char *text) {
  free(*place);
  *place = text != NULL ? strdup(text) : NULL;
  return text == NULL || *place != NULL || part_fail(&sink->part);
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
  if (!part_usable(&sink->part) || head->start != sink->received) return false;
  if (sink->total >= 0 && head->total >= 0 && head->total != sink->total) return false;
  if (sink->total >= 0 && head->end > sink->total) return false;
  /* Without a validator nothing proves that it is still the same file. */
  if (sink->validator == NULL) return false;
  if (head->validator != NULL && strcmp(head->validator, sink->validator) != 0) return false;
  if (sink->total < 0) sink->total = head->total;
  sink->end = head->end;
  return true;
}

static bool filter_reset(Filter *filter, const BodyHead *head) {
  return filter == NULL ||
         filter->reset(filter, head->content_type != NULL ? head->content_type : "", head->packed);
}

bool sink_begin(Sink *sink, const BodyHead *head) {
  Part *part = &sink->part;
  if (!part_usable(part) || !part_begin(part, sink->kept) || !head_remember(sink, head))
    return false;
  /* Best effort: without it a later process starts anew. A file of several bodies, or one that is written
   * anew on its way, cannot be gone on with by its length. */
  part_forget_state(part);
  if (sink->identity != NULL && sink->validator != NULL && sink->kept == 0 && part_is_named(part))
    (void)state_write(part->state, sink->identity, head);
  if (filter_reset(sink->filter, head)) return true;
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
  if (sink->state != SINK_WHOLE)
    return luaL_error(L, "attempt to finish a sink whose body is not whole");
  if (sink->part.path == NULL) return luaL_error(L, "attempt to finish a sink without a path");
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

/* Another body begins, or the same one anew: nothing is known of it. */
static void sink_expect_body(Sink *sink) {
  free(sink->validator);
  sink->validator = NULL;
  sink->received = 0;
  sink->end = sink->total = -1;
  if (sink->state == SINK_WHOLE) sink->state = SINK_PARTIAL;
}

/* sink:restart(): what has come of the present body is of no use; the next answer is to bring all of it. */
static int sink_restart(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  sink_expect_body(sink);
  sink->part.bytes = sink->kept;
  part_forget_state(&sink->part);
  return 0;
}

/* sink:complete() -> true | nil, message: the body has been proven whole by other means. */
static int sink_prove(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->state != SINK_PARTIAL && sink->state != SINK_WHOLE)
    return luaL_error(L, "attempt to complete a body that is still coming, or never came");
  if (!sink_complete(sink)) return file_error_push(L, NULL, sink->part.error);
  lua_pushboolean(L, 1);
  return 1;
}

/* sink:keep(): the body that has just come stays, and the next one is put behind it. */
static int sink_keep(lua_State *L) {
  Sink *sink = sink_check(L, 1);
  if (sink->state != SINK_WHOLE) return luaL_error(L, "attempt to keep a body that is not whole");
  sink->kept = sink->part.bytes;
  sink_expect_body(sink);
  if (sink->filter != NULL && !sink->filter->keep(sink->filter))
    return luaL_error(L, "attempt to keep a body that is not as it should be");
  return 0;
}

/* sink:fd() -> descriptor of a sink without a path, once its body is whole. It stays the sink's. */
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
static bool filter_again(void *context, const char *data, size_t length) {
  Filter *filter = context;
  return filter->push(filter, data, length, emit_nothing, NULL);
}

/* Takes what an earlier process has left: the filter goes through it once more. */
static bool sink_take_over(Sink *sink) {
  char room[STATE_ROOM];
  BodyHead head = BODY_HEAD_NONE;
  if (!state_read(sink->part.state, sink->identity, room, &head) || !head_remember(sink, &head) ||
      !filter_reset(sink->filter, &head) ||
      !part_read_back(&sink->part, sink->filter != NULL ? filter_again : NULL, sink->filter))
    return false;
  sink->received = sink->part.bytes;
  if (sink->received <= 0 || (head.total >= 0 && sink->received > head.total)) return false;
  sink->state = SINK_PARTIAL;
  return true;
}

/* Pushes "path" and "path.part" and so on, as user values. */
static void sink_name(lua_State *L, Sink *sink, const char *path) {
  Part *part = &sink->part;
  part->path = lua_pushstring(L, path);
  lua_setiuservalue(L, 2, SINK_PATH);
  part->name = lua_pushfstring(L, "%s.part", path);
  lua_setiuservalue(L, 2, SINK_PART);
  part->state = lua_pushfstring(L, "%s.state", part->name);
  lua_setiuservalue(L, 2, SINK_STATE);
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
  sink->part.fd = -1;
  sink->part.maker = process_now();
  sink->end = sink->total = -1;
  luaL_setmetatable(L, SINK_CLASS);
  sink->refuse = lua_pushstring(L, options.refuse);
  lua_setiuservalue(L, 2, SINK_REFUSE);
  field_push(L, 1, "filter");
  if (!lua_isnil(L, -1)) sink->filter = filter_check(L, -1);
  lua_setiuservalue(L, 2, SINK_FILTER);
  if (options.directory != NULL) {
    int pushed = part_open_nameless(L, &sink->part, options.directory);
    return pushed > 0 ? pushed : 1;
  }
  sink_name(L, sink, options.path);
  if (options.identity != NULL) {
    sink->identity = lua_pushstring(L, options.identity);
    lua_setiuservalue(L, 2, SINK_IDENTITY);
    sink->resume = options.resume;
  }
  int pushed = part_open(L, &sink->part, sink->resume);
  if (pushed > 0) return pushed;
  if (!sink->resume || !sink_take_over(sink)) {
    sink_expect_body(sink);
    part_start_over(&sink->part);
  }
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
      {"__gc", sink_close}, {"__close", sink_close}, {"__tostring", sink_tostring}, {NULL, NULL}};
  class_new(L, SINK_CLASS, methods, meta);
}
