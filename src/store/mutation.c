/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changes.  All follow one course (execute()): open the entry, let the
 * command decide on what it finds (its plan function), then carry the plan
 * out in the first of these ways that is open to it:
 *
 *	- in place, if the item has the fields and the length for it;
 *	- in the space of the reservation that the value was received in;
 *	- in spare space, taken beforehand.
 *
 * Space cannot be taken while a shard is locked.  So if there is no spare
 * yet, or it has the wrong size by now, the entry is closed, space taken, and
 * everything done again from the start: the plan is made anew from what is
 * there then, and no assumption outlives the lock.
 */
#include <string.h>

#include "base/check.h"
#include "base/num.h"
#include "store/place.h"

/* LSNs that others may draw between a look at the counter and our draw. */
#define LSN_MARGIN (1ULL << 20)

/* What an item is to become. */
struct plan {
	struct item_view form; /* without value, and LSN if `redraw` */
	const char *head;      /* the value: head, then tail, then spaces */
	uint32_t head_len;
	const char *tail;
	uint32_t tail_len;
	uint64_t cas;    /* what clients are to see; 0 for the LSN */
	bool redraw;     /* it is a change that has an LSN of its own */
	bool in_place;   /* the item that is there may be changed */
	bool same_value; /* and its value is to stay as it is */
	bool own_space;  /* the reservation holds the value already */
	bool unlogged;   /* it comes from the log */
};

struct job {
	const struct store_key *key;
	/*
	 * Decides: STORE_OK and a plan, or a refusal.  Runs under the lock,
	 * perhaps more than once.
	 */
	enum store_result (*plan)(void *arg, struct store_entry *e, bool found,
				  struct plan *p);
	void *arg;
	struct reservation *r; /* or NULL */
};

static uint64_t *slot_of(const struct store_entry *e)
{
	return e->slot;
}

static inline unsigned extras_of(const struct store *s, const struct plan *p)
{
	unsigned extras = EXTRA_NONE;

	if (p->redraw) {
		return p->cas != 0 ? EXTRA_CAS : EXTRA_NONE;
	}
	if (p->form.cas != p->form.lsn) {
		extras |= EXTRA_CAS;
	}
	if (!item_lsn_fits(p->form.lsn, state_lsn(s) + LSN_MARGIN)) {
		extras |= EXTRA_WIDE;
	}
	return extras;
}

static uint8_t record_marks(const struct item_view *v)
{
	return (uint8_t)((v->stale ? MARK_STALE : 0) | (v->won ? MARK_WON : 0) |
			 (v->binkey ? MARK_BINKEY : 0) |
			 (v->fetched ? MARK_FETCHED : 0));
}

/* The change as the log has it; the value is not there yet. */
static struct record record_of(const struct plan *p, uint32_t now)
{
	const struct item_view *v = &p->form;
	struct record r = {
		.kind = p->redraw ? RECORD_ITEM : RECORD_TOUCH,
		.time = now,
		.key = v->key,
		.key_len = v->key_len,
		.exptime = v->exptime,
	};

	if (p->redraw) {
		r.cas = p->cas;
		r.cflags = v->cflags;
		r.marks = record_marks(v);
		r.value_len = v->value_len;
	} else {
		r.item_lsn = v->lsn;
	}
	return r;
}

static bool is_logged(const struct store *s, const struct plan *p)
{
	return s->log != NULL && !p->unlogged;
}

/* Not inline, as publish(): without a log nobody pays for the record. */
static bool __attribute__((noinline))
reserve(const struct store_entry *e, const struct plan *p,
	struct log_slot *slot)
{
	struct record r = record_of(p, e->now);

	return state_reserve(e->ctx->store, &r, slot);
}

/*
 * Draws the LSN of the change.  False: the log takes nothing, and nothing may
 * have been changed.
 */
static inline bool draw(const struct store_entry *e, struct plan *p,
			struct log_slot *slot)
{
	struct store *s = e->ctx->store;

