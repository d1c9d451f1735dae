/*
 * What the files of rows share: rows.c reads the file and is the iterator, columns.c knows its header,
 * cells.c makes Lua values of a record, copy.c text for PostgreSQL.
 */
#ifndef ROWS_H
#define ROWS_H

#include "data.h"
#include "scanner.h"

#include <sys/types.h>

HIDDEN_BEGIN

#define ROWS_CLASS "zuora.rows"

typedef enum Form { FORM_KEYED, FORM_ARRAY, FORM_LAZY, FORM_COPY } Form;

/* A column that is wanted. */
typedef struct Column {
  size_t place; /* in the file, from 0 */
  Type type;
} Column;

/* The user values of a Rows. */
enum {
  ROWS_NAMES = 1, /* of the columns that are wanted */
  ROWS_FAIL,      /* raises */
  ROWS_LAZY,      /* the one lazy row */
  ROWS_PLACES,    /* of names, and of places, among those that are wanted */
  ROWS_USERVALUES = ROWS_PLACES
};

typedef struct Rows {
  int fd;   /* -1: closed */
  off_t at; /* where the next piece begins; -1: in a pipe, which has no places */
  Decoder *decoder;
  char *chunk;
  size_t chunk_size;
  bool sniffed; /* the first piece has told whether the file is packed */
  Scanner scanner;

  Form form;
  Column *columns;
  size_t column_count;
  char *null_text;
  size_t null_length;
  Buffer scratch; /* for cells whose doubled quotes are made single */
  Buffer made;    /* see copy.c and lines.c */

  bool valid;  /* there is a record, for the lazy row */
  bool busy;   /* Lua values are being made of it: nothing may move, or go */
  bool leaves; /* it was closed meanwhile */
} Rows;

/* --- rows.c ----------------------------------------------------------------------------------- */

/* Raises an error value for what is wrong `at` bytes into the present record. There are no more rows then. */
int rows_fail(lua_State *L, Rows *rows, int self, const char *message, size_t at);

/* The same for memory. */
int rows_short(lua_State *L, Rows *rows);

/* Gives everything back but the memory of the userdata itself. */
void rows_release(Rows *rows);

/* While it is held nothing of it moves, or goes: whenever a Lua value is made the collector may run
 * finalisers of the user's, and these may do anything with it. */
static inline void rows_hold(lua_State *L, Rows *rows) {
  if (rows->busy)
    luaL_error(L, "attempt to use rows while one of them is being made, or after that has failed");
  rows->busy = true;
}

static inline void rows_let_go(Rows *rows) {
  rows->busy = false;
  if (rows->leaves) rows_release(rows);
}

/* Finds the next record. False at the end of the file. */
bool record_next(lua_State *L, Rows *rows, int self);

/* --- columns.c -------------------------------------------------------------------------------- */

/* The type of that name; raises for another. */
Type type_named(lua_State *L, const char *name);

/* Reads the header, and chooses the columns that are `wanted`, and their types. */
void columns_open(lua_State *L, Rows *rows, int self, int wanted, int types);

/* --- cells.c ---------------------------------------------------------------------------------- */

/* Pushes the text of the cell at that place in the file. */
void text_push(lua_State *L, Rows *rows, size_t place);

/* The text of the cell of a wanted column, until the next one is asked for; of length 0 where it is empty. */
const char *column_text(lua_State *L, Rows *rows, const Column *column, size_t *length);

/* Raises an error value for a cell that is none of that type. */
int type_refuse(lua_State *L, Rows *rows, int self, const Column *column, Type type,
                const char *text, size_t length);

/* Pushes the present record in the form that is wanted. */
void row_push(lua_State *L, Rows *rows, int self);

/* --- copy.c ----------------------------------------------------------------------------------- */

/* Pushes some records as PostgreSQL's COPY reads them; false, and nothing, when there are no more. */
bool copy_push(lua_State *L, Rows *rows, int self);

/* Pushes the one object that serves every row. */
void lazy_push(lua_State *L, int self);

HIDDEN_END

#endif
