/*
 * See scanner.h. A block of text is made bits, one for each byte that matters; a cell is a walk from one bit to
 * the next.
 */
#include "scanner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- marks ------------------------------------------------------------------------------------ */

/* The first place from `at` on where the mark is; the end of the text if there is none. */
static inline size_t mark_next(Scanner *scanner, size_t at, int mark) {
  while (at < scanner->text.length) {
    if (at >= scanner->block_end) {
      size_t left = scanner->text.length - at, length = left < BLOCK_SIZE ? left : BLOCK_SIZE;
      rest_mark(scanner->text.data + at, length, scanner->delimiter, block_mark, scanner->marks);
      scanner->block = at;
      scanner->block_end = at + length;
      scanner->odd = scanner->odd || scanner->marks[MARK_ODD] != 0;
    }
    uint64_t hits = scanner->marks[mark] >> (at - scanner->block);
    if (hits != 0) return at + lowest_bit(hits);
    at = scanner->block_end;
  }
  return at;
}

bool text_is_bare(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c <= ',' && (c == ',' || c == '"' || c == '\n' || c == '\r')) return false;
  }
  return true;
}

/* --- the text --------------------------------------------------------------------------------- */

void scanner_new(Scanner *scanner, bool strict, size_t limit) {
  memset(scanner, 0, sizeof *scanner);
  scanner->strict = strict;
  scanner->limit = limit;
  scanner->row = -1;
}

void scanner_free(Scanner *scanner) {
  buffer_free(&scanner->text);
  buffer_free(&scanner->span_memory);
  buffer_free(&scanner->places);
}

char *scanner_room(Scanner *scanner, size_t length) {
  Buffer *text = &scanner->text;
  size_t gone = scanner->begin;
  if (gone > 0) { /* what has been read */
    text->length -= gone;
    memmove(text->data, text->data + gone, text->length);
    scanner->at -= gone;
    if (scanner->state != CELL_BEGINS) scanner->start -= gone;
    scanner->begin = 0;
  }
  scanner->block = scanner->block_end = 0;
  return buffer_reserve(text, length) ? text->data + text->length : NULL;
}

bool scanner_push(void *context, const char *data, size_t length) {
  Scanner *scanner = context;
  if (length == 0) return true;
  char *room = scanner_room(scanner, length);
  if (room == NULL) return false;
  memcpy(room, data, length);
  scanner->text.length += length;
  return true;
}

/* Whatever has not been read is gone. */
static void scanner_forget(Scanner *scanner) {
  scanner->text.length = scanner->begin = scanner->at = 0;
  scanner->block = scanner->block_end = 0;
  scanner->state = CELL_BEGINS;
  scanner->cells = 0;
}

size_t scanner_take_back(Scanner *scanner, size_t length) {
  size_t left = scanner->text.length - scanner->begin;
  if (scanner->columns == 0 || left >= length) return 0;
  scanner_forget(scanner);
  return left;
}

void scanner_end(Scanner *scanner, const char *cause) {
  scanner->ended = cause == NULL;
  scanner->cause = cause;
}

/* --- one record ------------------------------------------------------------------------------- */

static Scan scan_fail(Scanner *scanner, const char *problem, size_t at) {
  scanner->problem = problem;
  scanner->byte += at - scanner->begin;
  scanner->row++;
  return SCAN_PROBLEM;
}

static size_t record_limit(const Scanner *scanner) {
  return scanner->columns == 0 && scanner->limit > HEADER_LIMIT ? HEADER_LIMIT : scanner->limit;
}

static Scan record_too_long(Scanner *scanner) {
  return scan_fail(scanner,
                   scanner->columns == 0 ? "the header line is too long (is a quote missing?)"
                                         : "a record is too long (is a quote missing?)",
                   scanner->begin);
}

/* More text is needed to go on from `at`. */
static Scan record_wait(Scanner *scanner, size_t at) {
  scanner->at = at;
  if (scanner->text.length - scanner->begin > record_limit(scanner))
    return record_too_long(scanner);
  return scanner->cause != NULL ? scan_fail(scanner, scanner->cause, scanner->text.length)
                                : SCAN_MORE;
}

