/*
 * What a session holds, for the two files that are its own.
 */
#ifndef SESSION_H
#define SESSION_H

#include "http.h"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

struct Session {
  CURLM *multi; /* NULL: closed */
  Process maker;
  Request *running, *finished;
  size_t running_count, finished_count;
  Buffer high; /* sockets that an fd_set cannot hold: see fds.c */
};

/* The first of our own deadlines, or infinity. */
double session_deadline(const Session *session);

/* session:fds(): see fds.c */
int session_fds(lua_State *L);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
