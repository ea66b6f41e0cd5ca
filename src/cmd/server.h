/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dozo` and `dozo server`: start a node by the command line and serve.
 */
#ifndef DOZO_CMD_SERVER_H
#define DOZO_CMD_SERVER_H

/*
 * Reads argv[1] and what follows, starts, and serves until told to stop.
 * Returns the exit status; a start that fails says why in one line on
 * standard error.
 */
int server_main(int argc, char *const *argv);

#endif
