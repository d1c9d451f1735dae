/*
 * Bytes to values and back. Nothing here knows which API is spoken.
 */
#ifndef DATA_H
#define DATA_H

#include "../core.h"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* --- json.c
 * ------------------------------------------------------------------------------------------ */

/* Adds decode, encode and null to the module table on top of the stack. Raises when lua-cjson is
 * not to be had. */
void json_open(lua_State *L);

/* Pushes the JSON text of the value at `index`, as core.encode does. */
void json_encode(lua_State *L, int index);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
