/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Snapshots: what was in the store is in the file, once, with all its fields;
 * a file that is not as it was written is refused; one that could not be
 * written is not there; and little memory is used.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/num.h"
#include "persist/snapshot_form.h"
#include "snapshot_fixture.h"

enum { ITEMS = 6000 };

static char name_of_file[FILE_NAME_SIZE];

static const char *name(uint64_t lsn)
{
	file_name(name_of_file, FILE_SNAPSHOT, lsn);
	return name_of_file;
}

/* ---- reading back ------------------------------------------------------ */

static void is_as_in_store(struct keep *k, const struct record *r)
{
	struct store_key key = store_key(k->s, r->key, r->key_len);
	struct store_entry e;

	assert_true(store_open(k->c, &key, k->now, &e));
	assert_int_equal(e.item.value_len, r->value_len);
	assert_memory_equal(e.item.value, r->value, r->value_len);
	assert_int_equal(e.item.lsn, r->lsn);
	assert_int_equal(e.item.cas, r->cas != 0 ? r->cas : r->lsn);
	assert_int_equal(e.item.cflags, r->cflags);
	assert_int_equal(e.item.exptime, r->exptime);
	assert_int_equal(e.item.accessed, r->time);
	assert_int_equal(e.item.fetched, (r->marks & MARK_FETCHED) != 0);
	assert_int_equal(e.item.stale, (r->marks & MARK_STALE) != 0);
	assert_int_equal(e.item.won, (r->marks & MARK_WON) != 0);
	assert_int_equal(e.item.binkey, (r->marks & MARK_BINKEY) != 0);
	store_close(&e);
}

static uint64_t number_of(const struct record *r)
{
	uint64_t n;

	assert_int_equal(r->key_len, 16);
	assert_true(num_parse_u64(r->key + 4, 12, &n));
	return n;
}

struct census {
	uint64_t items;
	uint64_t others;
	uint64_t raw_bytes;
	unsigned char seen[2 * ITEMS];
};

/* Reads the whole file, and compares each item with the store. */
static void read_all(struct keep *k, struct snapshot_file *f,
		     struct census *census)
{
	struct snapshot_block b = { .data = NULL };
	struct record r;

	memset(census, 0, sizeof(*census));
	for (uint64_t i = 0; i < f->blocks; i++) {
		int got;

		assert_true(snapshot_read_block(f, i, &b));
		census->raw_bytes += b.size;
		while ((got = snapshot_next(&b, &r)) > 0) {
			if (r.kind != RECORD_ITEM) {
				census->others++;
				continue;
			}
			is_as_in_store(k, &r);
			census->items++;
			census->seen[number_of(&r)]++;
		}
		assert_int_equal(got, 0);
	}
	snapshot_block_release(&b);
	assert_int_equal(census->items + census->others, f->records);
	assert_int_equal(census->raw_bytes, f->raw_bytes);
}

static void test_round_trip(void **state)
{
	static struct census census;
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;

	(void)state;
	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	for (uint64_t n = 0; n < ITEMS; n += 700) {
		k.now += 1;
		keep_read(&k, n);
	}
	c = keep_config(&k);
	c.lsn_floor = 4711;
	c.clean = true;
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	assert_int_equal(f.header.identity, IDENTITY);
	assert_int_equal(f.header.hash_seed, SEED);
	assert_int_equal(f.header.lsn_floor, 4711);
	assert_int_equal(f.header.time, k.now);
	assert_int_equal(f.lsn_end, c.lsn);
	assert_int_equal(f.time, k.now);
	assert_true(f.clean);
	assert_false(f.settled);
	read_all(&k, &f, &census);
	assert_int_equal(census.items, ITEMS);
	assert_int_equal(census.others, 0);
	for (int i = 0; i < ITEMS; i++) {
		assert_int_equal(census.seen[i], 1);
	}
	snapshot_close(&f);
	keep_close(&k);
}

static void test_empty_store(void **state)
{
	static struct census census;
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;

	(void)state;
	keep_open(&k, 16 * MIB);
	c = keep_config(&k);
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	assert_int_equal(f.blocks, 0);
	assert_false(f.clean);
	read_all(&k, &f, &census);
	snapshot_close(&f);
	keep_close(&k);
}

