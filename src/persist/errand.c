/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot competes with those who serve clients for processors and for the
 * disk.  Gently means: at a lower priority, and after each step a pause as
 * long as the step was.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/diag.h"
#include "io/clock.h"
#include "persist/errand.h"
#include "store/store.h"

enum {
	NICE = 10,
	/* Pauses are gathered to this length: a shorter one costs more for
	 * going to sleep than it gives. */
	PAUSE_US_MIN = 1000,
};

static bool is_abandoned(const struct errand *e)
{
	return atomic_load(&e->abandon);
}

static void pause_for(struct errand *e, uint64_t *owed_us)
{
	uint32_t seen = bell_count(&e->bell);

	if (*owed_us >= PAUSE_US_MIN && !is_abandoned(e)) {
		bell_wait(&e->bell, seen, *owed_us / 1000);
		*owed_us = 0;
	}
}

static int step_all(struct errand *e, struct snapshot_writer *w)
{
	uint64_t owed_us = 0;

	for (;;) {
		uint64_t began_us = clock_us();
		int result = snapshot_step(w, e->now_s(e->arg));

		if (result <= 0) {
			return result;
		}
		if (is_abandoned(e)) {
			return -ECANCELED;
		}
		if (e->gently) {
			owed_us += clock_us() - began_us;
			pause_for(e, &owed_us);
		}
	}
}

/*
 * The barrier, and the flush that was pending when it was that one: a flush
 * that has taken the place of a pending one must not be seen beside it, or
 * both would be in the snapshot.
 */
static uint64_t see_flushes(struct store *s, uint32_t *flush_at)
{
	struct store_stats stats;
	uint32_t before;

	do {
		before = store_flush_pending(s);
		store_stats(s, &stats);
		*flush_at = store_flush_pending(s);
	} while (*flush_at != before);
	return stats.barrier;
}

static int take_snapshot(struct errand *e, struct store_ctx *ctx)
{
	struct snapshot_writer *w;
	uint32_t flush_at;
	uint64_t barrier = see_flushes(e->store, &flush_at);
	int error = 0;
	struct snapshot_config config = {
		.dir = e->datadir->dir,
		.store = e->store,
		.ctx = ctx,
		.identity = e->datadir->identity,
		.hash_seed = e->datadir->hash_seed,
		.lsn = e->lsn,
		.barrier = barrier,
		.flush_at = flush_at,
		.clean = e->clean,
		.settle = e->settle,
		.settle_arg = e->arg,
	};

	w = snapshot_begin(&config, e->now_s(e->arg), &error);
	if (w == NULL) {
		return error;
	}
	error = step_all(e, w);
	snapshot_progress(w, &e->made);
	snapshot_end(w);
	return error;
}

static int snapshot(struct errand *e)
{
	uint64_t began_ms = clock_ms();
	struct store_ctx *ctx = store_ctx_new(e->store);
	int error;

	if (ctx == NULL) {
		return -ENOMEM;
	}
	error = take_snapshot(e, ctx);
	store_ctx_free(ctx);
	e->took_s = (uint32_t)((clock_ms() - began_ms + 500) / 1000);
	return error;
}

void errand_run(struct errand *e)
{
	e->error = e->snapshot ? snapshot(e) : 0;
	e->old = (struct archive_work){
		.dir = e->datadir->dir,
		.identity = e->datadir->identity,
		.archive = e->archive,
		.lsn = e->lsn,
		.last_too = e->clean,
		.abandon = &e->abandon,
	};
	if (e->error == 0) {
		atomic_store(&e->clears, true);
		archive_old_files(&e->old);
	}
}

static void *thread_main(void *arg)
{
	struct errand *e = arg;

	diag_set_thread("snapshot");
	if (e->gently) {
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
	}
	errand_run(e);
	atomic_store(&e->ended, true);
	bell_ring(e->ended_bell);
	bell_ring(e->ended_urgent);
	return NULL;
}

int errand_start(struct errand *e, struct bell *bell, struct bell *urgent)
{
	e->ended_bell = bell;
	e->ended_urgent = urgent;
	atomic_store(&e->ended, false);
	return -pthread_create(&e->thread, NULL, thread_main, e);
}

void errand_abandon(struct errand *e)
{
	atomic_store(&e->abandon, true);
	bell_ring(&e->bell);
}

void errand_join(struct errand *e)
{
	pthread_join(e->thread, NULL);
}
