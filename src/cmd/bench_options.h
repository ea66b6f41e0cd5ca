/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line of `dozo bench`.  One table names every option; parsing
 * and --help read it.  Parsing is pure: it prints nothing, and looks nothing
 * up.
 */
#ifndef DOZO_CMD_BENCH_OPTIONS_H
#define DOZO_CMD_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "bench/plan.h"
#include "bench/report.h"
#include "cmd/arg_table.h"

struct bench_options {
	struct plan plan;
	const char *server;
	const char *versus; /* NULL for none */
	uint32_t pid;       /* 0: to be found */
	uint32_t versus_pid;
	enum report_form form;
	bool quiet;
	bool help;
	char problem[ARG_PROBLEM_SIZE]; /* what is wrong, one line */
};

/*
 * Reads argv[1] to argv[argc - 1].  False: `problem` says what is wrong.
 * Texts point into argv.
 */
bool bench_options_parse(struct bench_options *o, int argc, char *const *argv);

void bench_options_help(FILE *out);

#endif