/* Is what had to expire at NOW + 1000 in one that is taken at `now`? */
static void check_expired(uint32_t now, bool is_in)
{
	static struct census census;
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;

	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	k.now = now;
	c = keep_config(&k);
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	k.now = NOW; /* what is read is compared with the store */
	read_all(&k, &f, &census);
	for (int i = 0; i < ITEMS; i++) {
		assert_int_equal(census.seen[i], i % 7 != 0 || is_in ? 1 : 0);
	}
	snapshot_close(&f);
	keep_close(&k);
}

/* What has expired is not in it, unless somebody may still touch it. */
static void test_expired(void **state)
{
	(void)state;
	check_expired(NOW + 999, true);
	check_expired(NOW + 1001, true);
	check_expired(NOW + 1002, false);
}

static struct snapshot_config one_item(struct keep *k)
{
	keep_open(k, 16 * MIB);
	keep_put(k, 1, 10, NULL);
	return keep_config(k);
}

/* A barrier and a flush to come are the first that is read. */
static void test_flushes(void **state)
{
	struct snapshot_block b = { .data = NULL };
	struct snapshot_config c;
	struct snapshot_file f;
	struct record r;
	struct keep k;

	(void)state;
	c = one_item(&k);
	c.lsn = 100;
	c.barrier = 70;
	c.flush_at = NOW + 5;
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, 100));
	assert_true(snapshot_read_block(&f, 0, &b));
	assert_int_equal(snapshot_next(&b, &r), 1);
	assert_int_equal(r.kind, RECORD_FLUSH);
	assert_int_equal(r.lsn, 70);
	assert_int_equal(snapshot_next(&b, &r), 1);
	assert_int_equal(r.kind, RECORD_FLUSH_AT);
	assert_int_equal(r.number, NOW + 5);
	assert_int_equal(r.lsn, 100);
	assert_int_equal(snapshot_next(&b, &r), 1);
	assert_int_equal(r.kind, RECORD_ITEM);
	assert_int_equal(snapshot_next(&b, &r), 0);
	assert_int_equal(f.lsn_end, 100);
	snapshot_block_release(&b);
	snapshot_close(&f);
	/* The barrier has been raised above the snapshot meanwhile. */
	c.barrier = 120;
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, 100));
	assert_true(snapshot_read_block(&f, 0, &b));
	assert_int_equal(snapshot_next(&b, &r), 1);
	assert_int_equal(snapshot_next(&b, &r), 1);
	assert_int_equal(r.kind, RECORD_FLUSH_AT);
	assert_int_equal(r.lsn, 120);
	assert_int_equal(f.lsn_end, 120);
	snapshot_block_release(&b);
	snapshot_close(&f);
	keep_close(&k);
}

/*
 * Blocks have their size, follow the shards, and a value that is larger has
 * one of its own.
 */
static void test_blocks(void **state)
{
	struct snapshot_block b = { .data = NULL };
	struct snapshot_config c;
	struct snapshot_file f;
	uint64_t before = 0;
	struct record r;
	struct keep k;

	(void)state;
	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	c = keep_config(&k);
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	assert_true(f.blocks > 12);
	for (uint64_t i = 0; i < f.blocks; i++) {
		assert_true(snapshot_read_block(&f, i, &b));
		assert_true(b.size < 400 << 10 || b.records == 1);
		while (snapshot_next(&b, &r) > 0) {
			struct store_key key = store_key(k.s, r.key, r.key_len);
			/* 64 MiB have 512 shards. */
			uint64_t shard = key.hash >> (64 - 9);

			assert_true(shard >= before);
			before = shard;
		}
	}
	snapshot_block_release(&b);
	snapshot_close(&f);
	keep_close(&k);
}

/* ---- changes meanwhile ------------------------------------------------- */

/*
 * What stays is in it once; what is overwritten, whatever its size, as it was
 * or as it is; what is removed may be missing.
 */
