/*
 * The ground that all of the core stands on; it knows neither HTTP nor what bytes mean. Include it first: the
 * feature macros are here.
 */
#ifndef BASE_H
#define BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, RTLD_NODELETE, getentropy, mkostemp: of glibc and musl */
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include <lua.h>
#include <lauxlib.h>

/* Lua's header does not say that these never return: compilers and checkers would follow paths that do not
 * exist. */
extern _Noreturn int lua_error(lua_State *L);
extern _Noreturn int luaL_error(lua_State *L, const char *format, ...);
extern _Noreturn int luaL_argerror(lua_State *L, int argument, const char *message);

/* What is declared between the two stays inside the shared object. By pragmas, and not by a compiler flag,
 * because LuaRocks' builtin build passes no flags. */
#if defined(__GNUC__)
#define HIDDEN_BEGIN _Pragma("GCC visibility push(hidden)")
#define HIDDEN_END   _Pragma("GCC visibility pop")
#else
#define HIDDEN_BEGIN
#define HIDDEN_END
#endif

HIDDEN_BEGIN

/* --- options.c: option tables with a closed set of keys --------------------------------------- */

typedef enum OptionType {
  OPTION_FLAG,    /* bool: any boolean */
  OPTION_COUNT,   /* size_t: an integer >= 0 */
  OPTION_SECONDS, /* double: a number >= 0, possibly infinite */
  OPTION_TEXT,    /* const char *: a string without control bytes, safe in a header or a URL */
  OPTION_BYTES,   /* Bytes: any string */
  OPTION_VALUE,   /* nothing is stored: the caller fetches the field by itself */
} OptionType;

typedef struct Bytes {
  const char *data;
  size_t length;
} Bytes;

typedef struct Option {
  const char *name;
  OptionType type;
  size_t offset; /* where in the caller's struct the value goes */
} Option;

/* Reads the table at `index` (nil and none count as empty) into `into`. Strings are not copied:
 * they live as long as the table keeps them. Where all options are OPTION_VALUE, `into` may be NULL. Raises for an
 * unknown key or an unfit value. */
void options_read(lua_State *L, int index, const Option *list, void *into);

/* Pushes table[name], without metamethods: no code of the user's runs while a request is put together. */
void field_push(lua_State *L, int table, const char *name);

/* True when the text holds no byte below 0x20 and no 0x7f: nothing that could end a header line. */
bool text_is_clean(const char *text, size_t length);

/* True for what ids are made of: letters, digits, - and _. */
bool text_is_id(const char *text, size_t length);
int id_check(lua_State *L); /* core.is_id: is it text like that, and not too long? */

/* --- class.c: userdata classes ---------------------------------------------------------------- */

/* Makes the metatable `name` of methods and metamethods. A method `close` is `__gc` and `__close` as well.
 * Leaves nothing on the stack. Doing it again, as a second require does, changes nothing. */
void class_new(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/* --- buffer.c: bytes that grow, outside of Lua's memory ---------------------------------------- */

typedef struct Buffer {
  char *data; /* NULL: nothing has been put in */
  size_t length, capacity;
} Buffer;

/* Make room for so many bytes more, or add them. False: no memory; what is there stays. */
bool buffer_reserve(Buffer *buffer, size_t length);
bool buffer_append(Buffer *buffer, const char *data, size_t length);

/* Memory that a buffer frees, here or as it grows, is wiped: a token may have been in it. */
void buffer_free(Buffer *buffer);

/* --- filters: what bytes pass through on their way into a file -------------------------------- */

#define FILTER_CLASS "zuora.filter"

/* Takes bytes; false stops what emits them. */
typedef bool Emit(void *context, const char *data, size_t length);

/* A filter is a userdata of FILTER_CLASS; those who use one need not know what it does. */
typedef struct Filter Filter;
struct Filter {
  /* A body of this content type (never NULL) begins; what came since the last `keep` is forgotten. `packed`:
   * it comes in gzip coding, which the filter takes off. */
  bool (*reset)(Filter *filter, const char *content_type, bool packed);
  /* What has come so far stays; another body of the same kind follows. False: there is something wrong with
   * it. */
  bool (*keep)(Filter *filter);
  /* Takes bytes, and emits what they become. NULL as data: the body has ended. */
  bool (*push)(Filter *filter, const char *data, size_t length, Emit *emit, void *context);
  bool broken; /* push returned false because the gzip coding is damaged, or ends too early */
};

/* --- clock.c ---------------------------------------------------------------------------------- */

/* Seconds on a clock that nobody sets back. */
double clock_now(void);
int clock_push(lua_State *L); /* core.now */

/* Seconds as the milliseconds that libcurl takes: at least 1, since 0 means "no limit", and at most what an int
 * holds. */
long seconds_to_ms(double seconds);

/* --- escape.c --------------------------------------------------------------------------------- */

/* Pushes `text`, percent-encoded but for the unreserved characters of RFC 3986. */
void escaped_push(lua_State *L, const char *text, size_t length);
int escape_push(lua_State *L); /* core.escape */

/* --- wipe.c ----------------------------------------------------------------------------------- */

/* Overwrites what may be a secret, before its memory is freed. */
void wipe(void *data, size_t length);

/* --- process.c -------------------------------------------------------------------------------- */

/* A child made by fork shares its parent's descriptors, and connections: what owns one remembers which process
 * made it. */
typedef long Process;
Process process_now(void);

/* From now on a child made by fork is told apart without asking the system. Only where this module stays in memory. */
void process_watch(void);

/* Raises "<what> belongs to the process that made it: …". */
int process_refuse(lua_State *L, const char *what);

/* --- sigterm.c -------------------------------------------------------------------------------- */

int sigterm_heed(lua_State *L); /* core.heed_sigterm */
int sigterm_told(lua_State *L); /* core.terminated */

/* --- spawn.c: programs that run beside this one ------------------------------------------------ */

void child_open(lua_State *L);
int child_new(lua_State *L); /* core.spawn */

/* --- system.c --------------------------------------------------------------------------------- */

/* Repeats a system call as long as a signal of the host's interrupts it; `done` is what it returned. */
#define UNINTERRUPTED(done, call)                                                                  \
  do {                                                                                             \
    (done) = (call);                                                                               \
  } while ((done) < 0 && errno == EINTR)

/* The path at `index`. Raises for one with a zero byte: the system would take it for the end, and another file. */
const char *path_argument(lua_State *L, int index, size_t *length);

/* Pushes what the system says of an errno, and returns it. (strerror may use a buffer that all threads
 * share, and other threads may run other Lua states.) */
const char *errno_push(lua_State *L, int number);

int directories_make(lua_State *L); /* core.mkdir */
int path_sync(lua_State *L);        /* core.sync */
int mode_push(lua_State *L);        /* core.mode */
int random_push(lua_State *L);      /* core.random */
int space_push(lua_State *L);       /* core.space */

/* --- terminal.c ------------------------------------------------------------------------------- */

int terminal_push(lua_State *L); /* core.terminal */

HIDDEN_END

#endif
