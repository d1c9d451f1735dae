/*
 *   spent N PROGRAM ARGUMENT…    runs it so many times, and prints what that took from the start of each to its end
 */
#include "floor.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  long times = atol(argv[1]);
  Spent since = spent_begin();
  struct rusage use;
  fflush(stdout);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1 /* O_WRONLY */, 0);
  for (long i = 0; i < times; i++) {
    pid_t child;
    int status;
    need(posix_spawnp(&child, argv[2], &actions, NULL, argv + 2, environ) == 0, argv[2]);
    need(waitpid(child, &status, 0) == child && status == 0, argv[2]);
  }
  getrusage(RUSAGE_CHILDREN, &use);
  printf("cpu=%.6f wall=%.6f peak=%ld count=%ld check=0\n",
         seconds_of(use.ru_utime) + seconds_of(use.ru_stime),
         clock_read(CLOCK_MONOTONIC) - since.wall, use.ru_maxrss, times);
  return 0;
}
