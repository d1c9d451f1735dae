/*
 * Takes a block of text, and says where in it quotes are, delimiters and line ends, and bytes that are not
 * plain: one bit for each byte, the first one's lowest.
 */
#ifndef MARKS_H
#define MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define MARKS_AVX2 __attribute__((target("avx2,bmi,popcnt"))) /* where the processor has them */
#endif
#endif

#define BLOCK_SIZE 64u

/* STOP: delimiters and newlines. ODD is no bits, but above 0 where there is anything that is no ASCII, or NUL. */
enum { MARK_QUOTE, MARK_STOP, MARK_NEWLINE, MARK_ODD, MARKS };

#if defined(__SSE2__)

static inline void block_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  const __m128i q = _mm_set1_epi8('"'), d = _mm_set1_epi8(delimiter), n = _mm_set1_epi8('\n'),
                zero = _mm_setzero_si128();
  __m128i odd = zero;
  marks[MARK_QUOTE] = marks[MARK_STOP] = marks[MARK_NEWLINE] = 0;
  for (unsigned i = 0; i < BLOCK_SIZE; i += 16) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
    __m128i newlines = _mm_cmpeq_epi8(bytes, n);
    __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(bytes, d), newlines);
    marks[MARK_QUOTE] |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, q)) << i;
    marks[MARK_STOP] |= (uint64_t)(unsigned)_mm_movemask_epi8(stops) << i;
    marks[MARK_NEWLINE] |= (uint64_t)(unsigned)_mm_movemask_epi8(newlines) << i;
    odd = _mm_or_si128(odd, _mm_or_si128(bytes, _mm_cmpeq_epi8(bytes, zero)));
  }
  marks[MARK_ODD] = (uint64_t)(unsigned)_mm_movemask_epi8(odd);
}

#if defined(MARKS_AVX2)

MARKS_AVX2 static inline uint64_t avx2_bits(__m256i low, __m256i high) {
  return (uint64_t)(unsigned)_mm256_movemask_epi8(low) |
         (uint64_t)(unsigned)_mm256_movemask_epi8(high) << 32;
}

MARKS_AVX2 static inline void avx2_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  const __m256i q = _mm256_set1_epi8('"'), d = _mm256_set1_epi8(delimiter),
                n = _mm256_set1_epi8('\n'), zero = _mm256_setzero_si256();
  __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)text);
  __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32));
  __m256i a_newlines = _mm256_cmpeq_epi8(a, n), b_newlines = _mm256_cmpeq_epi8(b, n);
  marks[MARK_QUOTE] = avx2_bits(_mm256_cmpeq_epi8(a, q), _mm256_cmpeq_epi8(b, q));
  marks[MARK_STOP] = avx2_bits(_mm256_or_si256(_mm256_cmpeq_epi8(a, d), a_newlines),
                               _mm256_or_si256(_mm256_cmpeq_epi8(b, d), b_newlines));
  marks[MARK_NEWLINE] = avx2_bits(a_newlines, b_newlines);
  __m256i nul = _mm256_cmpeq_epi8(_mm256_min_epu8(a, b), zero);
  marks[MARK_ODD] =
      (uint64_t)(unsigned)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(a, b), nul));
}

/* The bytes of a block that are this one. */
MARKS_AVX2 static inline uint64_t avx2_equal(__m256i a, __m256i b, int byte) {
  const __m256i each = _mm256_set1_epi8((char)byte);
  return avx2_bits(_mm256_cmpeq_epi8(a, each), _mm256_cmpeq_epi8(b, each));
}

/* Those that are this one or more. */
MARKS_AVX2 static inline uint64_t avx2_least(__m256i a, __m256i b, int byte) {
  const __m256i each = _mm256_set1_epi8((char)byte);
  return avx2_bits(_mm256_cmpeq_epi8(_mm256_max_epu8(a, each), a),
                   _mm256_cmpeq_epi8(_mm256_max_epu8(b, each), b));
}

/* Is the block UTF-8 without NUL, from its first byte to its last? False, too, if a character reaches beyond it. */
MARKS_AVX2 static inline bool avx2_is_text(const char *text) {
  __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)text);
  __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(text + 32));
  uint64_t first = avx2_least(a, b, 0xc0), more = avx2_bits(a, b) & ~first;
  uint64_t of_two = avx2_least(a, b, 0xc2), of_three = avx2_least(a, b, 0xe0),
           of_four = avx2_least(a, b, 0xf0), low = ~avx2_least(a, b, 0x90) & more,
           high = avx2_least(a, b, 0xa0);
  uint64_t bad = more ^ (of_two << 1 | of_three << 2 | of_four << 3);
  bad |= (first ^ of_two) | avx2_least(a, b, 0xf5) | avx2_equal(a, b, 0);
  bad |= of_two >> 63 | of_three >> 62 | of_four >> 61;
  /* too long for what it is, a surrogate, or beyond the last character */
  bad |= avx2_equal(a, b, 0xe0) << 1 & ~high;
  bad |= avx2_equal(a, b, 0xed) << 1 & high;
  bad |= avx2_equal(a, b, 0xf0) << 1 & low;
  bad |= avx2_equal(a, b, 0xf4) << 1 & ~low;
  return bad == 0;
}

#endif

#else

#define EACH(byte) (UINT64_C(0x0101010101010101) * (unsigned char)(byte))

/* The high bits of eight bytes, the first one's lowest. */
static inline uint64_t high_bits(uint64_t word) {
  return ((word & EACH(0x80)) >> 7) * UINT64_C(0x0102040810204080) >> 56;
}

static inline void block_mark(const char *text, char delimiter, uint64_t marks[MARKS]) {
  uint64_t odd = 0;
  marks[MARK_QUOTE] = marks[MARK_STOP] = marks[MARK_NEWLINE] = 0;
  for (unsigned i = 0; i < BLOCK_SIZE; i += 8) {
    uint64_t word = 0; /* the first byte lowest, whatever the machine: compilers make it one load */
    for (unsigned k = 0; k < 8; k++) word |= (uint64_t)(unsigned char)text[i + k] << (8 * k);
    /* The sum has a byte's high bit unless its low seven are those that were looked for. */
    uint64_t low = word & EACH(0x7f), most = EACH(0x7f);
    uint64_t quotes = (low ^ EACH('"')) + most, newlines = (low ^ EACH('\n')) + most;
    uint64_t stops = ((low ^ EACH(delimiter)) + most) & newlines;
    marks[MARK_QUOTE] |= high_bits(~(quotes | word)) << i;
    marks[MARK_STOP] |= high_bits(~(stops | word)) << i;
    marks[MARK_NEWLINE] |= high_bits(~(newlines | word)) << i;
    odd |= ~(low + most) | word;
  }
  marks[MARK_ODD] = odd & EACH(0x80);
}

#endif

/* The same of less than a block, if it is less. */
typedef void Mark(const char *text, char delimiter, uint64_t marks[MARKS]);

static inline void rest_mark(const char *text, size_t length, char delimiter, Mark *mark,
                             uint64_t marks[MARKS]) {
  char block[BLOCK_SIZE];
  if (length >= BLOCK_SIZE) {
    mark(text, delimiter, marks);
    return;
  }
  memset(block, ' ', sizeof block);
  memcpy(block, text, length);
  mark(block, delimiter, marks);
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
