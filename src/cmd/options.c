/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the command line by the table of option_table.c.
 *
 * The forms are those of getopt_long, which start scripts rely on: -p1 and
 * -p 1, -vvM, --port=1 and --port 1, a long name cut short as long as it is
 * unique, `_` for `-` in long names.  It is done here because getopt prints
 * its own messages and keeps its state in globals.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/num.h"
#include "cmd/options.h"
#include "persist/keeper.h"

struct cursor {
	int argc;
	char *const *argv;
	int at;
};

/* How much of what was given a message repeats. */
enum { SHOWN_MAX = 48 };

bool options_refuse(struct options *o, const struct option_use *use,
		    const char *what, ...)
{
	char text[160];
	va_list args;

	va_start(args, what);
	vsnprintf(text, sizeof(text), what, args);
	va_end(args);
	if (use->value == NULL) {
		snprintf(o->problem, sizeof(o->problem), "%s: %s", use->shown,
			 text);
		return false;
	}
	snprintf(o->problem, sizeof(o->problem), "%s: %s (given: %.*s)",
		 use->shown, text,
		 use->len < SHOWN_MAX ? (int)use->len : SHOWN_MAX, use->value);
	return false;
}

static bool is_unknown(struct options *o, const char *text, const char *why)
{
	snprintf(o->problem, sizeof(o->problem), "%.*s: %s", SHOWN_MAX, text,
		 why);
	return false;
}

/* Names an option without effect once in the list of such. */
static void note_idle(struct options *o, const char *shown)
{
	size_t len = strlen(o->idle);
	size_t shown_len = strlen(shown);

	for (const char *at = o->idle; *at != '\0';) {
		size_t name_len = strcspn(at, ",");

		if (name_len == shown_len && memcmp(at, shown, name_len) == 0) {
			return;
		}
		at += name_len;
		at += strspn(at, ", ");
	}
	snprintf(o->idle + len, sizeof(o->idle) - len, "%s%s",
		 len > 0 ? ", " : "", shown);
}

static void *field_of(struct options *o, const struct option_entry *e)
{
	return (char *)&o->settings + e->field;
}

static void store_number(struct options *o, const struct option_entry *e,
			 int64_t number)
{
	if (e->width == sizeof(uint32_t)) {
		uint32_t narrow = (uint32_t)number;

		memcpy(field_of(o, e), &narrow, sizeof(narrow));
	} else if (e->width == sizeof(uint64_t)) {
		memcpy(field_of(o, e), &number, sizeof(number));
	}
}

static bool check_range(struct options *o, const struct option_use *use,
			int64_t number, int64_t unit)
{
	const struct option_entry *e = use->entry;

	if (number < e->min) {
		return options_refuse(o, use, "must be at least %lld",
				      (long long)(e->min / unit));
	}
	if (number > e->max) {
		return options_refuse(o, use, "must be at most %lld",
				      (long long)(e->max / unit));
	}
	return true;
}

static bool apply_number(struct options *o, const struct option_use *use)
{
	int64_t unit = use->entry->unit != 0 ? use->entry->unit : 1;
	int64_t number;

	if (!num_parse_s64(use->value, use->len, &number)) {
		return options_refuse(o, use, "must be a whole number");
	}
	if (!check_range(o, use, number, 1)) {
		return false;
	}
	store_number(o, use->entry, number * unit);
	return true;
}

/* The factor that the letter behind a size stands for; 0 for none such. */
static int64_t suffix_unit(char letter)
{
	switch (letter) {
	case 'k':
	case 'K':
		return 1 << 10;
	case 'm':
	case 'M':
		return 1 << 20;
	case 'g':
	case 'G':
		return 1 << 30;
	default:
		return 0;
	}
}

/*
 * A suffix below the unit is refused: memcached reads `-m 2048k` as 2048
 * MiB, and neither reading is surely what was meant.
 */
static bool apply_size(struct options *o, const struct option_use *use)
{
	int64_t plain = use->entry->unit;
	int64_t unit = plain;
	int64_t number;
	size_t len = use->len;

	if (len > 0 && suffix_unit(use->value[len - 1]) >= plain) {
		len--;
		unit = suffix_unit(use->value[len]);
	}
	if (!num_parse_s64(use->value, len, &number)) {
		return options_refuse(o, use,
				      plain == 1 ? "must be a number of bytes, "
						   "or one with k, m or g" :
						   "must be a number of MiB, "
						   "or one with m or g");
	}
	if (__builtin_mul_overflow(number, unit, &number)) {
		number = INT64_MAX;
	}
	if (!check_range(o, use, number, plain)) {
		return false;
	}
	store_number(o, use->entry, number);
	return true;
}

