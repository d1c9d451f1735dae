/*
 * Which process this is.
 */
#include "base.h"

#include <unistd.h>

Process process_now(void) {
  return (Process)getpid();
}

int process_refuse(lua_State *L, const char *what) {
  return luaL_error(L,
                    "%s belongs to the process that made it: a child made by fork must make its "
                    "own client",
                    what);
}