	if (is_logged(s, p)) {
		if (!reserve(e, p, slot)) {
			return false;
		}
	} else {
		slot->lsn = p->redraw ? state_next_lsn(s) : p->form.lsn;
	}
	if (p->redraw) {
		p->form.lsn = slot->lsn;
		p->form.cas = p->cas != 0 ? p->cas : p->form.lsn;
	}
	return true;
}

static void __attribute__((noinline))
publish(const struct store_entry *e, const struct plan *p,
	const struct log_slot *slot)
{
	struct store *s = e->ctx->store;
	struct record r = record_of(p, e->now);

	r.value = e->item.value;
	log_publish(s->log, slot, &r);
	if (!p->redraw) {
		state_note_unseen(s, e->shard, slot->lsn);
	}
}

/* The change is made, and e->item is what came of it. */
static inline void changed(struct store_entry *e, const struct plan *p,
			   const struct log_slot *slot)
{
	e->depends = slot->lsn;
	if (is_logged(e->ctx->store, p)) {
		publish(e, p, slot);
	}
}

/* What the LSN would be at most, for the question whether it fits. */
static void foresee(const struct store *s, struct plan *p)
{
	if (p->redraw) {
		p->form.lsn = state_lsn(s) + LSN_MARGIN;
		p->form.cas = p->cas != 0 ? p->cas : p->form.lsn;
	}
}

static void fill(char *value, const struct plan *p)
{
	uint32_t text = p->head_len + p->tail_len;

	memmove(value, p->head, p->head_len);
	if (p->tail_len > 0) {
		memcpy(value + p->head_len, p->tail, p->tail_len);
	}
	memset(value + text, ' ', p->form.value_len - text);
}

enum outcome { DONE, NEEDS_SPACE, FAILED };

/* Changes the item that is there; NEEDS_SPACE: it must be made anew. */
static enum outcome amend(struct store_entry *e, struct plan *p)
{
	struct store *s = e->ctx->store;
	uint64_t location = slot_location(*slot_of(e));
	char *value = (char *)(uintptr_t)e->item.value;
	struct log_slot slot;
	uint32_t n = 0;

	foresee(s, p);
	if (location_is_large(location)) {
		struct large *l = e->raw;

		if (!p->same_value && atomic_load(&l->refs) > 1) {
			return NEEDS_SPACE;
		}
		if (!draw(e, p, &slot)) {
			return FAILED;
		}
		large_amend(l, &p->form);
	} else {
		n = pool_segment_of(&s->pool, location);

		if (!item_amendable(e->raw, &p->form, extras_of(s, p),
				    s->pool.bases[n])) {
			return NEEDS_SPACE;
		}
		if (!draw(e, p, &slot)) {
			return FAILED;
		}
		item_amend(e->raw, &p->form, s->pool.bases[n]);
	}
	if (p->form.exptime != 0) {
		pool_note_expiry(&s->pool, n, p->form.exptime);
	}
	if (!p->same_value) {
		fill(value, p);
	}
	state_read(s, location, &e->item);
	changed(e, p, &slot);
	return DONE;
}

/*
 * Writes the item into `sp` and puts it into the table in place of what the
 * entry holds.  False: the table is full, or the log takes nothing.
 */
static bool install(struct store_entry *e, struct plan *p, struct space *sp,
		    unsigned extras, bool filled, enum queue_name q)
{
	struct store_ctx *c = e->ctx;
	struct store *s = c->store;
	struct shard *shard = e->shard;
	uint64_t *slot = slot_of(e);
	uint64_t location = sp->location;
	uint64_t old = 0;
	struct log_slot drawn;

	if (slot != NULL) {
		old = slot_location(*slot);
	} else {
		slot = table_insert(&shard->table, &s->supply,
				    table_tag(e->key.hash), location);
		if (slot == NULL) {
			return false;
		}
	}
	if (!draw(e, p, &drawn)) {
		if (old == 0) {
			table_remove(&shard->table, &s->supply, slot);
		}
		return false;
	}
	space_write(s, sp, &p->form, extras);
	if (!filled) {
		fill(space_value(sp, &p->form, extras), p);
	}
	slot_set_location(slot, location);
	space_publish(s, sp, q, p->form.exptime);
	if (old != 0) {
		state_kill(s, old, e->item.size);
	} else {
		counter_add(&c->tally.items, 1);
	}
	if (p->redraw) {
		counter_add(&c->tally.total_items, 1);
	}
	e->slot = slot;
	e->raw = state_read(s, location, &e->item);
	changed(e, p, &drawn);
	return true;
}

