/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands of operators: flush, limits, dumps, watchers, and those of
 * memcached's slabs and LRU lists, which are answered politely where this
 * design has nothing to tune.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/num.h"
#include "node/dump.h"
#include "node/handlers.h"
#include "node/node_state.h"

enum { MEMLIMIT_MAX_MB = 1000000000, CRAWLER_SLEEP_MAX_US = 1000000 };

/* A one-line answer that noreply silences. */
static void answer(struct session *s, const struct request *r, const char *text)
{
	if (!r->noreply) {
		output_printf(s, "%s\r\n", text);
	}
}

static bool word_is(const struct request *r, int i, const char *text)
{
	return i < r->word_count && span_is(r->words[i], text);
}

static bool word_u32(const struct request *r, int i, uint32_t *out)
{
	return i < r->word_count &&
	       num_parse_u32(r->words[i].data, r->words[i].len, out);
}

/* A number with an optional fraction, as people write ratios. */
static bool word_double(const struct request *r, int i, double *out)
{
	char text[32];
	char *end;

	if (i >= r->word_count || r->words[i].len == 0 ||
	    r->words[i].len >= sizeof(text)) {
		return false;
	}
	memcpy(text, r->words[i].data, r->words[i].len);
	text[r->words[i].len] = '\0';
	*out = strtod(text, &end);
	return *end == '\0';
}

void handle_flush_all(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct node *n = w->node;
	enum store_result result;
	int64_t delay = 0;
	uint64_t lsn = 0;
	uint32_t at = 0;

	if (!n->settings->flush_enabled) {
		answer(s, r, "CLIENT_ERROR flush_all not allowed");
		return;
	}
	if (r->word_count > 1 &&
	    (!num_parse_s64(r->words[1].data, r->words[1].len, &delay) ||
	     delay > INT32_MAX || delay < INT32_MIN)) {
		session_answer(s, r, REPLY_BAD_EXPTIME);
		return;
	}
	worker_count(w, cmd_flush);
	if (delay > 0) {
		at = exptime_from_wire((int32_t)delay, w->now_s) - 1;
	}
	if (at >= w->now_s) {
		result = store_flush_at(n->store, at, w->now_s, &lsn);
	} else {
		result = store_flush(n->store, w->now_s, &lsn);
	}
	session_depends(s, lsn);
	session_answer(s, r, result == STORE_OK ? REPLY_OK : REPLY_NO_MEMORY);
}

void handle_version(struct session *s, const struct request *r)
{
	(void)r;
	output_printf(s, "VERSION %s\r\n", s->worker->node->settings->version);
}

void handle_verbosity(struct session *s, const struct request *r)
{
	uint32_t level;

	if (!word_u32(r, 1, &level)) {
		session_answer(s, r, REPLY_BAD_FORMAT);
		return;
	}
	diag_set_verbosity(level > 2 ? 2 : (int)level);
	session_answer(s, r, REPLY_OK);
}

void handle_quit(struct session *s, const struct request *r)
{
	(void)r;
	s->closing = true;
}

void handle_shutdown(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;

	if (!n->settings->shutdown_enabled) {
		answer(s, r, "SERVER_ERROR: shutdown not enabled");
	} else if (r->word_count == 1) {
		node_stop(n, STOP_NORMAL);
	} else if (word_is(r, 1, "graceful")) {
		node_stop(n, STOP_GRACEFUL);
	} else {
		answer(s, r, "CLIENT_ERROR invalid shutdown mode");
	}
}

void handle_cache_memlimit(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;
	uint32_t mb;

	if (!word_u32(r, 1, &mb)) {
		session_answer(s, r, REPLY_ERROR);
	} else if (mb < MEMORY_LIMIT_MIN / MIB) {
		answer(s, r,
		       "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than "
		       "8m");
	} else if (mb > MEMLIMIT_MAX_MB) {
		answer(s, r,
		       "MEMLIMIT_ADJUST_FAILED input value is megabytes not "
		       "bytes");
	} else if (!store_set_limit(n->store, (uint64_t)mb * MIB)) {
		answer(s, r,
		       "MEMLIMIT_ADJUST_FAILED out of bounds or unable to "
		       "adjust");
	} else {
		diag(DIAG_NOTE, "the memory limit is now %u MiB", mb);
		session_answer(s, r, REPLY_OK);
	}
}

