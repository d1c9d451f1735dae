/*
 * From the bytes of a file to UTF-8 text: gzip is unpacked, UTF-16 transcoded, a byte order mark left
 * out. A decoder takes pieces of any size, cut anywhere, and gives on what is ready.
 */
#include "data.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define UTF8_SIZE 49152u

/* Enough of the beginning to know what a file is: a gzip magic number, a mark, or two characters. */
#define SNIFF_SIZE 4u

/* Among so many bytes UTF-16 has a NUL: half of the newline, or of the first delimiter. */
#define LINE_SIZE 4096u

struct Decoder {
  Encoding encoding;
  bool strict;
  const char *problem;

  /* packed or plain? */
  bool sniffed;
  unsigned char first[SNIFF_SIZE];
  size_t first_length;
  Inflater *inflater; /* NULL: plain */

  /* characters */
  bool known; /* what they are, and the place where a byte order mark may stand has passed */
  unsigned char begin[LINE_SIZE];
  size_t begin_length;
  unsigned char half; /* of a UTF-16 unit */
  bool halved;
  uint32_t high; /* a high surrogate that waits for its low one */

  Emit *emit;
  void *context;
  char utf8[UTF8_SIZE + 16];
  size_t utf8_length;
};

static bool decoder_fail(Decoder *decoder, const char *problem) {
  if (decoder->problem == NULL) decoder->problem = problem;
  return false;
}

Encoding encoding_of(const char *charset) {
  static const struct {
    const char *name;
    Encoding encoding;
  } names[] = {
      {"utf-8", ENCODING_UTF8},       {"utf8", ENCODING_UTF8},        {"us-ascii", ENCODING_UTF8},
      {"utf-16le", ENCODING_UTF16LE}, {"utf-16be", ENCODING_UTF16BE}, {"utf-16", ENCODING_UTF16LE},
  };
  if (charset == NULL) return ENCODING_UNKNOWN;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *a = charset, *b = names[i].name;
    while (*a != '\0' && (*a | 0x20) == (*b | 0x20)) a++, b++;
    if (*a == '\0' && *b == '\0') return names[i].encoding;
  }
  return ENCODING_UNKNOWN;
}

/* --- UTF-8 ------------------------------------------------------------------------------------ */

static bool utf8_flush(Decoder *decoder) {
  size_t length = decoder->utf8_length;
  decoder->utf8_length = 0;
  return length == 0 || decoder->emit(decoder->context, decoder->utf8, length);
}

static void utf8_put(Decoder *decoder, uint32_t code) {
  char *out = decoder->utf8 + decoder->utf8_length;
  if (code < 0x80) {
    out[0] = (char)code;
    decoder->utf8_length += 1;
  } else if (code < 0x800) {
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    decoder->utf8_length += 2;
  } else if (code < 0x10000) {
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    decoder->utf8_length += 3;
  } else {
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    decoder->utf8_length += 4;
  }
}

/* --- UTF-16 ----------------------------------------------------------------------------------- */

/* Half a pair of surrogates: an error, or a replacement character. */
static bool surrogate_alone(Decoder *decoder) {
  decoder->high = 0;
  if (decoder->strict) return decoder_fail(decoder, "half a pair of UTF-16 surrogates");
  utf8_put(decoder, 0xfffd);
  return true;
}

static bool utf16_unit(Decoder *decoder, uint32_t unit) {
  if (decoder->high != 0) {
    if (unit >= 0xdc00 && unit <= 0xdfff) {
      utf8_put(decoder, 0x10000 + ((decoder->high & 0x3ff) << 10 | (unit & 0x3ff)));
      decoder->high = 0;
      return true;
    }
    if (!surrogate_alone(decoder)) return false;
  }
  if (unit >= 0xd800 && unit <= 0xdbff) {
    decoder->high = unit;
    return true;
  }
  if (unit >= 0xdc00 && unit <= 0xdfff) return surrogate_alone(decoder);
  utf8_put(decoder, unit);
  return true;
}

#if defined(__SSE2__)

/* Makes sixteen units characters, if they are ASCII. */
static inline bool ascii_block(const unsigned char *data, bool little, char *out) {
  __m128i a = _mm_loadu_si128((const __m128i *)(const void *)data);
  __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(data + 16));
  if (!little) {
    a = _mm_or_si128(_mm_slli_epi16(a, 8), _mm_srli_epi16(a, 8));
    b = _mm_or_si128(_mm_slli_epi16(b, 8), _mm_srli_epi16(b, 8));
  }
  __m128i others = _mm_and_si128(_mm_or_si128(a, b), _mm_set1_epi16((short)0xff80));
  if (_mm_movemask_epi8(_mm_cmpeq_epi8(others, _mm_setzero_si128())) != 0xffff) return false;
  _mm_storeu_si128((__m128i *)(void *)out, _mm_packus_epi16(a, b));
  return true;
}

