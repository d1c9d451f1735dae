/*
 * The marking of blocks as a processor without SSE2 does it.
 */
#undef __SSE2__
#include "../../src/data/marks.h"

void portable_mark(const char *text, char delimiter, uint64_t marks[MARKS]);

void portable_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  block_mark(text, delimiter, marks);
}
