/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Options of the commands beside the server: -c 5, -c5, --connections 5 and
 * --connections=5 mean the same.  A command has a table of its options, and a
 * struct that they go into; reading and --help are the same for all of them.
 *
 * The server has a reader of its own (cmd/options.h), since memcached's forms
 * are others: letters behind one dash, names cut short, words behind -o.
 *
 * Reading is pure: it prints nothing, and fills only what it is given.
 */
#ifndef DOZO_CMD_ARG_TABLE_H
#define DOZO_CMD_ARG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ARG_PROBLEM_SIZE = 200 };

struct arg_entry {
	char letter;            /* '\0' for none */
	const char *name;       /* NULL for none */
	const char *value_name; /* NULL: takes none */
	const char *help;       /* lines */
	/*
	 * Puts the value into the command's struct; NULL, or what a value must
	 * be.  Of an entry without it, a field at `offset` of `width` bytes is
	 * set: a bool, or a whole number from `low` to `high`.
	 */
	const char *(*apply)(void *into, const char *value);
	size_t offset;
	size_t width;
	uint64_t low;
	uint64_t high;
	unsigned forms; /* bits: of which forms of a command; 0: of each */
};

/* For the rows of a table. */
#define ARG_APPLY(function) .apply = (function)
#define ARG_AT(into, field)                                                    \
	.offset = offsetof(struct into, field),                                \
	.width = sizeof(((struct into *)NULL)->field)
#define ARG_FROM(lowest, highest) .low = (lowest), .high = (highest)

struct arg_table {
	const char *command; /* "bench" */
	const struct arg_entry *entries;
	size_t count;
	unsigned form;   /* entries of others do not count; 0: each counts */
	int help_column; /* where in a line of help the text begins */
};

/* Is it an option?  Else it is a word of its own, as a lone dash is. */
bool arg_is_option(const char *word);

/*
 * Takes the option at argv[*at], and its value, and moves *at behind them.
 * False: `problem`, ARG_PROBLEM_SIZE, says in a line what is wrong.  Texts
 * point into argv.
 */
bool arg_table_take(const struct arg_table *t, void *into, int argc,
		    char *const *argv, int *at, char *problem);

/* Writes "what (given: value)" to `problem`; always false. */
bool arg_refuse(char *problem, const char *what, const char *value);

/* The lines of --help, an option each. */
void arg_table_help(const struct arg_table *t, FILE *out);

#endif
