/*
 * Records as lines of JSON. A cell goes into its line as it stands: no number passes through a double on its way.
 */
#include "rows.h"

#include <string.h>

#define SIZE 65536u /* of a piece of lines, about */

/* What a member's value is written as: by its type, but for decimals that are to be texts. */
typedef struct Member {
  Bytes key;   /* "Name": */
  Bytes fixed; /* JSON that stands for all cells; NULL: a column's do */
  const Column *column, *gate;
  Type type;
  bool quoted;
} Member;

typedef struct MemberOptions {
  Bytes key, fixed;
  const char *type;
  size_t place, gate;
  bool quoted;
} MemberOptions;

static const Option member_options[] = {
    {"key", OPTION_BYTES, offsetof(MemberOptions, key)},
    {"fixed", OPTION_BYTES, offsetof(MemberOptions, fixed)},
    {"type", OPTION_TEXT, offsetof(MemberOptions, type)},
    {"place", OPTION_COUNT, offsetof(MemberOptions, place)},
    {"gate", OPTION_COUNT, offsetof(MemberOptions, gate)},
    {"quoted", OPTION_FLAG, offsetof(MemberOptions, quoted)},
    {NULL, OPTION_VALUE, 0},
};

typedef struct LinesOptions {
  Bytes head, tail;
  size_t size;
} LinesOptions;

static const Option lines_options[] = {
    {"head", OPTION_BYTES, offsetof(LinesOptions, head)},
    {"tail", OPTION_BYTES, offsetof(LinesOptions, tail)},
    {"size", OPTION_COUNT, offsetof(LinesOptions, size)},
    {"members", OPTION_VALUE, 0},
    {NULL, OPTION_VALUE, 0},
};

/* --- values ----------------------------------------------------------------------------------- */

/* Writes at `to`, and gives the place behind what was written. */
static char *put(char *to, const char *text, size_t length) {
  memcpy(to, text, length);
  return to + length;
}

/* At most six bytes for one, and the quotes. */
static char *string_put(char *to, const char *text, size_t length) {
  static const char hex[] = "0123456789abcdef";
  *to++ = '"';
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= 0x20 && c != '"' && c != '\\') {
      *to++ = (char)c;
    } else if (c >= 0x20) {
      *to++ = '\\';
      *to++ = (char)c;
    } else {
      static const char named[] = "\bb\tt\nn\ff\rr";
      const char *name = c != '\0' ? strchr(named, (char)c) : NULL;
      if (name != NULL) {
        *to++ = '\\';
        *to++ = name[1];
      } else {
        to = put(to, "\\u00", 4);
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
      }
    }
  }
  *to++ = '"';
  return to;
}

static size_t digits_of(const char *at, const char *end) {
  size_t count = 0;
  while (at + count < end && at[count] >= '0' && at[count] <= '9') count++;
  return count;
}

/* As JSON wants it: no sign +, no zeros before it, a digit before the point. NULL: it is no such number. */
static char *number_put(char *to, const char *at, size_t length, bool integer) {
  const char *end = at + length;
  if (*at == '-')
    *to++ = *at++;
  else if (*at == '+')
    at++;
  size_t whole = digits_of(at, end), fraction = 0;
  const char *number = at;
  at += whole;
  if (at < end && *at == '.') fraction = digits_of(++at, end);
  if (whole + fraction == 0) return NULL;
  while (whole > 0 && *number == '0') number++, whole--;
  if (whole == 0) *to++ = '0';
  to = put(to, number, whole);
  if (integer) { /* all that may follow is noughts */
    for (size_t i = 0; i < fraction; i++)
      if (at[i] != '0') return NULL;
    return at + fraction == end ? to : NULL;
  }
  if (fraction > 0) *to++ = '.';
  to = put(to, at, fraction);
  at += fraction;
  if (at == end) return to;
  if (*at != 'e' && *at != 'E') return NULL;
  *to++ = *at++;
  if (at < end && (*at == '+' || *at == '-')) *to++ = *at++;
  size_t exponent = digits_of(at, end);
  if (exponent == 0 || at + exponent != end) return NULL;
  return put(to, at, exponent);
}

/* A time as RFC 3339 has it, of a text that is known to be one; a day is its beginning. */
static char *time_put(char *to, const char *at, size_t length) {
  const char *end = at + length;
  *to++ = '"';
  to = put(to, at, 10);
  *to++ = 'T';
  if (length == 10) return put(to, "00:00:00Z\"", 10);
  to = put(to, at + 11, 5);
  at += 16;
  bool seconds = at < end && *at == ':';
  to = put(to, seconds ? at : ":00", 3);
  if (seconds) at += 3;
  if (at < end && *at == '.') {
    size_t fraction = digits_of(++at, end);
    if (fraction > 0) *to++ = '.';
    to = put(to, at, fraction);
    at += fraction;
  }
  if (at < end && (*at == '+' || *at == '-')) {
    const char *minutes = end - 2;
    if (memcmp(at + 1, "00", 2) != 0 || memcmp(minutes, "00", 2) != 0) {
      to = put(to, at, 3);
      *to++ = ':';
      to = put(to, minutes, 2);
      *to++ = '"';
      return to;
    }
  }
  return put(to, "Z\"", 2);
}