static void test_changes_between_steps(void **state)
{
	static unsigned char seen[2 * ITEMS];
	struct snapshot_block b = { .data = NULL };
	struct snapshot_writer *w;
	struct snapshot_config c;
	struct snapshot_file f;
	struct record r;
	struct rng rng;
	struct keep k;
	int res;

	(void)state;
	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	rng_init(&rng, 5);
	memset(seen, 0, sizeof(seen));
	c = keep_config(&k);
	w = snapshot_begin(&c, k.now, &res);
	assert_non_null(w);
	do {
		/* Numbers that are 0, 1 and 2 of 3 are changed, go, stay. */
		for (int i = 0; i < 10; i++) {
			uint64_t n = rng_below(&rng, ITEMS / 3) * 3;

			keep_put(&k, n, n % 10 == 0 ? 50000 : 30, NULL);
			n = rng_below(&rng, ITEMS / 3) * 3;
			keep_remove(&k, n + 1);
			keep_put(&k, ITEMS + n, 100, NULL);
		}
		k.now += rng_below(&rng, 8) == 0 ? 1 : 0;
		res = snapshot_step(w, k.now);
	} while (res > 0);
	assert_int_equal(res, 0);
	snapshot_end(w);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	assert_true(f.lsn_end > c.lsn);
	assert_int_equal(f.lsn_end, store_lsn(k.s));
	assert_int_equal(f.time, k.now);
	assert_int_equal(f.header.time, NOW);
	for (uint64_t i = 0; i < f.blocks; i++) {
		assert_true(snapshot_read_block(&f, i, &b));
		while (snapshot_next(&b, &r) > 0) {
			static char want[1 << 20];

			keep_fill(want, r.value_len, number_of(&r));
			assert_memory_equal(r.value, want, r.value_len);
			assert_int_equal(seen[number_of(&r)]++, 0);
			assert_true(r.lsn <= f.lsn_end);
		}
	}
	for (int i = 0; i < ITEMS; i++) {
		assert_true(i % 3 == 1 || seen[i] == 1);
	}
	snapshot_block_release(&b);
	snapshot_close(&f);
	keep_close(&k);
}

struct settled {
	uint64_t lsn;
	int calls;
	int answer;
};

static int note_settle(void *arg, uint64_t lsn)
{
	struct settled *s = arg;

	s->lsn = lsn;
	s->calls++;
	return s->answer;
}

/* Before it has its name, the journal is asked to be as far as it is. */
static void test_settle(void **state)
{
	struct settled settled = { .answer = -EIO };
	struct snapshot_writer *w;
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;
	int res;

	(void)state;
	c = one_item(&k);
	c.settle = note_settle;
	c.settle_arg = &settled;
	assert_int_equal(keep_take(&k, &c), -EIO);
	assert_int_equal(settled.calls, 1);
	assert_false(snapshot_open(&f, k.dir, c.lsn));
	snapshot_close(&f);

	settled.answer = 0;
	w = snapshot_begin(&c, k.now, &res);
	assert_non_null(w);
	assert_int_equal(snapshot_step(w, k.now), 1);
	keep_put(&k, 2, 10, NULL);
	while ((res = snapshot_step(w, k.now)) > 0) {
		assert_int_equal(settled.calls, 1);
	}
	assert_int_equal(res, 0);
	snapshot_end(w);
	assert_int_equal(settled.calls, 2);
	assert_int_equal(settled.lsn, store_lsn(k.s));
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	assert_true(f.settled);
	assert_int_equal(f.lsn_end, settled.lsn);
	snapshot_close(&f);
	keep_close(&k);
}

static void test_progress(void **state)
{
	struct snapshot_progress p = { .done = 0 };
	struct snapshot_config c;
	struct snapshot_writer *w;
	double before = 0;
	struct keep k;
	int res;

	(void)state;
	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	c = keep_config(&k);
	w = snapshot_begin(&c, k.now, &res);
	assert_non_null(w);
	while ((res = snapshot_step(w, k.now)) > 0) {
		snapshot_progress(w, &p);
		assert_true(p.done >= before && p.done <= 1);
		before = p.done;
	}
	snapshot_progress(w, &p);
	assert_true(p.done >= 1);
	assert_int_equal(p.items, ITEMS);
	assert_true(p.raw_bytes > 13 * MIB && p.file_bytes < p.raw_bytes);
	snapshot_end(w);
	keep_close(&k);
}

