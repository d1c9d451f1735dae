/*
 * One line of operations.c.
 *
 * The words in a line:
 *   path    "/reportruns/{id}"; a parameter in braces, "{name:type}", is required
 *   query   "name:type" separated by spaces; "!" behind it: required; "*": a list, repeated
 *   body    "" none; "json": the parameter `body`, a JSON value or text; "form …" and "fields …":
 *           the named parameters as an HTML form or as a JSON object
 *   hosts   where Zuora documents the operation: "both", "rest" or "legacy"
 *
 * Types: id (letters, digits, - and _), text (no control characters; the default), integer,
 * boolean, table, any, or a choice "A|B". A path segment is checked and escaped here, whatever its
 * type.
 */
#ifndef OPERATION_H
#define OPERATION_H

#include "api.h"

HIDDEN_BEGIN

typedef enum Repeat {
  SAFE,  /* reads, cancels or fetches a token: may be sent again */
  KEYED, /* creates something: carries an idempotency key, and a connection of its own */
} Repeat;

typedef struct Operation {
  const char *group, *name, *method, *base, *path, *query, *body;
  Repeat repeat;
  const char *result; /* "json", "xml" or "file" */
  const char *hosts;
} Operation;

extern const Operation operations[];
extern const size_t operations_count;

HIDDEN_END

#endif
