/*
 * A session in the host's event loop: which descriptors to wait for, and how long.
 */
#include "session.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* The system gives a descriptor's number again: the file tells whether it is still the same. */
typedef struct HighSocket {
  int fd;
  dev_t device;
  ino_t inode;
} HighSocket;

/* Is a socket that an fd_set cannot hold still open? (libcurl calls us when it makes one, but not always
 * when it closes one.) */
static bool session_has_high_sockets(Session *session) {
  HighSocket *high = (void *)session->high_sockets.data;
  size_t count = session->high_sockets.length / sizeof *high, kept = 0;
  for (size_t i = 0; i < count; i++) {
    struct stat status;
    if (fstat(high[i].fd, &status) == 0 && status.st_dev == high[i].device &&
        status.st_ino == high[i].inode)
      high[kept++] = high[i];
  }
  session->high_sockets.length = kept * sizeof *high;
  return kept > 0;
}

void session_note_socket(Session *session, int fd) {
  struct stat status;
  if (fd < FD_SETSIZE || fstat(fd, &status) != 0) return;
  if (session->high_sockets.length == session->high_sockets.capacity)
    (void)session_has_high_sockets(session);
  const HighSocket high = {fd, status.st_dev, status.st_ino};
  /* Without memory fds may leave one out; step does not need the list. */
  (void)buffer_append(&session->high_sockets, (const char *)&high, sizeof high);
}

/* libcurl tells the socket of a connection only when a request is over, and whether bytes wait there is to be known
 * only when the next one begins: its port goes with it. */
void session_note_kept(Session *session, CURL *easy) {
  curl_socket_t fd = CURL_SOCKET_BAD;
  long port = 0;
  if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD ||
      curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port) != CURLE_OK)
    return;
  size_t at = 0;
  while (at < KEPT_SOCKETS && session->kept[at].port != port) at++;
  if (at == KEPT_SOCKETS) at = session->kept_next++ % KEPT_SOCKETS;
  session->kept[at].fd = fd;
  session->kept[at].port = (int)port;
}

/* The descriptor may be another's by now. */
static bool socket_has_port(int fd, int port) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } address;
  socklen_t size = sizeof address;
  memset(&address, 0, sizeof address);
  if (getsockname(fd, &address.any, &size) != 0) return false;
  if (address.any.sa_family == AF_INET) return ntohs(address.v4.sin_port) == port;
  return address.any.sa_family == AF_INET6 && ntohs(address.v6.sin6_port) == port;
}

int session_kept_socket(const Session *session, int port) {
  for (size_t at = 0; at < KEPT_SOCKETS; at++)
    if (session->kept[at].port == port) return session->kept[at].fd;
  return -1;
}

bool socket_has_bytes(int fd, int port) {
  char byte;
  return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 && socket_has_port(fd, port);
}

static int fds_push_timeout(lua_State *L, Session *session) {
  long ms = -1;
  if (curl_multi_timeout(session->multi, &ms) != CURLM_OK) ms = 0;
  double seconds = ms >= 0 ? (double)ms / 1000.0 : (double)INFINITY;
  seconds = fmin(seconds, fmax(0.0, session_next_expiry(session) - clock_now()));
  if (session->finished != NULL) seconds = 0;
  if (isinf(seconds))
    lua_pushnil(L);
  else
    lua_pushnumber(L, seconds);
  return 2;
}

/* [set]: adds a descriptor. */
static void fds_add(lua_State *L, int fd, bool read, bool write) {
  if (!read && !write) return;
  lua_pushstring(L, read && write ? "rw" : read ? "r" : "w");
  lua_rawseti(L, -2, fd);
}

#if LIBCURL_VERSION_NUM >= 0x080800

/* session:fds() -> { [fd] = "r"|"w"|"rw" }, seconds until step is due at the latest | nil */
int session_fds(lua_State *L) {
  Session *session = session_check(L, 1);
  unsigned int count = 0;
  struct curl_waitfd *list = NULL;
  CURLMcode code = CURLM_OUT_OF_MEMORY; /* libcurl says so of a list that is too short, too */
  size_t size = session->running_count * 2 + 16; /* a guess, doubled as long as it is too low */
  for (int tries = 0; code == CURLM_OUT_OF_MEMORY && tries < 8; tries++, size *= 2) {
    list = lua_newuserdatauv(L, size * sizeof *list, 0);
    code = curl_multi_waitfds(session->multi, list, (unsigned int)size, &count);
  }
  if (code != CURLM_OK) return luaL_error(L, "fds: %s", curl_multi_strerror(code));
  lua_newtable(L);
  for (unsigned int i = 0; i < count; i++)
    fds_add(L, list[i].fd, (list[i].events & CURL_WAIT_POLLIN) != 0,
            (list[i].events & CURL_WAIT_POLLOUT) != 0);
  return fds_push_timeout(L, session);
}

#else

/* As above, by curl_multi_fdset, which leaves out a descriptor of FD_SETSIZE or more without a word. */
int session_fds(lua_State *L) {
  Session *session = session_check(L, 1);
  fd_set readable, writable, failed;
  int highest = -1;
  FD_ZERO(&readable);
  FD_ZERO(&writable);
  FD_ZERO(&failed);
  CURLMcode code = curl_multi_fdset(session->multi, &readable, &writable, &failed, &highest);
  if (code != CURLM_OK) return luaL_error(L, "fds: %s", curl_multi_strerror(code));
  if (session_has_high_sockets(session) && session->running_count > 0)
    return luaL_error(L,
                      "fds: a socket has a descriptor beyond the %d that this libcurl can list "
                      "(8.8.0 has no such limit; step and blocking calls have none)",
                      FD_SETSIZE);
  lua_newtable(L);
  for (int fd = 0; fd <= highest; fd++)
    fds_add(L, fd, FD_ISSET(fd, &readable) != 0, FD_ISSET(fd, &writable) != 0);
  return fds_push_timeout(L, session);
}

#endif
