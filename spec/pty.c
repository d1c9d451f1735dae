/*
 * A pseudo-terminal for specs: a program runs in it, and what it draws is read, keys are pressed, the window is
 * made larger or smaller. Not part of the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#define CLASS "spec.pty"

typedef struct Pty {
  int fd; /* -1: closed */
  pid_t pid;
  int status; /* as wait says; meaningful once `ended` */
  int ended;
} Pty;

static Pty *pty_check(lua_State *L) {
  return luaL_checkudata(L, 1, CLASS);
}

/* open(command, columns, rows) -> pty. The command is the shell's; `exec` is put before it. */
static int pty_open(lua_State *L) {
  const char *command = luaL_checkstring(L, 1);
  struct winsize size = {0};
  size.ws_col = (unsigned short)luaL_checkinteger(L, 2);
  size.ws_row = (unsigned short)luaL_checkinteger(L, 3);
  Pty *pty = lua_newuserdatauv(L, sizeof *pty, 0);
  *pty = (Pty){-1, -1, 0, 1};
  luaL_setmetatable(L, CLASS);
  pty->pid = forkpty(&pty->fd, NULL, NULL, &size);
  if (pty->pid < 0) return luaL_error(L, "forkpty: %s", strerror(errno));
  if (pty->pid == 0) {
    (void)signal(SIGPIPE, SIG_DFL);
    (void)signal(SIGINT, SIG_DFL);
    (void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
  }
  pty->ended = 0;
  (void)fcntl(pty->fd, F_SETFD, FD_CLOEXEC);
  return 1;
}

/* pty:read(seconds) -> what was drawn, "" where nothing came in time, or nil after the end */
static int pty_read(lua_State *L) {
  Pty *pty = pty_check(L);
  char bytes[65536];
  struct pollfd wanted = {pty->fd, POLLIN, 0};
  int ready = poll(&wanted, 1, (int)(luaL_checknumber(L, 2) * 1000));
  if (ready == 0 || (ready < 0 && errno == EINTR)) {
    lua_pushliteral(L, "");
    return 1;
  }
  ssize_t count = read(pty->fd, bytes, sizeof bytes);
  if (count <= 0)
    lua_pushnil(L); /* EIO: nobody has the other end any more */
  else
    lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

/* pty:write(text): keys that are pressed; "\3" is Ctrl-C */
static int pty_write(lua_State *L) {
  Pty *pty = pty_check(L);
  size_t length;
  const char *text = luaL_checklstring(L, 2, &length);
  if (write(pty->fd, text, length) != (ssize_t)length) return luaL_error(L, "write failed");
  return 0;
}

/* pty:resize(columns, rows) */
static int pty_resize(lua_State *L) {
  Pty *pty = pty_check(L);
  struct winsize size = {0};
  size.ws_col = (unsigned short)luaL_checkinteger(L, 2);
  size.ws_row = (unsigned short)luaL_checkinteger(L, 3);
  if (ioctl(pty->fd, TIOCSWINSZ, &size) != 0) return luaL_error(L, "no resize");
  return 0;
}

/* pty:kill(signal) */
static int pty_kill(lua_State *L) {
  Pty *pty = pty_check(L);
  if (!pty->ended) (void)kill(pty->pid, (int)luaL_checkinteger(L, 2));
  return 0;
}

/* pty:wait() -> its exit status, or minus the signal that ended it */
static int pty_wait(lua_State *L) {
  Pty *pty = pty_check(L);
  if (!pty->ended && waitpid(pty->pid, &pty->status, 0) == pty->pid) pty->ended = 1;
  lua_pushinteger(L, WIFEXITED(pty->status) ? WEXITSTATUS(pty->status) : -WTERMSIG(pty->status));
  return 1;
}

static int pty_close(lua_State *L) {
  Pty *pty = pty_check(L);
  if (pty->fd >= 0) (void)close(pty->fd);
  pty->fd = -1;
  if (!pty->ended) {
    (void)kill(pty->pid, SIGKILL);
    (void)pty_wait(L);
  }
  return 0;
}

__attribute__((visibility("default"))) int luaopen_pty(lua_State *L);

int luaopen_pty(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"read", pty_read},  {"write", pty_write},   {"resize", pty_resize},
      {"kill", pty_kill},  {"wait", pty_wait},     {"close", pty_close},
      {"__gc", pty_close}, {"__close", pty_close}, {NULL, NULL}};
  if (luaL_newmetatable(L, CLASS)) {
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushcfunction(L, pty_open);
  lua_setfield(L, -2, "open");
  return 1;
}
