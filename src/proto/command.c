/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command table and the search in it.  The table stands in order of
 * use, so a search from its start is short for what is asked often; meta
 * commands, which stand further down and are asked as often, are told apart
 * by their second letter.
 */
#include <string.h>

#include "proto/command.h"

const struct command_info command_table[CMD_COUNT] = {
#define COMMAND(symbol, name, shape, words, flags, handler)                    \
	{ name, sizeof(name) - 1, shape, words, flags },
#include "proto/commands.def"
#undef COMMAND
};

static enum command find_meta(char letter)
{
	switch (letter) {
	case 'g':
		return CMD_MG;
	case 's':
		return CMD_MS;
	case 'd':
		return CMD_MD;
	case 'a':
		return CMD_MA;
	case 'e':
		return CMD_ME;
	case 'n':
		return CMD_MN;
	default:
		return CMD_NONE;
	}
}

enum command command_find(const char *name, size_t len)
{
	if (len == 2) {
		return name[0] == 'm' ? find_meta(name[1]) : CMD_NONE;
	}
	for (unsigned i = 0; i < CMD_COUNT; i++) {
		const struct command_info *info = &command_table[i];

		if (info->name_len == len && info->name[0] == name[0] &&
		    memcmp(info->name, name, len) == 0) {
			return (enum command)i;
		}
	}
	return CMD_NONE;
}

bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.data, text, s.len) == 0;
}
