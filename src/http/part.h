/*
 * A file that grows under a name of its own until it is whole.
 */
#ifndef PART_H
#define PART_H

#include "http.h"

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

typedef struct Part {
  /* The owner keeps these alive. Without a path the file has no name. */
  const char *path, *name, *state; /* name: NULL when it has become `path` */
  int fd;                          /* -1: closed */
  Process maker;  /* a child made by fork has the same file, and no business with it */
  int error;      /* the errno of the first call that failed */
  char *gathered; /* NULL: nothing has come yet */
  size_t used;
  curl_off_t bytes;   /* in the file */
  curl_off_t syncing; /* up to here the system has been told to write to the disk */
} Part;

/* Pushes nil, "path: what is wrong" (without the path where it is NULL), errno. */
int file_error_push(lua_State *L, const char *path, int number);

/* Open it: 0, or the three values of file_error_push. `resume`: what is there stays. */
int part_open(lua_State *L, Part *part, bool resume);
int part_open_nameless(lua_State *L, Part *part, const char *directory);

/* Remembers errno as its error, and is false. */
bool part_fail(Part *part);
bool part_usable(Part *part);

/* What comes next goes behind the first `end` bytes, and nothing else is there. */
bool part_begin(Part *part, curl_off_t end);

/* Behind what is there (an Emit: `part` is a Part *). */
bool part_write(void *part, const char *data, size_t length);
bool part_flush(Part *part);

/* What an earlier process has left is gone on with; `emit` (NULL: nobody) gets all of it. */
bool part_read_back(Part *part, Emit *emit, void *context);

/* What is there is of no use. */
void part_start_over(Part *part);

/* Is there a .part file, and is it still the one that is held? Somebody may have removed it, and another
 * download begun. */
bool part_is_named(const Part *part);
void part_forget_state(const Part *part);

/* All is on the disk, then in the place of its path; or at `other`, where nothing is. 0, or an errno:
 * EEXIST when something is there. */
int part_publish(Part *part, const char *other);

/* `keep`: it stays for a later call, else it is removed. In a child made by fork it stays as it is: the
 * parent's download goes on. */
void part_close(Part *part, bool keep);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
