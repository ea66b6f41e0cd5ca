/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo bench`: load a server and tell how it did.
 */
#ifndef DOZO_CMD_BENCH_H
#define DOZO_CMD_BENCH_H

/*
 * Reads argv[1] and what follows, makes the load, and writes the report to
 * standard output.  Returns the exit status: 0 every reply was right, 1
 * errors were counted, 2 wrong usage, or the load could not be made.
 */
int bench_main(int argc, char *const *argv);

#endif
