/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hands at work: blocks of a snapshot, records of a journal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "persist/recover_crew.h"
#include "store/store.h"

enum {
	THREADS_HELPFUL = 4,
	PROGRESS_MS = 100,
};

/* The first who fails says why; all stop. */
static bool __attribute__((format(printf, 2, 3)))
fail(struct crew *w, const char *format, ...)
{
	va_list args;

	lock_take(&w->lock);
	if (!atomic_load(&w->failed)) {
		va_start(args, format);
		vsnprintf(w->problem, sizeof(w->problem), format, args);
		va_end(args);
		atomic_store(&w->failed, true);
	}
	lock_give(&w->lock);
	return false;
}

/* ---- one record -------------------------------------------------------- */

/* What is left over of the memory does not matter any more. */
static bool fail_memory(struct crew *w)
{
	struct budget *b = store_budget(w->config->store);
	double limit = (double)budget_limit(b) / (double)MIB;
	uint64_t done = w->bytes_before + atomic_load(&w->bytes);
	double share = 1;

	if (w->snapshot != NULL && done > 0 && done < w->snapshot->size) {
		share = (double)done / (double)w->snapshot->size;
	}
	return fail(w,
		    "the data does not fit into %.0f MiB of memory; about "
		    "%.0f MiB are needed",
		    limit, limit / share * 1.05 + 1);
}

static bool apply(struct hand *h, const struct store_key *key,
		  const struct record *r)
{
	struct crew *w = h->crew;
	enum store_applied result = store_apply(h->ctx, key, r);

	switch (result) {
	case APPLY_DONE:
	case APPLY_OLDER:
		return true;
	case APPLY_EXPIRED:
		h->expired++;
		return true;
	case APPLY_NO_MEMORY:
		h->not_kept++;
		return w->config->evicts || fail_memory(w);
	case APPLY_UNKNOWN:
		break;
	}
	return fail(w,
		    "record %llu is of a kind that this version does not "
		    "know: %u",
		    (unsigned long long)r->lsn, r->kind);
}

/* ---- snapshots --------------------------------------------------------- */

static bool load_record(struct hand *h, const struct record *r)
{
	struct crew *w = h->crew;
	struct store_key key;

	switch (r->kind) {
	case RECORD_ITEM:
		if (r->exptime != 0 && r->exptime <= w->expired_at) {
			h->expired++;
			return true;
		}
		key = store_key(w->config->store, r->key, r->key_len);
		return apply(h, &key, r);
	case RECORD_FLUSH:
	case RECORD_FLUSH_AT:
		return apply(h, NULL, r);
	default:
		return fail(w,
			    "a record of kind %u does not belong into a "
			    "snapshot",
			    r->kind);
	}
}

static bool load_block(struct hand *h, uint64_t n)
{
	struct crew *w = h->crew;
	struct snapshot_block *b = &h->block;
	struct record r;
	int got;

	if (!snapshot_read_block(w->snapshot, n, b)) {
		return fail(w, "%s", b->problem);
	}
	while ((got = snapshot_next(b, &r)) > 0) {
		if (!load_record(h, &r)) {
			return false;
		}
	}
	atomic_fetch_add(&w->bytes,
			 w->snapshot->offsets[n + 1] - w->snapshot->offsets[n]);
	return got == 0 || fail(w, "%s", b->problem);
}

static void load_blocks(struct hand *h)
{
	struct crew *w = h->crew;
	uint64_t n;

	while (!atomic_load(&w->failed) &&
	       (n = atomic_fetch_add(&w->next_block, 1)) <
		       w->snapshot->blocks) {
		if (!load_block(h, n)) {
			break;
		}
	}
}

/* ---- journals ---------------------------------------------------------- */

static bool replay_record(struct hand *h, const struct record *r)
{
	struct crew *w = h->crew;
	const struct store *s = w->config->store;
	struct store_key key;

	if (r->key_len == 0) {
		return h->number != 0 || apply(h, NULL, r);
	}
	key = store_key(s, r->key, r->key_len);
	return store_part(s, &key, w->count) != h->number || apply(h, &key, r);
}

