/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The program.  A first word without a dash names a subcommand; without one
 * the program is the server, as memcached is, so that it can stand in for
 * memcached in scripts.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/bench.h"
#include "cmd/offline.h"
#include "cmd/server.h"

struct subcommand {
	const char *name;
	int (*main)(int argc, char *const *argv);
};

static const struct subcommand subcommands[] = {
	{ "server", server_main },   { "bench", bench_main },
	{ "check", check_main },     { "dump", dump_main },
	{ "restore", restore_main },
};

enum { SUBCOMMANDS = sizeof(subcommands) / sizeof(subcommands[0]) };

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		return server_main(argc, argv);
	}
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(argv[1], subcommands[i].name) == 0) {
			return subcommands[i].main(argc - 1, argv + 1);
		}
	}
	fprintf(stderr, "dozo: no subcommand '%.40s'; there are:", argv[1]);
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		fprintf(stderr, "%s %s", i > 0 ? "," : "", subcommands[i].name);
	}
	fputc('\n', stderr);
	return EX_USAGE;
}
