/*
 * What the two filters of records share: one counts them, the other one writes them anew as well.
 */
#ifndef FILTER_H
#define FILTER_H

#include "data.h"
#include "scanner.h"

HIDDEN_BEGIN

/* Bytes of each body that are kept as they came: enough to see what is no file. */
#define FIRST_SIZE 4096u

typedef struct Records {
  Filter filter; /* first: a Filter * is a Records * */
  bool rewrites, strict;
  Inflater *wire; /* takes off the coding in which the body comes; NULL: it has none */
  Decoder *decoder;
  Scanner scanner;
  char first[FIRST_SIZE]; /* of this body, without the coding in which it came */
  size_t first_length;
  Buffer head; /* the header line of the first body that had one */
  Buffer out;

  const char *problem;
  long long row;           /* where it is */
  unsigned long long byte; /* from 0 */

  /* Bodies that came before, with the same header. */
  bool kept;
  long long kept_rows;

  Emit *emit;
  void *context;
} Records;

/* --- count.c ---------------------------------------------------------------------------------- */

/* Remembers what is wrong, and where, and is false. */
bool records_fail(Records *records, const char *problem);

/* --- rewrite.c -------------------------------------------------------------------------------- */

/* Writes the record that the scanner has found: the cells that rows would give. */
bool record_write(Records *records);

/* What has been written goes on. */
bool rewrite_flush(Records *records);

HIDDEN_END

#endif
