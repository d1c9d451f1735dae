/*
 * What specs do with processes: fork, wait, signals, memory. Not part of the module.
 */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <lua.h>
#include <lauxlib.h>

/* fork() -> process id, or 0 in the child */
static int process_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0) return luaL_error(L, "fork failed");
  lua_pushinteger(L, (lua_Integer)pid);
  return 1;
}

/* wait(pid) -> its exit status, or minus the signal that ended it */
static int process_wait(lua_State *L) {
  int status = 0;
  if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0) return luaL_error(L, "wait failed");
  lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

/* pause(): until a signal comes */
static int process_pause(lua_State *L) {
  (void)L;
  (void)pause();
  return 0;
}

/* kill(pid, signal) -> true when there was such a process */
static int process_kill(lua_State *L) {
  lua_pushboolean(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)) == 0);
  return 1;
}

/* trim(): gives back to the system what is free */
static int process_trim(lua_State *L) {
  (void)L;
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
  return 0;
}

__attribute__((visibility("default"))) int luaopen_process(lua_State *L);

int luaopen_process(lua_State *L) {
  static const luaL_Reg functions[] = {{"fork", process_fork}, {"wait", process_wait},
                                       {"kill", process_kill}, {"pause", process_pause},
                                       {"trim", process_trim}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
