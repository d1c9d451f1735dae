/*
 * Programs that run beside this one, on files: nothing waits for them, and no shell reads what they are told.
 */
#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_CLASS "zuora.child"

#if defined(__APPLE__) /* where only programs have the variable */
#include <crt_externs.h>
#define environ (*_NSGetEnviron())
#else
extern char **environ;
#endif

typedef struct Child {
  pid_t pid; /* 0: none, or not ours to wait for any more */
  Process owner;
  int status; /* once it has ended */
} Child;

/* The descriptors of the three streams that options name, Lua's files; -1: it is as it is here. */
static void streams_read(lua_State *L, int options, int fds[3]) {
  static const Option list[] = {{"stdin", OPTION_VALUE, 0},
                                {"stdout", OPTION_VALUE, 0},
                                {"stderr", OPTION_VALUE, 0},
                                {NULL, OPTION_VALUE, 0}};
  options_read(L, options, list, NULL);
  for (int i = 0; i < 3; i++) {
    field_push(L, options, list[i].name);
    const luaL_Stream *stream = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (!lua_isnil(L, -1) && (stream == NULL || stream->closef == NULL))
      luaL_error(L, "option '%s': an open file expected", list[i].name);
    if (stream != NULL)
      (void)fflush(stream->f); /* what is written here comes before what is written there */
    fds[i] = stream != NULL ? fileno(stream->f) : -1;
    lua_pop(L, 1);
  }
}

/* The words as posix_spawn wants them; they live as long as the table. */
static char **arguments_read(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  size_t count = (size_t)lua_rawlen(L, index);
  luaL_argcheck(L, count > 0 && count < 10000, index,
                "a list of words expected, the program first");
  char **words = lua_newuserdatauv(L, (count + 1) * sizeof *words, 0);
  for (size_t i = 0; i < count; i++) {
    size_t length;
    if (lua_rawgeti(L, index, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, index, "a list of strings expected");
    const char *word = lua_tolstring(L, -1, &length);
    luaL_argcheck(L, strlen(word) == length, index, "a zero byte in a word");
    memcpy(&words[i], &word,
           sizeof word); /* posix_spawn takes them without const, and changes nothing */
    lua_pop(L, 1);
  }
  words[count] = NULL;
  return words;
}

/* A stream of ours that becomes another one of its must not be replaced before that: such are taken from a copy. */
static int streams_spawn(Child *child, char **words, const int fds[3]) {
  int copies[3] = {-1, -1, -1};
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return error;
  for (int i = 0; i < 3 && error == 0; i++) {
    if (fds[i] < 0) continue;
    if (fds[i] < 3 && fds[i] != i && (copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3)) < 0)
      error = errno;
    else
      error = posix_spawn_file_actions_adddup2(&actions, copies[i] < 0 ? fds[i] : copies[i], i);
  }
  if (error == 0) error = posix_spawnp(&child->pid, words[0], &actions, NULL, words, environ);
  for (int i = 0; i < 3; i++)
    if (copies[i] >= 0) (void)close(copies[i]);
  (void)posix_spawn_file_actions_destroy(&actions);
  return error;
}

/* core.spawn(argv, { stdin =, stdout =, stderr = }) -> child | nil, message. Without a slash the program is looked for
 * as a shell does. */
int child_new(lua_State *L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_newtable(L);
    lua_replace(L, 2);
  }
  char **words = arguments_read(L, 1);
  Child *child = lua_newuserdatauv(L, sizeof *child, 0);
  *child = (Child){0, process_now(), 0};
  luaL_setmetatable(L, CHILD_CLASS);
  int fds[3];
  streams_read(L, 2, fds); /* from here on nothing raises */
  int error = streams_spawn(child, words, fds);
  if (error == 0) return 1;
  child->pid = 0;
  const char *text = errno_push(L, error);
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", words[0], text);
  return 2;
}

/* True: it has ended, and its status is known. */
static bool child_wait(Child *child, int flags) {
  int status;
  pid_t done;
  UNINTERRUPTED(done, waitpid(child->pid, &status, flags));
  if (done == 0) return false;
  /* As a shell tells it. (Where somebody else has waited for it, nothing is known but that it is gone.) */
  child->status = done < 0              ? 127
                  : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
                                        : WEXITSTATUS(status);
  child->pid = 0;
  return true;
}

static Child *child_check(lua_State *L) {
  Child *child = luaL_checkudata(L, 1, CHILD_CLASS);
  if (child->owner != process_now()) process_refuse(L, "a program");
  return child;
}

/* child:poll() -> its exit status, 128 more than a signal's number when that ended it; nil while it runs */
static int child_poll(lua_State *L) {
  Child *child = child_check(L);
  if (child->pid != 0 && !child_wait(child, WNOHANG))
    lua_pushnil(L);
  else
    lua_pushinteger(L, child->status);
  return 1;
}

/* child:kill(): asks it to end (SIGTERM). */
static int child_kill(lua_State *L) {
  Child *child = child_check(L);
  if (child->pid != 0) (void)kill(child->pid, SIGTERM); /* it is ours until it is waited for */
  return 0;
}

/* Ends it, without asking, when it still runs. */
static int child_close(lua_State *L) {
  Child *child = luaL_checkudata(L, 1, CHILD_CLASS);
  if (child->pid == 0 || child->owner != process_now()) return 0;
  if (!child_wait(child, WNOHANG) && kill(child->pid, SIGKILL) == 0) (void)child_wait(child, 0);
  return 0;
}

void child_open(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"poll", child_poll}, {"kill", child_kill}, {"close", child_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{NULL, NULL}};
  class_new(L, CHILD_CLASS, methods, meta);
}
