/*
 * What is UTF-8, and what is not.
 */
#include "data.h"

#include <stdint.h>
#include <string.h>

size_t utf8_valid(const char *text, size_t length) {
  const unsigned char *s = (const unsigned char *)text;
  size_t i = 0;
  while (i < length) {
    uint64_t word;
    while (length - i >= sizeof word) { /* ASCII goes by eight */
      memcpy(&word, s + i, sizeof word);
      if ((word & UINT64_C(0x8080808080808080)) != 0) break;
      i += sizeof word;
    }
    if (i >= length) break;
    unsigned char c = s[i];
    size_t more = c < 0x80                 ? 0
                  : c >= 0xc2 && c <= 0xdf ? 1
                  : (c & 0xf0) == 0xe0     ? 2
                  : c >= 0xf0 && c <= 0xf4 ? 3
                                           : 9;
    if (more == 9 || length - i <= more) break;
    bool good = true;
    for (size_t k = 1; k <= more; k++) good = good && (s[i + k] & 0xc0) == 0x80;
    if (more == 2)
      good = good && !(c == 0xe0 && s[i + 1] < 0xa0) && !(c == 0xed && s[i + 1] > 0x9f);
    if (more == 3)
      good = good && !(c == 0xf0 && s[i + 1] < 0x90) && !(c == 0xf4 && s[i + 1] > 0x8f);
    if (!good) break;
    i += more + 1;
  }
  return i;
}

size_t utf8_invalid(const char *text, size_t length) {
  size_t i = length > 0 ? 1 : 0;
  while (i < length && ((unsigned char)text[i] & 0xc0) == 0x80) i++;
  return i;
}
