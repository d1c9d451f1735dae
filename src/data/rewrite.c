/*
 * Writes records anew, as UTF-8 with commas, quoted as RFC 4180 asks. What is written is what rows would have
 * given.
 */
#include "filter.h"

#include <string.h>

#define OUT_SIZE 65536u

bool rewrite_flush(Records *records) {
  size_t length = records->out.length;
  records->out.length = 0;
  return length == 0 || records->emit(records->context, records->out.data, length);
}

static bool out_put(Records *records, const char *data, size_t length) {
  if (records->out.length >= OUT_SIZE && !rewrite_flush(records)) return false;
  return buffer_append(&records->out, data, length) || records_fail(records, "not enough memory");
}

/* Text within quotes, where they are to stand twice. */
static bool out_double(Records *records, const char *text, size_t length) {
  while (length > 0) {
    const char *quote = memchr(text, '"', length);
    size_t piece = quote != NULL ? (size_t)(quote + 1 - text) : length;
    if (!out_put(records, text, piece) || (quote != NULL && !out_put(records, "\"", 1)))
      return false;
    text += piece;
    length -= piece;
  }
  return true;
}

/* Bytes that are no UTF-8 come here only where they are to be replaced. */
static bool out_text(Records *records, const char *text, size_t length, bool doubles) {
  bool (*put)(Records *, const char *, size_t) = doubles ? out_double : out_put;
  if (records->strict || !records->scanner.odd) return put(records, text, length);
  while (length > 0) {
    size_t valid = utf8_valid(text, length), bad = utf8_invalid(text + valid, length - valid);
    if (!put(records, text, valid) || (bad > 0 && !out_put(records, UTF8_REPLACEMENT, 3)))
      return false;
    text += valid + bad;
    length -= valid + bad;
  }
  return true;
}

/* Without quotes, would the header be read as something else? As separated by tabs, without what it begins
 * with, or as an archive. */
static bool head_misleads(const char *text, size_t length) {
  return memchr(text, '\t', length) != NULL || (length >= 3 && memcmp(text, UTF8_MARK, 3) == 0) ||
         (length >= 4 && memcmp(text, "PK\3\4", 4) == 0);
}

/* An empty cell that stands alone is quoted, too: to many readers an empty line is no record. */
static bool cell_write(Records *records, Span span) {
  const Scanner *scanner = &records->scanner;
  const char *text = scanner->record + span.start;
  bool bare = !span.doubled && text_is_bare(text, span.length) &&
              (scanner->columns > 1 || span.length > 0) &&
              (scanner->row > 0 || !head_misleads(text, span.length));
  if (bare) return out_text(records, text, span.length, false);
  return out_put(records, "\"", 1) && out_text(records, text, span.length, !span.doubled) &&
         out_put(records, "\"", 1);
}

/* The cells that rows would give: as many as the header has. */
bool record_write(Records *records) {
  const Scanner *scanner = &records->scanner;
  for (size_t i = 0; i < scanner->columns; i++) {
    if (i > 0 && !out_put(records, ",", 1)) return false;
    if (i < scanner->cells && !cell_write(records, scanner_cell(scanner, i))) return false;
  }
  return out_put(records, "\n", 1);
}
