/*
 * The monotonic clock.
 */
#include "base.h"

#include <limits.h>
#include <math.h>
#include <time.h>

double clock_now(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* fails only for a clock that does not exist */
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* core.now() -> seconds on a clock that nobody sets back */
int clock_push(lua_State *L) {
  lua_pushnumber(L, (lua_Number)clock_now());
  return 1;
}

long seconds_to_ms(double seconds) {
  double ms = ceil(seconds * 1000.0);
  if (ms < 1.0) return 1L;
  return ms >= (double)INT_MAX ? (long)INT_MAX : (long)ms;
}