void handle_snapshot(struct session *s, const struct request *r)
{
	struct keeper *k = s->worker->node->keeping.keeper;

	if (k == NULL) {
		answer(s, r, "CLIENT_ERROR nothing is kept: no --data-dir");
	} else if (keeper_snapshot(k)) {
		session_answer(s, r, REPLY_OK);
	} else {
		answer(s, r, "BUSY a snapshot is being taken");
	}
}

/* There is no TLS: the command is unknown, as in a build without it. */
void handle_refresh_certs(struct session *s, const struct request *r)
{
	session_answer(s, r, REPLY_ERROR);
}

void handle_extstore(struct session *s, const struct request *r)
{
	session_answer(s, r, REPLY_ERROR);
}

/* ---- watch ------------------------------------------------------------- */

void handle_watch(struct session *s, const struct request *r)
{
	struct node *n = s->worker->node;
	unsigned kinds;

	if (!n->settings->watch_enabled) {
		output_text(s, "CLIENT_ERROR watch commands not allowed\r\n");
		return;
	}
	if (output_pending(s) > 0) {
		output_text(s, "ERROR cannot pipeline other commands before "
			       "watch\r\n");
		return;
	}
	if (!watch_parse_kinds(r, &kinds)) {
		output_reply(s, REPLY_ERROR);
		return;
	}
	switch (watch_add(s, kinds, n->settings->watcher_logbuf_size)) {
	case WATCH_ADDED:
		output_reply(s, REPLY_OK);
		break;
	case WATCH_TOO_MANY:
		output_text(s, "WATCHER_TOO_MANY log watcher limit reached"
			       "\r\n");
		break;
	case WATCH_NO_MEMORY:
		output_text(s, "WATCHER_FAILED failed to add log watcher"
			       "\r\n");
		break;
	}
}

/* ---- lru_crawler ------------------------------------------------------- */

/* Class lists name memcached's slab classes; here class 1 holds it all. */
enum classes { CLASSES_BAD, CLASSES_ALL, CLASSES_NONE };

static enum classes parse_classes(const struct request *r, int i)
{
	enum classes result = CLASSES_NONE;
	struct span list;

	if (i >= r->word_count) {
		return CLASSES_NONE;
	}
	if (word_is(r, i, "all") || word_is(r, i, "hash")) {
		return CLASSES_ALL;
	}
	list = r->words[i];
	while (list.len > 0) {
		const char *comma = memchr(list.data, ',', list.len);
		size_t len = comma == NULL ? list.len :
					     (size_t)(comma - list.data);
		uint32_t id;

		if (!num_parse_u32(list.data, len, &id) || id < 1 || id > 63) {
			return CLASSES_BAD;
		}
		if (id == CLASS_ITEMS) {
			result = CLASSES_ALL;
		}
		len = comma == NULL ? len : len + 1;
		list.data += len;
		list.len -= len;
	}
	return result;
}

static void crawler_dump(struct session *s, const struct request *r,
			 enum dump_kind kind)
{
	struct node *n = s->worker->node;
	const char *name = kind == DUMP_META ? "metadump" : "mgdump";
	enum classes classes;

	if (!n->settings->dump_enabled) {
		answer(s, r,
		       kind == DUMP_META ? "ERROR metadump not allowed" :
					   "ERROR key dump not allowed");
		return;
	}
	if (output_pending(s) > 0) {
		if (!r->noreply) {
			output_printf(s,
				      "ERROR cannot pipeline other commands "
				      "before %s\r\n",
				      name);
		}
		return;
	}
	classes = parse_classes(r, 2);
	if (classes == CLASSES_BAD) {
		answer(s, r, "BADCLASS invalid class id");
		return;
	}
	if (classes == CLASSES_NONE) {
		output_reply(s, REPLY_OK);
		output_reply(s, kind == DUMP_META ? REPLY_END : REPLY_EN);
		return;
	}
	if (atomic_load(&n->dumps_running) >= DUMPS_MAX) {
		answer(s, r, "BUSY currently processing crawler request");
		return;
	}
	if (!dump_start(s, kind)) {
		session_answer(s, r, REPLY_NO_MEMORY);
		return;
	}
	output_reply(s, REPLY_OK);
	dump_continue(s);
}

