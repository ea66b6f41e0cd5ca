/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the options of the commands that work on files: --archive A and
 * --archive=A mean the same, as -m 64 and -m64 do; a word without a dash is
 * the directory.
 */
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cmd/offline_options.h"
#include "persist/when.h"

#define MEMORY_MIB_MAX (1ULL << 24) /* 16 TiB */

struct entry {
	char letter;            /* '\0' for none */
	const char *name;       /* NULL for none */
	const char *value_name; /* NULL: takes none */
	const char *help;       /* lines */
	/* Of no value: NULL, and the bool at `offset` is set. */
	bool (*apply)(struct offline_options *o, const char *value);
	size_t offset;
	unsigned commands;
};

static bool refuse(struct offline_options *o, const char *what,
		   const char *value)
{
	snprintf(o->problem, sizeof(o->problem), "%s (given: %.60s)", what,
		 value);
	return false;
}

static bool add_directory(struct offline_options *o, const char *value)
{
	if (value[0] == '\0') {
		return refuse(o, "a directory", "nothing");
	}
	if (o->from_count == OFFLINE_ARCHIVES_MAX) {
		return refuse(o, "too many directories", value);
	}
	o->from[o->from_count++] = value;
	return true;
}

static bool set_into(struct offline_options *o, const char *value)
{
	if (o->into != NULL || value[0] == '\0') {
		return refuse(o, "one directory", value);
	}
	o->into = value;
	return true;
}

static bool set_time(struct offline_options *o, const char *value)
{
	const char *why = when_parse(value, &o->to_time);

	return why == NULL || refuse(o, why, value);
}

static bool parse_hex(const char *digits, uint64_t *out)
{
	size_t len = strlen(digits);

	*out = 0;
	if (len < 1 || len > 16 ||
	    strspn(digits, "0123456789abcdefABCDEF") < len) {
		return false;
	}
	for (; *digits != '\0'; digits++) {
		int low = *digits & 15;

		*out = *out << 4 | (uint64_t)(*digits <= '9' ? low : low + 9);
	}
	return true;
}

/* As dump shows it, or as the name of a file has it behind a 0x. */
static bool set_lsn(struct offline_options *o, const char *value)
{
	bool ok = strncmp(value, "0x", 2) == 0 ?
			  parse_hex(value + 2, &o->to_lsn) :
			  num_parse_u64(value, strlen(value), &o->to_lsn);

	return (ok && o->to_lsn < UINT64_MAX) ||
	       refuse(o, "an LSN, as 1025 or 0x401", value);
}

static bool set_memory(struct offline_options *o, const char *value)
{
	uint64_t mib;

	if (!num_parse_u64(value, strlen(value), &mib) || mib < 8 ||
	    mib > MEMORY_MIB_MAX) {
		return refuse(o, "MiB, from 8 to 16777216", value);
	}
	o->memory_limit = mib * MIB;
	return true;
}

#define APPLY(function) .apply = (function)
#define SET(field) .offset = offsetof(struct offline_options, field)
#define OF(commands_) .commands = (commands_)
#define OF_EACH (OFFLINE_CHECK | OFFLINE_DUMP | OFFLINE_RESTORE)

static const struct entry table[] = {
	{ '\0', "archive", "DIR",
	  "where snapshots and journals are: an archive, or a data\n"
	  "directory; as often as there are such places",
	  APPLY(add_directory), OF(OFFLINE_RESTORE) },
	{ '\0', "to-time", "T",
	  "every change up to this second: Unix time,\n"
	  "\"2026-11-26 04:15:00\" (local), or 2026-11-26T04:15:00Z",
	  APPLY(set_time), OF(OFFLINE_RESTORE) },
	{ '\0', "to-lsn", "N",
	  "or: every change up to this one, as 1025 or 0x401", APPLY(set_lsn),
	  OF(OFFLINE_RESTORE) },
	{ '\0', "into", "DIR",
	  "becomes the data directory; it must be empty, and is\n"
	  "made if it is not there",
	  APPLY(set_into), OF(OFFLINE_RESTORE) },
	{ 'm', NULL, "MIB", "memory for the items meanwhile (what they need)",
	  APPLY(set_memory), OF(OFFLINE_RESTORE) },
	{ 'q', "quiet", NULL, "no progress line on a terminal", SET(quiet),
	  OF(OFFLINE_RESTORE) },
	{ '\0', "all", NULL,
	  "all snapshots and journals, not only the newest snapshot\n"
	  "and what follows it",
	  SET(all), OF(OFFLINE_DUMP) },
	{ '\0', "values", NULL, "show values too", SET(values),
	  OF(OFFLINE_DUMP) },
	{ 'h', "help", NULL, "this text", SET(help), OF(OF_EACH) },
};

enum { ENTRIES = sizeof(table) / sizeof(table[0]) };

/* ---- help --------------------------------------------------------------- */

const char *offline_command_name(enum offline_command c)
{
	return c == OFFLINE_CHECK ? "check" :
	       c == OFFLINE_DUMP  ? "dump" :
				    "restore";
}

static const char *usage(enum offline_command c)
{
	switch (c) {
	case OFFLINE_CHECK:
		return "usage: dozo check DIR\n\n"
		       "Reads every file of a data directory or archive, and "
		       "says whether it is whole.\n"
		       "Nothing is changed.\n\n";
	case OFFLINE_DUMP:
		return "usage: dozo dump [options] DIR\n\n"
		       "Shows the records of a data directory or archive, one "
		       "to a line.\n"
		       "Nothing is changed.\n\n";
	case OFFLINE_RESTORE:
		break;
	}
	return "usage: dozo restore --archive DIR [--archive DIR ...] "
	       "--to-time T|--to-lsn N\n"
	       "                    --into DIR [-m MIB]\n\n"
	       "Makes a data directory with everything as it was at a point in "
	       "time.\n\n";
}

