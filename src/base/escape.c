/*
 * Percent-encoding, for a segment of a path or a value in a query.
 */
#include "base.h"

void escaped_push(lua_State *L, const char *text, size_t length) {
  static const char digits[] = "0123456789ABCDEF";
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      luaL_addchar(&out, (char)c);
    } else {
      luaL_addchar(&out, '%');
      luaL_addchar(&out, digits[c >> 4]);
      luaL_addchar(&out, digits[c & 15]);
    }
  }
  luaL_pushresult(&out);
}

/* core.escape(text) -> text for a segment of a path or a value in a query */
int escape_push(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  escaped_push(L, text, length);
  return 1;
}
