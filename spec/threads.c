/*
 * threads COUNT FILE: runs a Lua file COUNT times at once, each in a state and a thread of its own. The
 * global `thread` tells them apart. Not part of the module.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { THREADS_MAX = 64 };

typedef struct Work {
  const char *path;
  int number;
  bool done;
} Work;

static void *work_run(void *context) {
  Work *work = context;
  lua_State *L = luaL_newstate();
  if (L == NULL) return NULL;
  luaL_openlibs(L);
  lua_pushinteger(L, work->number);
  lua_setglobal(L, "thread");
  work->done = luaL_dofile(L, work->path) == LUA_OK;
  if (!work->done) (void)fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int count = atoi(argv[1]), failures = 0;
  if (count < 1 || count > THREADS_MAX) return 2;
  static Work works[THREADS_MAX];
  pthread_t threads[THREADS_MAX];
  for (int i = 0; i < count; i++) {
    works[i] = (Work){argv[2], i + 1, false};
    if (pthread_create(&threads[i], NULL, work_run, &works[i]) != 0) return 2;
  }
  for (int i = 0; i < count; i++) {
    if (pthread_join(threads[i], NULL) != 0 || !works[i].done) failures++;
  }
  (void)printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