static const char *statuses(enum offline_command c)
{
	switch (c) {
	case OFFLINE_CHECK:
		return "\nExit status: 0 all is well (an end that was cut off "
		       "by a crash is told); 1 there\n"
		       "is damage; 2 the command line is wrong, or it cannot "
		       "be read.\n";
	case OFFLINE_DUMP:
		return "\nExit status: 0 all was shown; 1 something is "
		       "damaged, and could not be shown;\n"
		       "2 the command line is wrong, or it cannot be read.\n";
	case OFFLINE_RESTORE:
		break;
	}
	return "\nExit status: 0 restored; 1 it cannot be restored, and "
	       "nothing was made; 2 the\n"
	       "command line is wrong.\n";
}

static void show_entry(const struct entry *e, FILE *out)
{
	const char *line = e->help;
	char head[64];

	snprintf(head, sizeof(head), "  %c%c%c %s%s%s%s",
		 e->letter != '\0' ? '-' : ' ',
		 e->letter != '\0' ? e->letter : ' ',
		 e->letter != '\0' && e->name != NULL ? ',' : ' ',
		 e->name != NULL ? "--" : "", e->name != NULL ? e->name : "",
		 e->value_name != NULL ? " " : "",
		 e->value_name != NULL ? e->value_name : "");
	for (;;) {
		int len = (int)strcspn(line, "\n");

		fprintf(out, "%-22s %.*s\n", head, len, line);
		if (line[len] == '\0') {
			break;
		}
		line += len + 1;
		head[0] = '\0';
	}
}

void offline_options_help(enum offline_command c, FILE *out)
{
	fputs(usage(c), out);
	for (size_t i = 0; i < ENTRIES; i++) {
		if ((table[i].commands & c) != 0) {
			show_entry(&table[i], out);
		}
	}
	fputs(statuses(c), out);
}

/* ---- reading ------------------------------------------------------------ */

static const struct entry *find(enum offline_command c, const char *word,
				size_t len, bool is_long)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		const struct entry *e = &table[i];

		if ((e->commands & c) == 0) {
			continue;
		}
		if (is_long ? e->name != NULL && strlen(e->name) == len &&
				      memcmp(e->name, word, len) == 0 :
			      e->letter != '\0' && e->letter == word[0]) {
			return e;
		}
	}
	return NULL;
}

/* Puts the option before what was said about its value. */
static bool apply(struct offline_options *o, const struct entry *e,
		  const char *value)
{
	char said[sizeof(o->problem)];
	char letter[2] = { e->letter, '\0' };
	const char *dashes = e->name != NULL ? "--" : "-";
	const char *name = e->name != NULL ? e->name : letter;

	if (value == NULL && e->value_name != NULL) {
		snprintf(o->problem, sizeof(o->problem), "%s%s needs a value",
			 dashes, name);
		return false;
	}
	if (e->apply == NULL) {
		*(bool *)((char *)o + e->offset) = true;
		return true;
	}
	if (e->apply(o, value)) {
		return true;
	}
	memcpy(said, o->problem, sizeof(said));
	snprintf(o->problem, sizeof(o->problem), "%s%s: %.160s", dashes, name,
		 said);
	return false;
}

/* The option at argv[*at], and its value, which may be the next word. */
static bool take_option(struct offline_options *o, enum offline_command c,
			int argc, char *const *argv, int *at)
{
	const char *word = argv[(*at)++];
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	size_t len = is_long ? strcspn(name, "=") : 1;
	const struct entry *e = find(c, name, len, is_long);
	const char *value = NULL;

	if (e == NULL) {
		snprintf(o->problem, sizeof(o->problem),
			 "%.60s: no such option; see dozo %s --help", word,
			 offline_command_name(c));
		return false;
	}
	if (name[len] != '\0') {
		value = name + len + (is_long ? 1 : 0);
	}
	if (value != NULL && e->value_name == NULL) {
		snprintf(o->problem, sizeof(o->problem),
			 "%.60s: this option takes no value", word);
		return false;
	}
	if (value == NULL && e->value_name != NULL && *at < argc) {
		value = argv[(*at)++];
	}
	return apply(o, e, value);
}

static bool conflict(struct offline_options *o, const char *text)
{
	snprintf(o->problem, sizeof(o->problem), "%s", text);
	return false;
}

/* What only the whole command line can tell. */
static bool check_whole(struct offline_options *o, enum offline_command c)
{
	bool by_lsn = o->to_lsn != UINT64_MAX;
	bool by_time = o->to_time != UINT32_MAX;

	if (c != OFFLINE_RESTORE) {
		return o->from_count == 1 ||
		       conflict(o, "one directory must be named");
	}
	if (o->from_count == 0) {
		return conflict(o, "--archive must say where the files are");
	}
	if (by_lsn == by_time) {
		return conflict(o, "one of --to-time and --to-lsn must say to "
				   "which point");
	}
	return o->into != NULL ||
	       conflict(o, "--into must say where the result goes");
}

bool offline_options_parse(struct offline_options *o, enum offline_command c,
			   int argc, char *const *argv)
{
	memset(o, 0, sizeof(*o));
	o->to_lsn = UINT64_MAX;
	o->to_time = UINT32_MAX;
	for (int at = 1; at < argc && !o->help;) {
		if (argv[at][0] == '-' && argv[at][1] != '\0') {
			if (!take_option(o, c, argc, argv, &at)) {
				return false;
			}
		} else if (c == OFFLINE_RESTORE) {
			return refuse(o, "directories follow an option",
				      argv[at]);
		} else if (!add_directory(o, argv[at++])) {
			return false;
		}
	}
	return o->help || check_whole(o, c);
}
