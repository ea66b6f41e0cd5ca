/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The classic commands: get and its kin, storage, delete, incr, touch.
 *
 * What is counted, and under which name, is memcached's; clients and
 * monitors read it.  Each key of get counts; gat and touch count as touches
 * only; cmd_set counts each storage command that got memory.
 */
#include "base/check.h"
#include "base/num.h"
#include "node/handlers.h"
#include "node/node_state.h"

/* Keys of one get that a turn answers before others have theirs. */
enum { KEYS_PER_TURN = 4096, PREFETCH_KEYS = 16 };

uint32_t exptime_from_wire(int32_t exptime, uint32_t now)
{
	if (exptime == 0) {
		return 0;
	}
	if (exptime < 0) {
		return EXPIRED_AT_ONCE;
	}
	if (exptime <= RELATIVE_MAX_S) {
		return now + (uint32_t)exptime;
	}
	/* Unix time is the store's time; one that has passed needs no care. */
	return (uint32_t)exptime;
}

uint64_t visible_cas(const struct session *s, uint64_t cas)
{
	return s->worker->node->settings->use_cas ? cas : 0;
}

void count_miss(struct session *s, const struct store_entry *e)
{
	struct worker *w = s->worker;

	worker_count(w, get_misses);
	if (e->miss == MISS_EXPIRED) {
		worker_count(w, get_expired);
	} else if (e->miss == MISS_FLUSHED) {
		worker_count(w, get_flushed);
	}
}

void log_lookup(struct session *s, const struct store_entry *e, bool hit)
{
	if (watch_wants(&s->worker->node->watch, WATCH_FETCHERS)) {
		watch_get(s, e->key.data, e->key.len, hit ? MISS_NONE : e->miss,
			  hit ? e->item.value_len : 0);
	}
}

void count_prefix(struct session *s, const struct store_key *key,
		  enum prefix_event event)
{
	prefix_count(&s->worker->node->prefixes, key->data, key->len, event);
}

/* ---- get, gets, gat, gats ---------------------------------------------- */

static void put_hit(struct session *s, struct store_entry *e, bool with_cas)
{
	char *to = output_room(s, TEXT_LINE_MAX);

	output_add(s,
		   text_put_value_line(to, e->item.key, e->item.key_len,
				       e->item.cflags, e->item.value_len,
				       with_cas, visible_cas(s, e->item.cas)));
	output_value(s, e);
	entry_bump(e);
}

static void get_one(struct session *s, const struct store_key *key,
		    bool with_cas)
{
	struct worker *w = s->worker;
	struct store_entry e;
	bool hit;

	output_prepare(s);
	hit = store_open(w->store, key, w->now_s, &e);
	session_depends(s, e.depends);
	worker_count(w, cmd_get);
	count_prefix(s, key, PREFIX_GET);
	log_lookup(s, &e, hit);
	if (hit) {
		put_hit(s, &e, with_cas);
		worker_count(w, get_hits);
		count_prefix(s, key, PREFIX_HIT);
	} else {
		count_miss(s, &e);
	}
	store_close(&e);
}

/*
 * Answers keys of a get from *rest on, until the line ends (true) or the turn
 * has done its share.  Keys are hashed and prefetched some at a time.
 */
static bool get_keys(struct session *s, struct span *rest, bool with_cas)
{
	struct store_key keys[PREFETCH_KEYS];
	const struct store *store = s->worker->node->store;
	unsigned done = 0;

	while (done < KEYS_PER_TURN && output_pending(s) < OUT_PAUSE) {
		struct span word;
		unsigned n = 0;

		while (n < PREFETCH_KEYS && text_next_key(rest, &word)) {
			keys[n++] = session_key(s, word.data, word.len);
		}
		if (n == 0) {
			return true;
		}
		store_prefetch_batch(store, keys, n);
		for (unsigned i = 0; i < n; i++) {
			get_one(s, &keys[i], with_cas);
		}
		done += n;
	}
	return false;
}

