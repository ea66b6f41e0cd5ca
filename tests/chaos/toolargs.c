/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading of the chaos programs' command line; see the header.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "toolargs.h"

static void toolargs_help(const char *program, const struct tool_arg *args,
			  size_t count)
{
	fprintf(stderr, "usage: %s [--name NUMBER]...\n", program);
	for (size_t i = 0; i < count; i++) {
		fprintf(stderr, "  --%-14s %s (default %" PRIu64 ")\n",
			args[i].name, args[i].help, *args[i].value);
	}
	exit(2);
}

static const struct tool_arg *
toolargs_find(const char *word, const struct tool_arg *args, size_t count)
{
	if (strncmp(word, "--", 2) != 0) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(word + 2, args[i].name) == 0) {
			return &args[i];
		}
	}
	return NULL;
}

void toolargs_read(int argc, char **argv, const struct tool_arg *args,
		   size_t count)
{
	for (int i = 1; i < argc; i += 2) {
		const struct tool_arg *arg;
		char *end;

		arg = toolargs_find(argv[i], args, count);
		if (arg == NULL || i + 1 == argc) {
			toolargs_help(argv[0], args, count);
			return;
		}
		errno = 0;
		*arg->value = strtoull(argv[i + 1], &end, 10);
		if (errno != 0 || end == argv[i + 1] || *end != '\0') {
			fprintf(stderr, "%s: not a number: %s\n", argv[0],
				argv[i + 1]);
			exit(2);
		}
	}
}
