/*
 * Bytes to values and back. Nothing here knows which API is spoken.
 */
#ifndef DATA_H
#define DATA_H

#include "../base/base.h"

HIDDEN_BEGIN

/* --- json.c ----------------------------------------------------------------------------------- */

/* Adds decode, encode and null to the module table on top of the stack. Raises when lua-cjson is
 * not to be had. */
void json_open(lua_State *L);

/* Puts the value in the place of the JSON text on top of the stack, as core.decode does; nil: it is none. */
void json_decode(lua_State *L);

/* Pushes the JSON text of the value at `index`, as core.encode does. */
void json_encode(lua_State *L, int index);

/* --- gzip.c: unpacks gzip, of one member or several ------------------------------------------- */

typedef struct Inflater Inflater;

Inflater *inflater_new(void); /* NULL: no memory */
void inflater_free(Inflater *inflater);

/* Unpacks a piece. False: inflater_problem says why, or `emit` said false. */
bool inflater_push(Inflater *inflater, const char *data, size_t length, Emit *emit, void *context);
const char *inflater_problem(const Inflater *inflater);
bool inflater_damaged(const Inflater *inflater); /* the problem is in the data */

/* True when the last member has come to its end, and its checksum was right. */
bool inflater_ended(const Inflater *inflater);

/* core.gunzip(text, limit) -> what it holds, as far as it can be read, and no more than `limit` bytes */
int gunzip(lua_State *L);

/* --- decoder.c: from the bytes of a file to UTF-8 text ---------------------------------------- */

typedef enum Encoding {
  ENCODING_UNKNOWN,
  ENCODING_UTF8,
  ENCODING_UTF16LE,
  ENCODING_UTF16BE
} Encoding;

typedef struct Decoder Decoder;

/* The encoding that a charset means ("utf-16": by its mark, else little endian); unknown for NULL. */
Encoding encoding_of(const char *charset);

/* Makes a decoder for one file (NULL: no memory). What is unknown is told by the first bytes: gzip by its
 * magic number, encodings by their byte order mark or by the NUL bytes that ASCII has in them. `strict`:
 * half a character is an error, else it becomes U+FFFD. */
Decoder *decoder_new(Encoding encoding, bool strict);

/* Decodes a piece, and the end. False: see decoder_problem, or `emit` said false. */
bool decoder_push(Decoder *decoder, const char *data, size_t length, Emit *emit, void *context);
bool decoder_finish(Decoder *decoder, Emit *emit, void *context);

/* Is it known to be packed? Then little of it may become much. */
bool decoder_unpacks(const Decoder *decoder);

/* Are its bytes, from here on, text as they stand? Then they need not be pushed. */
bool decoder_is_plain(const Decoder *decoder);

/* What is wrong with the file, or NULL. */
const char *decoder_problem(const Decoder *decoder);
void decoder_free(Decoder *decoder);

/* --- utf8.c ----------------------------------------------------------------------------------- */

/* The length of the valid UTF-8 that `text` begins with. */
size_t utf8_valid(const char *text, size_t length);

/* The length of what stands where UTF-8 ends, and becomes one U+FFFD where bad bytes are replaced. */
size_t utf8_invalid(const char *text, size_t length);
#define UTF8_REPLACEMENT "\xef\xbf\xbd"
#define UTF8_MARK        "\xef\xbb\xbf"

/* --- count.c: filters that count records, or write them anew --------------------------------- */

void filters_open(lua_State *L);
int filter_new(lua_State *L);

/* --- values.c: typed values from the text of a cell ------------------------------------------- */

typedef enum Type { TYPE_STRING, TYPE_INTEGER, TYPE_NUMBER, TYPE_BOOLEAN, TYPE_TIME } Type;

/* Pushes the value; false, and nothing, when the text is none of that type (a string never is). */
bool typed_push(lua_State *L, Type type, const char *text, size_t length);

int time_push(lua_State *L); /* core.time */

/* --- rows.c: rows of a delimited file --------------------------------------------------------- */

void rows_open(lua_State *L);
int rows_new(lua_State *L);

/* --- lines.c: the same, as lines of JSON ------------------------------------------------------- */

int lines_push(lua_State *L); /* core.lines */

HIDDEN_END

#endif