#endif

/* The same of four. */
static inline bool ascii_few(const unsigned char *data, bool little, char *out) {
  const unsigned char *low = data + (little ? 0 : 1), *high = data + (little ? 1 : 0);
  if ((high[0] | high[2] | high[4] | high[6]) != 0 ||
      ((low[0] | low[2] | low[4] | low[6]) & 0x80) != 0)
    return false;
  for (size_t k = 0; k < 4; k++) out[k] = (char)low[2 * k];
  return true;
}

/* Most of a table is ASCII: many characters at a time, as long as they are and there is room. Says how
 * far it came. */
static size_t ascii_run(Decoder *decoder, const unsigned char *data, size_t i, size_t length,
                        bool little) {
  size_t used = decoder->utf8_length;
  if (decoder->high != 0) return i;
#if defined(__SSE2__)
  for (; length - i >= 32 && used + 16 <= UTF8_SIZE; i += 32, used += 16)
    if (!ascii_block(data + i, little, decoder->utf8 + used)) break;
#endif
  for (; length - i >= 8 && used + 4 <= UTF8_SIZE; i += 8, used += 4)
    if (!ascii_few(data + i, little, decoder->utf8 + used)) break;
  decoder->utf8_length = used;
  return i;
}

static bool units_push(Decoder *decoder, const unsigned char *data, size_t length) {
  bool little = decoder->encoding == ENCODING_UTF16LE;
  size_t i = 0;
  if (decoder->halved && length > 0) {
    unsigned char a = decoder->half, b = data[0];
    decoder->halved = false;
    i = 1;
    if (!utf16_unit(decoder, little ? (uint32_t)(a | b << 8) : (uint32_t)(a << 8 | b)))
      return false;
  }
  for (; i + 1 < length; i += 2) {
    i = ascii_run(decoder, data, i, length, little);
    if (decoder->utf8_length >= UTF8_SIZE && !utf8_flush(decoder)) return false;
    if (i + 1 >= length) break;
    uint32_t unit =
        little ? (uint32_t)(data[i] | data[i + 1] << 8) : (uint32_t)(data[i] << 8 | data[i + 1]);
    if (!utf16_unit(decoder, unit)) return false;
  }
  decoder->halved = decoder->halved || i < length;
  if (i < length) decoder->half = data[i];
  return true;
}

/* --- which encoding --------------------------------------------------------------------------- */

static bool is_utf16(Encoding encoding) {
  return encoding == ENCODING_UTF16LE || encoding == ENCODING_UTF16BE;
}

/* A mark decides; without one ASCII in UTF-16 shows by its NUL bytes, and where there are none it is no
 * UTF-16, whatever was said of it. Says how many bytes the mark has. */
static size_t encoding_sniff(Decoder *decoder) {
  const unsigned char *data = decoder->begin;
  size_t length = decoder->begin_length;
  bool mark16le = length >= 2 && data[0] == 0xff && data[1] == 0xfe;
  bool mark16be = length >= 2 && data[0] == 0xfe && data[1] == 0xff;
  bool mark8 = length >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf;
  if (mark16le || mark16be || mark8) {
    decoder->encoding = mark16le ? ENCODING_UTF16LE : mark16be ? ENCODING_UTF16BE : ENCODING_UTF8;
    return mark8 ? 3 : 2;
  }
  if (is_utf16(decoder->encoding) && memchr(data, 0, length) == NULL)
    decoder->encoding = ENCODING_UTF8;
  if (decoder->encoding == ENCODING_UNKNOWN) {
    if (length >= 2 && data[0] != 0 && data[1] == 0)
      decoder->encoding = ENCODING_UTF16LE;
    else if (length >= 2 && data[0] == 0 && data[1] != 0)
      decoder->encoding = ENCODING_UTF16BE;
    else
      decoder->encoding = ENCODING_UTF8;
  }
  return 0;
}

static bool characters_push(Decoder *decoder, const unsigned char *data, size_t length) {
  if (length == 0) return true;
  if (decoder->encoding == ENCODING_UTF8)
    return decoder->emit(decoder->context, (const char *)data, length);
  bool done = units_push(decoder, data, length);
  return utf8_flush(decoder) && done; /* what came before the damage is good */
}

