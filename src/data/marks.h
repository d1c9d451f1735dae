/*
 * Takes a block of text, and says where in it quotes are, delimiters and line ends, and bytes that are not
 * plain: one bit for each byte, the first one's lowest.
 */
#ifndef MARKS_H
#define MARKS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK_SIZE 64u

/* STOP: delimiters, newlines and carriage returns; ODD: what is no ASCII, and NUL. */
enum { MARK_QUOTE, MARK_STOP, MARK_ODD, MARKS };

#if defined(__SSE2__)

static inline void block_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  const __m128i q = _mm_set1_epi8('"'), d = _mm_set1_epi8(delimiter), n = _mm_set1_epi8('\n'),
                r = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
  marks[MARK_QUOTE] = marks[MARK_STOP] = marks[MARK_ODD] = 0;
  for (unsigned i = 0; i < BLOCK_SIZE; i += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
    __m128i stops = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, d), _mm_cmpeq_epi8(bytes, n)),
                                 _mm_cmpeq_epi8(bytes, r));
    __m128i odd = _mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, zero));
    marks[MARK_QUOTE] |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, q)) << i;
    marks[MARK_STOP] |= (uint64_t)(unsigned)_mm_movemask_epi8(stops) << i;
    marks[MARK_ODD] |= (uint64_t)(unsigned)_mm_movemask_epi8(odd) << i;
  }
}

#else

#define EACH(byte) (UINT64_C(0x0101010101010101) * (unsigned char)(byte))

/* The high bits of eight bytes, the first one's lowest. */
static inline uint64_t high_bits(uint64_t word) {
  return ((word & EACH(0x80)) >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline void block_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  marks[MARK_QUOTE] = marks[MARK_STOP] = marks[MARK_ODD] = 0;
  for (unsigned i = 0; i < BLOCK_SIZE; i += 8) {
    uint64_t word = 0; /* the first byte lowest, whatever the machine: compilers make it one load */
    for (unsigned k = 0; k < 8; k++) word |= (uint64_t)(unsigned char)text[i + k] << (8 * k);
    /* The sum has a byte's high bit unless its low seven are those that were looked for. */
    uint64_t low = word & EACH(0x7f), most = EACH(0x7f);
    uint64_t quotes = (low ^ EACH('"')) + most, ends = (low ^ EACH(delimiter)) + most;
    ends &= ((low ^ EACH('\n')) + most) & ((low ^ EACH('\r')) + most);
    marks[MARK_QUOTE] |= high_bits(~(quotes | word)) << i;
    marks[MARK_STOP] |= high_bits(~(ends | word)) << i;
    marks[MARK_ODD] |= high_bits(~(low + most) | word) << i;
  }
}

#endif

/* The same of less than a block. */
static inline void rest_mark(const char *text, size_t length, char delimiter,
                             uint64_t marks[MARKS]) {
  char block[BLOCK_SIZE];
  memset(block, ' ', sizeof block);
  memcpy(block, text, length);
  block_mark(block, delimiter, marks);
}

static inline size_t lowest_bit(uint64_t bits) {
#if defined(__GNUC__)
  return (size_t)__builtin_ctzll(bits);
#else
  size_t i = 0;
  while ((bits >> i & 1) == 0) i++;
  return i;
#endif
}

#endif