static bool spans_grow(Scanner *scanner) {
  Buffer *memory = &scanner->span_memory;
  memory->length = scanner->span_capacity * sizeof(Span);
  if (!buffer_reserve(memory, sizeof(Span))) return false;
  scanner->spans = (void *)memory->data;
  scanner->span_capacity = memory->capacity / sizeof(Span);
  return true;
}

static inline bool span_add(Scanner *scanner, size_t start, size_t end, bool doubled) {
  size_t place = scanner->cells++;
  if (scanner->columns > 0 && place >= scanner->columns) return true; /* it is only counted */
  if (place == scanner->span_capacity && !spans_grow(scanner)) return false;
  scanner->spans[place] = (Span){start - scanner->begin, end - start, doubled};
  return true;
}

/* Finds the end of the header line, which a newline within quotes is not; and what separates its cells: the
 * tab, if it has more of them outside quotes than commas. */
static Scan head_find(Scanner *scanner) {
  size_t i = scanner->at;
  for (; i < scanner->text.length; i++) {
    char c = scanner->text.data[i];
    if (c == '"') {
      if (scanner->state == CELL_QUOTED)
        scanner->state = CELL_CLOSED;
      else if (scanner->state != CELL_BARE) /* at the beginning, or the second of two */
        scanner->state = CELL_QUOTED;
    } else if (scanner->state != CELL_QUOTED) {
      if (c == '\n') break;
      scanner->commas += c == ',';
      scanner->tabs += c == '\t';
      scanner->state = c == ',' || c == '\t' ? CELL_BEGINS : CELL_BARE;
    }
  }
  if (i == scanner->text.length && !scanner->ended) return record_wait(scanner, i);
  if (i > record_limit(scanner)) return record_too_long(scanner);
  scanner->delimiter = scanner->tabs > scanner->commas ? '\t' : ',';
  scanner->state = CELL_BEGINS;
  scanner->at = 0;
  return SCAN_RECORD;
}

/* The record ends at `end`, with its newline. */
static Scan record_end(Scanner *scanner, size_t end) {
  scanner->record = scanner->text.data + scanner->begin;
  scanner->length = end - scanner->begin;
  scanner->state = CELL_BEGINS;
  return scanner->length > record_limit(scanner) ? record_too_long(scanner) : SCAN_RECORD;
}

typedef enum Cut { CUT_CELL, CUT_WAIT, CUT_OPEN, CUT_BEHIND, CUT_MEMORY } Cut;

/* Is there a carriage return whose newline may be still to come? */
static inline bool return_waits(const Scanner *scanner, size_t at) {
  return at + 1 == scanner->text.length && scanner->text.data[at] == '\r' && !scanner->ended;
}

/* Is there a newline, with a carriage return before it or without? */
static inline bool newline_at(const Scanner *scanner, size_t at) {
  const char *text = scanner->text.data;
  return text[at] == '\n' ||
         (text[at] == '\r' && at + 1 < scanner->text.length && text[at + 1] == '\n');
}

/* Finds the end of the quoted cell in which `*at` is. In the end it is behind the closing quote or, when one
 * must be waited for, where to go on. */
static Cut quoted_cut(Scanner *scanner, size_t *at) {
  for (;;) {
    size_t quote = *at = mark_next(scanner, *at, MARK_QUOTE), after = quote + 1;
    if (quote == scanner->text.length) return scanner->ended ? CUT_OPEN : CUT_WAIT;
    if (after == scanner->text.length && !scanner->ended) return CUT_WAIT;
    if (after == scanner->text.length) break;
    if (scanner->text.data[after] == '"') {
      scanner->doubled = true;
      *at = after + 1;
      continue;
    }
    if (return_waits(scanner, after)) return CUT_WAIT;
    if (scanner->text.data[after] == scanner->delimiter || newline_at(scanner, after)) break;
    *at = after;
    return CUT_BEHIND;
  }
  size_t start = scanner->start + 1, end = (*at)++;
  return span_add(scanner, start, end, scanner->doubled) ? CUT_CELL : CUT_MEMORY;
}

