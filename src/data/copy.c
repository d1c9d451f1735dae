/*
 * Records as PostgreSQL's COPY reads them in its text format: cells between tabs, what would end one escaped.
 */
#include "rows.h"

/* What is given at once: records until there is so much of them. */
#define PIECE_SIZE 65536u

static bool cell_copy(Rows *rows, const char *text, size_t length) {
  Buffer *made = &rows->made;
  if (!buffer_reserve(made, 2 * length)) return false;
  char *to = made->data + made->length;
  for (size_t i = 0; i < length; i++) {
    char c = text[i];
    if (c == '\\' || c == '\n' || c == '\r' || c == '\t') {
      *to++ = '\\';
      if (c == '\n')
        c = 'n';
      else if (c == '\r')
        c = 'r';
      else if (c == '\t')
        c = 't';
    }
    *to++ = c;
  }
  made->length = (size_t)(to - made->data);
  return true;
}

static bool record_copy(lua_State *L, Rows *rows) {
  for (size_t i = 0; i < rows->column_count; i++) {
    size_t length;
    const char *text = column_text(L, rows, &rows->columns[i], &length);
    if (i > 0 && !buffer_append(&rows->made, "\t", 1)) return false;
    if (!cell_copy(rows, text, length)) return false;
  }
  return buffer_append(&rows->made, "\n", 1);
}

bool copy_push(lua_State *L, Rows *rows, int self) {
  rows->made.length = 0;
  while (rows->made.length < PIECE_SIZE && record_next(L, rows, self)) {
    if (!record_copy(L, rows)) rows_short(L, rows);
  }
  if (rows->made.length == 0) return false;
  lua_pushlstring(L, rows->made.data, rows->made.length);
  return true;
}
