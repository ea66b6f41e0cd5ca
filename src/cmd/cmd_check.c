/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo check DIR`: is every file whole?
 */
#include "cmd/offline.h"
#include "persist/restore.h"

int check_main(int argc, char *const *argv)
{
	struct offline_options o;
	char problem[PROBLEM_SIZE] = "";
	struct dir *dir;
	int damaged;
	int status;

	if (!offline_begin(&o, OFFLINE_CHECK, argc, argv, &status)) {
		return status;
	}
	dir = offline_open(OFFLINE_CHECK, o.from[0]);
	if (dir == NULL) {
		return OFFLINE_REFUSED;
	}
	damaged = check_directory(dir, stdout, problem);
	dir_free(dir);
	if (damaged < 0) {
		return offline_complain(OFFLINE_CHECK, OFFLINE_REFUSED,
					o.from[0], problem);
	}
	return offline_end(OFFLINE_CHECK,
			   damaged > 0 ? OFFLINE_DAMAGED : OFFLINE_DONE);
}