/* Where the item will wait: as before, or as its reservation has it. */
static enum queue_name queue_for(const struct store_entry *e,
				 const struct job *job)
{
	if (e->slot != NULL) {
		return state_queue(e->ctx->store, slot_location(*slot_of(e)));
	}
	return job->r != NULL ? job->r->queue : QUEUE_SMALL;
}

static enum outcome carry_out(struct store_entry *e, bool found,
			      const struct job *job, struct plan *p,
			      struct space *spare)
{
	struct store *s = e->ctx->store;
	struct space own = { .kind = SPACE_NONE };
	enum queue_name q = queue_for(e, job);
	enum outcome amended;
	unsigned extras;

	if (p->in_place && found) {
		amended = amend(e, p);
		if (amended != NEEDS_SPACE) {
			return amended;
		}
	}
	foresee(s, p);
	extras = extras_of(s, p);
	if (p->own_space) {
		own = place_space(job->r);
	}
	if (space_fits(s, &own, &p->form, extras)) {
		place_unhold(s, job->r);
		if (!install(e, p, &own, extras, true, q)) {
			return FAILED;
		}
		place_spent(job->r);
		return DONE;
	}
	if (!space_fits(s, spare, &p->form, extras)) {
		return NEEDS_SPACE;
	}
	return install(e, p, spare, extras, false, q) ? DONE : FAILED;
}

/*
 * Runs a job.  On STORE_NO_MEMORY the entry is closed; otherwise it is open,
 * and e->item is the item as it is now, if there is one (e->slot).
 */
static enum store_result execute(struct store_ctx *c, const struct job *job,
				 uint32_t now, struct store_entry *e)
{
	struct store *s = c->store;
	struct space spare = { .kind = SPACE_NONE };
	enum store_result res;

	for (;;) {
		struct plan p = { .redraw = true };
		bool found = store_open(c, job->key, now, e);
		enum outcome outcome = DONE;
		enum queue_name q;

		res = job->plan(job->arg, e, found, &p);
		/* The item's own copy may be gone when space was taken. */
		p.form.key = job->key->data;
		if (res == STORE_OK) {
			outcome = carry_out(e, found, job, &p, &spare);
		}
		if (outcome == DONE) {
			break;
		}
		q = queue_for(e, job);
		store_close(e);
		space_drop(s, &spare);
		if (outcome == FAILED ||
		    !space_take(c, &p.form, extras_of(s, &p), job->key->hash, q,
				now, &spare)) {
			return STORE_NO_MEMORY;
		}
	}
	space_drop(s, &spare);
	if (res == STORE_NO_MEMORY) {
		store_close(e);
	}
	return res;
}

/* What the reply to a change tells. */
static void report(struct change *out, const struct store_entry *e,
		   enum store_result res)
{
	*out = (struct change){ .miss = e->miss, .lsn = e->depends };
	if (e->slot != NULL) {
		out->value_len = e->item.value_len;
		out->cas = res == STORE_OK ? e->item.cas : 0;
	}
}

/* ---- storing ----------------------------------------------------------- */

struct commit_job {
	struct reservation *r;
	const struct commit *how;
	uint32_t joined_max;
	uint32_t now;
};

/* Does the cas allow it?  May mark the plan stale. */
static enum store_result compare(const struct commit *how,
				 const struct item_view *old, struct plan *p)
{
	if (!how->compare || how->compare_cas == old->cas) {
		return STORE_OK;
	}
	if (how->take_stale && how->compare_cas != 0 &&
	    how->compare_cas < old->cas) {
		p->form.stale = true;
		p->form.won |= old->won;
		p->form.exptime = old->exptime;
		return STORE_OK;
	}
	return STORE_EXISTS;
}

