/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The meta commands: mg, ms, md, ma, me, mn.
 *
 * A handler fills a meta_result while the item is at hand; the composer in
 * proto writes the line, flags in the order of the request.
 */
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "node/handlers.h"
#include "node/node_state.h"

static int64_t ttl_of(uint32_t exptime, uint32_t now)
{
	return exptime == 0 ? -1 : (int64_t)exptime - (int64_t)now;
}

/* Stands flag `a` in front of `b`?  Both must have been given. */
static bool stands_before(const struct request *r, char a, char b)
{
	for (uint8_t i = 0; i < r->meta.count; i++) {
		if (r->meta.flags[i].letter == a) {
			return true;
		}
		if (r->meta.flags[i].letter == b) {
			return false;
		}
	}
	return false;
}

/*
 * The time of an item that N makes: the later of N and T in the line, or, for
 * a t that stands between them, the earlier.
 */
static uint32_t created_exptime(const struct session *s,
				const struct request *r, bool earlier)
{
	bool by_t = meta_has(r, 'T') && stands_before(r, 'N', 'T') != earlier;

	return exptime_from_wire(by_t ? r->meta.exptime :
					r->meta.vivify_exptime,
				 s->worker->now_s);
}

/* Its times, for a t in front of N and T, and between them. */
static void fill_created(const struct session *s, const struct request *r,
			 struct meta_result *m)
{
	m->created = true;
	m->ttl_before_s = -1;
	m->ttl_between_s = ttl_of(created_exptime(s, r, true),
				  s->worker->now_s);
}

static void fill_from_item(struct session *s, struct meta_result *m,
			   const struct store_entry *e)
{
	const struct item_view *item = &e->item;
	uint32_t now = s->worker->now_s;

	m->has_item = true;
	m->key = item->key;
	m->key_len = item->key_len;
	m->key_is_binary = item->binkey;
	m->fetched = item->fetched;
	m->value_len = item->value_len;
	m->cflags = item->cflags;
	m->idle_s = now - item->accessed;
	m->ttl_s = ttl_of(item->exptime, now);
	m->ttl_before_s = ttl_of(e->exptime_before, now);
	m->cas = visible_cas(s, item->cas);
}

/* Adds a reply line without touching the socket. */
static bool put_line(struct session *s, const struct request *r,
		     const struct meta_result *m)
{
	size_t n = meta_put_line(output_room(s, TEXT_LINE_MAX), r, m);

	output_add(s, n);
	return n > 0;
}

static void answer_code(struct session *s, const struct request *r,
			enum meta_code code)
{
	struct meta_result m = { .code = code };

	output_prepare(s);
	put_line(s, r, &m);
}

/* ---- mg ---------------------------------------------------------------- */

/*
 * Does this reader get the right to renew the item?  R is judged as of its
 * place: by the time that was, if T comes later.
 */
static bool wins(const struct session *s, const struct request *r,
		 const struct store_entry *e)
{
	uint32_t exptime = e->item.exptime;

	if (e->item.won) {
		return false;
	}
	if (e->item.stale) {
		return true;
	}
	if (!meta_has(r, 'R')) {
		return false;
	}
	if (meta_has(r, 'T') && stands_before(r, 'R', 'T')) {
		exptime = e->exptime_before;
	}
	return exptime != 0 &&
	       ttl_of(exptime, s->worker->now_s) < r->meta.recache_time;
}

/* Answers from an open entry that was found. */
static void mg_hit(struct session *s, const struct request *r,
		   struct store_entry *e, bool created)
{
	struct meta_result m = { .code = META_HD };
	bool value = meta_has(r, 'v');

