/*
 * memory WHO HOW FIRST LAST STEP FILE ...: runs a Lua file again and again, each time in a new state and with
 * another allocation that fails. Not part of the module.
 *
 * WHO: "lua" - the allocations of the Lua state; or the names of libraries, as "core.so,libcurl,libz" - what
 * they, and no one else, ask of malloc, calloc, realloc and strdup (seen by the address that the call returns
 * to).
 * HOW: "from" - the n-th allocation fails, and all behind it; "only" - the n-th alone. (When one fails, Lua
 * collects its garbage and asks again: that fails, too.)
 *
 * The file is given a table, and what else is on the command line:
 *   memory.attempt(f, ...) -> fired, what pcall(f, ...) returns: only in there allocations are counted, and fail
 *   memory.names(directory) -> the names in it
 *   memory.problem(text): what is not as it should be
 * The allocations of n are FIRST, FIRST + STEP … LAST; when an attempt ends before its n-th allocation comes, all
 * have been tried. After each the state is closed, and as much memory and as many descriptors must be in use
 * as before; nor must it take longer than TIME_LIMIT.
 *
 * Prints "@ n" before each, "! text" for a problem, and at the end "all N" or "up to N".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../allocator.h"

enum { RANGES_MAX = 64, TIME_LIMIT = 60 };

/* --- who calls -------------------------------------------------------------------------------- */

/* Where the code of some libraries is. */
typedef struct Code {
  const char *names; /* beginnings of their files' names, by commas */
  struct {
    uintptr_t from, to;
  } ranges[RANGES_MAX];
  size_t count;
} Code;

static bool code_has_name(const Code *code, const char *path) {
  const char *name = strrchr(path, '/');
  name = name != NULL ? name + 1 : path;
  for (const char *at = code->names; *at != '\0'; at += strspn(at, ",")) {
    size_t length = strcspn(at, ",");
    if (strncmp(name, at, length) == 0) return true;
    at += length;
  }
  return false;
}

/* They are not unmapped from now on: what is known of them stays true. */
static int code_add(struct dl_phdr_info *info, size_t size, void *context) {
  Code *code = context;
  (void)size;
  if (!code_has_name(code, info->dlpi_name)) return 0;
  (void)dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  for (int i = 0; i < info->dlpi_phnum && code->count < RANGES_MAX; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_X) == 0) continue;
    code->ranges[code->count].from = (uintptr_t)(info->dlpi_addr + part->p_vaddr);
    code->ranges[code->count].to = (uintptr_t)(info->dlpi_addr + part->p_vaddr + part->p_memsz);
    code->count++;
  }
  return 0;
}

static void code_find(Code *code) {
  code->count = 0;
  (void)dl_iterate_phdr(code_add, code);
}

static bool code_holds(const Code *code, const void *address) {
  uintptr_t at = (uintptr_t)address;
  for (size_t i = 0; i < code->count; i++)
    if (at >= code->ranges[i].from && at < code->ranges[i].to) return true;
  return false;
}

/* --- which call fails ------------------------------------------------------------------------- */

static struct {
  bool armed, fired, from_on;
  unsigned long count, at;
  bool lua;  /* it is Lua's allocations that fail … */
  Code code; /* … or those of these libraries */
  /* of Lua's call that failed: it will come again */
  const void *block;
  size_t size;
  bool again;
} plan;

static bool plan_counts(void) {
  plan.count++;
  if (plan.from_on ? plan.count < plan.at : plan.count != plan.at) return false;
  return plan.fired = true;
}

static bool plan_strikes_library(const void *caller) {
  if (!plan.armed || plan.lua || !code_holds(&plan.code, caller) || !plan_counts()) return false;
  errno = ENOMEM; /* as malloc says it */
  return true;
}

static bool plan_strikes_lua(const void *block, size_t size) {
  if (!plan.armed || !plan.lua) return false;
  bool again = plan.again && block == plan.block && size == plan.size;
  plan.again = false;
  if (again) return true;
  if (!plan_counts()) return false;
  plan.again = !plan.from_on;
  plan.block = block;
  plan.size = size;
  return true;
}

/* --- malloc for all of the process ------------------------------------------------------------ */

void __lsan_ignore_object(const void *block) __attribute__((weak));

/* Counted from main on: while the process is put together there may be nobody yet to ask for a size. */
static bool counting;
static atomic_long bytes_in_use;

/* lua-cjson loses a buffer when Lua's memory fails while it decodes. It is not ours, nor can we help it: its
 * blocks are not counted. */
static Code strangers = {.names = "cjson.so"};
static void *strange[64];
static size_t strange_count;

static void *block_taken(void *block, const void *caller) {
  if (!counting || block == NULL) return block;
  if (code_holds(&strangers, caller) && strange_count < sizeof strange / sizeof *strange)
    strange[strange_count++] = block;
  else
    atomic_fetch_add(&bytes_in_use, (long)malloc_usable_size(block));
  return block;
}

static void block_given(void *block) {
  if (!counting || block == NULL) return;
  for (size_t i = 0; i < strange_count; i++)
    if (strange[i] == block) {
      strange[i] = strange[--strange_count];
      return;
    }
  atomic_fetch_sub(&bytes_in_use, (long)malloc_usable_size(block));
}

