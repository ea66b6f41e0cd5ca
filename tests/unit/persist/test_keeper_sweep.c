/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keeper under failures: each kind of operation on files fails at its n-th
 * call, once or several times, for each n until a pass in which none is left
 * to fail.  It is told, it is got over, all that was changed is committed in
 * the end, and a power loss at a moment at which something was committed loses
 * nothing of it.
 */
#include <errno.h>

#include "keeper_fixture.h"
#include "thin.h"

enum {
	ROUNDS = 3,
	CHANGES = 12,   /* a round; they take more than one journal */
	RETRY_SOON = 1, /* ms */
	POINTS = 6,
};

static const struct memdir_fault kinds[] = {
	{ .ops = 1U << MEMDIR_CREATE, .times = 1, .error = -ENOSPC },
	{ .ops = 1U << MEMDIR_OPEN, .times = 1, .error = -EMFILE },
	{ .ops = 1U << MEMDIR_WRITE, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_WRITE, .times = 5, .error = -ENOSPC },
	{ .ops = 1U << MEMDIR_SYNC, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_SYNC, .times = 4, .error = -EIO },
	{ .ops = 1U << MEMDIR_RENAME, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_REMOVE, .times = 1, .error = -EACCES },
	{ .ops = 1U << MEMDIR_SYNC_NAMES, .times = 1, .error = -EIO },
	{ .ops = 1U << MEMDIR_SYNC_NAMES, .times = 3, .error = -EIO },
	{ .ops = 1U << MEMDIR_LIST, .times = 1, .error = -EIO },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Takes one, and waits until it stands. */
static void snapshot(struct world *w)
{
	uint64_t before = world_stats(w).snapshots;

	wait_until(w,
		   (keeper_snapshot(w->k), world_stats(w).snapshots > before));
}

static void note_part(void *arg, const char *name)
{
	bool *found = arg;

	*found |= file_name_is_part(name);
}

/*
 * What a snapshot that was given up could not remove goes at the next start:
 * that is no error of this run.
 */
static bool has_part(struct world *w)
{
	bool found = false;

	assert_int_equal(dir_list(memdir_dir(w->m), note_part, &found), 0);
	return found;
}

/* The calls that failed. */
static uint64_t sweep_once(const struct memdir_fault *fault)
{
	struct world w = { 0 };
	struct keeper_stats stats;
	char why[PROBLEM_SIZE] = "";
	uint64_t hits;
	bool clean;

	w.config.retry_ms = RETRY_SOON;
	w.config.journal_file_bytes = KIB;
	world_open(&w, SYNC_ALWAYS);
	memdir_fail(w.m, fault);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t lsn = world_changes(&w, CHANGES);

		wait_until(&w, atomic_load(&w.committed) == lsn);
		snapshot(&w);
	}
	world_changes(&w, CHANGES);
	clean = keeper_stop(w.k, why);
	assert_true(clean || why[0] != '\0');
	hits = memdir_hits(w.m);
	stats = world_stats(&w);
	assert_true(hits == 0 ? clean && stats.errors == 0 :
				!clean || stats.errors > 0 || has_part(&w));
	world_check_points(&w, POINTS);
	world_release(&w);
	return hits;
}

/* Each takes long under a sanitizer: there every second or fourth. */
enum { STEP = THIN == 1 ? 1 : THIN == 8 ? 2 : 4 };

static void test_sweep(void **state)
{
	unsigned runs = 0;

	(void)state;
	for (int i = 0; i < KINDS; i++) {
		struct memdir_fault fault = kinds[i];

		while (sweep_once(&fault) > 0) {
			fault.skip += STEP;
			runs++;
		}
		assert_true(fault.skip > 0);
	}
	print_message("%u runs\n", runs);
	assert_true(runs > 100 / STEP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