static bool apply_real(struct options *o, const struct option_use *use)
{
	const struct option_entry *e = use->entry;
	char text[32];
	char *end;
	double number;

	if (use->len == 0 || use->len >= sizeof(text) ||
	    strspn(use->value, "0123456789.") < use->len) {
		return options_refuse(o, use, "must be a number like 1.25");
	}
	memcpy(text, use->value, use->len);
	text[use->len] = '\0';
	number = strtod(text, &end);
	if (*end != '\0') {
		return options_refuse(o, use, "must be a number like 1.25");
	}
	if (number <= e->above) {
		return options_refuse(o, use, "must be more than %g", e->above);
	}
	if (e->below > 0 && number >= e->below) {
		return options_refuse(o, use, "must be less than %g", e->below);
	}
	if (e->width == sizeof(double)) {
		memcpy(field_of(o, e), &number, sizeof(number));
	}
	return true;
}

static void store_bool(struct options *o, const struct option_entry *e,
		       bool value)
{
	memcpy(field_of(o, e), &value, sizeof(value));
}

static bool apply_kind(struct options *o, const struct option_use *use)
{
	const struct option_entry *e = use->entry;

	switch (e->kind) {
	case OPTION_TRUE:
	case OPTION_FALSE:
		store_bool(o, e, e->kind == OPTION_TRUE);
		return true;
	case OPTION_NUMBER:
		return use->value == NULL || apply_number(o, use);
	case OPTION_SIZE:
		return apply_size(o, use);
	case OPTION_REAL:
		return apply_real(o, use);
	case OPTION_TEXT:
		if (use->len == 0) {
			return options_refuse(o, use, "must not be empty");
		}
		if (e->width == sizeof(char *)) {
			memcpy(field_of(o, e), &use->value, sizeof(char *));
		}
		return true;
	case OPTION_BARE:
		break;
	}
	return true;
}

static bool takes_value(const struct option_entry *e)
{
	return e->kind >= OPTION_NUMBER;
}

static bool apply(struct options *o, const struct option_use *use)
{
	const struct option_entry *e = use->entry;

	if (e->effect == OPTION_REFUSED) {
		snprintf(o->problem, sizeof(o->problem), "%s: %s", use->shown,
			 e->help);
		return false;
	}
	if (takes_value(e) && use->value == NULL && !e->value_optional) {
		return options_refuse(o, use, "needs a value (%s)",
				      e->value_name);
	}
	if (!takes_value(e) && use->value != NULL && e->effect != OPTION_IDLE) {
		return options_refuse(o, use, "takes no value");
	}
	if (!apply_kind(o, use)) {
		return false;
	}
	if (e->apply != NULL && !e->apply(o, use)) {
		return false;
	}
	if (e->effect == OPTION_IDLE) {
		note_idle(o, use->shown);
	}
	return true;
}

static const struct option_entry *find_letter(char letter)
{
	for (size_t i = 0; i < option_count; i++) {
		if (letter != '\0' && option_table[i].letter == letter) {
			return &option_table[i];
		}
	}
	return NULL;
}

static const struct option_entry *find_word(const char *name, size_t len)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];

		if (e->home == OPTION_WORD && strlen(e->name) == len &&
		    memcmp(e->name, name, len) == 0) {
			return e;
		}
	}
	return NULL;
}

static bool is_prefix(const char *name, const char *given, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((given[i] == '_' ? '-' : given[i]) != name[i]) {
			return false;
		}
	}
	return true;
}

/* The flag of that long name, or the only one that begins so. */
static const struct option_entry *find_long(const char *given, size_t len,
					    bool *ambiguous)
{
	const struct option_entry *found = NULL;

	*ambiguous = false;
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];

		if (e->home != OPTION_FLAG || e->name == NULL ||
		    !is_prefix(e->name, given, len)) {
			continue;
		}
		if (e->name[len] == '\0') {
			*ambiguous = false;
			return e;
		}
		*ambiguous = found != NULL;
		found = e;
	}
	return *ambiguous ? NULL : found;
}

static void use_value(struct option_use *use, const char *value)
{
	use->value = value;
	use->len = value != NULL ? strlen(value) : 0;
}

/* The next word of the command line as a value, or none. */
static const char *next_word(struct cursor *c)
{
	return c->at < c->argc ? c->argv[c->at++] : NULL;
}

