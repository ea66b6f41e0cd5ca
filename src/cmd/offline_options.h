/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command lines of `dozo check`, `dozo dump` and `dozo restore`.  One table
 * names every option; parsing and --help read it.  Parsing is pure but for the
 * zone of local times: it prints nothing, and opens nothing.
 */
#ifndef DOZO_CMD_OFFLINE_OPTIONS_H
#define DOZO_CMD_OFFLINE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cmd/arg_table.h"

enum offline_command {
	OFFLINE_CHECK = 1 << 0,
	OFFLINE_DUMP = 1 << 1,
	OFFLINE_RESTORE = 1 << 2,
};

enum { OFFLINE_ARCHIVES_MAX = 64 };

struct offline_options {
	/* Check and dump have one, restore what --archive names. */
	const char *from[OFFLINE_ARCHIVES_MAX];
	size_t from_count;
	const char *into;
	uint64_t to_lsn;       /* UINT64_MAX: not given */
	uint32_t to_time;      /* UINT32_MAX: not given */
	uint64_t memory_limit; /* bytes; 0: not given */
	bool all;
	bool values;
	bool quiet;
	bool help;
	char problem[ARG_PROBLEM_SIZE]; /* what is wrong, one line */
};

/*
 * Reads argv[1] to argv[argc - 1].  False: `problem` says what is wrong.
 * Texts point into argv.
 */
bool offline_options_parse(struct offline_options *o, enum offline_command c,
			   int argc, char *const *argv);

void offline_options_help(enum offline_command c, FILE *out);

/* "check", "dump", "restore" */
const char *offline_command_name(enum offline_command c);

#endif