/* Upkeep sweeps by itself; a crawl asked for makes it do so now. */
static void crawler_crawl(struct session *s, const struct request *r)
{
	switch (parse_classes(r, 2)) {
	case CLASSES_BAD:
		answer(s, r, "BADCLASS invalid class id");
		break;
	case CLASSES_NONE:
		answer(s, r, "NOTSTARTED no items to crawl");
		break;
	case CLASSES_ALL:
		control_sweep_now(&s->worker->node->control);
		session_answer(s, r, REPLY_OK);
		break;
	}
}

static void crawler_switch(struct session *s, const struct request *r, bool on)
{
	struct tuning *tuning = &s->worker->node->tuning;
	struct tuning_values values = tuning_read(tuning);

	if (values.lru_crawler == on) {
		answer(s, r,
		       on ? "ERROR failed to start lru crawler thread" :
			    "ERROR failed to stop lru crawler thread");
		return;
	}
	values.lru_crawler = on;
	tuning_write(tuning, &values);
	session_answer(s, r, REPLY_OK);
}

static void crawler_number(struct session *s, const struct request *r)
{
	struct tuning *tuning = &s->worker->node->tuning;
	struct tuning_values values = tuning_read(tuning);
	uint32_t number;

	if (!word_u32(r, 2, &number)) {
		session_answer(s, r, REPLY_BAD_FORMAT);
		return;
	}
	if (word_is(r, 1, "tocrawl")) {
		values.crawler_tocrawl = number;
	} else if (number > CRAWLER_SLEEP_MAX_US) {
		answer(s, r, "CLIENT_ERROR sleep must be one second or less");
		return;
	} else {
		values.crawler_sleep = number;
	}
	tuning_write(tuning, &values);
	session_answer(s, r, REPLY_OK);
}

static bool crawls(const struct request *r)
{
	return word_is(r, 1, "crawl") || word_is(r, 1, "metadump") ||
	       word_is(r, 1, "mgdump");
}

void handle_lru_crawler(struct session *s, const struct request *r)
{
	if (crawls(r) && !tuning_read(&s->worker->node->tuning).lru_crawler) {
		answer(s, r, "CLIENT_ERROR lru crawler disabled");
	} else if (word_is(r, 1, "metadump")) {
		crawler_dump(s, r, DUMP_META);
	} else if (word_is(r, 1, "mgdump")) {
		crawler_dump(s, r, DUMP_MG);
	} else if (word_is(r, 1, "crawl")) {
		crawler_crawl(s, r);
	} else if (word_is(r, 1, "enable") || word_is(r, 1, "disable")) {
		crawler_switch(s, r, word_is(r, 1, "enable"));
	} else if (word_is(r, 1, "sleep") || word_is(r, 1, "tocrawl")) {
		crawler_number(s, r);
	} else {
		session_answer(s, r, REPLY_ERROR);
	}
}

/* ---- slabs, lru: nothing to tune here ---------------------------------- */

static void slabs_reassign(struct session *s, const struct request *r)
{
	int64_t from;
	int64_t to;

	if (r->word_count < 4 ||
	    !num_parse_s64(r->words[2].data, r->words[2].len, &from) ||
	    !num_parse_s64(r->words[3].data, r->words[3].len, &to)) {
		session_answer(s, r, REPLY_BAD_FORMAT);
	} else if (!s->worker->node->settings->slab_reassign) {
		answer(s, r, "CLIENT_ERROR slab reassignment disabled");
	} else if (from == to) {
		answer(s, r, "SAME src and dst class are identical");
	} else if (from != CLASS_ITEMS || to < 0 || to > 63) {
		answer(s, r, "BADCLASS invalid src or dst class id");
	} else {
		answer(s, r, "NOSPARE source class has no spare pages");
	}
}

static void automove_window(struct session *s, const struct request *r,
			    struct tuning_values *values)
{
	uint32_t number;

	if (!word_u32(r, 3, &number)) {
		session_answer(s, r, REPLY_ERROR);
	} else if (number < 3 || number > 1800) {
		answer(s, r,
		       "CLIENT_ERROR automove window too low or too high");
	} else {
		values->slab_automove_window = number;
		session_answer(s, r, REPLY_OK);
	}
}

static void automove_ratio(struct session *s, const struct request *r,
			   double *value)
{
	double ratio;

	if (!word_double(r, 3, &ratio)) {
		session_answer(s, r, REPLY_ERROR);
		return;
	}
	*value = ratio;
	session_answer(s, r, REPLY_OK);
}