/* NULL: the text is none of that type. */
static char *typed_put(lua_State *L, char *to, const Member *member, const char *text,
                       size_t length) {
  switch (member->type) {
  case TYPE_STRING:
    return string_put(to, text, length);
  case TYPE_INTEGER:
    return number_put(to, text, length, true);
  case TYPE_NUMBER:
    if (!member->quoted) return number_put(to, text, length, false);
    *to++ = '"';
    to = number_put(to, text, length, false);
    if (to != NULL) *to++ = '"';
    return to;
  case TYPE_BOOLEAN:
  case TYPE_TIME:
    break;
  }
  if (!typed_push(L, member->type, text, length)) return NULL;
  bool yes = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (member->type == TYPE_TIME) return time_put(to, text, length);
  return yes ? put(to, "true", 4) : put(to, "false", 5);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Is the cell that decides whether another is told a true one? */
static bool gate_opens(lua_State *L, Rows *rows, int self, const Column *gate) {
  size_t length;
  const char *text = column_text(L, rows, gate, &length);
  if (length == 0) return false;
  if (!typed_push(L, TYPE_BOOLEAN, text, length))
    type_refuse(L, rows, self, gate, TYPE_BOOLEAN, text, length);
  bool opens = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return opens;
}

static void bytes_write(lua_State *L, Rows *rows, Bytes bytes) {
  if (!buffer_append(&rows->made, bytes.data, bytes.length)) rows_short(L, rows);
}

static void member_write(lua_State *L, Rows *rows, int self, const Member *member) {
  size_t length = 0;
  const char *text = "";
  bytes_write(L, rows, member->key);
  if (member->gate == NULL || gate_opens(L, rows, self, member->gate)) {
    if (member->fixed.data != NULL) {
      bytes_write(L, rows, member->fixed);
      return;
    }
    text = column_text(L, rows, member->column, &length);
  }
  /* A record has at most 64 MiB: no overflow. */
  if (!buffer_reserve(&rows->made, 6 * length + 32)) rows_short(L, rows);
  char *at = rows->made.data + rows->made.length;
  char *end = length == 0 ? put(at, "null", 4) : typed_put(L, at, member, text, length);
  if (end == NULL)
    type_refuse(L, rows, self, member->column, member->type, text, length);
  else
    rows->made.length = (size_t)(end - rows->made.data);
}

static const Column *column_at(lua_State *L, const Rows *rows, size_t place) {
  luaL_argcheck(L, place >= 1 && place <= rows->column_count, 2, "a place of a column expected");
  return &rows->columns[place - 1];
}

/* Reads the members, and pushes them; their texts stay on the stack below. */
static Member *members_read(lua_State *L, const Rows *rows, int list, size_t count) {
  Member *members = lua_newuserdatauv(L, (count + 1) * sizeof *members, 0);
  luaL_checkstack(L, 2 * (int)count + LUA_MINSTACK, "members"); /* and room for an error */
  for (size_t i = 0; i < count; i++) {
    MemberOptions options = {{"", 0}, {NULL, 0}, "string", 0, 0, false};
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    luaL_checktype(L, -1, LUA_TTABLE);
    options_read(L, lua_gettop(L), member_options, &options);
    Member *member = &members[i];
    member->key = options.key;
    member->fixed = options.fixed;
    member->type = type_named(L, options.type);
    member->quoted = options.quoted;
    member->column = options.fixed.data == NULL ? column_at(L, rows, options.place) : NULL;
    member->gate = options.gate > 0 ? column_at(L, rows, options.gate) : NULL;
    field_push(L, lua_gettop(L), "key");
    field_push(L, lua_gettop(L) - 1, "fixed");
    lua_remove(L, -3);
  }
  return members;
}

/* core.lines(rows, { head, members = { { key, place | fixed, type, gate, quoted }, … }, tail, size })
 *   -> lines, how many | nothing: there are no more
 * A line is the head, each member's key and value, and the tail. A member is null where its cell is empty, or where the
 * cell of the column that is its gate is not true. It raises as rows do. */
int lines_push(lua_State *L) {
  const int self = 1, shape = 2, list = 3;
  Rows *rows = luaL_checkudata(L, self, ROWS_CLASS);
  LinesOptions options = {{"", 0}, {"", 0}, SIZE};
  lua_settop(L, 2);
  luaL_checktype(L, shape, LUA_TTABLE);
  options_read(L, shape, lines_options, &options);
  field_push(L, shape, "members");
  luaL_checktype(L, list, LUA_TTABLE);
  field_push(L, shape, "head");
  field_push(L, shape, "tail");
  if (rows->fd < 0) return 0;
  luaL_argcheck(L, rows->scanner.strict, 1, "strict rows expected");
  size_t count = (size_t)lua_rawlen(L, list);
  const Member *members = members_read(L, rows, list, count);
  if (rows->fd < 0) return 0; /* a finaliser of the user's may have closed it meanwhile */

  rows_hold(L, rows);
  rows->valid = false;
  rows->made.length = 0;
  lua_Integer records = 0;
  bool more = true;
  while (rows->made.length < options.size && (more = record_next(L, rows, self))) {
    bytes_write(L, rows, options.head);
    for (size_t i = 0; i < count; i++) member_write(L, rows, self, &members[i]);
    bytes_write(L, rows, options.tail);
    records++;
  }
  int results = 0;
  if (records > 0) {
    lua_pushlstring(L, rows->made.data, rows->made.length);
    lua_pushinteger(L, records);
    results = 2;
  }
  rows_let_go(rows);
  if (!more) rows_release(rows);
  return results;
}
