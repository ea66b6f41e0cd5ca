/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo dump DIR`: what is in the files?
 */
#include "cmd/offline.h"
#include "persist/restore.h"

int dump_main(int argc, char *const *argv)
{
	struct offline_options o;
	struct dump_config config = { .out = stdout };
	char problem[PROBLEM_SIZE] = "";
	struct dir *dir;
	int damaged;
	int status;

	if (!offline_begin(&o, OFFLINE_DUMP, argc, argv, &status)) {
		return status;
	}
	dir = offline_open(OFFLINE_DUMP, o.from[0]);
	if (dir == NULL) {
		return OFFLINE_REFUSED;
	}
	config.all = o.all;
	config.values = o.values;
	damaged = dump_directory(dir, &config, problem);
	dir_free(dir);
	if (damaged < 0) {
		return offline_complain(OFFLINE_DUMP, OFFLINE_REFUSED,
					o.from[0], problem);
	}
	if (damaged > 0) {
		offline_complain(OFFLINE_DUMP, 0, o.from[0],
				 "something is damaged and not shown: see the "
				 "lines with DAMAGED");
	}
	return offline_end(OFFLINE_DUMP,
			   damaged > 0 ? OFFLINE_DAMAGED : OFFLINE_DONE);
}
