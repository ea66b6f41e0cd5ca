/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a server asks of the system for its process: to run in the background,
 * as another user, with core files, with its memory in place, known by a pid
 * file.
 *
 * Thread rule: all before the first thread is started, but for the removal of
 * the pid file, which is after the last has ended.
 */
#ifndef DOZO_CMD_PROCESS_H
#define DOZO_CMD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Who to become. */
struct process_user {
	char name[64];
	uid_t uid;
	gid_t gid;
};

/* False when there is no such user. */
bool process_find_user(const char *name, struct process_user *user);

/*
 * Becomes the user, with its groups and for good.  A core file is still
 * written afterwards if `core_dumps`.  False with errno.
 */
bool process_become(const struct process_user *user, bool core_dumps);

/* Raises the size limit of core files; false with errno. */
bool process_allow_cores(void);

/*
 * Keeps present and future memory out of swap; false with errno.  The limit
 * on locked memory is raised by process_unlimit_locked(), which only root
 * can do and which therefore comes before process_become().
 */
void process_unlimit_locked(void);
bool process_lock_memory(void);

/* False with errno. */
bool process_write_pid(const char *path);

/* Returns a heap copy of the path that begins at the root; NULL with errno. */
char *process_absolute_path(const char *path);

/*
 * Goes on in a child of its own session.  The parent waits for
 * process_in_background() and then exits with 0; if the child ends before,
 * the parent exits with the child's status, so whoever started the server
 * learns how the start went.  *ready_fd is for that call.  False with errno.
 */
bool process_split(int *ready_fd);

/*
 * Says to the waiting parent that the start went well, and lets go of the
 * terminal and (if `leave_folder`) of the working directory.
 */
void process_in_background(int ready_fd, bool keep_stderr, bool leave_folder);

#endif
