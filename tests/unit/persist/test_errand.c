/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an errand's snapshot says of flushes, while another thread orders them
 * and has others take their place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

#include "base/check.h"
#include "base/limits.h"
#include "log/log.h"
#include "memdir.h"
#include "persist/errand.h"
#include "store/store.h"
#include "thin.h"

enum {
	NOW = 1000000,
	LATER = 2 * NOW,
	ERRANDS = 800 / THIN,
	ROUNDS_MAX = 100000000
};

struct orders {
	struct store *s;
	pthread_t thread;
	_Atomic bool enough;
};

/*
 * Orders a flush for a time of its own, and then flushes at once, which takes
 * its place.  Nobody else draws LSNs, so the barrier belongs to the time: it is
 * 2 * n when that for LATER + n is pending.
 */
static void *give_orders(void *arg)
{
	struct orders *o = arg;
	uint64_t lsn;

	for (uint32_t n = 0; n < ROUNDS_MAX && !atomic_load(&o->enough); n++) {
		check(store_flush_at(o->s, LATER + n, NOW, &lsn) == STORE_OK);
		check(store_flush(o->s, NOW, &lsn) == STORE_OK);
	}
	return NULL;
}

static uint32_t now_s(void *arg)
{
	(void)arg;
	return NOW;
}

/* True: a flush was pending, and the barrier is the one of its time. */
static bool check_snapshot(struct dir *dir, uint64_t lsn)
{
	struct snapshot_block b = { .data = NULL };
	struct snapshot_file f;
	uint64_t barrier = 0;
	uint64_t at = 0;
	struct record r;

	assert_true(snapshot_open(&f, dir, lsn));
	if (f.blocks > 0) {
		assert_true(snapshot_read_block(&f, 0, &b));
		while (snapshot_next(&b, &r) > 0) {
			if (r.kind == RECORD_FLUSH) {
				barrier = r.lsn;
			} else {
				assert_int_equal(r.kind, RECORD_FLUSH_AT);
				at = r.number;
			}
		}
	}
	if (at != 0) {
		assert_int_equal(barrier, 2 * (at - LATER));
	}
	snapshot_block_release(&b);
	snapshot_close(&f);
	return at != 0;
}

/*
 * One that has been replaced must not be in the snapshot beside the flush that
 * took its place: it would fire again, and take what was stored since.
 */
static void test_replaced_flush(void **state)
{
	const struct log_config log = { .window_bytes = MIB };
	struct store_config config = {
		.memory_limit = 64 * MIB,
		.memory_reserve = 64 * MIB,
		.log = log_new(&log),
	};
	struct memdir *m = memdir_new();
	struct datadir d = { .dir = memdir_dir(m) };
	struct orders o = { .s = store_new(&config) };
	unsigned pending = 0;

	(void)state;
	assert_non_null(o.s);
	assert_int_equal(pthread_create(&o.thread, NULL, give_orders, &o), 0);
	while (store_lsn(o.s) == 0) {
		sched_yield();
	}
	for (int i = 0; i < ERRANDS; i++) {
		struct errand e = {
			.datadir = &d,
			.store = o.s,
			.lsn = store_lsn(o.s),
			.snapshot = true,
			.now_s = now_s,
		};

		errand_run(&e);
		assert_int_equal(e.error, 0);
		pending += check_snapshot(d.dir, e.lsn);
	}
	atomic_store(&o.enough, true);
	pthread_join(o.thread, NULL);
	assert_true(pending > 0);
	store_free(o.s);
	log_free(config.log);
	memdir_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replaced_flush),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
