/*
 * Which process this is.
 */
#include "base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* The number of this process, 0 where it is not known. This is the one thing in here that is not of a Lua state: a fork
 * is of the process, and to ask the system each time costs as much as a hundred lines of Lua. */
static atomic_long known;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_watched;

static void process_forget(void) {
  atomic_store(&known, 0);
}

static void process_watch_once(void) {
  is_watched = pthread_atfork(NULL, NULL, process_forget) == 0;
}

void process_watch(void) {
  (void)pthread_once(&once, process_watch_once);
}

Process process_now(void) {
  long number = atomic_load_explicit(&known, memory_order_relaxed);
  if (number != 0) return number;
  number = (long)getpid();
  if (is_watched) atomic_store(&known, number);
  return number;
}

int process_refuse(lua_State *L, const char *what) {
  return luaL_error(L,
                    "%s belongs to the process that made it: a child made by fork must make its "
                    "own client",
                    what);
}
