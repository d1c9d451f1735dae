/*
 * What libFuzzer calls. The bytes it makes up go to a Lua function, that of spec/fuzz/<FUZZ_TARGET>.lua, in
 * a state that has the core linked in. What the target finds wrong it raises; then the process ends.
 */
#include "../../src/data/data.h"
#include "../../src/data/marks.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <lualib.h>
#include <zlib.h>

void portable_mark(const char *text, char delimiter, uint64_t marks[MARKS]);
int luaopen_zuora_core(lua_State *L);
int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a buffer once was is soon forgotten: the big ones of every input would fill the memory. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "quarantine_size_mb=8";
}

static lua_State *state;

/* --- what targets need besides ---------------------------------------------------------------- */

/* file(bytes) -> descriptor of a file in memory that holds them, until the next call */
static int host_file(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  int fd = (int)lua_tointeger(L, lua_upvalueindex(1));
  if (ftruncate(fd, 0) != 0 || pwrite(fd, bytes, length, 0) != (ssize_t)length)
    return luaL_error(L, "no file in memory");
  lua_pushinteger(L, fd);
  return 1;
}

static bool gather(void *context, const char *data, size_t length) {
  luaL_addlstring(context, data, length);
  return true;
}

/* A piece in memory of its own, so that who reads beyond it is seen. */
static bool push_piece(Filter *filter, const char *data, size_t length, luaL_Buffer *out) {
  char *piece = malloc(length);
  if (piece == NULL) return false;
  memcpy(piece, data, length);
  bool done = filter->push(filter, piece, length, gather, out);
  free(piece);
  return done;
}

/* pass(filter, bytes, step, content_type, packed) -> what came out | nil: it said no. The bytes go through
 * in pieces of `step` bytes. */
static int host_pass(lua_State *L) {
  Filter *filter = luaL_checkudata(L, 1, FILTER_CLASS);
  size_t length, at = 0;
  const char *bytes = luaL_checklstring(L, 2, &length);
  size_t step = (size_t)luaL_checkinteger(L, 3);
  const char *type = luaL_checkstring(L, 4);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  bool done = filter->reset(filter, type, lua_toboolean(L, 5));
  for (; done && at < length; at += step)
    done = push_piece(filter, bytes + at, step < length - at ? step : length - at, &out);
  done = done && filter->push(filter, NULL, 0, gather, &out);
  luaL_pushresult(&out);
  if (!done) lua_pushnil(L);
  return 1;
}

/* keep(filter) -> true: another segment of the same file follows */
static int host_keep(lua_State *L) {
  Filter *filter = luaL_checkudata(L, 1, FILTER_CLASS);
  lua_pushboolean(L, filter->keep(filter));
  return 1;
}

