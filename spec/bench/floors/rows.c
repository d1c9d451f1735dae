/*
 * The floor of reading rows: a Lua module that makes the same strings and tables as zuora.rows, and checks nothing.
 *
 *   rows.index(path, positions)            writes where the cells of the file are
 *   rows.open(path, positions, form, …)    an iterator over tables ("array", "keyed"; … : the names of the
 *                                          columns that are wanted, of keyed tables), by these positions
 *   rows.open(path, nil, "lazy")           one object for all rows; here the separators are found on the way
 */
#include "floor.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define COLUMNS_MAX 64
#define CHUNK_SIZE  262144u
#define RECORD_MAX  65536u /* so much of the text is there before a record is made */
#define BUFFER_SIZE (CHUNK_SIZE + 2 * RECORD_MAX)
#define QUOTED      0x8000u
#define DOUBLED     0x4000u
#define LENGTH_MASK 0x3fffu
#define BLOCK       64u

typedef struct Floor {
  int fd, columns;
  bool ended, in_quotes;
  char wanted[COLUMNS_MAX]; /* upvalue of the cell's name; 0: not wanted */
  size_t at, end;           /* of what is left in the text */
  void *map;
  size_t map_size;
  const uint16_t *cells; /* known positions */
  size_t cells_left;
  size_t scanned, first,
      last; /* of the separators found: those of the present record, and behind the last */
  uint32_t separators[BUFFER_SIZE + BLOCK];
  char text[BUFFER_SIZE + BLOCK], scratch[RECORD_MAX];
} Floor;

/* --- finding separators ----------------------------------------------------------------------- */

static uint64_t equal_mask(const char *text, char wanted) {
  uint64_t mask = 0;
#ifdef __SSE2__
  const __m128i all = _mm_set1_epi8(wanted);
  for (unsigned i = 0; i < 4; i++) {
    __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(text + 16 * i));
    mask |= (uint64_t)(uint16_t)_mm_movemask_epi8(_mm_cmpeq_epi8(part, all)) << (16 * i);
  }
#else
  for (unsigned i = 0; i < BLOCK; i++) mask |= (uint64_t)(text[i] == wanted) << i;
#endif
  return mask;
}

/* Commas and newlines outside quotes, of all blocks that are whole (at the end of the file, of all). */
static void separators_find(Floor *floor) {
  while (floor->scanned + BLOCK <= floor->end || (floor->ended && floor->scanned < floor->end)) {
    const char *text = floor->text + floor->scanned;
    uint64_t quotes = equal_mask(text, '"'), found = equal_mask(text, ',') | equal_mask(text, '\n');
    for (unsigned shift = 1; shift < BLOCK; shift *= 2) quotes ^= quotes << shift;
    if (floor->in_quotes) quotes = ~quotes;
    floor->in_quotes = quotes >> 63;
    for (found &= ~quotes; found != 0; found &= found - 1)
      floor->separators[floor->last++] =
          (uint32_t)(floor->scanned + (unsigned)__builtin_ctzll(found));
    floor->scanned += BLOCK;
  }
}

/* --- reading ---------------------------------------------------------------------------------- */

static void floor_fill(Floor *floor) {
  while (!floor->ended && floor->end - floor->at < RECORD_MAX) {
    size_t gone = floor->at, kept = 0;
    floor->end -= gone;
    memmove(floor->text, floor->text + gone, floor->end);
    floor->at = 0;
    if (floor->scanned >= gone) floor->scanned -= gone;
    for (size_t i = floor->first; i < floor->last; i++)
      floor->separators[kept++] = floor->separators[i] - (uint32_t)gone;
    floor->first = 0;
    floor->last = kept;
    ssize_t got = read(floor->fd, floor->text + floor->end, CHUNK_SIZE);
    need(got >= 0, "read");
    floor->ended = got == 0;
    floor->end += (size_t)got;
    memset(floor->text + floor->end, 0, BLOCK);
  }
}

