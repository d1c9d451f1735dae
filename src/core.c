/*
 * luaopen_zuora_core: what the Lua files of this module stand on. Everything else in src/ is
 * hidden; this is the one symbol that the shared object exports.
 */
#include "base/base.h"
#include "api/api.h"
#include "data/data.h"
#include "http/http.h"

#include <dlfcn.h>
#include <string.h>

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_zuora_core(lua_State *L);

/*
 * Keeps this module, and libcurl with it, in memory until the process ends. lua_close would unmap
 * both while a resolver thread of libcurl may still be inside getaddrinfo. (A link flag could do
 * the same, but LuaRocks' builtin build passes none.) Where it cannot be done, it is not done: the
 * module works, and only a close during a slow look-up is at risk.
 */
static void core_pin(void) {
  Dl_info self;
  /* ISO C does not convert a function pointer to void *; POSIX says that the bytes are the same. */
  lua_CFunction function = clock_push;
  void *address;
  memcpy(&address, &function, sizeof address);
  if (dladdr(address, &self) != 0 && self.dli_fname != NULL &&
      dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE) != NULL)
    process_watch();
}

int luaopen_zuora_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"session", session_new},     {"sink", sink_new},
      {"file", file_new},           {"spool", spool_new},
      {"rows", rows_new},           {"filter", filter_new},
      {"endpoints", endpoints_new}, {"request", target_send},
      {"success", success_push},    {"tells_failure", tells_failure_push},
      {"time", time_push},          {"now", clock_push},
      {"escape", escape_push},      {"is_id", id_check},
      {"gunzip", gunzip},           {"random", random_push},
      {"mkdir", directories_make},  {"mode", mode_push},
      {"sync", path_sync},          {"spawn", child_new},
      {"terminal", terminal_push},  {"space", space_push},
      {"lines", lines_push},        {"heed_sigterm", sigterm_heed},
      {"terminated", sigterm_told}, {NULL, NULL},
  };
  luaL_checkversion(L);
  core_pin();
  luaL_newlib(L, functions);
  json_open(L);
  child_open(L);
  session_open(L);
  request_open(L);
  sink_open(L);
  file_open(L);
  rows_open(L);
  filters_open(L);
  endpoints_open(L);
  operations_open(L);
  return 1;
}
