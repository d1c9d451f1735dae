/*
 * The ground that everything stands on: a clock, wiping, and userdata classes.
 */
#include "core.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double clock_now(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* fails only for a clock that does not exist */
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Called by way of a variable that has to be read: the compiler cannot know what is called, and so not that
 * nobody will look at what it writes. */
static void *(*const volatile fill)(void *, int, size_t) = memset;

void wipe(void *data, size_t length) {
  (void)fill(data, 0, length);
}

/* There are two functions of the name strerror_r: one returns the text, the other a number and puts the
 * text into the room. */
static const char *text_given(const char *text, const char *room) {
  (void)room;
  return text;
}

static const char *text_put(int failed, const char *room) {
  return failed == 0 ? room : "unknown error";
}

const char *errno_push(lua_State *L, int number) {
  char room[128] = "";
  return lua_pushstring(L, _Generic(strerror_r(0, room, sizeof room),
                                    char *: text_given,
                                    int: text_put)(strerror_r(number, room, sizeof room), room));
}

Process process_now(void) {
  return (Process)getpid();
}

int process_refuse(lua_State *L, const char *what) {
  return luaL_error(L,
                    "%s belongs to the process that made it: a child made by fork must make its "
                    "own client",
                    what);
}

void class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  luaL_newmetatable(L, name); /* sets __name, too */
  luaL_setfuncs(L, meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0); /* getmetatable(object) tells nothing to tamper with */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