/* gzip(bytes) -> the same, packed */
static int host_gzip(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  z_stream stream;
  memset(&stream, 0, sizeof stream);
  if (deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return luaL_error(L, "no deflate");
  size_t room = deflateBound(&stream, length);
  luaL_Buffer out;
  stream.next_out = (Bytef *)luaL_buffinitsize(L, &out, room);
  stream.avail_out = (uInt)room;
  stream.next_in = (z_const Bytef *)bytes;
  stream.avail_in = (uInt)length;
  int code = deflate(&stream, Z_FINISH);
  size_t used = room - stream.avail_out;
  (void)deflateEnd(&stream);
  luaL_pushresultsize(&out, used);
  return code == Z_STREAM_END ? 1 : luaL_error(L, "deflate failed");
}

/* Does this way of marking blocks say what the portable one says? */
static bool marks_agree(Mark *mark, const char *text, char delimiter) {
  uint64_t here[MARKS], anywhere[MARKS];
  mark(text, delimiter, here);
  portable_mark(text, delimiter, anywhere);
  here[MARK_ODD] = here[MARK_ODD] != 0;
  anywhere[MARK_ODD] = anywhere[MARK_ODD] != 0;
  return memcmp(here, anywhere, sizeof here) == 0;
}

#if defined(MARKS_AVX2)

/* Is a block text for AVX2 where it is for utf8_valid? */
static bool text_agrees(const char *text) {
  bool is_text =
      memchr(text, '\0', BLOCK_SIZE) == NULL && utf8_valid(text, BLOCK_SIZE) == BLOCK_SIZE;
  return avx2_is_text(text) == is_text;
}

#endif

/* marks(bytes): raises where this processor's ways of marking blocks and the portable one differ */
static int host_marks(lua_State *L) {
  size_t length;
  const char *bytes = luaL_checklstring(L, 1, &length);
  for (size_t at = 0; at + BLOCK_SIZE <= length; at++)
    for (const char *delimiter = ",\t"; *delimiter != '\0'; delimiter++) {
      bool agree = marks_agree(block_mark, bytes + at, *delimiter);
#if defined(MARKS_AVX2)
      if (__builtin_cpu_supports("avx2"))
        agree = agree && marks_agree(avx2_mark, bytes + at, *delimiter) && text_agrees(bytes + at);
#endif
      if (!agree) return luaL_error(L, "other marks at byte %I", (LUAI_UACINT)at + 1);
    }
  return 0;
}

/* --- the lines of Lua that were reached ------------------------------------------------------- */

/* libFuzzer takes what changes here for coverage, as it does edges of instrumented C. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t reached[8192];

/* A file keeps its text where it is, and few of them take turns. */
typedef struct Place {
  const char *source;
  unsigned hash; /* 0: it is none of the module's */
} Place;

static unsigned hash_of(const char *source) {
  static Place known[16];
  Place *place = &known[(uintptr_t)source / 16 % 16];
  if (place->source == source) return place->hash;
  *place = (Place){source, 0};
  const char *at = strstr(source, "lua/zuora/");
  for (; at != NULL && *at != '\0'; at++) place->hash = place->hash * 31 + (unsigned char)*at;
  return place->hash;
}

static void on_line(lua_State *L, lua_Debug *where) {
  unsigned hash = lua_getinfo(L, "S", where) != 0 ? hash_of(where->source) : 0;
  if (hash == 0) return;
  uint8_t *counter = &reached[(hash + (unsigned)where->currentline) % sizeof reached];
  if (*counter < UINT8_MAX) (*counter)++;
}

/* watch_lines(): from now on what Lua files of the module do guides the search, too */
static int host_watch_lines(lua_State *L) {
  if (lua_gethook(L) == NULL) /* else lines are being counted */
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return 0;
}

/* --- the host --------------------------------------------------------------------------------- */

static int open_host(lua_State *L) {
  static const luaL_Reg functions[] = {{"pass", host_pass},
                                       {"keep", host_keep},
                                       {"gzip", host_gzip},
                                       {"marks", host_marks},
                                       {"watch_lines", host_watch_lines},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushinteger(L, memfd_create("fuzz", MFD_CLOEXEC));
  lua_pushcclosure(L, host_file, 1);
  lua_setfield(L, -2, "file");
  return 1;
}

static void state_close(void) {
  lua_close(state);
}

/* Ends the process when the call does not work: libFuzzer keeps the input. */
static void call(lua_State *L, int arguments, int results) {
  int handler = lua_gettop(L) - arguments;
  lua_getglobal(L, "debug");
  lua_getfield(L, -1, "traceback");
  lua_remove(L, -2);
  lua_insert(L, handler);
  if (lua_pcall(L, arguments, results, handler) != LUA_OK) {
    fprintf(stderr, "%s: %s\n", getenv("FUZZ_TARGET"), lua_tostring(L, -1));
    abort();
  }
  lua_remove(L, handler);
}

/* Leaves the function of the target on the stack. */
int LLVMFuzzerInitialize(int *count, char ***arguments) {
  (void)count;
  (void)arguments;
  lua_State *L = state = luaL_newstate();
  (void)atexit(state_close); /* what is still there afterwards has leaked */
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_zuora_core);
  lua_setfield(L, -2, "zuora.core");
  lua_pushcfunction(L, open_host);
  lua_setfield(L, -2, "spec.fuzz.host");
  lua_settop(L, 0);
  if (luaL_loadstring(L, "package.path = './?.lua;./lua/?.lua;./lua/?/init.lua;' .. package.path\n"
                         "if os.getenv 'FUZZ_LINES' then require 'spec.fuzz.lines' end\n"
                         "return require('spec.fuzz.' .. os.getenv 'FUZZ_TARGET').run") != LUA_OK)
    abort();
  call(L, 0, 1);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_pushvalue(state, 1);
  lua_pushlstring(state, (const char *)data, size);
  call(state, 1, 0);
  return 0;
}