static bool take_long(struct options *o, struct cursor *c, const char *text)
{
	size_t len = strcspn(text + 2, "=");
	struct option_use use = { .entry = NULL };
	bool ambiguous = false;

	use.entry = len > 0 ? find_long(text + 2, len, &ambiguous) : NULL;
	if (use.entry == NULL) {
		return is_unknown(o, text,
				  len > 0 && ambiguous ?
					  "could be several options" :
					  "unknown option; see dozo -h");
	}
	snprintf(use.shown, sizeof(use.shown), "--%s", use.entry->name);
	if (text[2 + len] == '=') {
		use_value(&use, text + 2 + len + 1);
	} else if (takes_value(use.entry) &&
		   use.entry->effect != OPTION_REFUSED) {
		use_value(&use, next_word(c));
	}
	return apply(o, &use);
}

/* Letters behind one dash; the first that takes a value takes the rest. */
static bool take_letters(struct options *o, struct cursor *c, const char *text)
{
	for (const char *at = text + 1; *at != '\0'; at++) {
		struct option_use use = { .entry = find_letter(*at) };

		if (use.entry == NULL) {
			return is_unknown(o, (char[]){ '-', *at, '\0' },
					  "unknown option; see dozo -h");
		}
		snprintf(use.shown, sizeof(use.shown), "-%c", *at);
		if (takes_value(use.entry) &&
		    use.entry->effect != OPTION_REFUSED) {
			use_value(&use, at[1] != '\0' ? at + 1 : next_word(c));
			return apply(o, &use);
		}
		if (!apply(o, &use)) {
			return false;
		}
		if (o->action != OPTIONS_RUN) {
			break;
		}
	}
	return true;
}

static bool take_one(struct options *o, struct cursor *c)
{
	const char *text = c->argv[c->at++];

	if (text[0] != '-' || text[1] == '\0') {
		return is_unknown(o, text, "is not an option; see dozo -h");
	}
	if (text[1] == '-') {
		return take_long(o, c, text);
	}
	return take_letters(o, c, text);
}

bool options_parse_words(struct options *o, const struct option_use *use)
{
	const char *text = use->value;
	const char *end = text + use->len;

	while (text < end) {
		size_t len = strcspn(text, ",");
		size_t name_len = strcspn(text, "=,");
		struct option_use word = { .entry = find_word(text, name_len) };

		snprintf(word.shown, sizeof(word.shown), "-o %.*s",
			 (int)name_len, text);
		if (name_len < len) {
			word.value = text + name_len + 1;
			word.len = len - name_len - 1;
		}
		if (len > 0 && word.entry == NULL) {
			return is_unknown(o, word.shown, "unknown word");
		}
		if (len > 0 && !apply(o, &word)) {
			return false;
		}
		text += len < (size_t)(end - text) ? len + 1 : len;
	}
	return true;
}

static bool refuse_whole(struct options *o, const char *problem)
{
	snprintf(o->problem, sizeof(o->problem), "%s", problem);
	return false;
}

/* Twice the window may wait, and that is half of the memory at most. */
static bool settle_log_window(struct options *o)
{
	struct settings *s = &o->settings;
	uint64_t most = s->memory_limit / 4;

	if (most < LOG_WINDOW_BYTES_MIN) {
		most = LOG_WINDOW_BYTES_MIN;
	}
	if (s->log_window > most) {
		snprintf(o->problem, sizeof(o->problem),
			 "--log-window: must be at most a quarter of -m (%llu "
			 "bytes, memory of %llu)",
			 (unsigned long long)s->log_window,
			 (unsigned long long)s->memory_limit);
		return false;
	}
	if (s->log_window == 0) {
		s->log_window = s->memory_limit / LOG_WINDOW_SHARE;
		if (s->log_window < LOG_WINDOW_DEFAULT_MIN) {
			s->log_window = LOG_WINDOW_DEFAULT_MIN;
		}
		if (s->log_window > LOG_WINDOW_DEFAULT_MAX) {
			s->log_window = LOG_WINDOW_DEFAULT_MAX;
		}
		if (s->log_window > most) {
			s->log_window = most;
		}
	}
	return true;
}

static bool check_keeping(struct options *o)
{
	struct settings *s = &o->settings;

	if (s->data_dir == NULL && o->sync_given) {
		return refuse_whole(o, "--fsync: needs --data-dir");
	}
	if (s->data_dir == NULL && o->needs_data_dir[0] != '\0') {
		snprintf(o->problem, sizeof(o->problem), "%s: needs --data-dir",
			 o->needs_data_dir);
		return false;
	}
	if (s->memory_file && !o->sync_given) {
		s->sync = SYNC_NEVER;
	}
	return settle_log_window(o);
}

