/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the command line to the report.
 */
#include <stdio.h>
#include <unistd.h>

#include "bench/report.h"
#include "bench/trial.h"
#include "cmd/bench.h"
#include "cmd/bench_options.h"

enum { STATUS_RIGHT = 0, STATUS_ERRORS = 1, STATUS_NO_RUN = 2 };

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "dozo bench: %s%s%s\n", what, why != NULL ? ": " : "",
		why != NULL ? why : "");
	return STATUS_NO_RUN;
}

static int run(const struct bench_options *o, const struct target *targets,
	       uint32_t count)
{
	struct trial t;
	int status = STATUS_NO_RUN;

	if (!trial_init(&t, &o->plan, targets, count)) {
		complain(t.why, NULL);
		goto out;
	}
	t.progress = !o->quiet && isatty(STDERR_FILENO);
	if (!trial_run(&t)) {
		complain(t.why, NULL);
		goto out;
	}
	report_write(stdout, &t, o->form);
	if (fflush(stdout) != 0) {
		complain("standard output", "the report could not be written");
		goto out;
	}
	status = trial_faults(&t) == 0 ? STATUS_RIGHT : STATUS_ERRORS;
out:
	trial_release(&t);
	return status;
}

int bench_main(int argc, char *const *argv)
{
	struct bench_options o;
	struct target targets[TRIAL_SERVERS_MAX];
	const char *names[TRIAL_SERVERS_MAX];
	char why[TARGET_WHY_ROOM];
	uint32_t count = 0;

	if (!bench_options_parse(&o, argc, argv)) {
		return complain(o.problem, NULL);
	}
	if (o.help) {
		bench_options_help(stdout);
		return STATUS_RIGHT;
	}
	names[0] = o.server;
	names[1] = o.versus;
	for (; count < TRIAL_SERVERS_MAX && names[count] != NULL; count++) {
		struct target *t = &targets[count];
		uint32_t pid = count == 0 ? o.pid : o.versus_pid;

		if (!target_init(t, names[count], why)) {
			return complain(names[count], why);
		}
		t->pid = (pid_t)pid;
		if (pid == 0) {
			target_find_pid(t);
		}
	}
	return run(&o, targets, count);
}
