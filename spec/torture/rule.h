/*
 * Which call of a program goes wrong, and how: for syscalls.c.
 *
 * The rule is a text of words:
 *   below=FOLDER  without an end in "/"; nothing else is touched
 *   calls=A,B     the calls that count. By default all that are known: open (mkostemp and fopen, too), read,
 *                 pread, write, pwrite, lseek, ftruncate, fsync, fchmod, flock, mmap, close, rename, link, unlink
 *                 (remove, too), mkdir; and connect, which counts for any address, and only where it is named
 *   at=N          the N-th of them, from 1; 0, the default: none, they are only counted
 *   times=always  that one and all behind it; by default that one alone
 *   how=ENOSPC    fails with this errno (EIO, ENOSPC, EDQUOT, EINTR, EACCES, EMFILE, ENOMEM, EBUSY, ECONNREFUSED)
 *                 and does nothing; a close closes all the same
 *   how=short     a read or write moves half of its bytes; to others nothing happens
 *   how=kill      the process ends by SIGKILL instead of the call
 *   how=torn      a write writes half of its bytes, and the process ends by SIGKILL; others as with kill
 *   log=FILE      a line for each call that counts: its number, name and file, and what was done to it
 */
#ifndef TORTURE_RULE_H
#define TORTURE_RULE_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TEXT_ROOM = 4096 };

typedef enum How { HOW_ERRNO, HOW_SHORT, HOW_KILL, HOW_TORN } How;

static struct {
  char below[TEXT_ROOM], calls[TEXT_ROOM], log[TEXT_ROOM];
  long at, count, struck;
  bool always;
  How how;
  int error;
} rule;

static bool rule_how(const char *name) {
  static const struct {
    const char *name;
    How how;
    int error;
  } known[] = {
      {"EIO", HOW_ERRNO, EIO},       {"ENOSPC", HOW_ERRNO, ENOSPC},
      {"EDQUOT", HOW_ERRNO, EDQUOT}, {"EINTR", HOW_ERRNO, EINTR},
      {"EACCES", HOW_ERRNO, EACCES}, {"EMFILE", HOW_ERRNO, EMFILE},
      {"ENOMEM", HOW_ERRNO, ENOMEM}, {"EBUSY", HOW_ERRNO, EBUSY},
      {"kill", HOW_KILL, 0},         {"ECONNREFUSED", HOW_ERRNO, ECONNREFUSED},
      {"torn", HOW_TORN, 0},         {"short", HOW_SHORT, 0},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcmp(known[i].name, name) != 0) continue;
    rule.how = known[i].how;
    rule.error = known[i].error;
    return true;
  }
  return false;
}

static bool rule_word(const char *name, const char *value) {
  if (strcmp(name, "how") == 0) return rule_how(value);
  char *text = strcmp(name, "below") == 0   ? rule.below
               : strcmp(name, "calls") == 0 ? rule.calls
               : strcmp(name, "log") == 0   ? rule.log
                                            : NULL;
  if (text != NULL)
    (void)strcpy(text, value); /* there is room: it is part of a text of that size */
  else if (strcmp(name, "at") == 0)
    rule.at = strtol(value, NULL, 10);
  else if (strcmp(name, "times") == 0)
    rule.always = strcmp(value, "always") == 0;
  else
    return false;
  return true;
}

/* False when a word of it is not understood. */
static bool rule_set(const char *text) {
  char room[TEXT_ROOM], *rest = NULL;
  memset(&rule, 0, sizeof rule);
  rule.error = EIO;
  if (strlen(text) >= sizeof room) return false;
  (void)strcpy(room, text);
  for (char *word = strtok_r(room, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    char *value = strchr(word, '=');
    if (value == NULL) return false;
    *value = '\0';
    if (!rule_word(word, value + 1)) return false;
  }
  return true;
}

/* --- what becomes of it ----------------------------------------------------------------------- */

typedef enum Verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_HALF } Verdict;

/* Is the word in the list? */
static bool list_has(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; *at != '\0'; at += strspn(at, ",")) {
    size_t piece = strcspn(at, ",");
    if (piece == length && strncmp(at, word, length) == 0) return true;
    at += piece;
  }
  return false;
}

static void log_call(const char *call, const char *subject, bool struck) {
  static const char *const done[] = {"fails", "short", "killed", "torn"};
  if (rule.log[0] == '\0') return;
  int fd =
      (int)syscall(SYS_openat, AT_FDCWD, rule.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  (void)dprintf(fd, "%ld %s %s %s\n", rule.count, call, subject,
                struck ? done[rule.how] : "passes");
  (void)syscall(SYS_close, fd);
}

static void end_process(void) {
  (void)kill(getpid(), SIGKILL);
  for (;;) (void)pause();
}

/* `subject` is NULL for what is none of our business. */
static Verdict verdict(const char *call, const char *subject) {
  bool by_name = list_has(rule.calls, call);
  if (subject == NULL || (!by_name && (rule.calls[0] != '\0' || strcmp(call, "connect") == 0)))
    return VERDICT_PASS;
  rule.count++;
  bool struck = rule.at > 0 && (rule.always ? rule.count >= rule.at : rule.count == rule.at);
  int before = errno;
  log_call(call, subject, struck);
  errno = before;
  if (!struck) return VERDICT_PASS;
  rule.struck++;
  if (rule.how == HOW_KILL || (rule.how == HOW_TORN && strcmp(call, "write") != 0)) end_process();
  if (rule.how != HOW_ERRNO) return VERDICT_HALF;
  errno = rule.error;
  return VERDICT_FAIL;
}

#endif
