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
#include "cmd/server.h"

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-') {
		return server_main(argc, argv);
	}
	if (strcmp(argv[1], "server") == 0) {
		return server_main(argc - 1, argv + 1);
	}
	if (strcmp(argv[1], "bench") == 0) {
		return bench_main(argc - 1, argv + 1);
	}
	fprintf(stderr,
		"dozo: no subcommand '%.40s'; there are: server, bench\n",
		argv[1]);
	return EX_USAGE;
}