	if (value && meta_has(r, 'C') &&
	    r->meta.compare_cas == visible_cas(s, e->item.cas)) {
		value = false;
	}
	fill_from_item(s, &m, e);
	m.code = value ? META_VA : META_HD;
	m.stale = e->item.stale;
	m.won_before = !created && e->item.won;
	m.won = created || wins(s, r, e);
	if (created) {
		fill_created(s, r, &m);
	}
	if (put_line(s, r, &m) && value) {
		output_value(s, e);
	}
	if (m.won) {
		entry_set_won(e, true);
	}
	if (!meta_has(r, 'u')) {
		entry_bump(e);
	}
}

/*
 * Makes an empty item for a miss, with the win token taken.  True: it was
 * made, or somebody else was faster; look again.
 */
static bool mg_vivify(struct session *s, const struct request *r,
		      const struct store_key *key, bool *created)
{
	struct worker *w = s->worker;
	struct commit how = { .mode = MODE_ADD, .won = true };
	struct change change;
	enum store_result result;

	if (meta_has(r, 'E')) {
		how.new_cas = r->meta.new_cas;
	}
	result = store_reserve(w->store, key, 0, 0,
			       created_exptime(s, r, false), r->binkey,
			       w->now_s, &w->reservation);
	if (result == STORE_OK) {
		result = store_commit(w->store, &w->reservation, &how, 0,
				      w->now_s, &change);
	}
	if (result == STORE_NO_MEMORY) {
		output_reply(s, REPLY_NO_MEMORY_ITEM);
		return false;
	}
	*created = result == STORE_OK;
	return true;
}

static bool mg_open(struct session *s, const struct request *r,
		    const struct store_key *key, struct store_entry *e)
{
	struct worker *w = s->worker;

	if (meta_has(r, 'T')) {
		uint32_t exptime = exptime_from_wire(r->meta.exptime, w->now_s);
		enum store_result result =
			store_open_touch(w->store, key, exptime, w->now_s, e);

		/* Without memory for the time the item is read as it is. */
		if (result != STORE_NO_MEMORY) {
			return result == STORE_OK;
		}
	}
	return store_open(w->store, key, w->now_s, e);
}

static void mg_count(struct session *s, const struct request *r,
		     const struct store_key *key, const struct store_entry *e,
		     bool hit)
{
	struct worker *w = s->worker;

	count_prefix(s, key, PREFIX_GET);
	log_lookup(s, e, hit);
	if (hit && meta_has(r, 'T')) {
		worker_count(w, cmd_touch);
		worker_count(w, touch_hits);
	} else {
		worker_count(w, cmd_get);
		if (hit) {
			worker_count(w, get_hits);
		} else {
			count_miss(s, e);
		}
	}
	if (hit) {
		count_prefix(s, key, PREFIX_HIT);
	}
}

void handle_mg(struct session *s, const struct request *r)
{
	struct store_key key = session_key(s, r->key, r->key_len);
	struct store_entry e;
	bool created = false;
	bool hit;

	output_prepare(s);
	hit = mg_open(s, r, &key, &e);
	while (!hit && !created && meta_has(r, 'N')) {
		/* Again if somebody else's item was there and is gone. */
		store_close(&e);
		if (!mg_vivify(s, r, &key, &created)) {
			return;
		}
		hit = store_open(s->worker->store, &key, s->worker->now_s, &e);
	}
	session_depends(s, e.depends);
	mg_count(s, r, &key, &e, hit);
	if (hit) {
		mg_hit(s, r, &e, created);
		store_close(&e);
	} else {
		store_close(&e);
		answer_code(s, r, META_EN);
	}
}

/* ---- ms ---------------------------------------------------------------- */

static enum store_mode ms_mode(const struct request *r)
{
	switch (r->meta.mode) {
	case 'E':
		return MODE_ADD;
	case 'A':
		return MODE_APPEND;
	case 'P':
		return MODE_PREPEND;
	case 'R':
		return MODE_REPLACE;
	default:
		return MODE_SET;
	}
}

/* To append and prepend, a cas of 0 is no condition. */
static bool ms_compares(const struct request *r)
{
	bool joins = r->meta.mode == 'A' || r->meta.mode == 'P';

	return meta_has(r, 'C') && !(joins && r->meta.compare_cas == 0);
}