static void slabs_automove(struct session *s, const struct request *r)
{
	struct tuning *tuning = &s->worker->node->tuning;
	struct tuning_values values = tuning_read(tuning);
	double freeratio; /* of memcached's external storage: not shown */
	uint32_t number;

	if (word_is(r, 2, "ratio")) {
		automove_ratio(s, r, &values.slab_automove_ratio);
	} else if (word_is(r, 2, "freeratio")) {
		automove_ratio(s, r, &freeratio);
	} else if (word_is(r, 2, "window")) {
		automove_window(s, r, &values);
	} else if (r->word_count < 3) {
		session_answer(s, r, REPLY_ERROR);
	} else if (!word_u32(r, 2, &number)) {
		session_answer(s, r, REPLY_BAD_FORMAT);
	} else if (number > 2) {
		session_answer(s, r, REPLY_ERROR);
	} else {
		values.slab_automove = number;
		session_answer(s, r, REPLY_OK);
	}
	tuning_write(tuning, &values);
}

void handle_slabs(struct session *s, const struct request *r)
{
	if (word_is(r, 1, "reassign")) {
		slabs_reassign(s, r);
	} else if (word_is(r, 1, "automove")) {
		slabs_automove(s, r);
	} else {
		session_answer(s, r, REPLY_ERROR);
	}
}

static void lru_tune(struct session *s, const struct request *r,
		     struct tuning_values *values)
{
	uint32_t hot;
	uint32_t warm;
	double hot_factor;
	double warm_factor;

	if (!word_u32(r, 2, &hot) || !word_u32(r, 3, &warm) ||
	    !word_double(r, 4, &hot_factor) ||
	    !word_double(r, 5, &warm_factor)) {
		session_answer(s, r, REPLY_ERROR);
	} else if (hot > 80 || warm > 80 || hot + warm > 80) {
		answer(s, r, "ERROR hot and warm pcts must not exceed 80");
	} else if (hot_factor <= 0 || warm_factor <= 0) {
		answer(s, r,
		       "ERROR hot/warm age factors must be greater than 0");
	} else {
		values->hot_lru_pct = hot;
		values->warm_lru_pct = warm;
		values->hot_max_factor = hot_factor;
		values->warm_max_factor = warm_factor;
		session_answer(s, r, REPLY_OK);
	}
}

static void lru_temp_ttl(struct session *s, const struct request *r,
			 struct tuning_values *values)
{
	int64_t ttl;

	if (r->word_count < 3 ||
	    !num_parse_s64(r->words[2].data, r->words[2].len, &ttl) ||
	    ttl > UINT32_MAX) {
		session_answer(s, r, REPLY_ERROR);
		return;
	}
	values->temp_lru = ttl >= 0;
	if (ttl >= 0) {
		values->temporary_ttl = (uint32_t)ttl;
	}
	session_answer(s, r, REPLY_OK);
}

void handle_lru(struct session *s, const struct request *r)
{
	struct tuning *tuning = &s->worker->node->tuning;
	struct tuning_values values = tuning_read(tuning);

	if (word_is(r, 1, "tune")) {
		lru_tune(s, r, &values);
	} else if (word_is(r, 1, "mode") &&
		   (word_is(r, 2, "flat") || word_is(r, 2, "segmented"))) {
		values.lru_segmented = word_is(r, 2, "segmented");
		session_answer(s, r, REPLY_OK);
	} else if (word_is(r, 1, "temp_ttl")) {
		lru_temp_ttl(s, r, &values);
	} else {
		session_answer(s, r, REPLY_ERROR);
	}
	tuning_write(tuning, &values);
}

/* ---- debug builds ------------------------------------------------------ */

#if DOZO_DEBUG_COMMANDS
void handle_debugtime(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_clock *clock = &w->node->clock;
	int64_t seconds;

	if (word_is(r, 1, "p")) {
		store_clock_freeze(clock, io_loop_now_ms(w->loop));
	} else if (word_is(r, 1, "r")) {
		store_clock_thaw(clock);
	} else if (r->word_count > 1 &&
		   num_parse_s64(r->words[1].data, r->words[1].len, &seconds)) {
		store_clock_move(clock, seconds);
	} else {
		session_answer(s, r, REPLY_ERROR);
		return;
	}
	worker_begin_turn(w);
	session_answer(s, r, REPLY_OK);
}
#endif