static enum store_result plan_new(const struct commit_job *j, struct plan *p)
{
	const struct commit *how = j->how;

	switch (how->mode) {
	case MODE_SET:
		if (how->compare) {
			return STORE_NOT_FOUND;
		}
		break;
	case MODE_ADD:
		break;
	case MODE_REPLACE:
		return how->compare ? STORE_NOT_FOUND : STORE_NOT_STORED;
	case MODE_APPEND:
	case MODE_PREPEND:
		if (!how->vivify) {
			return STORE_NOT_STORED;
		}
		p->form.exptime = how->vivify_exptime;
		break;
	}
	return STORE_OK;
}

static enum store_result plan_join(const struct commit_job *j,
				   const struct item_view *old, struct plan *p)
{
	uint64_t joined = (uint64_t)old->value_len + j->r->value_len;

	if (joined > j->joined_max) {
		return STORE_NO_MEMORY;
	}
	p->own_space = false;
	p->form.value_len = (uint32_t)joined;
	p->form.cflags = old->cflags;
	p->form.exptime = old->exptime;
	p->form.binkey = old->binkey;
	if (j->how->mode == MODE_APPEND) {
		p->head = old->value;
		p->head_len = old->value_len;
		p->tail = j->r->value;
		p->tail_len = j->r->value_len;
	} else {
		p->tail = old->value;
		p->tail_len = old->value_len;
	}
	return STORE_OK;
}

static enum store_result plan_commit(void *arg, struct store_entry *e,
				     bool found, struct plan *p)
{
	const struct commit_job *j = arg;
	enum store_result res;

	place_view(j->r, &p->form);
	p->form.accessed = j->now;
	p->form.won = j->how->won;
	p->cas = j->how->new_cas;
	p->head = j->r->value;
	p->head_len = j->r->value_len;
	p->own_space = true;
	if (!found) {
		return plan_new(j, p);
	}
	if (j->how->mode == MODE_ADD) {
		/* Somebody wants it, but nobody has read it. */
		state_count_access(e->slot);
		return STORE_NOT_STORED;
	}
	res = compare(j->how, &e->item, p);
	if (res == STORE_OK && j->how->mode >= MODE_APPEND) {
		res = plan_join(j, &e->item, p);
	}
	return res;
}

enum store_result store_commit(struct store_ctx *c, struct reservation *r,
			       const struct commit *how, uint32_t joined_max,
			       uint32_t now, struct change *out)
{
	struct store_key key = {
		.data = r->key,
		.len = r->key_len,
		.hash = r->hash,
	};
	struct commit_job j = {
		.r = r,
		.how = how,
		.joined_max = joined_max,
		.now = now,
	};
	struct job job = {
		.key = &key,
		.plan = plan_commit,
		.arg = &j,
		.r = r,
	};
	struct store_entry e;
	enum store_result res = execute(c, &job, now, &e);

	*out = (struct change){ .miss = e.miss };
	if (res != STORE_NO_MEMORY) {
		report(out, &e, res);
		store_close(&e);
	}
	place_done(c->store, r);
	return res;
}

/* ---- touch ------------------------------------------------------------- */

struct touch_job {
	uint32_t exptime;
	bool unlogged;
	uint64_t item_lsn; /* 0: any */
};

static enum store_result plan_touch(void *arg, struct store_entry *e,
				    bool found, struct plan *p)
{
	const struct touch_job *j = arg;

	if (!found || (j->item_lsn != 0 && j->item_lsn != e->item.lsn)) {
		return STORE_NOT_FOUND;
	}
	p->redraw = false;
	p->unlogged = j->unlogged;
	p->in_place = true;
	p->same_value = true;
	p->form = e->item;
	p->form.exptime = j->exptime;
	p->head = e->item.value;
	p->head_len = e->item.value_len;
	return STORE_OK;
}

enum store_result store_open_touch(struct store_ctx *c,
				   const struct store_key *key,
				   uint32_t exptime, uint32_t now,
				   struct store_entry *e)
{
	struct touch_job j = { .exptime = exptime };
	struct job job = {
		.key = key,
		.plan = plan_touch,
		.arg = &j,
	};

