/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the options of the commands that work on files: --archive A and
 * --archive=A mean the same, as -m 64 and -m64 do; a word without a dash is
 * the directory.
 */
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cmd/arg_table.h"
#include "cmd/offline_options.h"
#include "persist/when.h"

#define MEMORY_MIB_MAX (1ULL << 24) /* 16 TiB */

static const char *add_directory(void *into, const char *value)
{
	struct offline_options *o = into;

	if (value[0] == '\0') {
		return "a directory";
	}
	if (o->from_count == OFFLINE_ARCHIVES_MAX) {
		return "too many directories";
	}
	o->from[o->from_count++] = value;
	return NULL;
}

static const char *set_into(void *into, const char *value)
{
	struct offline_options *o = into;

	if (o->into != NULL || value[0] == '\0') {
		return "one directory";
	}
	o->into = value;
	return NULL;
}

static const char *set_time(void *into, const char *value)
{
	struct offline_options *o = into;

	return when_parse(value, &o->to_time);
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
static const char *set_lsn(void *into, const char *value)
{
	struct offline_options *o = into;
	bool ok = strncmp(value, "0x", 2) == 0 ?
			  parse_hex(value + 2, &o->to_lsn) :
			  num_parse_u64(value, strlen(value), &o->to_lsn);

	return ok && o->to_lsn < UINT64_MAX ? NULL : "an LSN, as 1025 or 0x401";
}

static const char *set_memory(void *into, const char *value)
{
	struct offline_options *o = into;
	uint64_t mib;

	if (!num_parse_u64(value, strlen(value), &mib) || mib < 8 ||
	    mib > MEMORY_MIB_MAX) {
		return "MiB, from 8 to 16777216";
	}
	o->memory_limit = mib * MIB;
	return NULL;
}

#define APPLY ARG_APPLY
#define SET(field) ARG_AT(offline_options, field)
#define OF(commands) .forms = (commands)

static const struct arg_entry entries[] = {
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
	{ 'h', "help", NULL, "this text", SET(help) },
};

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

static struct arg_table table_of(enum offline_command c)
{
	return (struct arg_table){
		.command = offline_command_name(c),
		.entries = entries,
		.count = sizeof(entries) / sizeof(entries[0]),
		.form = c,
		.help_column = 23,
	};
}

void offline_options_help(enum offline_command c, FILE *out)
{
	struct arg_table table = table_of(c);

	fputs(usage(c), out);
	arg_table_help(&table, out);
	fputs(statuses(c), out);
}

/* ---- reading ------------------------------------------------------------ */

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
	struct arg_table table = table_of(c);

	memset(o, 0, sizeof(*o));
	o->to_lsn = UINT64_MAX;
	o->to_time = UINT32_MAX;
	for (int at = 1; at < argc && !o->help;) {
		const char *word = argv[at];
		const char *why;

		if (arg_is_option(word)) {
			if (!arg_table_take(&table, o, argc, argv, &at,
					    o->problem)) {
				return false;
			}
			continue;
		}
		why = c == OFFLINE_RESTORE ? "directories follow an option" :
					     add_directory(o, word);
		if (why != NULL) {
			return arg_refuse(o->problem, why, word);
		}
		at++;
	}
	return o->help || check_whole(o, c);
}
