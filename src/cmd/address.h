/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where to listen, as -l tells it: a list of addresses, separated by commas
 * or semicolons, each with an optional port and with memcached's prefixes.
 *
 *	127.0.0.1  127.0.0.1:11222  [::1]:11211  ::1  localhost  *
 *	proto[ascii]:...  proto[negotiating]:...  tag_NAME_:...  notls:...
 *
 * `*` and INADDR_ANY mean every address of the machine.  Names are resolved
 * when the sockets are opened, not here.
 */
#ifndef DOZO_CMD_ADDRESS_H
#define DOZO_CMD_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "node/settings.h"

enum {
	ADDRESS_HOST_ROOM = 256, /* a domain name has 253 bytes at most */
	ADDRESS_WHY_ROOM = 128,
};

struct address {
	char host[ADDRESS_HOST_ROOM]; /* "" for every address */
	int port;                     /* 0 for a free one */
};

struct address_list {
	size_t count;
	struct address items[ADDRESSES_MAX];
};

/*
 * Fills `list` from `text`; an address without a port gets `default_port`.
 * False when one is wrong; `why` (ADDRESS_WHY_ROOM bytes) then says what.
 */
bool address_list_parse(struct address_list *list, const char *text,
			int default_port, char *why);

#endif
