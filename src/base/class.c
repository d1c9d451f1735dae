/*
 * Userdata classes.
 */
#include "base.h"

void class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  luaL_newmetatable(L, name); /* sets __name, too */
  luaL_setfuncs(L, meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0); /* getmetatable(object) tells nothing to tamper with */
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