/* The same of a cell without quotes around it. A carriage return is part of it, unless a newline follows. */
static Cut bare_cut(Scanner *scanner, size_t *at) {
  size_t end = *at = mark_next(scanner, *at, MARK_STOP);
  if (end == scanner->text.length && !scanner->ended) return CUT_WAIT;
  if (end < scanner->text.length && scanner->text.data[end] == '\n' && end > scanner->start &&
      scanner->text.data[end - 1] == '\r')
    end--;
  return span_add(scanner, scanner->start, end, false) ? CUT_CELL : CUT_MEMORY;
}

static Scan quotes_refuse(Scanner *scanner, Cut cut, size_t at) {
  if (at - scanner->begin > record_limit(scanner)) return record_too_long(scanner);
  if (cut == CUT_OPEN)
    return scan_fail(scanner, "a quote is opened and never closed", scanner->start);
  return scan_fail(scanner, "something stands between a closing quote and the end of the cell", at);
}

/* Cuts the present record into spans. */
static Scan record_cut(Scanner *scanner) {
  size_t at = scanner->at;
  for (;;) {
    if (scanner->state == CELL_BEGINS) {
      if (at == scanner->text.length && !scanner->ended) return record_wait(scanner, at);
      scanner->start = at;
      scanner->doubled = false;
      scanner->state =
          at < scanner->text.length && scanner->text.data[at] == '"' ? CELL_QUOTED : CELL_BARE;
      if (scanner->state == CELL_QUOTED) at++;
    }
    Cut cut = scanner->state == CELL_QUOTED ? quoted_cut(scanner, &at) : bare_cut(scanner, &at);
    if (cut == CUT_WAIT) return record_wait(scanner, at);
    if (cut == CUT_MEMORY) return SCAN_MEMORY;
    if (cut != CUT_CELL && scanner->strict) return quotes_refuse(scanner, cut, at);
    if (cut == CUT_BEHIND) {
      scanner->state = CELL_BARE; /* kept as it stands, with its quotes */
      continue;
    }
    if (cut == CUT_OPEN && !span_add(scanner, scanner->start, at, false)) return SCAN_MEMORY;
    if (at == scanner->text.length) return record_end(scanner, at);
    if (scanner->text.data[at] != scanner->delimiter)
      return record_end(scanner, at + (scanner->text.data[at] == '\r' ? 2 : 1));
    scanner->state = CELL_BEGINS;
    at++;
  }
}

/* --- what strict refuses ---------------------------------------------------------------------- */

size_t span_copy(const Span *span, const char *record, char *room) {
  const char *at = record + span->start, *end = at + span->length;
  char *out = room;
  while (at < end) {
    const char *quote = span->doubled ? memchr(at, '"', (size_t)(end - at)) : NULL;
    size_t piece = (size_t)((quote != NULL ? quote + 1 : end) - at);
    memcpy(out, at, piece);
    out += piece;
    at += piece + (quote != NULL ? 1 : 0);
  }
  return (size_t)(out - room);
}

typedef struct Name {
  const char *text;
  size_t length, place;
} Name;

