/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line.  One table names every option, memcached's letters and
 * long names and the words behind -o, with its value, its range, its help
 * text and whether it works here.  Parsing, -h and docs/OPTIONS.md all read
 * that table.
 *
 * Parsing is pure: it fills `struct settings` and says what is wrong; it
 * prints nothing and touches nothing outside.
 */
#ifndef DOZO_CMD_OPTIONS_H
#define DOZO_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cmd/address.h"
#include "node/settings.h"

enum option_home {
	OPTION_FLAG, /* -p, --port */
	OPTION_WORD, /* behind -o */
};

enum option_effect {
	OPTION_WORKS,
	OPTION_IDLE,    /* accepted: it tunes what this design does not have */
	OPTION_REFUSED, /* not built: to accept it would be a lie */
};

enum option_kind {
	OPTION_BARE,   /* no value */
	OPTION_TRUE,   /* no value; sets a bool */
	OPTION_FALSE,  /* no value; clears a bool */
	OPTION_NUMBER, /* whole, min to max, times unit */
	OPTION_SIZE,   /* bytes, min to max; a bare number counts unit bytes */
	OPTION_REAL,   /* between above and below, both excluded */
	OPTION_TEXT,   /* not empty */
};

struct options;

/* One use of an option: its entry, its name and value as given. */
struct option_use {
	const struct option_entry *entry;
	char shown[48];    /* "-c", "--conn-limit", "-o idle_timeout" */
	const char *value; /* NULL for none; not ended, see len */
	size_t len;
};

struct option_entry {
	char letter;      /* '\0' for none */
	const char *name; /* long name or word; NULL for none */
	enum option_home home;
	enum option_effect effect;
	enum option_kind kind;
	bool value_optional;
	bool unlisted; /* not in -h: tools would take its name for a promise */
	const char *value_name; /* for people; NULL without a value */
	size_t field;           /* where in struct settings; see width */
	size_t width;           /* its bytes; 0 for no field */
	int64_t min;
	int64_t max;
	int64_t unit; /* 0 counts as 1 */
	double above;
	double below;
	/* Runs after the generic part; for what a field cannot say. */
	bool (*apply)(struct options *o, const struct option_use *use);
	const char *help; /* lines; why, for what is refused */
};

extern const struct option_entry option_table[];
extern const size_t option_count;

enum option_action {
	OPTIONS_RUN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_LICENCE,
};

struct options {
	enum option_action action;
	struct settings settings;
	struct address_list addresses; /* of -l; count 0 for none given */
	bool conn_limit_given;
	bool tcp_port_given;
	bool udp_port_given;
	bool sync_given;
	char needs_data_dir[48]; /* an option given that is idle without it */
	char *listen;      /* all -l, joined; settings.inter points to it */
	char idle[512];    /* names of idle options given, for one warning */
	char problem[320]; /* what is wrong and why, one line */
};

/*
 * Reads argv[1] to argv[argc - 1].  False: `problem` says what is wrong.
 * Texts in settings point into argv, which must outlive `o`.  Either way
 * options_release() ends it.
 */
bool options_parse(struct options *o, int argc, char *const *argv);
void options_release(struct options *o);

/* Sets `problem` to "NAME: what (given: VALUE)"; always false. */
bool options_refuse(struct options *o, const struct option_use *use,
		    const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* Reads the comma list behind -o. */
bool options_parse_words(struct options *o, const struct option_use *use);

/* What -h prints. */
void options_print_help(FILE *out);

#endif
