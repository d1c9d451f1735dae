/*
 * See scanner.h. Passes over records that are as most are, a block at a time: quotes only around cells, as many
 * cells as the header has, and text that strict takes. Whatever else comes is left to the scanner, which goes by
 * the byte: so there is one grammar, and what is wrong is told in one place.
 */
#include "scanner.h"

#include <string.h>

/* What is inlined is compiled for the processor of its caller. */
#if defined(__GNUC__)
#define INLINE inline __attribute__((always_inline))
#else
#define INLINE inline
#endif

/* Each bit is the parity of itself and all below it: between two quotes there are ones. */
static INLINE uint64_t bits_parity(uint64_t bits) {
  bits ^= bits << 1;
  bits ^= bits << 2;
  bits ^= bits << 4;
  bits ^= bits << 8;
  bits ^= bits << 16;
  return bits ^ bits << 32;
}

static INLINE size_t bits_count(uint64_t bits) {
  bits -= bits >> 1 & UINT64_C(0x5555555555555555);
  bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
  bits = (bits + (bits >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (size_t)(bits * UINT64_C(0x0101010101010101) >> 56);
}

/* What is looked at, and how far it is known. */
typedef struct Walk {
  const char *text;
  size_t length;
  size_t at, size; /* the block */
  size_t valid;    /* so far it is known to be UTF-8 */
} Walk;

typedef bool IsText(const char *block);

/* Is the block UTF-8 without NUL? Its last character may reach into the next one. */
static bool odd_is_text(Walk *walk) {
  size_t end = walk->at + walk->size, from = walk->valid > walk->at ? walk->valid : walk->at;
  size_t more = walk->length - end < 3 ? walk->length - end : 3;
  if (memchr(walk->text + walk->at, '\0', walk->size) != NULL) return false;
  if (from < end) walk->valid = from + utf8_valid(walk->text + from, end + more - from);
  return walk->valid >= end;
}

/* The same, by a way to see it of whole characters in a whole block (NULL: there is none). */
static INLINE bool block_is_text(Walk *walk, IsText *is_text) {
  if (is_text != NULL && walk->size == BLOCK_SIZE && walk->valid <= walk->at &&
      is_text(walk->text + walk->at))
    return true;
  return odd_is_text(walk);
}

/* What stands behind closing quotes, and is neither the end of the cell nor a quote: a carriage return is
 * good with its newline. The bits of the others. */
static uint64_t behind_quotes(const Walk *walk, uint64_t bits) {
  uint64_t bad = 0;
  for (; bits != 0; bits &= bits - 1) {
    size_t at = walk->at + lowest_bit(bits);
    if (at + 1 >= walk->length || walk->text[at] != '\r' || walk->text[at + 1] != '\n')
      bad |= bits & (0 - bits);
  }
  return bad;
}

/* Leaves the stops and newlines that are outside quotes, and says which bytes are not as they should be. */
static INLINE uint64_t quotes_take(Skim *skim, const Walk *walk, uint64_t marks[MARKS]) {
  uint64_t quotes = marks[MARK_QUOTE], within = bits_parity(quotes) ^ skim->within;
  uint64_t closing = quotes & ~within, behind = closing << 1 | skim->closed;
  uint64_t stops = marks[MARK_STOP] &= ~within;
  marks[MARK_NEWLINE] &= ~within;
  /* A quote opens a cell, or is the second of two. */
  uint64_t bad = quotes & within & ~(stops << 1 | skim->begins | behind);
  uint64_t others = behind & ~(stops | quotes);
  if (walk->size < BLOCK_SIZE) others &= (UINT64_C(1) << walk->size) - 1;
  if (others != 0) bad |= behind_quotes(walk, others);
  skim->doubled = skim->doubled || (behind & quotes) != 0;
  skim->within = 0 - (within >> 63);
  skim->closed = closing >> (walk->size - 1) & 1;
  return bad;
}

static INLINE void places_put(uint32_t *places, size_t at, uint64_t stops) {
  for (; stops != 0; stops &= stops - 1) *places++ = (uint32_t)(at + lowest_bit(stops));
}

/* The stops since the beginning, up to the lowest of these newlines; all, if there is none. */
static INLINE size_t stops_count(const Skim *skim, uint64_t stops, uint64_t newlines) {
  return skim->stops + bits_count(stops & (newlines ^ (newlines - 1)));
}

/* The records that end in the block, up to one that has not as many cells as the header: then it is false. */
static INLINE bool records_take(Skim *skim, size_t at, size_t columns, uint64_t stops,
                                uint64_t newlines) {
  size_t wanted = (skim->records + 1) * columns;
  for (; newlines != 0; newlines &= newlines - 1, wanted += columns) {
    if (stops_count(skim, stops, newlines) != wanted) return false;
    skim->records++;
    skim->length = at + lowest_bit(newlines) + 1;
  }
  return true;
}

/* Goes on with text; the places of stops go into `places` (NULL: nobody wants them) while there is room. */
static INLINE void text_walk(const Scanner *scanner, Skim *into, const char *text, size_t length,
                             uint32_t *places, Mark *mark, IsText *is_text) {
  Skim skim = *into; /* in registers */
  Walk walk = {text, length, 0, BLOCK_SIZE, 0};
  uint64_t marks[MARKS];
  skim.records = skim.length = 0;
  for (; walk.at < length; walk.at += walk.size) {
    if (length - walk.at < BLOCK_SIZE) walk.size = length - walk.at;
    rest_mark(text + walk.at, walk.size, scanner->delimiter, mark, marks);
    uint64_t bad = 0;
    if ((marks[MARK_QUOTE] | skim.within | skim.closed) != 0)
      bad = quotes_take(&skim, &walk, marks);
    if (marks[MARK_ODD] != 0) {
      skim.odd = true;
      if (scanner->strict && !block_is_text(&walk, is_text)) break;
    }
    uint64_t stops = marks[MARK_STOP];
    skim.begins = stops >> (walk.size - 1) & 1;
    if (bad != 0) stops &= (bad & (0 - bad)) - 1;
    if (places != NULL) {
      if (skim.stops > AHEAD_SIZE - BLOCK_SIZE) break;
      places_put(places + skim.stops, walk.at, stops);
    }
    if (!records_take(&skim, walk.at, scanner->columns, stops, stops & marks[MARK_NEWLINE]) ||
        bad != 0)
      break;
    skim.stops += bits_count(stops);
  }
  skim.stops -= skim.records * scanner->columns;
  skim.open = walk.at >= length;
  *into = skim;
}

static void plain_walk(const Scanner *scanner, Skim *skim, const char *text, size_t length,
                       uint32_t *places) {
  text_walk(scanner, skim, text, length, places, block_mark, NULL);
}

#if defined(MARKS_AVX2)

MARKS_AVX2 static void avx2_walk(const Scanner *scanner, Skim *skim, const char *text,
                                 size_t length, uint32_t *places) {
  text_walk(scanner, skim, text, length, places, avx2_mark, avx2_is_text);
}

#endif

/* By the best that the processor has. (64 MiB are counted in 9 ms with AVX2, in 14 with SSE2, in 58 without.) */
static void skim_go(const Scanner *scanner, Skim *skim, const char *text, size_t length,
                    uint32_t *places) {
#if defined(MARKS_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("popcnt")) {
    avx2_walk(scanner, skim, text, length, places);
    return;
  }
#endif
  plain_walk(scanner, skim, text, length, places);
}

static void skim_begin(Skim *skim) {
  memset(skim, 0, sizeof *skim);
  skim->begins = 1;
}

size_t scanner_skip(Scanner *scanner, const char *data, size_t length) {
  Skim *skim = &scanner->skim;
  size_t held = scanner->text.length - scanner->begin;
  if (scanner->columns == 0 || (held > 0 && !skim->open)) return 0;
  if (held == 0) skim_begin(skim);
  skim->open = held + length <= scanner->limit; /* no record in it can be too long */
  if (!skim->open) return 0;
  skim_go(scanner, skim, data, length, NULL);
  if (skim->records > 0) {
    scanner->byte += held + skim->length;
    scanner->row += (long long)skim->records;
    (void)scanner_take_back(scanner, held + 1);
  }
  if (!skim->open) return skim->length;
  skim->open = scanner_push(scanner, data + skim->length, length - skim->length);
  return skim->open ? length : skim->length;
}

bool scanner_look_ahead(Scanner *scanner) {
  Skim *skim = &scanner->skim;
  size_t length = scanner->text.length - scanner->begin;
  if (scanner->columns == 0 || scanner->columns > AHEAD_SIZE / 2 || length == 0 ||
      length > scanner->limit || scanner->state != CELL_BEGINS || scanner->at > scanner->begin)
    return false;
  if (!buffer_reserve(&scanner->places, (AHEAD_SIZE + 1) * sizeof(uint32_t)))
    return false; /* it goes without, too */
  uint32_t *places = (void *)scanner->places.data;
  places[0] = UINT32_MAX; /* as if a stop were before the first byte */
  skim_begin(skim);
  skim_go(scanner, skim, scanner->text.data + scanner->begin,
          length < UINT32_MAX ? length : UINT32_MAX, places + 1);
  scanner->ahead = skim->records;
  scanner->next_stops = places + 1;
  return skim->records > 0;
}
