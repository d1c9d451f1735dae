/*
 * Typed values from the text of a cell: what is not exactly of its type is refused, not bent.
 */
#include "data.h"

#include <math.h>
#include <string.h>

/* Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's well-known formula). */
static long long days_from_civil(long long y, unsigned m, unsigned d) {
  y -= m <= 2;
  long long era = (y >= 0 ? y : y - 399) / 400;
  unsigned yoe = (unsigned)(y - era * 400);
  unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + (long long)doe - 719468;
}

static unsigned days_of_month(unsigned y, unsigned m) {
  if (m == 2) return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : 28;
  return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

static bool digits(const char **at, const char *end, int count, unsigned *value) {
  *value = 0;
  for (int i = 0; i < count; i++, (*at)++) {
    if (*at >= end || **at < '0' || **at > '9') return false;
    *value = *value * 10 + (unsigned)(**at - '0');
  }
  return true;
}

static bool skip(const char **at, const char *end, char c) {
  bool there = *at < end && **at == c;
  *at += there;
  return there;
}

/* "2026-08-04", with "T20:11:15" or " 20:11:15", a fraction, and "Z", "+1000" or "+10:00" (without one:
 * UTC), as seconds since the epoch. */
static bool push_time(lua_State *L, const char *at, size_t length) {
  const char *end = at + length;
  unsigned y, m, d, h = 0, min = 0, s = 0, zh = 0, zm = 0;
  bool west = false;
  double fraction = 0, unit = 1;
  if (!digits(&at, end, 4, &y) || !skip(&at, end, '-') || !digits(&at, end, 2, &m) ||
      !skip(&at, end, '-') || !digits(&at, end, 2, &d))
    return false;
  if (skip(&at, end, 'T') || skip(&at, end, 't') || skip(&at, end, ' ')) {
    if (!digits(&at, end, 2, &h) || !skip(&at, end, ':') || !digits(&at, end, 2, &min))
      return false;
    if (skip(&at, end, ':') && !digits(&at, end, 2, &s)) return false;
    if (skip(&at, end, '.'))
      for (; at < end && *at >= '0' && *at <= '9'; at++) fraction += (*at - '0') * (unit /= 10);
    if ((west = skip(&at, end, '-')) || skip(&at, end, '+')) {
      if (!digits(&at, end, 2, &zh)) return false;
      (void)skip(&at, end, ':');
      if (!digits(&at, end, 2, &zm)) return false;
    } else if (!skip(&at, end, 'Z')) {
      (void)skip(&at, end, 'z');
    }
  }
  if (at != end || m < 1 || m > 12 || d < 1 || d > days_of_month(y, m) || h > 23 || min > 59 ||
      s > 60 || zh > 23 || zm > 59)
    return false;
  long long zone = (long long)zh * 3600 + (long long)zm * 60;
  long long seconds = days_from_civil(y, m, d) * 86400 + (long long)h * 3600 + (long long)min * 60 +
                      s + (west ? zone : -zone);
  if (fraction > 0)
    lua_pushnumber(L, (lua_Number)seconds + (lua_Number)fraction);
  else
    lua_pushinteger(L, (lua_Integer)seconds);
  return true;
}

/* Plain decimal numbers only: what Lua would take besides (hexadecimal, blanks) is no number here. */
static bool push_number(lua_State *L, const char *text, size_t length, bool integer) {
  if (length == 0 || length > 400) return false;
  for (size_t i = 0; i < length; i++)
    if (strchr(integer ? "+-0123456789" : "+-.eE0123456789", text[i]) == NULL || text[i] == '\0')
      return false;
  lua_pushlstring(L, text, length); /* lua_stringtonumber wants a terminated string */
  const char *terminated = lua_tostring(L, -1);
  if (*terminated == '+' && terminated[1] != '+' && terminated[1] != '-') terminated++;
  if (*terminated == '+' || lua_stringtonumber(L, terminated) == 0) {
    lua_pop(L, 1);
    return false;
  }
  if ((integer && !lua_isinteger(L, -1)) || isinf((double)lua_tonumber(L, -1))) {
    lua_pop(L, 2);
    return false;
  }
  lua_remove(L, -2);
  return true;
}

static bool push_boolean(lua_State *L, const char *text, size_t length) {
  char word[6];
  if (length != 4 && length != 5) return false;
  for (size_t i = 0; i < length; i++) word[i] = (char)(text[i] | 0x20);
  bool yes = length == 4 && memcmp(word, "true", 4) == 0;
  if (!yes && !(length == 5 && memcmp(word, "false", 5) == 0)) return false;
  lua_pushboolean(L, yes);
  return true;
}

bool typed_push(lua_State *L, Type type, const char *text, size_t length) {
  switch (type) {
  case TYPE_INTEGER:
    return push_number(L, text, length, true);
  case TYPE_NUMBER:
    return push_number(L, text, length, false);
  case TYPE_BOOLEAN:
    return push_boolean(L, text, length);
  case TYPE_TIME:
    return push_time(L, text, length);
  case TYPE_STRING:
    break;
  }
  return false;
}

/* core.time(text) -> seconds since the epoch (an integer unless the text has a fraction) | nil: no time.
 * A text without a zone is taken for UTC. */
int time_push(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  if (!typed_push(L, TYPE_TIME, text, length)) lua_pushnil(L);
  return 1;
}