/* Outside Lua's memory: a big object in there makes its collector collect at other times. */
static Floor *floor_open(const char *path) {
  Floor *floor = malloc(sizeof *floor);
  need(floor != NULL, "malloc");
  memset(floor, 0, offsetof(Floor, separators));
  floor->fd = open(path, O_RDONLY | O_CLOEXEC);
  need(floor->fd >= 0, path);
  floor_fill(floor);
  floor->columns = 1;
  for (const char *c = floor->text; *c != '\n'; c++) floor->columns += *c == ',';
  return floor;
}

/* What an iterator ends with: nothing. */
static int floor_end(Floor *floor) {
  if (floor->map != NULL) munmap(floor->map, floor->map_size);
  close(floor->fd);
  free(floor);
  return 0;
}

static size_t undoubled(const char *text, size_t length, char *out) {
  size_t size = 0;
  for (size_t i = 0; i < length; i++) {
    out[size++] = text[i];
    if (text[i] == '"') i++;
  }
  return size;
}

/* --- known positions -------------------------------------------------------------------------- */

static void cell_push(lua_State *L, Floor *floor, const char *text, size_t length, bool doubled) {
  if (doubled) {
    length = undoubled(text, length, floor->scratch);
    text = floor->scratch;
  }
  lua_pushlstring(L, text, length);
}

/* Upvalues: the floor, the names. */
static int next_known(lua_State *L) {
  Floor *floor = lua_touserdata(L, lua_upvalueindex(1));
  const bool keyed = floor->wanted[COLUMNS_MAX - 1] != 0;
  if (floor->cells_left == 0) return floor_end(floor);
  floor_fill(floor);
  lua_createtable(L, keyed ? 0 : floor->columns, keyed ? floor->wanted[COLUMNS_MAX - 1] : 0);
  const char *text = floor->text + floor->at;
  for (int i = 0; i < floor->columns; i++) {
    unsigned cell = floor->cells[i], length = cell & LENGTH_MASK;
    bool quoted = (cell & QUOTED) != 0;
    text += quoted;
    if (!keyed) {
      cell_push(L, floor, text, length, (cell & DOUBLED) != 0);
      lua_rawseti(L, -2, i + 1);
    } else if (floor->wanted[i] != 0) {
      lua_pushvalue(L, lua_upvalueindex(floor->wanted[i]));
      cell_push(L, floor, text, length, (cell & DOUBLED) != 0);
      lua_rawset(L, -3);
    }
    text += length + quoted + 1u;
  }
  floor->at = (size_t)(text - floor->text);
  floor->cells += floor->columns;
  floor->cells_left -= (size_t)floor->columns;
  return 1;
}

/* --- lazy rows -------------------------------------------------------------------------------- */

/* Upvalues: the floor, the row. */
static int next_lazy(lua_State *L) {
  Floor *floor = lua_touserdata(L, lua_upvalueindex(1));
  const size_t columns = (size_t)floor->columns;
  floor->first += columns;
  if (floor->first > 0) floor->at = floor->separators[floor->first - 1] + 1u;
  if (floor->last - floor->first < columns) {
    floor_fill(floor);
    separators_find(floor);
    if (floor->last - floor->first < columns) return floor_end(floor);
  }
  lua_pushvalue(L, lua_upvalueindex(2));
  return 1;
}

/* Where the cell is, and is it quoted? */
static size_t cell_find(const Floor *floor, size_t place, size_t *length) {
  size_t start = place == 0 ? floor->at : floor->separators[floor->first + place - 1] + 1u;
  *length = floor->separators[floor->first + place] - start;
  return start;
}

/* row[name]. Upvalues: the floor, { [name] = place }. */
static int lazy_index(lua_State *L) {
  Floor *floor = lua_touserdata(L, lua_upvalueindex(1));
  lua_rawget(L, lua_upvalueindex(2));
  size_t length, start = cell_find(floor, (size_t)lua_tointeger(L, -1) - 1, &length);
  const char *text = floor->text + start;
  bool quoted = *text == '"';
  if (quoted) length -= 2;
  cell_push(L, floor, text + quoted, length, quoted && memchr(text + 1, '"', length) != NULL);
  return 1;
}

/* --- the module ------------------------------------------------------------------------------- */

