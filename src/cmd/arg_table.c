/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading options by a command's table, and showing it.
 */
#include <string.h>

#include "base/num.h"
#include "cmd/arg_table.h"

/* An option as messages name it: the long name if it has one. */
struct shown {
	char text[40];
};

static struct shown show(const struct arg_entry *e)
{
	struct shown s;

	if (e->name != NULL) {
		snprintf(s.text, sizeof(s.text), "--%s", e->name);
	} else {
		snprintf(s.text, sizeof(s.text), "-%c", e->letter);
	}
	return s;
}

static bool is_of_form(const struct arg_table *t, const struct arg_entry *e)
{
	return e->forms == 0 || t->form == 0 || (e->forms & t->form) != 0;
}

bool arg_is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0';
}

bool arg_refuse(char *problem, const char *what, const char *value)
{
	snprintf(problem, ARG_PROBLEM_SIZE, "%s (given: %.60s)", what,
		 value[0] != '\0' ? value : "nothing");
	return false;
}

/* ---- reading ------------------------------------------------------------ */

static const struct arg_entry *find(const struct arg_table *t, const char *name,
				    size_t len, bool is_long)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct arg_entry *e = &t->entries[i];

		if (!is_of_form(t, e)) {
			continue;
		}
		if (is_long ? e->name != NULL && strlen(e->name) == len &&
				      memcmp(e->name, name, len) == 0 :
			      e->letter == name[0]) {
			return e;
		}
	}
	return NULL;
}

/* NULL, or what the value must be, perhaps written to `range`. */
static const char *apply_number(void *into, const struct arg_entry *e,
				const char *value, char range[80])
{
	char *field = (char *)into + e->offset;
	uint64_t number;
	uint32_t narrow;

	if (!num_parse_u64(value, strlen(value), &number) || number < e->low ||
	    number > e->high) {
		snprintf(range, 80, "from %llu to %llu",
			 (unsigned long long)e->low,
			 (unsigned long long)e->high);
		return range;
	}
	narrow = (uint32_t)number;
	if (e->width == sizeof(narrow)) {
		memcpy(field, &narrow, sizeof(narrow));
	} else {
		memcpy(field, &number, sizeof(number));
	}
	return NULL;
}

static bool apply(const struct arg_entry *e, void *into, const char *value,
		  char *problem)
{
	char range[80];
	char what[160];
	const char *why = NULL;

	if (e->apply != NULL) {
		why = e->apply(into, value);
	} else if (e->value_name == NULL) {
		*(bool *)((char *)into + e->offset) = true;
	} else {
		why = apply_number(into, e, value, range);
	}
	if (why == NULL) {
		return true;
	}
	snprintf(what, sizeof(what), "%s: %s", show(e).text, why);
	return arg_refuse(problem, what, value != NULL ? value : "");
}

bool arg_table_take(const struct arg_table *t, void *into, int argc,
		    char *const *argv, int *at, char *problem)
{
	const char *word = argv[(*at)++];
	bool is_long = word[1] == '-';
	const char *name = word + (is_long ? 2 : 1);
	size_t len = is_long ? strcspn(name, "=") : 1;
	const struct arg_entry *e = find(t, name, len, is_long);
	const char *value = NULL;

	if (e == NULL) {
		snprintf(problem, ARG_PROBLEM_SIZE,
			 "%.60s: no such option; see dozo %s --help", word,
			 t->command);
		return false;
	}
	if (name[len] != '\0') {
		value = name + len + (is_long ? 1 : 0);
	}
	if (value != NULL && e->value_name == NULL) {
		snprintf(problem, ARG_PROBLEM_SIZE, "%s takes no value",
			 show(e).text);
		return false;
	}
	if (value == NULL && e->value_name != NULL) {
		if (*at == argc) {
			snprintf(problem, ARG_PROBLEM_SIZE, "%s needs a value",
				 show(e).text);
			return false;
		}
		value = argv[(*at)++];
	}
	return apply(e, into, value, problem);
}

/* ---- help --------------------------------------------------------------- */

static void show_help(const struct arg_entry *e, int column, FILE *out)
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

		fprintf(out, "%-*s %.*s\n", column - 1, head, len, line);
		if (line[len] == '\0') {
			break;
		}
		line += len + 1;
		head[0] = '\0';
	}
}

void arg_table_help(const struct arg_table *t, FILE *out)
{
	for (size_t i = 0; i < t->count; i++) {
		if (is_of_form(t, &t->entries[i])) {
			show_help(&t->entries[i], t->help_column, out);
		}
	}
}
