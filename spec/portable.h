/*
 * What only Linux has is taken away, so that what other systems get can be compiled and run here; included before
 * everything else (make check-portable).
 */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fcntl.h>
#include <sys/socket.h>

#undef SOCK_CLOEXEC
#undef O_TMPFILE
#undef SYNC_FILE_RANGE_WRITE
#undef FALLOC_FL_KEEP_SIZE