	return execute(c, &job, now, e);
}

enum store_result state_apply_touch(struct store_ctx *c,
				    const struct store_key *key,
				    uint64_t item_lsn, uint32_t exptime)
{
	struct touch_job j = {
		.exptime = exptime,
		.unlogged = true,
		.item_lsn = item_lsn,
	};
	struct job job = {
		.key = key,
		.plan = plan_touch,
		.arg = &j,
	};
	struct store_entry e;
	enum store_result res = execute(c, &job, TIME_OF_REPLAY, &e);

	if (res != STORE_NO_MEMORY) {
		store_close(&e);
	}
	return res;
}

/* ---- numbers ----------------------------------------------------------- */

struct delta_job {
	const struct delta *d;
	uint32_t now;
	uint64_t result;
	uint32_t digits_len;
	char digits[NUM_DIGITS];
};

static bool is_blank(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

static bool parse_value(const struct item_view *v, uint64_t *out)
{
	const char *at = v->value;
	const char *end = at + v->value_len;
	const char *digits;

	while (at < end && is_blank(*at)) {
		at++;
	}
	if (at < end && *at == '+') {
		at++;
	}
	/* Zeros in front count for nothing, however many. */
	while (end - at > 1 && at[0] == '0' && at[1] >= '0' && at[1] <= '9') {
		at++;
	}
	digits = at;
	while (at < end && !is_blank(*at)) {
		at++;
	}
	return num_parse_u64(digits, (size_t)(at - digits), out);
}

static uint64_t apply(const struct delta *d, uint64_t n)
{
	if (!d->decrement) {
		return n + d->amount;
	}
	return n > d->amount ? n - d->amount : 0;
}

static void plan_number(struct delta_job *j, struct plan *p, uint64_t n)
{
	j->result = n;
	j->digits_len = (uint32_t)num_format_u64(j->digits, n);
	p->head = j->digits;
	p->head_len = j->digits_len;
	p->cas = j->d->new_cas;
	p->form.accessed = j->now;
}

static enum store_result plan_first(struct delta_job *j,
				    const struct store_entry *e, struct plan *p)
{
	if (!j->d->create) {
		return STORE_NOT_FOUND;
	}
	plan_number(j, p, j->d->initial);
	p->form.key = e->key.data;
	p->form.key_len = e->key.len;
	p->form.binkey = j->d->create_binkey;
	p->form.exptime = j->d->create_exptime;
	p->form.value_len = p->head_len;
	return STORE_OK;
}

static enum store_result plan_delta(void *arg, struct store_entry *e,
				    bool found, struct plan *p)
{
	struct delta_job *j = arg;
	uint64_t n;

	if (!found) {
		return plan_first(j, e, p);
	}
	if (j->d->compare && j->d->compare_cas != e->item.cas) {
		return STORE_EXISTS;
	}
	if (!parse_value(&e->item, &n)) {
		return STORE_NOT_NUMBER;
	}
	p->form = e->item;
	plan_number(j, p, apply(j->d, n));
	if (j->d->set_exptime) {
		p->form.exptime = j->d->exptime;
	}
	if (p->head_len <= e->item.value_len) {
		p->in_place = true;
	} else {
		p->form.value_len = p->head_len;
		p->form.fetched = false;
		p->form.stale = false;
		p->form.won = false;
	}
	return STORE_OK;
}

enum store_result store_delta(struct store_ctx *c, const struct store_key *key,
			      const struct delta *d, uint32_t now,
			      uint64_t *result, struct store_entry *e)
{
	struct delta_job j = { .d = d, .now = now };
	struct job job = {
		.key = key,
		.plan = plan_delta,
		.arg = &j,
	};
	enum store_result res = execute(c, &job, now, e);

	*result = j.result;
	if (res == STORE_NOT_FOUND || res == STORE_NOT_NUMBER) {
		store_close(e);
	}
	return res;
}

/* ---- removal and invalidation ------------------------------------------ */

static void forget_opened(struct store_entry *e)
{
	state_forget(e->ctx, e->shard, e->slot, &e->item);
	e->slot = NULL;
}

/* Not inlined: without a log, a removal does not pay for the record. */
static bool __attribute__((noinline))
remove_logged(struct store_entry *e, bool found, uint64_t *lsn)
{
	struct store *s = e->ctx->store;
	struct record r = {
		.kind = RECORD_REMOVE,
		.time = e->now,
		.key = e->key.data,
		.key_len = e->key.len,
	};
	struct log_slot slot;

	if (!state_reserve(s, &r, &slot)) {
		return false;
	}
	*lsn = slot.lsn;
	if (found) {
		forget_opened(e);
	}
	log_publish(s->log, &slot, &r);
	state_note_unseen(s, e->shard, slot.lsn);
	return true;
}

/*
 * Removes what was found; with a log, a removal is logged in any case (L7):
 * others may hold what was forgotten here.  False: the log takes nothing.
 */
static inline bool remove_opened(struct store_entry *e, bool found,
				 uint64_t *lsn)
{
	if (e->ctx->store->log != NULL) {
		return remove_logged(e, found, lsn);
	}
	if (found) {
		*lsn = state_next_lsn(e->ctx->store);
		forget_opened(e);
	}
	return true;
}

enum store_result store_remove(struct store_ctx *c, const struct store_key *key,
			       bool compare_it, uint64_t compare_cas,
			       uint32_t now, struct change *out)
{
	struct store_entry e;
	bool found = store_open(c, key, now, &e);
	enum store_result res = found ? STORE_OK : STORE_NOT_FOUND;

	if (found && compare_it && e.item.cas != compare_cas) {
		res = STORE_EXISTS;
		report(out, &e, res);
	} else {
		report(out, &e, res);
		out->cas = 0;
		if (!remove_opened(&e, found, &out->lsn)) {
			*out = (struct change){ .miss = e.miss };
			res = STORE_NO_MEMORY;
		}
	}
	store_close(&e);
	return res;
}

struct invalidate_job {
	const struct invalidate *how;
	uint32_t now;
};

static void plan_emptied(const struct invalidate *how, struct plan *p)
{
	p->form.value_len = 0;
	p->form.cflags = how->cflags;
	p->form.exptime = how->set_exptime ? how->exptime : 0;
	p->form.fetched = false;
	p->form.stale = how->mark_stale;
	p->head_len = 0;
}

static enum store_result plan_invalidate(void *arg, struct store_entry *e,
					 bool found, struct plan *p)
{
	const struct invalidate_job *j = arg;
	const struct invalidate *how = j->how;

	if (!found) {
		return STORE_NOT_FOUND;
	}
	if (how->compare && how->compare_cas != e->item.cas) {
		return STORE_EXISTS;
	}
	p->form = e->item;
	p->form.won = false;
	p->form.accessed = j->now;
	p->cas = how->new_cas;
	p->head = e->item.value;
	p->head_len = e->item.value_len;
	if (how->drop_value) {
		plan_emptied(how, p);
		return STORE_OK;
	}
	p->in_place = true;
	p->same_value = true;
	p->form.stale = true;
	if (how->set_exptime) {
		p->form.exptime = how->exptime;
	}
	return STORE_OK;
}

enum store_result store_invalidate(struct store_ctx *c,
				   const struct store_key *key,
				   const struct invalidate *how, uint32_t now,
				   struct change *out)
{
	struct invalidate_job j = { .how = how, .now = now };
	struct job job = {
		.key = key,
		.plan = plan_invalidate,
		.arg = &j,
	};
	struct store_entry e;
	enum store_result res = execute(c, &job, now, &e);

	*out = (struct change){ .miss = e.miss };
	if (res == STORE_NO_MEMORY) {
		return res;
	}
	report(out, &e, res);
	if (res == STORE_NOT_FOUND && !remove_opened(&e, false, &out->lsn)) {
		*out = (struct change){ .miss = e.miss };
		res = STORE_NO_MEMORY;
	}
	store_close(&e);
	return res;
}