void handle_get(struct session *s, const struct request *r)
{
	struct span rest = r->keys;

	if (get_keys(s, &rest, r->cmd == CMD_GETS)) {
		output_reply(s, REPLY_END);
	} else {
		session_put_off(s, rest);
	}
}

/* False: there is no memory for the time; an item may be there all the same. */
static bool gat_one(struct session *s, const struct store_key *key,
		    uint32_t exptime, bool with_cas)
{
	struct worker *w = s->worker;
	struct store_entry e;
	enum store_result result;

	output_prepare(s);
	result = store_open_touch(w->store, key, exptime, w->now_s, &e);
	worker_count(w, cmd_touch);
	count_prefix(s, key, PREFIX_GET);
	if (result == STORE_NO_MEMORY) {
		return false;
	}
	session_depends(s, e.depends);
	log_lookup(s, &e, result == STORE_OK);
	if (result == STORE_OK) {
		put_hit(s, &e, with_cas);
		worker_count(w, touch_hits);
		count_prefix(s, key, PREFIX_HIT);
	} else {
		worker_count(w, touch_misses);
	}
	store_close(&e);
	return true;
}

void handle_gat(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	uint32_t exptime = exptime_from_wire(r->exptime, w->now_s);
	struct span rest = r->keys;
	struct span word;
	int done = 0;

	while (text_next_key(&rest, &word)) {
		struct store_key key = session_key(s, word.data, word.len);

		if (!gat_one(s, &key, exptime, r->cmd == CMD_GATS)) {
			output_reply(s, REPLY_NO_MEMORY);
			return;
		}
		if (++done == KEYS_PER_TURN || output_pending(s) >= OUT_PAUSE) {
			session_put_off(s, rest);
			return;
		}
	}
	output_reply(s, REPLY_END);
}

/* ---- storage ----------------------------------------------------------- */

/* "Too large" as memcached reckons it. */
static bool too_large(const struct session *s, const struct request *r,
		      uint64_t value_len)
{
	uint64_t size = ITEM_SIZE_OVERHEAD + r->key_len + value_len +
			(r->cflags != 0 ? ITEM_SIZE_CFLAGS : 0);

	return size > s->worker->node->settings->item_max;
}

static bool replaces(const struct request *r)
{
	return r->cmd == CMD_SET ||
	       (r->cmd == CMD_MS && (r->meta.mode == 0 || r->meta.mode == 'S'));
}

/* cas and ms with C in mode set are compared; their names in the log too. */
static const char *store_name(const struct request *r)
{
	static const struct {
		char mode;
		const char *name;
	} modes[] = { { 'E', "add" },
		      { 'A', "append" },
		      { 'P', "prepend" },
		      { 'R', "replace" } };

	if (r->cmd != CMD_MS) {
		return command_table[r->cmd].name;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (modes[i].mode == r->meta.mode) {
			return modes[i].name;
		}
	}
	return meta_has(r, 'C') ? "cas" : "set";
}

static void log_store(struct session *s, const struct request *r,
		      const char *status, uint32_t exptime, uint32_t len)
{
	int64_t ttl = exptime == 0 ?
			      0 :
			      (int64_t)exptime - (int64_t)s->worker->now_s;

	if (watch_wants(&s->worker->node->watch, WATCH_MUTATIONS)) {
		watch_store(s, r->key, r->key_len, status, store_name(r), ttl,
			    len);
	}
}

static uint32_t request_exptime(const struct session *s,
				const struct request *r)
{
	int32_t wire = r->cmd == CMD_MS ?
			       (meta_has(r, 'T') ? r->meta.exptime : 0) :
			       r->exptime;

	return exptime_from_wire(wire, s->worker->now_s);
}

/*
 * A value that is not to be stored: answers why.  What a set would have
 * replaced goes, so that nobody reads it for the refused one.
 */
