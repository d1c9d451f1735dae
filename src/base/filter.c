/*
 * A filter by its class: who uses one need not know what it does.
 */
#include "base.h"

Filter *filter_check(lua_State *L, int index) {
  return luaL_checkudata(L, index, FILTER_CLASS);
}

bool emit_nothing(void *context, const char *data, size_t length) {
  (void)context;
  (void)data;
  (void)length;
  return true;
}
