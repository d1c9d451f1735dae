/*
 * Userdata classes.
 */
#include "base.h"

void class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  luaL_newmetatable(L, name); /* sets __name, too */
  luaL_setfuncs(L, meta, 0);
  lua_pushboolean(L, 0); /* getmetatable(object) returns nothing to tamper with */
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  if (lua_getfield(L, -1, "close") == LUA_TFUNCTION) { /* [class, methods, close] */
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "__gc");
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "__close");
  }
  lua_pop(L, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