/* What only the whole command line can tell. */
static bool check_whole(struct options *o)
{
	struct settings *s = &o->settings;
	char why[ADDRESS_WHY_ROOM];

	if (o->udp_port_given && s->udp_port > 0 && !o->tcp_port_given) {
		s->tcp_port = s->udp_port;
	}
	if (s->item_max > s->memory_limit / 2) {
		snprintf(o->problem, sizeof(o->problem),
			 "-I: must be at most half of -m (an item of %llu "
			 "bytes, memory of %llu)",
			 (unsigned long long)s->item_max,
			 (unsigned long long)s->memory_limit);
		return false;
	}
	if (!check_keeping(o)) {
		return false;
	}
	if (s->hot_lru_pct + s->warm_lru_pct > 80) {
		return refuse_whole(o, "-o hot_lru_pct: must be at most 80 "
				       "together with warm_lru_pct");
	}
	if (s->temp_lru && !s->lru_maintainer) {
		return refuse_whole(o, "-o temporary_ttl: does not go with "
				       "no_lru_maintainer");
	}
	if (s->tcp_port == 0 && s->unix_path == NULL) {
		return refuse_whole(o, "-p: 0 leaves nothing to listen on "
				       "without -s");
	}
	if (s->inter != NULL &&
	    !address_list_parse(&o->addresses, s->inter,
				s->tcp_port > 0 ? s->tcp_port : 0, why)) {
		snprintf(o->problem, sizeof(o->problem), "-l: %s", why);
		return false;
	}
	return true;
}

/* A problem is one line whatever was given. */
static void clean_problem(struct options *o)
{
	for (char *c = o->problem; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f) {
			*c = '?';
		}
	}
}

static bool take_all(struct options *o, struct cursor *c)
{
	while (c->at < c->argc && o->action == OPTIONS_RUN) {
		if (!take_one(o, c)) {
			return false;
		}
	}
	return o->action != OPTIONS_RUN || check_whole(o);
}

bool options_parse(struct options *o, int argc, char *const *argv)
{
	struct cursor c = { .argc = argc, .argv = argv, .at = 1 };

	memset(o, 0, sizeof(*o));
	settings_init(&o->settings);
	if (!take_all(o, &c)) {
		clean_problem(o);
		return false;
	}
	return true;
}

void options_release(struct options *o)
{
	free(o->listen);
	o->listen = NULL;
	o->settings.inter = NULL;
}

enum { HELP_COLUMN = 32 };

static void print_help_entry(FILE *out, const struct option_entry *e)
{
	char head[64];
	const char *line = e->help;

	if (e->home == OPTION_WORD) {
		snprintf(head, sizeof(head), "  %s%s%s", e->name,
			 e->value_name != NULL ? "=" : "",
			 e->value_name != NULL ? e->value_name : "");
	} else {
		char letter[4] = { '-', e->letter, e->name ? ',' : '\0', '\0' };

		snprintf(head, sizeof(head), "%-3s%s%s%s%s",
			 e->letter != '\0' ? letter : "",
			 e->name != NULL ? " --" : "",
			 e->name != NULL ? e->name : "",
			 e->value_name == NULL ? "" :
			 e->name != NULL       ? "=" :
						 " ",
			 e->value_name != NULL ? e->value_name : "");
	}
	fprintf(out, "%-*s", HELP_COLUMN - 1, head);
	while (line != NULL) {
		size_t len = strcspn(line, "\n");

		fprintf(out, " %.*s\n", (int)len, line);
		line = line[len] == '\n' ? line + len + 1 : NULL;
		if (line != NULL) {
			fprintf(out, "%-*s", HELP_COLUMN - 1, "");
		}
	}
}

static void print_help_part(FILE *out, enum option_home home)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];

		if (e->home == home && e->effect == OPTION_WORKS &&
		    !e->unlisted) {
			print_help_entry(out, e);
		}
	}
}

static void print_idle_names(FILE *out)
{
	int column = 0;

	for (size_t i = 0; i < option_count; i++) {
		const struct option_entry *e = &option_table[i];
		char name[64];

		if (e->effect != OPTION_IDLE || e->unlisted) {
			continue;
		}
		if (e->home == OPTION_FLAG) {
			snprintf(name, sizeof(name), "-%c", e->letter);
		} else {
			snprintf(name, sizeof(name), "%s", e->name);
		}
		if (column + 1 + (int)strlen(name) > 78) {
			fputc('\n', out);
			column = 0;
		}
		column += fprintf(out, "%s%s", column == 0 ? "  " : " ", name);
	}
	fputc('\n', out);
}

void options_print_help(FILE *out)
{
	fprintf(out,
		"dozo %s (memcached %s compatible)\n"
		"usage: dozo [server] [options]\n\n",
		DOZO_VERSION, SETTINGS_VERSION);
	print_help_part(out, OPTION_FLAG);
	fputs("\nWords behind -o:\n", out);
	print_help_part(out, OPTION_WORD);
	fputs("\nAccepted without effect, since they tune what dozo does not "
	      "have:\n",
	      out);
	print_idle_names(out);
}
