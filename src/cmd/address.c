/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The text of -l into hosts and ports.  What follows the prefixes is split by
 * sock_split_address(), which knows how IPv6 addresses and ports mix.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/address.h"
#include "io/sock.h"

enum { TAG_MAX = 8 };

static bool refuse(char *why, const char *what, const char *text)
{
	snprintf(why, ADDRESS_WHY_ROOM, "%s (given: %.60s)", what, text);
	return false;
}

static bool starts_with(const char *text, const char *head)
{
	return strncmp(text, head, strlen(head)) == 0;
}

/* Skips proto[NAME]: at *text, if NAME is a protocol that is spoken here. */
static bool skip_protocol(const char **text, char *why)
{
	const char *name = *text + strlen("proto[");

	if (starts_with(name, "ascii]:")) {
		*text = name + strlen("ascii]:");
		return true;
	}
	if (starts_with(name, "negotiating]:")) {
		*text = name + strlen("negotiating]:");
		return true;
	}
	if (starts_with(name, "binary]:")) {
		return refuse(why, "the binary protocol is not built yet",
			      *text);
	}
	if (starts_with(name, "proxy]:")) {
		return refuse(why, "there is no proxy in dozo", *text);
	}
	return refuse(why, "proto[...]: must name ascii or negotiating", *text);
}

/* Skips tag_NAME_: at *text; dozo does nothing by tag. */
static bool skip_tag(const char **text, char *why)
{
	const char *name = *text + strlen("tag_");
	const char *end = strstr(name, "_:");

	if (end == NULL || end == name || end - name > TAG_MAX) {
		return refuse(why, "a tag is tag_NAME_: with 1 to 8 letters",
			      *text);
	}
	*text = end + strlen("_:");
	return true;
}

static bool skip_prefixes(const char **text, char *why)
{
	for (;;) {
		if (starts_with(*text, "proto[")) {
			if (!skip_protocol(text, why)) {
				return false;
			}
		} else if (starts_with(*text, "tag_")) {
			if (!skip_tag(text, why)) {
				return false;
			}
		} else if (starts_with(*text, "notls:")) {
			*text += strlen("notls:");
		} else if (starts_with(*text, "mtls:") ||
			   starts_with(*text, "btls:")) {
			return refuse(why, "TLS is not built yet", *text);
		} else {
			return true;
		}
	}
}

static bool parse_one(struct address *a, const char *text, int default_port,
		      char *why)
{
	const char *given = text;
	const char *problem = NULL;

	if (!skip_prefixes(&text, why)) {
		return false;
	}
	if (!sock_split_address(text, default_port, a->host, sizeof(a->host),
				&a->port, &problem)) {
		return refuse(why, problem, given);
	}
	if (a->host[0] == '\0') {
		return refuse(why, "an address is missing", given);
	}
	if (a->port < 0 || a->port > 65535) {
		return refuse(why, "a port is from 0 to 65535", given);
	}
	if (strcmp(a->host, "*") == 0 || strcmp(a->host, "INADDR_ANY") == 0) {
		a->host[0] = '\0';
	}
	return true;
}

bool address_list_parse(struct address_list *list, const char *text,
			int default_port, char *why)
{
	char one[ADDRESS_HOST_ROOM + 64];

	list->count = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, ",;");

		if (len >= sizeof(one)) {
			return refuse(why, "an address is too long", text);
		}
		memcpy(one, text, len);
		one[len] = '\0';
		text += len;
		text += strspn(text, ",;");
		if (len == 0) {
			continue;
		}
		if (list->count == ADDRESSES_MAX) {
			return refuse(why, "at most 64 addresses", one);
		}
		if (!parse_one(&list->items[list->count], one, default_port,
			       why)) {
			return false;
		}
		list->count++;
	}
	if (list->count == 0) {
		return refuse(why, "an address is missing", text);
	}
	return true;
}
