/*
 * The two APIs, as calls: which paths and parameters there are, and on which base URL. Neither
 * retries nor credentials are known here; standing headers are handed in.
 */
#ifndef API_H
#define API_H

#include "../base/base.h"
#include "../http/http.h"

#define ENDPOINTS_CLASS "zuora.endpoints"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* --- endpoints.c: base URLs and standing headers over a session ------------------------------ */

enum {
  ENDPOINTS_SESSION = 1,
  ENDPOINTS_BASES,    /* { [base] = url } */
  ENDPOINTS_HEADERS,  /* { [base] = { [name] = value } } */
  ENDPOINTS_DEFAULTS, /* their texts */
  ENDPOINTS_USERVALUES = 4
};

typedef struct Endpoints {
  Exchange defaults; /* of every exchange; the user value keeps its texts alive */
} Endpoints;

void endpoints_open(lua_State *L);
int endpoints_new(lua_State *L);

/* --- call.c: what all calls share, and the calls that no operation describes ---- */

/* The arguments of every call: (endpoints, { parameters }, { options of the exchange }). */
enum { ARG_ENDPOINTS = 1, ARG_PARAMETERS, ARG_OPTIONS };

/* Checks them, and puts empty tables where there are none. */
void call_arguments(lua_State *L);

/* Fills an exchange with the endpoints' defaults, and the options of this call. */
void call_exchange(lua_State *L, Exchange *exchange);

/* Sends it: with the standing headers of `base` (NULL: none), and the body at index `body` kept alive.
 * Returns what the Lua function returns. */
int call_send(lua_State *L, const Exchange *exchange, const char *base, int body);

/* core.request(endpoints, { base =, path =, query = | url =, method =, body = … }, options) */
int call_request(lua_State *L);

/* --- operation.c: what reads a line of operations.c ------------------------------------------- */

/* Adds the tables of calls and `operations` to the module table on top of the stack. */
void operations_open(lua_State *L);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
