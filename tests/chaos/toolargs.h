/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of the chaos programs: a table of `--name NUMBER` pairs.
 * Every option is an unsigned decimal number; a switch is 0 or 1.
 */
#ifndef DOZO_CHAOS_TOOLARGS_H
#define DOZO_CHAOS_TOOLARGS_H

#include <stddef.h>
#include <stdint.h>

struct tool_arg {
	const char *name;
	uint64_t *value; /* holds the default until read; not owned */
	const char *help;
};

/*
 * Reads the command line into the table. Prints what is wrong, or the help
 * for `--help`, and ends the program with status 2 if it cannot be followed.
 */
void toolargs_read(int argc, char **argv, const struct tool_arg *args,
		   size_t count);

#endif
