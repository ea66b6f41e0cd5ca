/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo restore`: a data directory as it was at a point in time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "cmd/offline.h"
#include "io/clock.h"
#include "persist/restore.h"

/* All archives; those that were opened are in `from`, whatever the result. */
static bool open_all(const struct offline_options *o, struct dir **from)
{
	for (size_t i = 0; i < o->from_count; i++) {
		from[i] = offline_open(OFFLINE_RESTORE, o->from[i]);
		if (from[i] == NULL) {
			return false;
		}
	}
	return true;
}

/* *made: there was none. */
static struct dir *open_into(const char *path, bool *made)
{
	int error = dir_make(path);
	struct dir *d;

	*made = error == 0;
	if (!*made && error != -EEXIST) {
		offline_complain(OFFLINE_RESTORE, 0, path, strerror(-error));
		return NULL;
	}
	d = dir_system(path, &error);
	if (d == NULL) {
		offline_complain(OFFLINE_RESTORE, 0, path, strerror(-error));
	}
	return d;
}

static int restore(const struct offline_options *o, struct dir *const *from)
{
	struct restore_config config = {
		.from = from,
		.from_count = o->from_count,
		.to_lsn = o->to_lsn,
		.to_time = o->to_time,
		.memory_limit = o->memory_limit,
		.now = (uint32_t)(clock_wall_us() / 1000000),
		.progress = !o->quiet && isatty(STDOUT_FILENO),
		.out = stdout,
	};
	char problem[PROBLEM_SIZE] = "";
	int status = OFFLINE_DAMAGED;
	bool made = false;

	if (getrandom(&config.identity, sizeof(config.identity), 0) !=
	    sizeof(config.identity)) {
		return offline_complain(OFFLINE_RESTORE, OFFLINE_DAMAGED, NULL,
					"no random number can be had");
	}
	config.into = open_into(o->into, &made);
	if (config.into != NULL) {
		if (restore_directory(&config, problem)) {
			status = OFFLINE_DONE;
		} else {
			offline_complain(OFFLINE_RESTORE, 0, NULL, problem);
		}
	}
	dir_free(config.into);
	if (made && status != OFFLINE_DONE) {
		rmdir(o->into);
	}
	return offline_end(OFFLINE_RESTORE, status);
}

int restore_main(int argc, char *const *argv)
{
	struct offline_options o;
	struct dir *from[OFFLINE_ARCHIVES_MAX] = { NULL };
	int status;

	if (!offline_begin(&o, OFFLINE_RESTORE, argc, argv, &status)) {
		return status;
	}
	status = OFFLINE_DAMAGED;
	if (open_all(&o, from)) {
		status = restore(&o, from);
	}
	for (size_t i = 0; i < o.from_count; i++) {
		dir_free(from[i]);
	}
	return status;
}
