/*
 * SIGTERM does what Ctrl-C does: for a program, where the interpreter answers that one.
 */
#include "base.h"

#include <signal.h>
#include <unistd.h>

/* A signal is sent to the process, and no Lua state knows of it. */
static volatile sig_atomic_t is_told;

/* The interpreter's own handler of SIGINT raises an error in Lua, at the next instruction. */
static void sigterm_pass_on(int number) {
  (void)number;
  int error = errno;
  is_told = 1;
  (void)kill(getpid(), SIGINT);
  errno = error;
}

/* core.heed_sigterm(): from now on. A second SIGTERM ends the process at once, as a second Ctrl-C does; where
 * whoever has started it wants SIGTERM to be ignored, it is. */
int sigterm_heed(lua_State *L) {
  (void)L;
  struct sigaction action;
  if (sigaction(SIGTERM, NULL, &action) != 0 || action.sa_handler == SIG_IGN) return 0;
  action.sa_handler = sigterm_pass_on;
  action.sa_flags = (int)SA_RESETHAND;
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGTERM, &action, NULL); /* fails for no signal that there is */
  return 0;
}

/* core.terminated() -> was it SIGTERM that has interrupted the program? */
int sigterm_told(lua_State *L) {
  lua_pushboolean(L, is_told != 0);
  return 1;
}
