/*
 * The two APIs: which paths and parameters there are, and on which base URL. Neither retries nor
 * credentials are known here; default headers are handed in.
 */
#ifndef API_H
#define API_H

#include "../base/base.h"
#include "../http/http.h"

#define ENDPOINTS_CLASS "zuora.endpoints"

HIDDEN_BEGIN

/* --- endpoints.c: base URLs and their default headers over a session -------------------------- */

enum {
  ENDPOINTS_SESSION = 1,
  ENDPOINTS_BASES,    /* { [base] = url } */
  ENDPOINTS_HEADERS,  /* { [base] = { [name] = value } } */
  ENDPOINTS_DEFAULTS, /* keeps the texts of `defaults` alive */
  ENDPOINTS_LISTS,    /* { [base] = the headers of its plain requests, see send.c } */
  ENDPOINTS_USERVALUES = 5
};

typedef struct Endpoints {
  RequestOptions defaults; /* of every request */
  size_t setups[2];        /* of the easy handles of its plain requests: to http, and to https */
} Endpoints;

void endpoints_open(lua_State *L);
int endpoints_new(lua_State *L);

/* --- send.c: what all requests share, and core.request ---------------------------------------- */

/* The arguments of every function that sends: (endpoints, { parameters }, { options of the request }). */
enum { ARG_ENDPOINTS = 1, ARG_PARAMETERS, ARG_OPTIONS };

/* Checks them, puts empty tables where there are none, and fills `options` from the endpoints' defaults and
 * the third argument. */
void send_arguments(lua_State *L, RequestOptions *options);

/* Sends the request: with the default headers of `base` (NULL: none), and the body at index `body` kept
 * alive. Returns what the Lua function returns. */
int send_request(lua_State *L, RequestOptions *options, const char *base, int body);

/* core.request(endpoints, { base =, path =, query = | url =, method =, body =, content_type =, accept =,
 *   fresh = }, options) -> Request | nil, message, name, class. `query` is escaped already. */
int target_send(lua_State *L);

/* --- success.c: which responses are a success at first sight ---------------------------------- */

/* core.success(request) -> the value of a 200 with JSON that tells of no failure; nothing for all else */
int success_push(lua_State *L);

/* core.tells_failure(table) -> has a JSON value a field that tells of a failure? */
int tells_failure_push(lua_State *L);

/* --- operation.c: reads the lines of operations.c --------------------------------------------- */

/* Adds the functions of all operations, and `operations`, to the module table on top of the stack. */
void operations_open(lua_State *L);

/* --- operations.c: the table ------------------------------------------------------------------ */

typedef enum Repeat {
  SAFE,  /* reads, cancels or fetches a token: may be sent again */
  KEYED, /* creates something: carries an idempotency key, and has a connection to itself */
} Repeat;

typedef struct Operation {
  const char *group, *name, *method, *base, *path, *query, *body;
  Repeat repeat;
  const char *result, *hosts;
} Operation;

extern const Operation operations[];
extern const size_t operations_count;

HIDDEN_END

#endif
