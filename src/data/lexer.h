/*
 * Where cells and records of delimited text end. Shared by those who read rows and those who count
 * records while they pass.
 */
#ifndef LEXER_H
#define LEXER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The first byte in [at, end) that is the delimiter, a newline or a carriage return; `end` if there is
 * none. Sixteen at a time where the processor can, eight where it cannot. */
static inline const char *lexer_bare_end(const char *at, const char *end, char delimiter) {
#if defined(__SSE2__)
  const __m128i d = _mm_set1_epi8(delimiter), n = _mm_set1_epi8('\n'), r = _mm_set1_epi8('\r');
  while (end - at >= 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i hits = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, d), _mm_cmpeq_epi8(bytes, n)),
                                _mm_cmpeq_epi8(bytes, r));
    unsigned mask = (unsigned)_mm_movemask_epi8(hits);
    if (mask != 0) return at + __builtin_ctz(mask);
    at += 16;
  }
#else
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = UINT64_C(0x8080808080808080);
  const uint64_t d = ones * (unsigned char)delimiter, n = ones * '\n', r = ones * '\r';
  while (end - at >= 8) {
    uint64_t word, x, y, z;
    memcpy(&word, at, sizeof word);
    x = word ^ d, y = word ^ n, z = word ^ r;
    /* a byte of x that is 0 leaves its high bit; where, the loop below finds out */
    if ((((x - ones) & ~x) | ((y - ones) & ~y) | ((z - ones) & ~z)) & highs) break;
    at += 8;
  }
#endif
  while (at < end && *at != delimiter && *at != '\n' && *at != '\r') at++;
  return at;
}

/* The length of the header record with its newline, 0 when it goes on behind the text; and what separates
 * its cells: comma or tab, whichever it has more of outside quotes. A quote opens only where a cell
 * begins. */
static inline size_t lexer_head(const char *text, size_t length, char *delimiter) {
  size_t commas = 0, tabs = 0, i = 0;
  int start = 1, quoted = 0;
  for (; i < length && (quoted || text[i] != '\n'); i++) {
    char c = text[i];
    if (quoted) {
      if (c == '"') quoted = 0; /* of two, the next one opens it again */
      continue;
    }
    if (c == '"' && (start || text[i - 1] == '"')) quoted = 1;
    commas += c == ',';
    tabs += c == '\t';
    start = c == ',' || c == '\t';
  }
  *delimiter = tabs > commas ? '\t' : ',';
  return i < length ? i + 1 : 0;
}

#endif
