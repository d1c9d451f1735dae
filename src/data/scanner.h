/*
 * Where records and cells of delimited text begin and end (RFC 4180; comma or tab, whichever the header
 * has more of). The one grammar for all who read such text: rows, what counts, and what writes anew.
 *
 * The text comes in pieces, cut anywhere: nothing depends on where. What has been looked at is not looked
 * at again, so that a record costs what it is long, however many pieces it comes in.
 */
#ifndef SCANNER_H
#define SCANNER_H

#include "data.h"
#include "marks.h"

HIDDEN_BEGIN

/* Longer records are taken for a quote that is missing; of a header less is enough. */
#define RECORD_LIMIT ((size_t)64 * 1024 * 1024)
#define HEADER_LIMIT ((size_t)1024 * 1024)

/* Records are looked for ahead until they have so many cells. */
#define AHEAD_SIZE 4096u

/* A cell of the present record. */
typedef struct Span {
  size_t start, length; /* within the record; of a quoted cell, what is between the quotes */
  bool doubled;         /* holds quotes that stand twice */
} Span;

typedef enum Scan {
  SCAN_RECORD,  /* the spans of a record: it stays until the next call, or the next piece */
  SCAN_MORE,    /* push, or end, and call again */
  SCAN_END,     /* there is no more */
  SCAN_PROBLEM, /* see `problem`, `row` and `byte`; there is no more */
  SCAN_MEMORY,  /* there is not enough of it */
} Scan;

/* What is known where skim.c has come to. */
typedef struct Skim {
  uint64_t within; /* all bits: between quotes; none: not */
  uint64_t closed; /* 1: behind a closing quote; */
  uint64_t begins; /*    where a cell begins */
  size_t stops; /* delimiters and newlines since the beginning; in the end, since the last record */
  size_t records; /* whole ones, */
  size_t length;  /* which are so long */
  bool open;      /* what follows them is the beginning of another one, and can be gone on with */
  bool doubled, odd; /* they may hold quotes that stand twice; bytes that are no ASCII, or NUL */
} Skim;

typedef struct Scanner {
  /* False: short records and odd cells are kept, a quote may stay open, any bytes will do. */
  bool strict;
  size_t limit;

  /* The record that was found. */
  const char *record;
  size_t length;         /* with its newline */
  Span *spans;           /* see scanner_cell; of cells beyond the header's columns there are none */
  const uint32_t *stops; /* where its cells end; NULL: there are spans */
  size_t cells;
  bool odd;       /* it may hold bytes that are no ASCII, or NUL */
  char delimiter; /* 0: not known yet */
  size_t columns; /* cells of the header; 0: it has not been found yet */
  long long row;  /* of the record: 0 is the header, 1 the first after it; -1 before */

  const char *problem;     /* NULL: none */
  unsigned long long byte; /* of the text, from 0: where the record begins, or the problem is */

  /* The text: from `begin` on it is the record that is being looked at, and what follows. */
  Buffer text;
  size_t begin;
  bool ended;        /* it is all here */
  const char *cause; /* why no more can be had, though it is not all here; NULL: it can */

  /* How far it has been looked at, and what is known there. */
  size_t at, start;
  enum { CELL_BEGINS, CELL_BARE, CELL_QUOTED, CELL_CLOSED } state;
  bool doubled;
  size_t commas, tabs;
  Buffer span_memory;
  size_t span_capacity;
  size_t block, block_end;
  uint64_t marks[MARKS];
  char room[160]; /* for a problem in words of its own */

  /* Records that have been found ahead, and where their cells end. */
  Skim skim;
  size_t ahead;
  const uint32_t *next_stops;
  Buffer places;
} Scanner;

void scanner_new(Scanner *scanner, bool strict, size_t limit);
void scanner_free(Scanner *scanner);

/* Makes room for so many bytes behind its text; NULL: no memory. Who puts some there adds to text.length. */
char *scanner_room(Scanner *scanner, size_t length);

/* Adds a piece of text (an Emit: `scanner` is a Scanner *). False: no memory. */
bool scanner_push(void *scanner, const char *data, size_t length);

/* No more text follows: it is at its end or, with a cause, what follows cannot be read. */
void scanner_end(Scanner *scanner, const char *cause);

/* Looks for the next record. */
Scan scanner_next(Scanner *scanner);

/* The same without looking ahead: for who calls scanner_skip. */
Scan scanner_find(Scanner *scanner);

/* What of the last `length` bytes that were pushed is the beginning of a record is taken out again: so many. */
size_t scanner_take_back(Scanner *scanner, size_t length);

/* --- skim.c ----------------------------------------------------------------------------------- */

/* Passes over records, for who only counts them: says how many bytes of the piece it has taken. What follows is
 * to be pushed. */
size_t scanner_skip(Scanner *scanner, const char *data, size_t length);

/* Looks for records ahead. False: the next one is to be looked at by itself. */
bool scanner_look_ahead(Scanner *scanner);

/* --- cells ------------------------------------------------------------------------------------ */

/* A cell of the record, of those that the header has, too. */
static inline Span scanner_cell(const Scanner *scanner, size_t place) {
  const uint32_t *stops = scanner->stops;
  if (stops == NULL) return scanner->spans[place];
  const char *record = scanner->record;
  uint32_t begin = stops[-1] + 1, before = stops[(ptrdiff_t)place - 1] + 1;
  size_t start = before - begin, end = stops[place] - begin;
  if (place + 1 == scanner->cells && end > start && record[end - 1] == '\r') end--;
  if (end == start || record[start] != '"') return (Span){start, end - start, false};
  start++;
  end--;
  return (Span){start, end - start,
                scanner->skim.doubled && memchr(record + start, '"', end - start) != NULL};
}

/* Copies the text of a cell into a room of its length, with single quotes; says how long it is then. */
size_t span_copy(const Span *span, const char *record, char *room);

/* Can the text stand in a record of commas without quotes around it? */
bool text_is_bare(const char *text, size_t length);

HIDDEN_END

#endif
