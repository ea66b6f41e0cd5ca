/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hands at work: blocks of a snapshot, records of a journal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/limits.h"
#include "io/clock.h"
#include "persist/recover_crew.h"

enum {
	THREADS_HELPFUL = 4,
	PROGRESS_MS = 100,
	/* Parts of the tables that a batch is sorted by: as many as there are
	 * tables in 2 GiB, and no more than the cache has room to count. */
	SORTS = 1 << 14,
	/* Of the memory, what batches may hold, in bytes of records: when it is
	 * full, what goes is then what is old, but for so little. */
	BATCH_SHARE = 128,
	/* With so little of the memory left it is short. */
	SHORT_SHARE = 8,
	/* The first guess is made after so much of the journals; until then
	 * each record may be a new item, and is as large as most are. */
	GUESS_SHARE = 16,
	RECORD_USUAL = 128,
	/* No guess goes beyond so many times what is there. */
	GUESS_FACTOR = 3,
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

/* Of the memory, when it is not short. */
static uint64_t most_used(struct store *s)
{
	uint64_t limit = budget_limit(store_budget(s));

	return limit - limit / SHORT_SHARE;
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

/*
 * Tables that were made larger than was needed yet must not be what others
 * lack: they shrink while there is still memory.
 */
static void look_at_memory(struct crew *w)
{
	struct store *s = w->config->store;

	if (budget_used(store_budget(s)) > most_used(s) &&
	    !atomic_exchange(&w->short_of_memory, true)) {
		store_fit(s);
	}
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
	look_at_memory(w);
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

/* ---- journals: what a hand does ---------------------------------------- */

static unsigned part_of(const struct crew *w, uint64_t hash, unsigned parts)
{
	struct store_key key = { .hash = hash };

	return store_part(w->config->store, &key, parts);
}

/*
 * In the order of the tables; what belongs into one stays in its order.  The
 * parts that are counted are those of all hands: a hand's own are together.
 */
static void sort(struct hand *h, const struct batch *b)
{
	uint32_t at = 0;

	memset(h->places, 0, SORTS * sizeof(*h->places));
	for (unsigned i = 0; i < b->count; i++) {
		h->places[part_of(h->crew, b->jobs[i].hash, SORTS)]++;
	}
	for (unsigned i = 0; i < SORTS; i++) {
		uint32_t n = h->places[i];

		h->places[i] = at;
		at += n;
	}
	for (unsigned i = 0; i < b->count; i++) {
		unsigned part = part_of(h->crew, b->jobs[i].hash, SORTS);

		h->sorted[h->places[part]++] = b->jobs[i];
	}
}

/* What was checked, and all of it is there. */
static uint32_t read_again(const char *at, struct record *r)
{
	uint32_t size;

	check(record_read_checked(at, SIZE_MAX, r, &size) == RECORD_GOOD);
	return size;
}

/* Asks for the first lines of a record: most are not longer. */
static void prefetch_record(const char *at)
{
	__builtin_prefetch(at);
	__builtin_prefetch(at + 64);
	__builtin_prefetch(at + 128);
}

/* Reads the next `n` of the sorted ones, and asks for those behind them. */
static void read_ahead(struct hand *h, unsigned from, unsigned n, unsigned all)
{
	for (unsigned i = 0; i < n; i++) {
		const struct job *job = &h->sorted[from + i];
		struct record *r = &h->ahead[i];

		if (from + i + HAND_AHEAD < all) {
			prefetch_record(h->sorted[from + i + HAND_AHEAD].at);
		}
		read_again(job->at, r);
		h->keys[i] = (struct store_key){
			.data = r->key,
			.len = r->key_len,
			.hash = job->hash,
		};
	}
}

static bool apply_batch(struct hand *h, const struct batch *b)
{
	unsigned n;

	sort(h, b);
	for (unsigned from = 0; from < b->count; from += n) {
		n = b->count - from < HAND_AHEAD ? b->count - from : HAND_AHEAD;
		read_ahead(h, from, n, b->count);
		store_prefetch_batch(h->crew->config->store, h->keys, n);
		for (unsigned i = 0; i < n; i++) {
			const struct store_key *key = h->keys[i].len > 0 ?
							      &h->keys[i] :
							      NULL;

			if (!apply(h, key, &h->ahead[i])) {
				return false;
			}
		}
	}
	return true;
}

static void apply_next(struct hand *h)
{
	struct crew *w = h->crew;
	unsigned done = atomic_load(&h->done);
	struct batch *b = &h->batches[done % HAND_BATCHES];

	if (!atomic_load(&w->failed)) {
		(void)apply_batch(h, b);
		look_at_memory(w);
	}
	atomic_fetch_add(&w->bytes, b->bytes);
	b->count = 0;
	b->bytes = 0;
	atomic_store(&h->done, done + 1);
	bell_ring(&w->bell);
}

/* Applies what it is given until there is no more. */
static void replay_part(struct hand *h)
{
	for (;;) {
		uint32_t seen = bell_count(&h->bell);
		bool all_given = atomic_load(&h->crew->all_given);

		if (atomic_load(&h->done) != atomic_load(&h->given)) {
			apply_next(h);
		} else if (all_given) {
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
		replay_part(h);
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

/* ---- journals: what the calling thread does ---------------------------- */

/*
 * As many items come of the rest as came of what was read; but not very many
 * more than there are, for it may be that the rest has the same keys again.
 * And the memory must be enough for all of them, not only for the tables.
 */
static void guess(struct crew *w, uint64_t done)
{
	struct store *s = w->config->store;
	double share = (double)done / (double)(w->bytes_total - w->guess_bytes);
	struct store_stats stats;
	double factor;

	store_stats(s, &stats);
	if (stats.items <= w->guess_items) {
		return;
	}
	factor = ((double)w->guess_items +
		  (double)(stats.items - w->guess_items) / share) /
		 (double)stats.items;
	factor = factor < GUESS_FACTOR ? factor : GUESS_FACTOR;
	if ((double)stats.memory_used * factor <= (double)most_used(s)) {
		store_expect(s, (uint64_t)((double)stats.items * factor));
	}
}

/* Now and then: each time when twice as much was read. */
static void guess_now_and_then(struct crew *w)
{
	uint64_t done = w->bytes_before + atomic_load(&w->bytes) -
			w->guess_bytes;

	if (done >= w->guess_at && w->bytes_before + done < w->bytes_total &&
	    !atomic_load(&w->short_of_memory)) {
		w->guess_at = 2 * done;
		guess(w, done);
	}
}

static void begin_to_guess(struct crew *w)
{
	struct store *s = w->config->store;
	struct store_stats stats;

	store_stats(s, &stats);
	w->guesses = true;
	w->guess_bytes = w->bytes_before;
	w->guess_items = stats.items;
	w->guess_at = (w->bytes_total - w->bytes_before) / GUESS_SHARE + 1;
	if (stats.memory_used + w->guess_at <= most_used(s)) {
		store_expect(s, stats.items + w->guess_at / RECORD_USUAL);
	}
}

static unsigned between(uint64_t n, unsigned min, unsigned max)
{
	return n < min ? min : n > max ? max : (unsigned)n;
}

/* What was put into the hand's batch may be applied. */
static void give(struct hand *h)
{
	struct crew *w = h->crew;

	atomic_fetch_add(&h->given, 1);
	if (h->started) {
		bell_ring(&h->bell);
	} else {
		apply_next(h);
	}
	w->batch_now = between(2 * w->batch_now, BATCH_MIN, w->batch_max);
	guess_now_and_then(w);
	attend(w);
}

/* The batch that takes the hand's next record. */
static struct batch *batch_of(struct hand *h)
{
	struct crew *w = h->crew;
	unsigned given = atomic_load(&h->given);
	uint32_t seen = bell_count(&w->bell);

	while (given - atomic_load(&h->done) == HAND_BATCHES) {
		bell_wait(&w->bell, seen, PROGRESS_MS);
		attend(w);
		seen = bell_count(&w->bell);
	}
	return &h->batches[given % HAND_BATCHES];
}

static void deal_record(struct crew *w, const struct record *r, const char *at,
			size_t size)
{
	const struct store *s = w->config->store;
	struct hand *h = &w->hands[0];
	uint64_t hash = 0;
	struct batch *b;

	if (r->key_len > 0) {
		hash = store_key(s, r->key, r->key_len).hash;
		h = &w->hands[part_of(w, hash, w->count)];
	}
	b = batch_of(h);
	check(b->count < w->batch_max);
	b->jobs[b->count] = (struct job){ .hash = hash, .at = at };
	b->count++;
	b->bytes += size;
	if (b->count >= w->batch_now || b->bytes >= w->batch_bytes) {
		give(h);
	}
}

/* Deals out what is good of the journal. */
static void deal(struct crew *w, const struct journal_file *f)
{
	while (w->dealt < f->end && !atomic_load(&w->failed)) {
		const char *at = f->data + w->dealt;
		struct record r;
		uint32_t size = read_again(at, &r);

		w->dealt += size;
		if (r.kind == RECORD_MARK) {
			continue;
		}
		w->records++;
		if (r.time > w->time) {
			w->time = r.time;
		}
		/* The snapshot has the outcome of those below it, also if
		 * the journals that show it are gone. */
		if (r.lsn > w->above) {
			deal_record(w, &r, at, size);
		} else {
			atomic_fetch_add(&w->bytes, size);
		}
	}
}

static void give_rest(struct crew *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		if (batch_of(&w->hands[i])->count > 0) {
			give(&w->hands[i]);
		}
	}
	atomic_store(&w->all_given, true);
	for (unsigned i = 0; i < w->count; i++) {
		bell_ring(&w->hands[i].bell);
	}
}

bool crew_replay(struct crew *w, struct journal_file *f, uint64_t above)
{
	w->snapshot = NULL;
	w->above = above;
	w->dealt = HEADER_SIZE;
	w->batch_now = BATCH_MIN;
	if (!w->guesses) {
		begin_to_guess(w);
	}
	atomic_store(&w->all_given, false);
	start(w);
	do {
		deal(w, f);
		attend(w);
	} while (!atomic_load(&w->failed) && journal_file_more(f));
	give_rest(w);
	return finish(w, f->size);
}

/* ---- its life ---------------------------------------------------------- */

static unsigned helpful_threads(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1) {
		return 1;
	}
	return cores < THREADS_HELPFUL ? (unsigned)cores : THREADS_HELPFUL;
}

static size_t hand_bytes(const struct crew *w)
{
	return (HAND_BATCHES + 1) * w->batch_max * sizeof(struct job) +
	       SORTS * sizeof(uint32_t);
}

static bool hand_init(struct hand *h, struct crew *w)
{
	struct job *jobs;

	h->crew = w;
	h->ctx = store_ctx_new(w->config->store);
	h->memory = arena_map(hand_bytes(w));
	if (h->ctx == NULL || h->memory == NULL) {
		return false;
	}
	arena_want_huge(h->memory, hand_bytes(w));
	jobs = h->memory;
	for (int i = 0; i < HAND_BATCHES; i++) {
		h->batches[i].jobs = jobs;
		jobs += w->batch_max;
	}
	h->sorted = jobs;
	h->places = (uint32_t *)(jobs + w->batch_max);
	return true;
}

static void hand_release(struct hand *h)
{
	if (h->ctx != NULL) {
		store_ctx_free(h->ctx);
	}
	if (h->memory != NULL) {
		arena_unmap(h->memory, hand_bytes(h->crew));
	}
	snapshot_block_release(&h->block);
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
	w->batch_bytes = w->limit / BATCH_SHARE / count;
	w->batch_max = between(w->batch_bytes / 128, BATCH_MIN, BATCH_MAX);
	for (unsigned i = 0; i < count; i++) {
		w->count++;
		if (!hand_init(&w->hands[i], w)) {
			return fail(w, "no memory for %u threads", count);
		}
	}
	return true;
}

void crew_release(struct crew *w)
{
	for (unsigned i = 0; i < w->count; i++) {
		hand_release(&w->hands[i]);
	}
	w->count = 0;
}
