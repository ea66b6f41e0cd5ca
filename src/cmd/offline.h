/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands that look at data directories and archives without a server:
 * `dozo check`, `dozo dump`, `dozo restore`.  Each reads argv[1] and what
 * follows and returns the exit status, as its --help says.
 */
#ifndef DOZO_CMD_OFFLINE_H
#define DOZO_CMD_OFFLINE_H

#include <stdbool.h>

#include "cmd/offline_options.h"
#include "io/file.h"

enum {
	OFFLINE_DONE = 0,
	OFFLINE_DAMAGED = 1, /* or it cannot be restored */
	OFFLINE_REFUSED = 2,
};

int check_main(int argc, char *const *argv);
int dump_main(int argc, char *const *argv);
int restore_main(int argc, char *const *argv);

/* ---- what they share ---------------------------------------------------- */

/* One line on standard error: "dozo check: PATH: WHY"; returns `status`. */
int offline_complain(enum offline_command c, int status, const char *path,
		     const char *why);

/*
 * Reads the command line, and answers --help.  False: *status is the exit
 * status.
 */
bool offline_begin(struct offline_options *o, enum offline_command c, int argc,
		   char *const *argv, int *status);

/*
 * Opens a directory to read it, and says on standard error if a server is
 * using it.  NULL when it cannot be opened: that has been said.
 */
struct dir *offline_open(enum offline_command c, const char *path);

/* Has all been written?  Else that is said, and the status is another. */
int offline_end(enum offline_command c, int status);

#endif