/* ---- memory ------------------------------------------------------------ */

/* A directory that takes everything and keeps nothing. */
static int sink_open(struct dir *d, const char *n, enum file_use use)
{
	(void)d;
	(void)n;
	(void)use;
	return 1;
}

static long sink_write(struct dir *d, int file, const struct iovec *part,
		       int count, uint64_t offset)
{
	long n = 0;

	(void)d;
	(void)file;
	(void)offset;
	for (int i = 0; i < count; i++) {
		n += (long)part[i].iov_len;
	}
	return n;
}

static int sink_sync(struct dir *d, int file)
{
	(void)d;
	(void)file;
	return 0;
}

static void sink_close(struct dir *d, int file)
{
	(void)d;
	(void)file;
}

static int sink_rename(struct dir *d, const char *from, struct dir *to_dir,
		       const char *to)
{
	(void)d;
	(void)from;
	(void)to_dir;
	(void)to;
	return 0;
}

static int sink_sync_names(struct dir *d)
{
	(void)d;
	return 0;
}

static const struct dir_ops sink_ops = {
	.open = sink_open,
	.write = sink_write,
	.sync = sink_sync,
	.close = sink_close,
	.rename = sink_rename,
	.sync_names = sink_sync_names,
};

static uint64_t resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages[2];

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &pages[0], &pages[1]), 2);
	fclose(f);
	return pages[1] * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The most that a snapshot needs, in resident bytes. */
static uint64_t memory_needed(struct keep *k)
{
	struct dir sink = { .ops = &sink_ops };
	struct snapshot_config c = keep_config(k);
	struct snapshot_writer *w;
	uint64_t before;
	uint64_t most;
	int res;

	c.dir = &sink;
	before = resident_bytes();
	most = before;
	w = snapshot_begin(&c, k->now, &res);
	assert_non_null(w);
	do {
		uint64_t bytes;

		res = snapshot_step(w, k->now);
		bytes = resident_bytes();
		most = bytes > most ? bytes : most;
	} while (res > 0);
	assert_int_equal(res, 0);
	snapshot_end(w);
	return most - before;
}

/* Sanitizers have memory of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MEMORY_COUNTS = false };
#else
enum { MEMORY_COUNTS = true };
#endif

static void is_little(const char *what, uint64_t bytes)
{
	print_message("%s: %lu KiB\n", what, bytes >> 10);
	assert_true(!MEMORY_COUNTS || bytes < 64 * MIB / 20);
}

/* Within 5 % of 64 MiB; a store of values of 1 MiB needs one of them more. */
static void test_memory(void **state)
{
	uint64_t charged;
	struct keep k;

	(void)state;
	/* A page that is made large counts with what of it is not in use. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	keep_open(&k, 64 * MIB);
	for (uint64_t n = 0; n < 300000; n++) {
		assert_int_equal(keep_put(&k, n, 100, NULL), STORE_OK);
	}
	is_little("small values", memory_needed(&k));
	for (uint64_t n = 0; n < 100; n++) {
		assert_int_equal(keep_put(&k, n, 1 << 20, NULL), STORE_OK);
	}
	charged = budget_used(store_budget(k.s));
	is_little("values of 1 MiB", memory_needed(&k));
	assert_int_equal(budget_used(store_budget(k.s)), charged);
	keep_close(&k);
}

/* ---- what fails -------------------------------------------------------- */

static void is_not_there(struct keep *k, uint64_t lsn)
{
	struct snapshot_file f;
	char part[FILE_NAME_SIZE + 8];
	size_t size;

	assert_false(snapshot_open(&f, k->dir, lsn));
	assert_string_equal(f.problem,
			    "it cannot be opened: No such file or directory");
	snapshot_close(&f);
	snprintf(part, sizeof(part), "%s.part", name(lsn));
	assert_null(memdir_content(k->m, part, &size));
}

/* The n-th operation fails, until none does. */
static void fail_each(enum memdir_op op, int error, uint64_t items,
		      uint64_t calls_min)
{
	struct snapshot_config c;
	struct snapshot_file f;
	uint64_t n = 0;
	struct keep k;
	int res;

	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, items);
	c = keep_config(&k);
	for (;; n++) {
		const struct memdir_fault fault = {
			.ops = 1U << op,
			.skip = n,
			.times = 1,
			.error = error,
		};

		memdir_fail(k.m, &fault);
		res = keep_take(&k, &c);
		memdir_heal(k.m);
		if (res == 0) {
			break;
		}
		assert_int_equal(res, error);
		is_not_there(&k, c.lsn);
	}
	assert_true(n >= calls_min);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	snapshot_close(&f);
	keep_close(&k);
}

