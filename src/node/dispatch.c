/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a request to its handler, by the command table.
 */
#include "base/diag.h"
#include "node/handlers.h"

static void (*const handlers[CMD_COUNT])(struct session *s,
					 const struct request *r) = {
#define COMMAND(symbol, name, shape, words, flags, handler)                    \
	[CMD_##symbol] = handler,
#include "proto/commands.def"
#undef COMMAND
};

void dispatch(struct session *s, const struct request *r)
{
	if (__builtin_expect(diag_shows(DIAG_DEBUG), 0)) {
		diag(DIAG_DEBUG, "connection %d: %s", s->stream.fd,
		     command_table[r->cmd].name);
	}
	handlers[r->cmd](s, r);
}
