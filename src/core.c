/*
 * luaopen_zuora_core: what the Lua files of this module stand on. Everything else in src/ is
 * hidden; this is the one symbol that the shared object exports.
 */
#include "core.h"
#include "api/api.h"
#include "data/data.h"
#include "http/http.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if !defined(_WIN32)
#include <sys/random.h>
#endif

/* core.now() -> seconds on a clock that nobody sets back */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)clock_now());
  return 1;
}

/* core.escape(text) -> text for a segment of a path or a value in a query */
static int core_escape(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  escape_append(&out, text, length);
  luaL_pushresult(&out);
  return 1;
}

/* 0, or an errno. It is well when it is there. */
static int directory_make(const char *path) {
  struct stat status;
  if (mkdir(path, 0777) == 0) return 0;
  int error = errno;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : error;
}

/* core.mkdir(path) -> true (also when it is there) | nil, message. Missing parents are made, too. */
static int core_mkdir(lua_State *L) {
  size_t length;
  const char *path = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length > 0 && strlen(path) == length, 1, "path expected");
  char *part = lua_newuserdatauv(L, length + 1, 0);
  (void)strcpy(part, path);
  for (size_t i = 1; i <= length; i++) {
    if (part[i] != '/' && part[i] != '\0') continue;
    part[i] = '\0';
    int error = directory_make(part);
    if (error != 0) {
      const char *text = errno_push(L, error);
      lua_pushnil(L);
      lua_pushfstring(L, "%s: %s", part, text);
      return 2;
    }
    part[i] = path[i];
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* core.time(text) -> seconds since the epoch (an integer unless the text has a fraction) | nil: no time.
 * A text without a zone is taken for UTC. */
static int core_time(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  if (!typed_push(L, TYPE_TIME, text, length)) lua_pushnil(L);
  return 1;
}

/* core.random(n) -> n bytes (at most 256) from the system's random source */
static int core_random(lua_State *L) {
  unsigned char bytes[256];
  lua_Integer count = luaL_checkinteger(L, 1);
  luaL_argcheck(L, count >= 1 && count <= (lua_Integer)sizeof bytes, 1, "1 to 256 expected");
  if (getentropy(bytes, (size_t)count) != 0)
    return luaL_error(L, "no random bytes from the system");
  lua_pushlstring(L, (const char *)bytes, (size_t)count);
  return 1;
}

/*
 * Keeps this module, and libcurl with it, in memory until the process ends. lua_close would unmap
 * both while a resolver thread of libcurl may still be inside getaddrinfo. (A link flag could do
 * the same, but LuaRocks' builtin build passes none.) Where it cannot be done, it is not done: the
 * module works, and only a close during a slow look-up is at risk.
 */
static void core_pin(void) {
  Dl_info self;
  /* ISO C does not convert a function pointer to void *; POSIX says that the bytes are the same. */
  lua_CFunction function = core_now;
  void *address;
  memcpy(&address, &function, sizeof address);
  if (dladdr(address, &self) != 0 && self.dli_fname != NULL)
    (void)dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

static void core_check_libcurl(lua_State *L) {
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    luaL_error(L, "libcurl cannot be initialised");
  const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
  if (info->version_num < 0x075500)
    luaL_error(L, "libcurl 7.85.0 or newer is needed, this is %s", info->version);
  lua_pushfstring(L, "libcurl/%s", info->version);
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_zuora_core(lua_State *L);

int luaopen_zuora_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"session", session_new},
      {"sink", sink_new},
      {"rows", rows_new},
      {"stage", stage_new},
      {"connection", connection_new},
      {"request", call_request},
      {"time", core_time},
      {"now", core_now},
      {"escape", core_escape},
      {"gunzip", gunzip},
      {"random", core_random},
      {"mkdir", core_mkdir},
      {NULL, NULL},
  };
  luaL_checkversion(L);
  core_pin();
  luaL_newlib(L, functions);
  core_check_libcurl(L);
  lua_setfield(L, -2, "version");
  json_open(L);
  session_open(L);
  request_open(L);
  sink_open(L);
  rows_open(L);
  stages_open(L);
  connection_open(L);
  operations_open(L);
  return 1;
}