void meta_value_done(struct session *s, const struct request *r,
		     struct reservation *res)
{
	static const enum meta_code codes[] = {
		[STORE_OK] = META_HD,         [STORE_NOT_FOUND] = META_NF,
		[STORE_NOT_STORED] = META_NS, [STORE_EXISTS] = META_EX,
		[STORE_NO_MEMORY] = META_NS,
	};
	struct commit how = {
		.mode = ms_mode(r),
		.compare = ms_compares(r),
		.compare_cas = r->meta.compare_cas,
		.take_stale = meta_has(r, 'I'),
	};
	struct meta_result m = { 0 };
	struct change change;
	enum store_result result;

	if (meta_has(r, 'E')) {
		how.new_cas = r->meta.new_cas;
	}
	if (meta_has(r, 'N') &&
	    (how.mode == MODE_APPEND || how.mode == MODE_PREPEND)) {
		how.vivify = true;
		how.vivify_exptime = exptime_from_wire(r->meta.vivify_exptime,
						       s->worker->now_s);
	}
	m.value_len = res->value_len;
	result = commit_value(s, r, res, &how, &change);
	if (result == STORE_NO_MEMORY && how.mode != MODE_APPEND &&
	    how.mode != MODE_PREPEND) {
		output_reply(s, REPLY_NO_MEMORY_STORE);
		return;
	}
	m.code = codes[result];
	if (result == STORE_OK) {
		m.cas = visible_cas(s, change.cas);
		m.value_len = change.value_len;
	}
	output_prepare(s);
	put_line(s, r, &m);
}

/* ---- md ---------------------------------------------------------------- */

static void md_count(struct session *s, const struct request *r,
		     enum store_result result)
{
	struct worker *w = s->worker;

	if (result == STORE_NOT_FOUND || result == STORE_EXISTS) {
		worker_count(w, delete_misses);
	} else if (!meta_has(r, 'I') || meta_has(r, 'x')) {
		worker_count(w, delete_hits);
	}
}

static enum store_result md_invalidate(struct session *s,
				       const struct request *r,
				       const struct store_key *key,
				       struct change *change)
{
	struct worker *w = s->worker;
	struct invalidate how = {
		.compare = meta_has(r, 'C'),
		.compare_cas = r->meta.compare_cas,
		.mark_stale = meta_has(r, 'I'),
		.drop_value = meta_has(r, 'x'),
		.set_exptime = meta_has(r, 'T'),
		.cflags = meta_has(r, 'F') ? r->cflags : 0,
	};

	if (how.set_exptime) {
		how.exptime = exptime_from_wire(r->meta.exptime, w->now_s);
	}
	if (meta_has(r, 'E')) {
		how.new_cas = r->meta.new_cas;
	}
	return store_invalidate(w->store, key, &how, w->now_s, change);
}

void handle_md(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct change change;
	enum store_result result;

	count_prefix(s, &key, PREFIX_DELETE);
	if (meta_has(r, 'I') || meta_has(r, 'x')) {
		result = md_invalidate(s, r, &key, &change);
	} else {
		result = store_remove(w->store, &key, meta_has(r, 'C'),
				      r->meta.compare_cas, w->now_s, &change);
		if (result == STORE_OK &&
		    watch_wants(&w->node->watch, WATCH_DELETIONS)) {
			watch_delete(s, key.data, key.len, "md",
				     change.value_len);
		}
	}
	if (result == STORE_NO_MEMORY) {
		output_reply(s, REPLY_NO_MEMORY);
		return;
	}
	md_count(s, r, result);
	session_depends(s, change.lsn);
	answer_code(s, r,
		    result == STORE_OK     ? META_HD :
		    result == STORE_EXISTS ? META_EX :
					     META_NF);
}

/* ---- ma ---------------------------------------------------------------- */

