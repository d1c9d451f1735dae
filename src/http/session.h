/*
 * What a session holds: for session.c and fds.c.
 */
#ifndef SESSION_H
#define SESSION_H

#include "http.h"

HIDDEN_BEGIN

/* Easy handles that are kept for the next requests: at its busiest a session needs a new one for each that it gets
 * back, so that a few are enough. */
#define SPARE_HANDLES 8

/* Connections of plain HTTP that are watched between two requests. */
#define KEPT_SOCKETS 16

struct Session {
  CURLM *multi; /* NULL: closed */
  Process maker;
  Request *running, *finished;
  size_t running_count, finished_count;
  struct {
    CURL *easy;
    CURLU *address;
    size_t setup;
  } spare[SPARE_HANDLES];
  size_t spare_count, setups;
  bool checks_lines;
  Buffer high_sockets; /* sockets that an fd_set cannot hold: see fds.c */
  struct {
    int fd, port;
  } kept[KEPT_SOCKETS]; /* of connections without TLS: see fds.c */
  size_t kept_next;
};

/* The first time limit of a request that passes (see request_expiry), or infinity. */
double session_next_expiry(const Session *session);

/* session:fds(): see fds.c */
int session_fds(lua_State *L);

HIDDEN_END

#endif
