/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands that work on files have in common.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/offline.h"
#include "persist/format.h"

int offline_complain(enum offline_command c, int status, const char *path,
		     const char *why)
{
	fprintf(stderr, "dozo %s: %s%s%s\n", offline_command_name(c),
		path != NULL ? path : "", path != NULL ? ": " : "", why);
	return status;
}

bool offline_begin(struct offline_options *o, enum offline_command c, int argc,
		   char *const *argv, int *status)
{
	if (!offline_options_parse(o, c, argc, argv)) {
		*status = offline_complain(c, OFFLINE_REFUSED, NULL,
					   o->problem);
		return false;
	}
	if (o->help) {
		offline_options_help(c, stdout);
		*status = offline_end(c, OFFLINE_DONE);
		return false;
	}
	return true;
}

static void see_lock(void *arg, const char *name)
{
	bool *seen = arg;

	*seen = *seen || strcmp(name, NAME_LOCK) == 0;
}

/*
 * The lock is tried and given back at once: a server that starts meanwhile is
 * not to be refused.  One that is not there is not made.
 */
static bool is_in_use(const char *path)
{
	bool has_lock = false;
	bool used = false;
	int error;
	struct dir *d = dir_system(path, &error);

	if (d != NULL && dir_list(d, see_lock, &has_lock) == 0 && has_lock) {
		used = dir_lock(d, NAME_LOCK) == -EWOULDBLOCK;
	}
	dir_free(d);
	return used;
}

struct dir *offline_open(enum offline_command c, const char *path)
{
	int error = 0;
	struct dir *d = dir_system(path, &error);

	if (d == NULL) {
		offline_complain(c, 0, path, strerror(-error));
	} else if (is_in_use(path)) {
		offline_complain(c, 0, path,
				 "a server is using it; its last journal is "
				 "still being written");
	}
	return d;
}

int offline_end(enum offline_command c, int status)
{
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		return offline_complain(c, OFFLINE_REFUSED, "standard output",
					"not all could be written");
	}
	return status;
}