static void test_failures(void **state)
{
	(void)state;
	fail_each(MEMDIR_CREATE, -EMFILE, 100, 1);
	fail_each(MEMDIR_WRITE, -ENOSPC, 1000, 20);
	fail_each(MEMDIR_SYNC, -EIO, 9000, 2);
	fail_each(MEMDIR_RENAME, -EIO, 100, 1);
}

/* It has its name: it is whole, and taking it away could only lose data. */
static void test_names_not_synced(void **state)
{
	const struct memdir_fault fault = {
		.ops = 1U << MEMDIR_SYNC_NAMES,
		.times = 1,
		.error = -EIO,
	};
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;

	(void)state;
	c = one_item(&k);
	memdir_fail(k.m, &fault);
	assert_int_equal(keep_take(&k, &c), -EIO);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	snapshot_close(&f);
	keep_close(&k);
}

/* What an earlier one has left behind is in nobody's way. */
static void test_left_behind(void **state)
{
	const struct memdir_fault faults[2] = {
		{ .ops = 1U << MEMDIR_SYNC, .times = 1, .error = -EIO },
		{ .ops = 1U << MEMDIR_REMOVE, .times = 1, .error = -EIO },
	};
	struct snapshot_config c;
	struct snapshot_file f;
	struct keep k;

	(void)state;
	c = one_item(&k);
	memdir_fail(k.m, &faults[0]);
	memdir_fail(k.m, &faults[1]);
	assert_int_equal(keep_take(&k, &c), -EIO);
	assert_int_equal(memdir_hits(k.m), 2);
	memdir_heal(k.m);
	assert_int_equal(keep_take(&k, &c), 0);
	assert_true(snapshot_open(&f, k.dir, c.lsn));
	snapshot_close(&f);
	keep_close(&k);
}

static void test_no_memory(void **state)
{
	struct snapshot_config c;
	uint64_t charged;
	struct keep k;
	int res;

	(void)state;
	keep_open(&k, 64 * MIB);
	keep_fill_store(&k, ITEMS);
	c = keep_config(&k);
	charged = budget_used(store_budget(k.s));
	for (uint32_t n = 1;; n++) {
		k.deny_in = n;
		res = keep_take(&k, &c);
		assert_int_equal(budget_used(store_budget(k.s)), charged);
		if (k.deny_in > 0) {
			break;
		}
		assert_int_equal(res, -ENOMEM);
		is_not_there(&k, c.lsn);
	}
	assert_int_equal(res, 0);
	/* The writer, two buffers, the compressor; more for large values. */
	assert_true(k.denied >= 5);
	keep_close(&k);
}

/* ---- what is damaged --------------------------------------------------- */

static void refuses(struct keep *k, uint64_t lsn, const char *text)
{
	struct snapshot_block b = { .data = NULL };
	struct snapshot_file f;
	const char *problem = NULL;

	if (!snapshot_open(&f, k->dir, lsn)) {
		problem = f.problem;
	}
	for (uint64_t i = 0; problem == NULL && i < f.blocks; i++) {
		if (!snapshot_read_block(&f, i, &b)) {
			problem = b.problem;
		}
	}
	assert_non_null(problem);
	if (strstr(problem, text) == NULL) {
		fail_msg("'%s' says nothing of '%s'", problem, text);
	}
	snapshot_block_release(&b);
	snapshot_close(&f);
}

/* With byte `at` changed, from the end if that is negative. */
static void refuses_byte(struct keep *k, uint64_t lsn, long at,
			 const char *text)
{
	size_t size;
	char *bytes = memdir_content(k->m, name(lsn), &size);

	if (at < 0) {
		at += (long)size;
	}
	bytes[at] ^= 4;
	refuses(k, lsn, text);
	bytes[at] ^= 4;
}