static void replay_file(struct hand *h)
{
	struct crew *w = h->crew;
	struct record r;
	size_t at = 0;

	while (journal_file_next(w->journal, &at, &r)) {
		h->records++;
		if (r.time > h->time) {
			h->time = r.time;
		}
		if (h->number == 0) {
			atomic_store_explicit(&w->bytes, at,
					      memory_order_relaxed);
		}
		/* The snapshot has the outcome of those below it, also if
		 * the journals that show it are gone. */
		if ((r.lsn > w->above && !replay_record(h, &r)) ||
		    atomic_load(&w->failed)) {
			break;
		}
	}
}

/* ---- the crew ---------------------------------------------------------- */

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	struct crew *w = h->crew;

	if (w->snapshot != NULL) {
		load_blocks(h);
	} else {
		replay_file(h);
	}
	atomic_fetch_sub(&w->working, 1);
	bell_ring(&w->bell);
	return NULL;
}

static void tell(const struct crew *w)
{
	struct recover_progress p = { .bytes_total = w->bytes_total };
	struct store_stats stats;

	if (w->config->progress == NULL) {
		return;
	}
	store_stats(w->config->store, &stats);
	p.items = stats.items;
	p.bytes_done = w->bytes_before + atomic_load(&w->bytes);
	w->config->progress(w->config->progress_arg, &p);
}

static void ask_to_give_up(struct crew *w)
{
	const struct recover_config *c = w->config;

	if (c->give_up != NULL && c->give_up(c->give_up_arg)) {
		fail(w, "told to stop before all was read");
	}
}

static void wait_for_hands(struct crew *w)
{
	uint32_t seen = bell_count(&w->bell);

	while (atomic_load(&w->working) > 0) {
		if (!bell_wait(&w->bell, seen, PROGRESS_MS)) {
			tell(w);
			ask_to_give_up(w);
		}
		seen = bell_count(&w->bell);
	}
	for (unsigned i = 0; i < w->count; i++) {
		if (w->hands[i].started) {
			pthread_join(w->hands[i].thread, NULL);
			w->hands[i].started = false;
		}
	}
}

/* Who gets no thread is served by the calling one. */
static bool work(struct crew *w, uint64_t bytes)
{
	atomic_store(&w->next_block, 0);
	atomic_store(&w->bytes, 0);
	atomic_store(&w->working, w->count);
	for (unsigned i = 0; i < w->count; i++) {
		struct hand *h = &w->hands[i];

		h->started = pthread_create(&h->thread, NULL, hand_main, h) ==
			     0;
	}
	for (unsigned i = 0; i < w->count; i++) {
		if (!w->hands[i].started) {
			hand_main(&w->hands[i]);
		}
	}
	wait_for_hands(w);
	w->bytes_before += bytes;
	atomic_store(&w->bytes, 0);
	tell(w);
	ask_to_give_up(w);
	return !atomic_load(&w->failed);
}

bool crew_load(struct crew *w, const struct snapshot_file *f,
	       uint32_t expired_at)
{
	w->snapshot = f;
	w->journal = NULL;
	w->expired_at = expired_at;
	return work(w, f->size);
}

bool crew_replay(struct crew *w, const struct journal_file *f, uint64_t above)
{
	w->snapshot = NULL;
	w->above = above;
	w->journal = f;
	return work(w, f->size);
}

static unsigned helpful_threads(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1) {
		return 1;
	}
	return cores < THREADS_HELPFUL ? (unsigned)cores : THREADS_HELPFUL;
}

bool crew_init(struct crew *w, const struct recover_config *config)
{
	unsigned count = config->threads;

	memset(w, 0, sizeof(*w));
	w->config = config;
	if (count == 0) {
		count = helpful_threads();
	}
	if (count > CREW_MAX) {
		count = CREW_MAX;
	}
	for (unsigned i = 0; i < count; i++) {
		struct hand *h = &w->hands[i];

		h->crew = w;
		h->number = i;
		h->ctx = store_ctx_new(config->store);
		if (h->ctx == NULL) {
			return fail(w, "no memory for %u threads", count);
		}
		w->count++;
	}
	return true;
}

void crew_release(struct crew *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		store_ctx_free(w->hands[i].ctx);
		snapshot_block_release(&w->hands[i].block);
	}
	w->count = 0;
}