static void refuse_value(struct session *s, const struct request *r,
			 enum reply why)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct change change;

	log_store(s, r, why == REPLY_TOO_LARGE ? "too_large" : "no_memory",
		  request_exptime(s, r), r->value_len);
	session_answer(s, r, why);
	if (replaces(r)) {
		store_remove(w->store, &key, false, 0, w->now_s, &change);
		session_depends(s, change.lsn);
	}
}

void value_no_memory(struct session *s, const struct request *r)
{
	worker_count(s->worker, store_no_memory);
	refuse_value(s, r, REPLY_NO_MEMORY_STORE);
}

bool value_begin(struct session *s, const struct request *r,
		 struct reservation *out)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);

	if (too_large(s, r, r->value_len)) {
		worker_count(w, store_too_large);
		refuse_value(s, r, REPLY_TOO_LARGE);
		return false;
	}
	if (store_reserve(w->store, &key, r->value_len, r->cflags,
			  request_exptime(s, r), r->binkey, w->now_s,
			  out) != STORE_OK) {
		value_no_memory(s, r);
		return false;
	}
	return true;
}

void value_bad_end(struct session *s, const struct request *r,
		   struct reservation *res)
{
	store_abort(s->worker->store, res);
	worker_count(s->worker, cmd_set);
	session_answer(s, r, REPLY_BAD_CHUNK);
}

/* How much value an append may join without being too large. */
static uint32_t joined_max(const struct session *s, const struct request *r)
{
	return (uint32_t)(s->worker->node->settings->item_max -
			  ITEM_SIZE_OVERHEAD - r->key_len);
}

void count_compare(struct session *s, enum store_result result)
{
	struct worker *w = s->worker;

	if (result == STORE_NOT_FOUND) {
		worker_count(w, cas_misses);
	} else if (result == STORE_EXISTS) {
		worker_count(w, cas_badval);
	} else {
		worker_count(w, cas_hits);
	}
}

/* The modes in which a cas makes a check-and-set. */
static bool is_cas(enum store_mode mode)
{
	return mode == MODE_SET || mode == MODE_REPLACE;
}

enum store_result commit_value(struct session *s, const struct request *r,
			       struct reservation *res, struct commit *how,
			       struct change *change)
{
	static const char *const status[] = {
		[STORE_OK] = "stored",
		[STORE_NOT_FOUND] = "not_found",
		[STORE_EXISTS] = "exists",
		[STORE_NO_MEMORY] = "no_memory",
		[STORE_NOT_STORED] = "not_stored",
	};
	struct worker *w = s->worker;
	uint32_t exptime = res->exptime;
	uint32_t len = res->value_len;
	enum store_result result;

	worker_count(w, cmd_set);
	prefix_count(&w->node->prefixes, r->key, r->key_len, PREFIX_SET);
	result = store_commit(w->store, res, how, joined_max(s, r), w->now_s,
			      change);
	if (how->compare && is_cas(how->mode)) {
		count_compare(s, result);
	}
	session_depends(s, change->lsn);
	if (watch_wants(&w->node->watch, WATCH_FETCHERS)) {
		watch_get(s, r->key, r->key_len, change->miss, len);
	}
	log_store(s, r, status[result], exptime, len);
	return result;
}

void value_done(struct session *s, const struct request *r,
		struct reservation *res)
{
	static const enum reply replies[] = {
		[STORE_OK] = REPLY_STORED,
		[STORE_NOT_FOUND] = REPLY_NOT_FOUND,
		[STORE_NOT_STORED] = REPLY_NOT_STORED,
		[STORE_EXISTS] = REPLY_EXISTS,
		[STORE_NO_MEMORY] = REPLY_NO_MEMORY_STORE,
	};
	static const enum store_mode modes[CMD_COUNT] = {
		[CMD_ADD] = MODE_ADD,
		[CMD_REPLACE] = MODE_REPLACE,
		[CMD_APPEND] = MODE_APPEND,
		[CMD_PREPEND] = MODE_PREPEND,
	};
	struct commit how = {
		.mode = modes[r->cmd],
		.compare = r->cmd == CMD_CAS,
		.compare_cas = r->cas,
	};
	enum store_result result;
	struct change change;