static void refuses_size(struct keep *k, uint64_t lsn, uint64_t size,
			 const char *text)
{
	memdir_resize(k->m, name(lsn), size);
	refuses(k, lsn, text);
}

static struct keep small_snapshot(uint64_t *lsn)
{
	struct snapshot_config c;
	struct keep k;

	keep_open(&k, 16 * MIB);
	for (uint64_t n = 0; n < 8000; n++) {
		keep_put(&k, n, 100, NULL);
	}
	c = keep_config(&k);
	*lsn = c.lsn;
	c.ctx = k.c;
	c.deny = NULL;
	assert_int_equal(keep_take(&k, &c), 0);
	return k;
}

static void test_refusals(void **state)
{
	uint64_t lsn;
	struct keep k = small_snapshot(&lsn);
	size_t size;
	struct snapshot_file f;

	(void)state;
	assert_non_null(memdir_content(k.m, name(lsn), &size));
	refuses(&k, lsn + 1, "cannot be opened");
	refuses_byte(&k, lsn, 0, "not a file of dozo");
	refuses_byte(&k, lsn, 30, "damaged");
	refuses_byte(&k, lsn, HEADER_SIZE + 3, "head of its block 0");
	refuses_byte(&k, lsn, HEADER_SIZE + 12, "not those that its end");
	refuses_byte(&k, lsn, HEADER_SIZE + 50, "block 0 at byte 64");
	refuses_byte(&k, lsn, -1, "its end is missing or damaged");
	refuses_byte(&k, lsn, -SNAPSHOT_END_SIZE, "its end is missing");
	refuses_byte(&k, lsn, -SNAPSHOT_TAIL_SIZE, "its end is missing");
	assert_true(snapshot_open(&f, k.dir, lsn));
	snapshot_close(&f);
	refuses_size(&k, lsn, size + 1, "its end is missing or damaged");
	refuses_size(&k, lsn, size - 1, "its end is missing or damaged");
	refuses_size(&k, lsn, 100, "too short");
	keep_close(&k);
}

/* Under the name of another. */
static void test_wrong_name(void **state)
{
	uint64_t lsn;
	struct keep k = small_snapshot(&lsn);
	char from[FILE_NAME_SIZE];

	(void)state;
	file_name(from, FILE_SNAPSHOT, lsn);
	assert_int_equal(dir_rename(k.dir, from, k.dir, name(lsn + 1)), 0);
	refuses(&k, lsn + 1, "another LSN");
	keep_close(&k);
}

/* Whatever bit of it is changed, it is seen. */
static void test_every_bit(void **state)
{
	struct snapshot_config c;
	struct keep k;
	size_t size;
	char *bytes;

	(void)state;
	keep_open(&k, 16 * MIB);
	for (uint64_t n = 0; n < 20; n++) {
		keep_put(&k, n, 40, NULL);
	}
	c = keep_config(&k);
	assert_int_equal(keep_take(&k, &c), 0);
	bytes = memdir_content(k.m, name(c.lsn), &size);
	assert_true(size > 500);
	for (size_t i = 0; i < size * 8; i++) {
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
		refuses(&k, c.lsn, "");
		bytes[i / 8] = (char)(bytes[i / 8] ^ 1 << i % 8);
	}
	keep_close(&k);
}

/* A read that fails is told; the snapshot is not believed to be shorter. */
static void test_read_errors(void **state)
{
	uint64_t lsn;
	struct keep k = small_snapshot(&lsn);

	(void)state;
	for (uint64_t n = 0;; n++) {
		const struct memdir_fault fault = {
			.ops = 1U << MEMDIR_READ,
			.skip = n,
			.times = 1,
			.error = -EIO,
		};

		memdir_fail(k.m, &fault);
		if (n == 8) {
			break;
		}
		refuses(&k, lsn, "Input/output error");
		memdir_heal(k.m);
	}
	keep_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_store),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_flushes),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_changes_between_steps),
		cmocka_unit_test(test_settle),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_names_not_synced),
		cmocka_unit_test(test_left_behind),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_wrong_name),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_read_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
