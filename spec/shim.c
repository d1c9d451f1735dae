/*
 * What the C library says of names, of the disk and of the time, and libcurl of itself, bent by the environment. For
 * specs, by LD_PRELOAD.
 *
 * FAULT_NAMES  "zuora.test" is this machine, but: again, the first two times it is not known yet; none, it is never
 *              known; slow, it takes a second; six, it has an IPv6 address, which comes first.
 * FAULT_CALL   "fsync:5": fsync fails by error 5, whenever it is called; so do rename and write (of files).
 * FAULT_DISK   no byte is left on any disk.
 * FAULT_CURL   libcurl says that it is 7.74.0.
 * FAULT_CLOCK  the clock on the wall jumps with each look at it, by an hour and by 40 days, back and forth.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#define EXPORT __attribute__((visibility("default")))

static void *next_of(const char *name) {
  return dlsym(RTLD_NEXT, name);
}

EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result);

EXPORT int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **result) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  *(void **)&real = next_of("getaddrinfo");
  static int calls = 0;
  const char *fault = getenv("FAULT_NAMES");
  if (fault == NULL || node == NULL || strcmp(node, "zuora.test") != 0)
    return real(node, service, hints, result);
  calls++;
  if (strcmp(fault, "none") == 0) return EAI_NONAME;
  if (strcmp(fault, "again") == 0 && calls <= 2) return EAI_AGAIN;
  if (strcmp(fault, "slow") == 0) usleep(999999);
  if (strcmp(fault, "six") != 0) return real("127.0.0.1", service, hints, result);
  int code = real("::1", service, hints, result);
  return code != 0 ? code : real("127.0.0.1", service, hints, &(*result)->ai_next);
}

/* Sets errno when this call is to fail. */
static bool fails(const char *name) {
  const char *fault = getenv("FAULT_CALL");
  size_t length = strlen(name);
  if (fault == NULL || strncmp(fault, name, length) != 0 || fault[length] != ':') return false;
  errno = atoi(fault + length + 1);
  return true;
}

EXPORT int fsync(int fd) {
  int (*real)(int);
  *(void **)&real = next_of("fsync");
  return fails("fsync") ? -1 : real(fd);
}

EXPORT int rename(const char *from, const char *to) {
  int (*real)(const char *, const char *);
  *(void **)&real = next_of("rename");
  return fails("rename") ? -1 : real(from, to);
}

EXPORT ssize_t write(int fd, const void *data, size_t length) {
  ssize_t (*real)(int, const void *, size_t);
  *(void **)&real = next_of("write");
  struct stat status;
  bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return is_file && fails("write") ? -1 : real(fd, data, length);
}

EXPORT int statvfs64(const char *path, struct statvfs64 *disk);

EXPORT int statvfs64(const char *path, struct statvfs64 *disk) {
  int (*real)(const char *, struct statvfs64 *);
  *(void **)&real = next_of("statvfs64");
  int code = real(path, disk);
  if (code == 0 && getenv("FAULT_DISK") != NULL) disk->f_bavail = 0;
  return code;
}

EXPORT curl_version_info_data *curl_version_info(CURLversion age) {
  curl_version_info_data *(*real)(CURLversion);
  /* (It is loaded after this, and for the core alone.) */
  *(void **)&real = dlsym(dlopen("libcurl.so.4", RTLD_LAZY), "curl_version_info");
  static curl_version_info_data old;
  if (getenv("FAULT_CURL") == NULL) return real(age);
  old = *real(age);
  old.version = "7.74.0";
  old.version_num = 0x074a00;
  return &old;
}

static time_t jump(void) {
  static unsigned looks = 0;
  static const time_t jumps[] = {3600, -3600, 40 * 86400, -40 * 86400};
  return getenv("FAULT_CLOCK") != NULL ? jumps[looks++ % 4] : 0;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *now) {
  /* Not by dlsym, which asks a sanitizer for memory, which asks for the time. */
  int code = (int)syscall(SYS_clock_gettime, clock, now);
  if (code == 0 && clock == CLOCK_REALTIME) now->tv_sec += jump();
  return code;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int (*real)(struct timeval *restrict, void *restrict);
  *(void **)&real = next_of("gettimeofday");
  int code = real(now, zone);
  if (code == 0) now->tv_sec += jump();
  return code;
}

EXPORT time_t time(time_t *at) {
  time_t (*real)(time_t *);
  *(void **)&real = next_of("time");
  time_t now = real(NULL) + jump();
  if (at != NULL) *at = now;
  return now;
}
