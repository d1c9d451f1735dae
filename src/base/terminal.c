/*
 * Is a descriptor a terminal, and how large is its window?
 */
#include "base.h"

#include <limits.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* core.terminal(fd) -> nil where fd is no terminal; else columns, rows, as they are now (0: not known) */
int terminal_push(lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  luaL_argcheck(L, fd >= 0 && fd <= INT_MAX, 1, "descriptor expected");
  if (isatty((int)fd) == 0) {
    lua_pushnil(L);
    return 1;
  }
  unsigned short columns = 0, rows = 0;
#if defined(TIOCGWINSZ)
  struct winsize size;
  if (ioctl((int)fd, TIOCGWINSZ, &size) == 0) {
    columns = size.ws_col;
    rows = size.ws_row;
  }
#endif
  lua_pushinteger(L, columns);
  lua_pushinteger(L, rows);
  return 2;
}