static int rows_index(lua_State *L) {
  FILE *out = fopen(luaL_checkstring(L, 2), "wb");
  need(out != NULL, "positions");
  Floor *floor = floor_open(luaL_checkstring(L, 1));
  const size_t columns = (size_t)floor->columns;
  lua_Integer records = -1; /* the header is none */
  for (;;) {
    if (floor->last - floor->first < columns) {
      floor_fill(floor);
      separators_find(floor);
      if (floor->last - floor->first < columns) break;
    }
    for (size_t i = 0; i < columns; i++) {
      size_t length, start = cell_find(floor, i, &length);
      const char *text = floor->text + start;
      bool quoted = *text == '"';
      if (quoted) length -= 2;
      bool doubled = quoted && memchr(text + 1, '"', length) != NULL;
      need(length <= LENGTH_MASK, "a cell is too long");
      uint16_t cell = (uint16_t)(length | (quoted ? QUOTED : 0) | (doubled ? DOUBLED : 0));
      need(fwrite(&cell, sizeof cell, 1, out) == 1, "fwrite");
    }
    floor->first += columns;
    floor->at = floor->separators[floor->first - 1] + 1u;
    records++;
  }
  need(fclose(out) == 0, "fclose");
  floor_end(floor);
  lua_pushinteger(L, records);
  return 1;
}

static void positions_map(Floor *floor, const char *path) {
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  need(fd >= 0 && fstat(fd, &about) == 0, path);
  floor->map_size = (size_t)about.st_size;
  floor->map = mmap(NULL, floor->map_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  need(floor->map != MAP_FAILED && close(fd) == 0, "mmap");
  floor->cells = floor->map;
  floor->cells_left = floor->map_size / sizeof(uint16_t);
}

/* Pushes the name of each column, and says which are wanted: those that are named from the 4th argument on, or all.
 * (On top of the arguments is the floor.) */
static int names_push(lua_State *L, Floor *floor, bool keyed) {
  const int named = lua_gettop(L) - 4;
  int pushed = 0;
  luaL_checkstack(L, floor->columns, "names");
  for (int i = 0; i < floor->columns; i++) {
    const char *name = floor->text + floor->at;
    size_t length = strcspn(name, ",\n");
    bool wanted = named == 0;
    for (int n = 4; n < 4 + named; n++) {
      size_t size;
      const char *text = lua_tolstring(L, n, &size);
      wanted = wanted || (size == length && memcmp(text, name, size) == 0);
    }
    floor->at += length + 1;
    if (!keyed || !wanted) continue;
    lua_pushlstring(L, name, length);
    floor->wanted[i] = (char)(++pushed + 1);
  }
  floor->wanted[COLUMNS_MAX - 1] = (char)pushed;
  return pushed;
}

static void lazy_push(lua_State *L, Floor *floor) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushlightuserdata(L, floor);
  lua_createtable(L, 0, floor->columns);
  for (int i = 0; i < floor->columns; i++) {
    size_t length, start = cell_find(floor, (size_t)i, &length);
    lua_pushlstring(L, floor->text + start, length);
    lua_pushinteger(L, i + 1);
    lua_rawset(L, -3);
  }
  lua_pushcclosure(L, lazy_index, 2);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

static int rows_open(lua_State *L) {
  const char *form = luaL_checkstring(L, 3);
  Floor *floor = floor_open(luaL_checkstring(L, 1));
  lua_pushlightuserdata(L, floor);
  if (strcmp(form, "lazy") == 0) {
    separators_find(floor);
    lazy_push(L, floor); /* and the header is the present row */
    lua_pushcclosure(L, next_lazy, 2);
    return 1;
  }
  positions_map(floor, luaL_checkstring(L, 2));
  floor->cells += floor->columns;
  floor->cells_left -= (size_t)floor->columns;
  int names = names_push(L, floor, strcmp(form, "keyed") == 0);
  lua_pushcclosure(L, next_known, 1 + names);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_rows(lua_State *L);

int luaopen_rows(lua_State *L) {
  static const luaL_Reg functions[] = {{"index", rows_index}, {"open", rows_open}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