	if (r->cmd == CMD_MS) {
		meta_value_done(s, r, res);
		return;
	}
	result = commit_value(s, r, res, &how, &change);
	if (result == STORE_NO_MEMORY &&
	    (how.mode == MODE_APPEND || how.mode == MODE_PREPEND)) {
		result = STORE_NOT_STORED;
	}
	session_answer(s, r, replies[result]);
}

/* Storage commands come through value_begin() and value_done(). */
void handle_store(struct session *s, const struct request *r)
{
	(void)s;
	panic("command %s was dispatched without its value",
	      command_table[r->cmd].name);
}

/* ---- delete, incr, touch ----------------------------------------------- */

void handle_delete(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct change change;

	count_prefix(s, &key, PREFIX_DELETE);
	switch (store_remove(w->store, &key, false, 0, w->now_s, &change)) {
	case STORE_OK:
		worker_count(w, delete_hits);
		if (watch_wants(&w->node->watch, WATCH_DELETIONS)) {
			watch_delete(s, key.data, key.len, "delete",
				     change.value_len);
		}
		session_answer(s, r, REPLY_DELETED);
		break;
	case STORE_NO_MEMORY:
		session_answer(s, r, REPLY_NO_MEMORY);
		break;
	default:
		worker_count(w, delete_misses);
		session_answer(s, r, REPLY_NOT_FOUND);
		break;
	}
	session_depends(s, change.lsn);
}

void count_delta(struct session *s, bool decrement, bool hit)
{
	struct worker *w = s->worker;

	if (decrement && hit) {
		worker_count(w, decr_hits);
	} else if (decrement) {
		worker_count(w, decr_misses);
	} else if (hit) {
		worker_count(w, incr_hits);
	} else {
		worker_count(w, incr_misses);
	}
}

static void answer_number(struct session *s, const struct request *r,
			  uint64_t number)
{
	char *to;
	size_t n;

	if (r->noreply) {
		return;
	}
	output_prepare(s);
	to = output_room(s, NUM_DIGITS + 2);
	n = num_format_u64(to, number);
	to[n++] = '\r';
	to[n++] = '\n';
	output_add(s, n);
}

void handle_delta(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct delta d = { .decrement = r->cmd == CMD_DECR,
			   .amount = r->delta };
	struct store_entry e;
	enum store_result result;
	uint64_t number;

	result = store_delta(w->store, &key, &d, w->now_s, &number, &e);
	session_depends(s, e.depends);
	switch (result) {
	case STORE_OK:
		store_close(&e);
		count_delta(s, d.decrement, true);
		answer_number(s, r, number);
		break;
	case STORE_NOT_NUMBER:
		session_answer(s, r, REPLY_NOT_NUMBER);
		break;
	case STORE_NO_MEMORY:
		session_answer(s, r, REPLY_NO_MEMORY);
		break;
	default:
		count_delta(s, d.decrement, false);
		session_answer(s, r, REPLY_NOT_FOUND);
		break;
	}
}

void handle_touch(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct store_entry e;
	enum store_result result;

	worker_count(w, cmd_touch);
	result = store_open_touch(w->store, &key,
				  exptime_from_wire(r->exptime, w->now_s),
				  w->now_s, &e);
	if (result == STORE_NO_MEMORY) {
		session_answer(s, r, REPLY_NO_MEMORY);
		return;
	}
	session_depends(s, e.depends);
	log_lookup(s, &e, result == STORE_OK);
	if (result == STORE_OK) {
		entry_bump(&e);
		worker_count(w, touch_hits);
	} else {
		worker_count(w, touch_misses);
	}
	store_close(&e);
	session_answer(s, r,
		       result == STORE_OK ? REPLY_TOUCHED : REPLY_NOT_FOUND);
}
