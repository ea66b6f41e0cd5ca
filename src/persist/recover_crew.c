/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hands at work: blocks of a snapshot, records of a journal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/clock.h"
#include "persist/recover_crew.h"

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
	double configured = (double)w->limit / (double)MIB;
	uint64_t done = w->bytes_before + atomic_load(&w->bytes);
	double share = 1;

	if (w->snapshot != NULL && done > 0 && done < w->snapshot->size) {
		share = (double)done / (double)w->snapshot->size;
	}
	return fail(w,
		    "the data does not fit into %.0f MiB of memory; about "
		    "%.0f MiB are needed",
		    configured, limit / share * 1.05 + 1);
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

/* The next block that nobody has; false: there is none, or it is no good. */
static bool load_next(struct hand *h)
{
	struct crew *w = h->crew;
	uint64_t n;

	if (atomic_load(&w->failed)) {
		return false;
	}
	n = atomic_fetch_add(&w->next_block, 1);
	return n < w->snapshot->blocks && load_block(h, n);
}

/* ---- journals ---------------------------------------------------------- */

static bool apply_batch(struct hand *h)
{
	unsigned n = h->batched;

	h->batched = 0;
	store_prefetch_batch(h->crew->config->store, h->keys, n);
	for (unsigned i = 0; i < n; i++) {
		if (!apply(h, &h->keys[i], &h->batch[i])) {
			return false;
		}
	}
	return true;
}

static bool replay_record(struct hand *h, const struct record *r)
{
	const struct store *s = h->crew->config->store;
	struct store_key key;

	if (r->key_len == 0) {
		return h->number != 0 || apply(h, NULL, r);
	}
	key = store_key(s, r->key, r->key_len);
	if (store_part(s, &key, h->crew->count) != h->number) {
		return true;
	}
	h->keys[h->batched] = key;
	h->batch[h->batched] = *r;
	h->batched++;
	return h->batched < HAND_BATCH || apply_batch(h);
}

/* Applies its part of what is in front of `end`. */
static bool replay_to(struct hand *h, size_t end)
{
	struct crew *w = h->crew;
	struct record r;

	while (journal_next(w->journal, end, &h->at, &r)) {
		h->records++;
		if (r.time > h->time) {
			h->time = r.time;
		}
		/* The snapshot has the outcome of those below it, also if
		 * the journals that show it are gone. */
		if (r.lsn > w->above && !replay_record(h, &r)) {
			return false;
		}
	}
	if (h->number == 0) {
		atomic_store_explicit(&w->bytes, h->at, memory_order_relaxed);
	}
	return apply_batch(h);
}

/* Follows whoever reads the file, as far as it goes. */
static void replay_file(struct hand *h)
{
	struct crew *w = h->crew;

	while (!atomic_load(&w->failed)) {
		uint32_t seen = bell_count(&h->bell);
		bool ends = atomic_load(&w->good_ends);
		size_t good = atomic_load(&w->good);

		if (h->at < good) {
			if (!replay_to(h, good)) {
				break;
			}
		} else if (ends) {
			break;
		} else {
			bell_wait(&h->bell, seen, PROGRESS_MS);
		}
	}
}

/* ---- the crew ---------------------------------------------------------- */

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	struct crew *w = h->crew;

	if (w->snapshot != NULL) {
		while (load_next(h)) {
		}
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

/* What the calling thread has to do now and then. */
static void attend(struct crew *w)
{
	uint64_t now = clock_ms();

	if (now >= w->attend_ms) {
		w->attend_ms = now + PROGRESS_MS;
		tell(w);
		ask_to_give_up(w);
	}
}

static void start(struct crew *w)
{
	w->attend_ms = clock_ms() + PROGRESS_MS;
	atomic_store(&w->bytes, 0);
	for (unsigned i = 0; i < w->count && w->count > 1; i++) {
		struct hand *h = &w->hands[i];

		atomic_fetch_add(&w->working, 1);
		h->started = pthread_create(&h->thread, NULL, hand_main, h) ==
			     0;
		if (!h->started) {
			atomic_fetch_sub(&w->working, 1);
		}
	}
}

static void wait_for_hands(struct crew *w)
{
	uint32_t seen = bell_count(&w->bell);

	while (atomic_load(&w->working) > 0) {
		bell_wait(&w->bell, seen, PROGRESS_MS);
		attend(w);
		seen = bell_count(&w->bell);
	}
	for (unsigned i = 0; i < w->count; i++) {
		if (w->hands[i].started) {
			pthread_join(w->hands[i].thread, NULL);
			w->hands[i].started = false;
		}
	}
}

/* Of a file of so many bytes. */
static bool finish(struct crew *w, uint64_t bytes)
{
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
	atomic_store(&w->next_block, 0);
	start(w);
	for (unsigned i = 0; i < w->count; i++) {
		while (!w->hands[i].started && load_next(&w->hands[i])) {
			attend(w);
		}
	}
	return finish(w, f->size);
}

/* So much of the journal may be applied; who has no thread does it now. */
static void hand_over(struct crew *w, size_t end, bool ends)
{
	atomic_store(&w->good, end);
	atomic_store(&w->good_ends, ends);
	for (unsigned i = 0; i < w->count; i++) {
		struct hand *h = &w->hands[i];

		if (h->started) {
			bell_ring(&h->bell);
		} else if (!atomic_load(&w->failed)) {
			(void)replay_to(h, end);
		}
	}
}

bool crew_replay(struct crew *w, struct journal_file *f, uint64_t above)
{
	w->snapshot = NULL;
	w->above = above;
	w->journal = f->data;
	atomic_store(&w->good, 0);
	atomic_store(&w->good_ends, false);
	for (unsigned i = 0; i < w->count; i++) {
		w->hands[i].at = 0;
		w->hands[i].batched = 0;
	}
	start(w);
	do {
		hand_over(w, f->end, false);
		attend(w);
	} while (!atomic_load(&w->failed) && journal_file_more(f));
	hand_over(w, f->end, true);
	return finish(w, f->size);
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
	w->limit = budget_limit(store_budget(config->store));
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
