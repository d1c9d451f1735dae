/*
 * What a session holds: for session.c and fds.c.
 */
#ifndef SESSION_H
#define SESSION_H

#include "http.h"

HIDDEN_BEGIN

struct Session {
  CURLM *multi; /* NULL: closed */
  Process maker;
  Request *running, *finished;
  size_t running_count, finished_count;
  Buffer high_sockets; /* sockets that an fd_set cannot hold: see fds.c */
};

/* The first time limit of a request that passes (see request_expiry), or infinity. */
double session_next_expiry(const Session *session);

/* session:fds(): see fds.c */
int session_fds(lua_State *L);

HIDDEN_END

#endif