static void strangers_forgive(void) {
  while (strange_count > 0) {
    strange_count--;
    if (__lsan_ignore_object != NULL) __lsan_ignore_object(strange[strange_count]);
  }
}

#define CALLER  __builtin_return_address(0)
#define OUTSIDE __attribute__((visibility("default")))

static void *block_new(size_t size, const void *caller) {
  if (plan_strikes_library(caller)) return NULL;
  return block_taken(allocator_malloc(size), caller);
}

OUTSIDE void *malloc(size_t size) {
  return block_new(size, CALLER);
}

OUTSIDE char *strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = block_new(size, CALLER);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

OUTSIDE void *calloc(size_t count, size_t size) {
  if (plan_strikes_library(CALLER)) return NULL;
  return block_taken(allocator_calloc(count, size), CALLER);
}

OUTSIDE void *realloc(void *block, size_t size) {
  if (plan_strikes_library(CALLER)) return NULL;
  block_given(block);
  void *grown = allocator_realloc(block, size);
  if (grown == NULL && size > 0) (void)block_taken(block, CALLER); /* it is there still */
  return block_taken(grown, CALLER);
}

OUTSIDE void free(void *block) {
  block_given(block);
  allocator_free(block);
}

/* --- what the file is given ------------------------------------------------------------------- */

static void *lua_allocate(void *context, void *block, size_t old, size_t size) {
  (void)context;
  if (size == 0) {
    free(block);
    return NULL;
  }
  if ((block == NULL || size > old) && plan_strikes_lua(block, size)) return NULL;
  return realloc(block, size);
}

static int memory_attempt(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checkstack(L, LUA_MINSTACK, "attempt");
  lua_pushboolean(L, 0);
  lua_insert(L, 1);
  lua_pushboolean(L, 0);
  lua_insert(L, 2); /* [fired, ok, f, ...] */
  int arguments = lua_gettop(L) - 3;
  if (!plan.lua) code_find(&plan.code);
  plan.count = 0;
  plan.fired = plan.again = false;
  plan.armed = true;
  int status = lua_pcall(L, arguments, LUA_MULTRET, 0);
  plan.armed = false;
  lua_pushboolean(L, plan.fired);
  lua_replace(L, 1);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 2);
  return lua_gettop(L);
}

static int memory_names(lua_State *L) {
  DIR *directory = opendir(luaL_checkstring(L, 1));
  const struct dirent *entry;
  lua_newtable(L);
  while (directory != NULL && (entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, luaL_len(L, -2) + 1);
  }
  if (directory != NULL) (void)closedir(directory);
  return 1;
}

static int memory_problem(lua_State *L) {
  (void)printf("! %s\n", luaL_tolstring(L, 1, NULL));
  return 0;
}

/* --- one after another ------------------------------------------------------------------------ */

static size_t descriptors(void) {
  size_t count = 0;
  DIR *directory = opendir("/proc/self/fd");
  while (directory != NULL && readdir(directory) != NULL) count++;
  if (directory != NULL) (void)closedir(directory);
  return count;
}

/* Runs the file in a state of its own. */
static void file_run(const char *path, int argc, char **argv) {
  static const luaL_Reg functions[] = {{"attempt", memory_attempt},
                                       {"names", memory_names},
                                       {"problem", memory_problem},
                                       {NULL, NULL}};
  lua_State *L = lua_newstate(lua_allocate, NULL);
  if (L == NULL) return;
  luaL_openlibs(L);
  int status = luaL_loadfile(L, path);
  luaL_newlib(L, functions);
  for (int i = 0; i < argc; i++) lua_pushstring(L, argv[i]);
  if (status == LUA_OK) status = lua_pcall(L, argc + 1, 0, 0);
  if (status != LUA_OK) (void)printf("! %s\n", luaL_tolstring(L, -1, NULL));
  if (strangers.count == 0) code_find(&strangers);
  lua_close(L);
  strangers_forgive();
}

/* One attempt. Some things are made at their first use, and stay: what is lost is lost again the next time. */
static void attempt(const char *path, int argc, char **argv) {
  for (int times = 1; times <= 2; times++) {
    long bytes = atomic_load(&bytes_in_use);
    size_t fds = descriptors();
    file_run(path, argc, argv);
    bytes = atomic_load(&bytes_in_use) - bytes;
    if (bytes <= 0 && descriptors() == fds) return;
    if (times == 2)
      (void)printf("! %ld bytes were not given back; %zu descriptors, and %zu before\n", bytes,
                   descriptors(), fds);
  }
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  const char *path = argv[6];
  plan.lua = strcmp(argv[1], "lua") == 0;
  plan.code.names = argv[1];
  unsigned long first = strtoul(argv[3], NULL, 10), last = strtoul(argv[4], NULL, 10);
  unsigned long step = strtoul(argv[5], NULL, 10);
  counting = true;
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  /* What is made once for the whole process is made now. */
  for (int i = 0; i < 2; i++) file_run(path, argc - 7, argv + 7);
  plan.from_on = strcmp(argv[2], "from") == 0;
  for (plan.at = first; plan.at <= last; plan.at += step) {
    (void)printf("@ %lu\n", plan.at);
    (void)alarm(TIME_LIMIT);
    attempt(path, argc - 7, argv + 7);
    if (!plan.fired) {
      (void)printf("all %lu\n", plan.count);
      return 0;
    }
  }
  (void)printf("up to %lu\n", last);
  return 0;
}