static struct delta ma_delta(const struct session *s, const struct request *r)
{
	uint32_t now = s->worker->now_s;
	struct delta d = {
		.decrement = r->meta.mode == 'D' || r->meta.mode == '-' ||
			     r->meta.mode == 'd',
		.compare = meta_has(r, 'C'),
		.compare_cas = r->meta.compare_cas,
		.set_exptime = meta_has(r, 'T'),
		.amount = r->meta.delta,
		.initial = meta_has(r, 'J') ? r->meta.initial : 0,
		.new_cas = meta_has(r, 'E') ? r->meta.new_cas : 0,
	};

	if (d.set_exptime) {
		d.exptime = exptime_from_wire(r->meta.exptime, now);
	}
	if (meta_has(r, 'N')) {
		d.create_binkey = r->binkey;
		d.create_exptime = created_exptime(s, r, false);
	}
	return d;
}

static void ma_answer(struct session *s, const struct request *r,
		      struct store_entry *e, bool created, uint64_t number)
{
	char text[NUM_DIGITS + 2];
	size_t len = num_format_u64(text, number);
	struct meta_result m = { 0 };

	fill_from_item(s, &m, e);
	if (created) {
		fill_created(s, r, &m);
	}
	m.code = meta_has(r, 'v') ? META_VA : META_HD;
	m.value_len = (uint32_t)len;
	memcpy(text + len, "\r\n", 2);
	if (put_line(s, r, &m) && m.code == META_VA) {
		output_bytes(s, text, len + 2);
	}
	store_close(e);
}

void handle_ma(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct delta d = ma_delta(s, r);
	struct store_entry e;
	enum store_result result;
	uint64_t number;
	bool created = false;

	output_prepare(s);
	result = store_delta(w->store, &key, &d, w->now_s, &number, &e);
	if (result == STORE_NOT_FOUND && meta_has(r, 'N')) {
		d.create = true;
		created = true;
		result = store_delta(w->store, &key, &d, w->now_s, &number, &e);
	}
	session_depends(s, e.depends);
	switch (result) {
	case STORE_OK:
		if (!created) {
			count_delta(s, d.decrement, true);
		}
		ma_answer(s, r, &e, created, number);
		break;
	case STORE_EXISTS:
		store_close(&e);
		answer_code(s, r, META_EX);
		break;
	case STORE_NOT_NUMBER:
		output_reply(s, REPLY_NOT_NUMBER);
		break;
	case STORE_NO_MEMORY:
		output_reply(s,
			     created ? REPLY_NO_MEMORY_ITEM : REPLY_NO_MEMORY);
		break;
	default:
		count_delta(s, d.decrement, false);
		answer_code(s, r, META_NF);
		break;
	}
}

/* ---- me, mn ------------------------------------------------------------ */

void handle_me(struct session *s, const struct request *r)
{
	struct worker *w = s->worker;
	struct store_key key = session_key(s, r->key, r->key_len);
	struct store_entry e;
	bool hit;

	worker_count(w, cmd_meta);
	output_prepare(s);
	hit = store_open(w->store, &key, w->now_s, &e);
	session_depends(s, e.depends);
	if (hit) {
		struct meta_debug m = {
			.key = e.item.key,
			.key_len = e.item.key_len,
			.key_is_binary = e.item.binkey,
			.fetched = e.item.fetched,
			.ttl_s = ttl_of(e.item.exptime, w->now_s),
			.idle_s = w->now_s - e.item.accessed,
			.cas = visible_cas(s, e.item.cas),
			.class_id = CLASS_ITEMS,
			.size = e.item.size,
		};

		output_add(s, meta_put_debug_line(output_room(s, TEXT_LINE_MAX),
						  &m));
		store_close(&e);
	} else {
		store_close(&e);
		output_reply(s, REPLY_EN);
	}
}

void handle_mn(struct session *s, const struct request *r)
{
	(void)r;
	output_reply(s, REPLY_MN);
}