static int name_compare(const void *left, const void *right) {
  const Name *a = left, *b = right;
  size_t common = a->length < b->length ? a->length : b->length;
  int order = common > 0 ? memcmp(a->text, b->text, common) : 0;
  if (order == 0) order = (a->length > b->length) - (a->length < b->length);
  return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

/* Looks for the first name in the header that has been there before. */
static Scan names_check(Scanner *scanner) {
  size_t count = scanner->cells, twice = count;
  Name *names = malloc(count * sizeof *names);
  char *room = malloc(scanner->length + 1), *text = room;
  if (names == NULL || room == NULL) {
    free(names);
    free(room);
    return SCAN_MEMORY;
  }
  for (size_t i = 0; i < count; i++) {
    names[i] = (Name){text, span_copy(&scanner->spans[i], scanner->record, text), i};
    text += names[i].length;
  }
  qsort(names, count, sizeof *names, name_compare);
  const Name *found = NULL;
  for (size_t i = 1; i < count; i++)
    if (names[i].place < twice && names[i].length == names[i - 1].length &&
        memcmp(names[i].text, names[i - 1].text, names[i].length) == 0) {
      found = &names[i];
      twice = found->place;
    }
  if (found != NULL) {
    size_t most = sizeof scanner->room - 64, length = found->length;
    if (length > most) length = utf8_valid(found->text, most);
    (void)snprintf(scanner->room, sizeof scanner->room, "the header names the column %.*s twice",
                   (int)length, found->text);
  }
  free(names);
  free(room);
  if (twice == count) return SCAN_RECORD;
  return scan_fail(scanner, scanner->room, scanner->begin + scanner->spans[twice].start);
}

/* A whole record has been found: is it one? */
static Scan record_check(Scanner *scanner) {
  if (scanner->columns > 0 && scanner->cells != scanner->columns) {
    (void)snprintf(scanner->room, sizeof scanner->room, "the row has %zu cells, the header has %zu",
                   scanner->cells, scanner->columns);
    return scan_fail(scanner, scanner->room, scanner->begin);
  }
  if (scanner->odd) {
    const char *nul = memchr(scanner->record, '\0', scanner->length);
    if (nul != NULL) return scan_fail(scanner, "a NUL byte", (size_t)(nul - scanner->text.data));
    size_t valid = utf8_valid(scanner->record, scanner->length);
    if (valid < scanner->length)
      return scan_fail(scanner, "bytes that are no UTF-8", scanner->begin + valid);
  }
  return scanner->columns == 0 ? names_check(scanner) : SCAN_RECORD;
}

/* --- all records ------------------------------------------------------------------------------ */

/* An empty line is no record, unless the file has a single column: then it is an empty cell. */
static bool record_is_blank(const Scanner *scanner) {
  return scanner->columns > 1 && scanner->cells == 1 && newline_at(scanner, scanner->begin);
}

/* Goes on behind the record that was found last. */
static void record_leave(Scanner *scanner) {
  scanner->begin += scanner->length;
  scanner->byte += scanner->length;
  scanner->at = scanner->begin;
  scanner->length = scanner->cells = 0;
  scanner->odd = scanner->at < scanner->block_end && scanner->marks[MARK_ODD] != 0;
}

Scan scanner_find(Scanner *scanner) {
  for (;;) {
    if (scanner->problem != NULL) return SCAN_PROBLEM;
    if (scanner->length > 0) record_leave(scanner);
    scanner->stops = NULL;
    if (scanner->begin == scanner->text.length && scanner->ended) return SCAN_END;
    Scan scan = scanner->delimiter == 0 ? head_find(scanner) : SCAN_RECORD;
    if (scan == SCAN_RECORD) scan = record_cut(scanner);
    if (scan == SCAN_RECORD && record_is_blank(scanner)) continue;
    if (scan == SCAN_RECORD && scanner->strict) scan = record_check(scanner);
    if (scan != SCAN_RECORD) return scan;
    if (scanner->columns == 0) scanner->columns = scanner->cells;
    scanner->row++;
    return SCAN_RECORD;
  }
}

Scan scanner_next(Scanner *scanner) {
  if (scanner->problem != NULL) return SCAN_PROBLEM;
  if (scanner->length > 0) record_leave(scanner);
  if (scanner->ahead == 0 && !scanner_look_ahead(scanner)) return scanner_find(scanner);
  const uint32_t *stops = scanner->stops = scanner->next_stops;
  scanner->next_stops += scanner->columns;
  scanner->ahead--;
  scanner->record = scanner->text.data + scanner->begin;
  scanner->length = stops[scanner->columns - 1] - stops[-1];
  scanner->cells = scanner->columns;
  scanner->odd = scanner->skim.odd;
  scanner->row++;
  return SCAN_RECORD;
}
