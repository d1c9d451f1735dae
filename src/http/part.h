/*
 * The part file: the file that grows as `path.part` until it is whole, and then becomes `path`.
 */
#ifndef PART_H
#define PART_H

#include "http.h"

HIDDEN_BEGIN

typedef struct Part {
  /* Kept alive by the owner; NULL in a nameless file. part_path is NULL, too, once it has become `path`. */
  const char *path, *part_path, *state_path;
  int fd;             /* -1: closed */
  Process maker;      /* a child made by fork has the same file, and no business with it */
  int error;          /* the errno of the first call that failed */
  char *write_buffer; /* NULL: no body has begun */
  size_t buffered;
  curl_off_t bytes;   /* in the file, and in the buffer */
  curl_off_t syncing; /* up to here the system has been told to write to the disk */
  bool ahead;         /* room may have been taken behind the end */
} Part;

/* Pushes nil, "path: what is wrong" (without the path where it is NULL), errno. */
int file_error_push(lua_State *L, const char *path, int number);

/* Open it: 0, or the three values of file_error_push. `resume`: what is in the file stays. */
int part_open(lua_State *L, Part *part, bool resume);
int part_open_nameless(lua_State *L, Part *part, const char *directory);

/* Remembers errno as the file's error, unless it has one, and returns false. */
bool part_fail(Part *part);

/* False once something has failed, or it is closed: see `error`. */
bool part_usable(Part *part);

/* Cuts the file off behind `end` bytes, where the next ones go. */
bool part_begin(Part *part, curl_off_t end);

/* Appends bytes (an Emit: `part` is a Part *). */
bool part_write(void *part, const char *data, size_t length);
bool part_flush(Part *part);

/* Takes over what an earlier process left, and hands all of it to `emit`, if that is not NULL. */
bool part_read_back(Part *part, Emit *emit, void *context);

/* Forgets what an earlier process left. */
void part_clear(Part *part);

/* Is there a .part file, and is it still this one? Somebody may have removed it, and another download made
 * one anew. */
bool part_is_named(const Part *part);

/* Removes the resume state. */
void part_remove_state(const Part *part);

/* Syncs the file to the disk, and renames it to its path, or to `other` if nothing is there. 0, or an errno:
 * EEXIST when something is at `other`. */
int part_publish(Part *part, const char *other);

/* `keep`: the file stays for a later call, else it is removed. In a child made by fork it stays as it is:
 * the parent's download goes on. */
void part_close(Part *part, bool keep);

HIDDEN_END

#endif