/* Unpacked bytes: the first are kept back until it is clear what they are. */
static bool bytes_push(Decoder *decoder, const unsigned char *data, size_t length, bool end) {
  if (!decoder->known) {
    size_t room = LINE_SIZE - decoder->begin_length, taken = length < room ? length : room;
    if (taken > 0) memcpy(decoder->begin + decoder->begin_length, data, taken);
    decoder->begin_length += taken;
    if (decoder->begin_length < LINE_SIZE && !end) return true;
    decoder->known = true;
    size_t mark = encoding_sniff(decoder);
    if (!characters_push(decoder, decoder->begin + mark, decoder->begin_length - mark))
      return false;
    return taken == length || characters_push(decoder, data + taken, length - taken);
  }
  return characters_push(decoder, data, length);
}

/* --- packed or plain -------------------------------------------------------------------------- */

static bool unpacked(void *context, const char *data, size_t length) {
  return bytes_push(context, (const unsigned char *)data, length, false);
}

static bool plain_push(Decoder *decoder, const unsigned char *data, size_t length) {
  if (decoder->inflater == NULL) return bytes_push(decoder, data, length, false);
  if (inflater_push(decoder->inflater, (const char *)data, length, unpacked, decoder)) return true;
  const char *problem = inflater_problem(decoder->inflater);
  return problem != NULL ? decoder_fail(decoder, problem) : false;
}

/* The first bytes of the file say whether it is packed. */
static bool sniff_packed(Decoder *decoder) {
  static const unsigned char gzip[] = {0x1f, 0x8b, 0x08}, zip[] = {'P', 'K', 3, 4};
  decoder->sniffed = true;
  if (decoder->first_length >= 4 && memcmp(decoder->first, zip, 4) == 0)
    return decoder_fail(decoder, "it is a zip archive; unpack it first");
  if (decoder->first_length >= 3 && memcmp(decoder->first, gzip, 3) == 0) {
    decoder->inflater = inflater_new();
    if (decoder->inflater == NULL) return decoder_fail(decoder, "gzip: out of memory");
  }
  return plain_push(decoder, decoder->first, decoder->first_length);
}

/* --- a decoder -------------------------------------------------------------------------------- */

Decoder *decoder_new(Encoding encoding, bool strict) {
  Decoder *decoder = calloc(1, sizeof *decoder);
  if (decoder == NULL) return NULL;
  decoder->encoding = encoding;
  decoder->strict = strict;
  return decoder;
}

bool decoder_push(Decoder *decoder, const char *data, size_t length, Emit *emit, void *context) {
  const unsigned char *bytes = (const unsigned char *)data;
  if (decoder->problem != NULL) return false;
  decoder->emit = emit;
  decoder->context = context;
  if (!decoder->sniffed) {
    while (decoder->first_length < SNIFF_SIZE && length > 0) {
      decoder->first[decoder->first_length++] = *bytes++;
      length--;
    }
    if (decoder->first_length < SNIFF_SIZE) return true;
    if (!sniff_packed(decoder)) return false;
  }
  return plain_push(decoder, bytes, length);
}

bool decoder_finish(Decoder *decoder, Emit *emit, void *context) {
  if (decoder->problem != NULL) return false;
  decoder->emit = emit;
  decoder->context = context;
  if (!decoder->sniffed && !sniff_packed(decoder)) return false;
  if (decoder->inflater != NULL && !inflater_ended(decoder->inflater))
    return decoder_fail(decoder, "the gzip data ends too early");
  if (!decoder->known && !bytes_push(decoder, (const unsigned char *)"", 0, true)) return false;
  if (decoder->halved && decoder->strict)
    return decoder_fail(decoder, "half a UTF-16 character at the end");
  if (decoder->halved) utf8_put(decoder, 0xfffd);
  if (decoder->high != 0 && !surrogate_alone(decoder)) return false;
  return utf8_flush(decoder);
}

bool decoder_unpacks(const Decoder *decoder) {
  return decoder->inflater != NULL;
}

bool decoder_is_plain(const Decoder *decoder) {
  return decoder->known && decoder->inflater == NULL && decoder->encoding == ENCODING_UTF8;
}

const char *decoder_problem(const Decoder *decoder) {
  return decoder->problem;
}

void decoder_free(Decoder *decoder) {
  if (decoder == NULL) return;
  inflater_free(decoder->inflater);
  free(decoder);
}
