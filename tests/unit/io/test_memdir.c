/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory in memory that other tests rely on: it does what the system's
 * does, fails as it is told, and after a crash keeps what it must and loses
 * what it may.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/file.h"
#include "memdir.h"

enum { SEEDS = 400, SECTOR = 512 };

static int made(struct dir *d, const char *name, const char *text)
{
	int file = dir_open(d, name, FILE_CREATE);

	assert_true(file >= 0);
	assert_int_equal(dir_write_all(d, file, text, strlen(text), 0), 0);
	return file;
}

/* A file with its name and content durable, still open. */
static int made_durable(struct dir *d, const char *name, const char *text)
{
	int file = made(d, name, text);

	assert_int_equal(dir_sync(d, file), 0);
	assert_int_equal(dir_sync_names(d), 0);
	return file;
}

static bool holds(struct memdir *m, const char *name, const char *text)
{
	size_t size = 0;
	const char *data = memdir_content(m, name, &size);

	return data && size == strlen(text) && memcmp(data, text, size) == 0;
}

/* ---- as the system's ---------------------------------------------------- */

static void count_name(void *arg, const char *name)
{
	assert_true(strlen(name) > 0);
	++*(unsigned *)arg;
}

static void test_like_a_directory(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	char buffer[16];
	unsigned names = 0;
	int file;

	(void)state;
	assert_int_equal(dir_open(d, "a", FILE_READ), -ENOENT);
	file = made(d, "a", "0123456789");
	assert_int_equal(dir_open(d, "a", FILE_CREATE), -EEXIST);
	assert_int_equal(dir_size(d, file), 10);
	assert_int_equal(dir_read(d, file, buffer, 16, 4), 6);
	assert_memory_equal(buffer, "456789", 6);
	assert_int_equal(dir_read(d, file, buffer, 16, 10), 0);
	memdir_resize(m, "a", 3);
	assert_int_equal(dir_write_all(d, file, "x", 1, 5), 0);
	assert_int_equal(dir_read(d, file, buffer, 16, 0), 6);
	assert_memory_equal(buffer, "012\0\0x", 6);
	dir_close(d, file);
	file = dir_open(d, "a", FILE_READ);
	assert_int_equal(dir_write_all(d, file, "x", 1, 0), -EBADF);
	assert_int_equal(memdir_open_files(m), 1);
	dir_close(d, file);
	assert_int_equal(memdir_open_files(m), 0);
	dir_close(d, made(d, "b", "second"));
	assert_int_equal(dir_list(d, count_name, &names), 0);
	assert_int_equal(names, 2);
	assert_int_equal(dir_rename(d, "b", d, "a"), 0);
	assert_true(holds(m, "a", "second"));
	assert_int_equal(dir_rename(d, "b", d, "a"), -ENOENT);
	assert_int_equal(dir_remove(d, "a"), 0);
	assert_int_equal(dir_remove(d, "a"), -ENOENT);
	assert_int_equal(memdir_calls(m, MEMDIR_REMOVE), 2);
	memdir_free(m);
}

static void test_lock(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);

	(void)state;
	assert_int_equal(dir_lock(d, "lock"), 0);
	assert_int_equal(dir_lock(d, "lock"), -EWOULDBLOCK);
	memdir_end_process(m);
	assert_int_equal(dir_lock(d, "lock"), 0);
	memdir_free(m);
}

/* To another directory a move is a copy; whatever fails, nothing is lost. */
static void test_move_by_copy(void **state)
{
	uint64_t hits = 1;

	(void)state;
	for (uint64_t skip = 0; hits > 0; skip++) {
		struct memdir *m = memdir_new();
		struct memdir *to = memdir_new();
		struct memdir_fault f = {
			.ops = ~0U, .skip = skip, .times = 1, .error = -EIO
		};
		int result;

		dir_close(memdir_dir(m),
			  made_durable(memdir_dir(m), "a", "content"));
		dir_close(memdir_dir(to),
			  made_durable(memdir_dir(to), "a.part", "older"));
		memdir_fail(to, &f);
		result = dir_move(memdir_dir(m), "a", memdir_dir(to));
		hits = memdir_hits(to);
		assert_true(hits == 0 ? result == 0 : result == -EIO);
		assert_true(holds(to, "a", "content") ||
			    (result < 0 && holds(m, "a", "content")));
		assert_int_equal(memdir_open_files(m), 0);
		assert_int_equal(memdir_open_files(to), 0);
		memdir_heal(to);
		if (result < 0) {
			assert_true(holds(m, "a", "content"));
			result = dir_move(memdir_dir(m), "a", memdir_dir(to));
		}
		assert_int_equal(result, 0);
		assert_int_equal(memdir_durable_size(to, "a"), 7);
		assert_int_equal(memdir_durable_size(m, "a"), 0);
		memdir_free(m);
		memdir_free(to);
	}
}

/* ---- failing ------------------------------------------------------------ */

static void test_faults(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	struct memdir_fault nth = {
		.ops = 1U << MEMDIR_SYNC, .skip = 1, .times = 2, .error = -EIO
	};
	struct memdir_fault named = { .ops = 1U << MEMDIR_WRITE,
				      .prefix = "snap",
				      .times = MEMDIR_FOR_EVER,
				      .error = -ENOSPC };
	int file = made(d, "a", "");
	int other = made(d, "snapshot", "");

	(void)state;
	memdir_fail(m, &nth);
	memdir_fail(m, &named);
	assert_int_equal(dir_sync(d, file), 0);
	assert_int_equal(dir_sync(d, file), -EIO);
	assert_int_equal(dir_sync(d, other), -EIO);
	assert_int_equal(dir_sync(d, file), 0);
	assert_int_equal(dir_write_all(d, file, "xy", 2, 0), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(dir_write_all(d, other, "xy", 2, 0), -ENOSPC);
	}
	assert_int_equal(dir_size(d, other), 1);
	assert_int_equal(memdir_hits(m), 7);
	memdir_heal(m);
	assert_int_equal(dir_write_all(d, other, "xy", 2, 0), 0);
	assert_int_equal(memdir_hits(m), 7);
	memdir_free(m);
}

static void test_short_writes_and_full(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	struct iovec part[2] = { { .iov_base = "abc", .iov_len = 3 },
				 { .iov_base = "defg", .iov_len = 4 } };
	int file = made(d, "a", "");

	(void)state;
	memdir_set_write_max(m, 5);
	assert_int_equal(dir_write(d, file, part, 2, 0), 5);
	memdir_set_write_max(m, 0);
	memdir_set_capacity(m, 10);
	assert_int_equal(dir_write(d, file, part, 2, 5), 5);
	assert_int_equal(dir_write(d, file, part, 2, 10), -ENOSPC);
	assert_int_equal(dir_write(d, file, part, 2, 0), 7);
	assert_true(holds(m, "a", "abcdefgabc") == false);
	assert_true(holds(m, "a", "abcdefgcde"));
	memdir_set_capacity(m, 12);
	assert_int_equal(dir_write(d, file, part, 2, 10), 2);
	memdir_free(m);
}

struct watched {
	unsigned syncs;
	char name[MEMDIR_NAME_SIZE];
};

static void note_sync(void *arg, enum memdir_op op, const char *name)
{
	struct watched *w = arg;

	if (op == MEMDIR_SYNC) {
		w->syncs++;
		memcpy(w->name, name, strlen(name) + 1);
	}
}

static void test_watch(void **state)
{
	struct memdir *m = memdir_new();
	struct watched w = { 0 };
	int file;

	(void)state;
	memdir_set_watch(m, note_sync, &w);
	file = made(memdir_dir(m), "journal", "x");
	assert_int_equal(w.syncs, 0);
	assert_int_equal(dir_sync(memdir_dir(m), file), 0);
	assert_int_equal(w.syncs, 1);
	assert_string_equal(w.name, "journal");
	memdir_free(m);
}

/* ---- crashing ----------------------------------------------------------- */

/* What the states of all seeds showed. */
struct seen {
	unsigned all;
	unsigned part;
	unsigned none;
	unsigned other;
};

static void test_durable_stays(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	int file = made_durable(d, "a", "kept");
	size_t position = memdir_position(m);

	(void)state;
	assert_int_equal(memdir_durable_size(m, "a"), 4);
	assert_int_equal(dir_write_all(d, file, "more", 4, 4), 0);
	assert_int_equal(memdir_durable_size(m, "a"), 4);
	dir_close(d, file);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		static const enum memdir_crash ways[] = { MEMDIR_KILL,
							  MEMDIR_POWER };

		for (size_t i = 0; i < 2; i++) {
			struct memdir *c = memdir_crash(m, ways[i], position,
							seed);

			assert_true(holds(c, "a", "kept"));
			memdir_free(c);
		}
	}
	memdir_free(m);
}

/* An un-synced write within a sector: there or not, or its room only. */
static void test_unsynced_write(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	int file = made_durable(d, "a", "kept");
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(dir_write_all(d, file, "more", 4, 4), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size;
		const char *data = memdir_content(c, "a", &size);

		assert_true(size == 4 || size == 8);
		assert_memory_equal(data, "kept", 4);
		seen.all += holds(c, "a", "keptmore");
		seen.none += size == 4;
		seen.other += size == 8 && !holds(c, "a", "keptmore");
		memdir_free(c);
	}
	assert_true(seen.all > 20 && seen.none > 20 && seen.other > 20);
	memdir_free(m);
}

/* A large un-synced write over old bytes: torn where sectors end only. */
static void test_torn_write(void **state)
{
	static char before[4 * SECTOR], after[4 * SECTOR];
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	struct seen seen = { 0 };
	int file = made_durable(d, "a", "");

	(void)state;
	memset(before, 'b', sizeof(before));
	memset(after, 'a', sizeof(after));
	assert_int_equal(dir_write_all(d, file, before, sizeof(before), 0), 0);
	assert_int_equal(dir_sync(d, file), 0);
	assert_int_equal(dir_write_all(d, file, after, 3 * SECTOR, 100), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size, turns = 0;
		const char *data = memdir_content(c, "a", &size);

		assert_int_equal(size, sizeof(before));
		for (size_t i = 1; i < size; i++) {
			if (data[i] != data[i - 1]) {
				assert_true(i % SECTOR == 0 || i == 100 ||
					    i == 100 + 3 * SECTOR);
				turns++;
			}
		}
		seen.none += turns == 0;
		seen.all += data[100] == 'a' && data[3 * SECTOR + 99] == 'a';
		seen.part += data[100] != data[3 * SECTOR + 99];
		memdir_free(c);
	}
	assert_true(seen.all > 20 && seen.none > 20 && seen.part > 20);
	memdir_free(m);
}

/* Two un-synced writes: each of the four outcomes is met. */
static void test_reordered_writes(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	int file = made_durable(d, "a", "....");
	unsigned seen[4] = { 0 };

	(void)state;
	assert_int_equal(dir_write_all(d, file, "1", 1, 0), 0);
	assert_int_equal(dir_write_all(d, file, "2", 1, 3), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size;
		const char *data = memdir_content(c, "a", &size);

		assert_int_equal(size, 4);
		seen[(data[0] == '1') + 2 * (data[3] == '2')]++;
		memdir_free(c);
	}
	for (int i = 0; i < 4; i++) {
		assert_true(seen[i] > 10);
	}
	memdir_free(m);
}

/* After a sync that failed a later one does not bring back what was lost. */
static void test_failed_sync(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	struct memdir_fault f = { .ops = 1U << MEMDIR_SYNC,
				  .times = 1,
				  .error = -EIO };
	int file = made_durable(d, "a", "kept");
	struct seen seen = { 0 };

	(void)state;
	assert_int_equal(dir_write_all(d, file, "lost", 4, 4), 0);
	memdir_fail(m, &f);
	assert_int_equal(dir_sync(d, file), -EIO);
	assert_int_equal(dir_write_all(d, file, "more", 4, 8), 0);
	assert_int_equal(dir_sync(d, file), 0);
	assert_int_equal(memdir_durable_size(m, "a"), 4);
	assert_true(holds(m, "a", "keptlostmore"));
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size;
		const char *data = memdir_content(c, "a", &size);

		assert_int_equal(size, 12);
		assert_memory_equal(data, "kept", 4);
		assert_memory_equal(data + 8, "more", 4);
		seen.all += memcmp(data + 4, "lost", 4) == 0;
		seen.none += memcmp(data + 4, "lost", 4) != 0;
		memdir_free(c);
	}
	assert_true(seen.all > 20 && seen.none > 20);
	memdir_free(m);
}

/* Names: each change that was not synced is done or not, by itself. */
static void test_names(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	struct seen renamed = { 0 }, created = { 0 }, removed = { 0 };

	(void)state;
	dir_close(d, made_durable(d, "old", "1"));
	dir_close(d, made_durable(d, "going", "2"));
	assert_int_equal(dir_rename(d, "old", d, "new"), 0);
	assert_int_equal(dir_sync(d, made(d, "fresh", "3")), 0);
	assert_int_equal(dir_remove(d, "going"), 0);
	assert_int_equal(memdir_durable_size(m, "old"), 1);
	assert_int_equal(memdir_durable_size(m, "new"), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size;

		assert_true(holds(c, "old", "1") != holds(c, "new", "1"));
		renamed.all += holds(c, "new", "1");
		renamed.none += holds(c, "old", "1");
		created.all += holds(c, "fresh", "3");
		created.none += memdir_content(c, "fresh", &size) == NULL;
		removed.all += memdir_content(c, "going", &size) == NULL;
		removed.none += holds(c, "going", "2");
		memdir_free(c);
	}
	assert_true(renamed.all > 20 && renamed.none > 20);
	assert_int_equal(created.all + created.none, SEEDS);
	assert_true(created.all > 20 && created.none > 20);
	assert_int_equal(removed.all + removed.none, SEEDS);
	assert_true(removed.all > 20 && removed.none > 20);
	assert_int_equal(dir_sync_names(d), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_POWER,
						memdir_position(m), seed);
		size_t size;

		assert_true(holds(c, "new", "1") && holds(c, "fresh", "3"));
		assert_null(memdir_content(c, "old", &size));
		assert_null(memdir_content(c, "going", &size));
		memdir_free(c);
	}
	memdir_free(m);
}

/* A kill leaves all that was done; the last write may be cut anywhere. */
static void test_kill(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	unsigned cuts[9] = { 0 };
	int file = made(d, "a", "first");

	(void)state;
	assert_int_equal(dir_write_all(d, file, "continue", 8, 5), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct memdir *c = memdir_crash(m, MEMDIR_KILL,
						memdir_position(m), seed);
		size_t size;
		const char *data = memdir_content(c, "a", &size);

		assert_in_range(size, 5, 13);
		assert_memory_equal(data, "firstcontinue", size);
		cuts[size - 5]++;
		memdir_free(c);
	}
	for (int i = 0; i < 9; i++) {
		assert_true(cuts[i] > 0);
	}
	memdir_free(m);
}

/* The same arguments make the same state; a state can crash again. */
static void test_repeatable(void **state)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);
	char *text = calloc(1, 5000);
	int file = made_durable(d, "a", "kept");

	(void)state;
	assert_non_null(text);
	memset(text, 't', 4999);
	assert_int_equal(dir_write_all(d, file, text, 4999, 4), 0);
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		size_t position = memdir_position(m), n[3];
		struct memdir *c[3];
		const char *data[3];

		c[0] = memdir_crash(m, MEMDIR_POWER, position, seed);
		c[1] = memdir_crash(m, MEMDIR_POWER, position, seed);
		c[2] = memdir_crash(c[0], MEMDIR_POWER, memdir_position(c[0]),
				    seed + 1);
		for (int i = 0; i < 3; i++) {
			data[i] = memdir_content(c[i], "a", &n[i]);
			assert_int_equal(n[i], n[0]);
			assert_memory_equal(data[i], data[0], n[0]);
		}
		for (int i = 0; i < 3; i++) {
			memdir_free(c[i]);
		}
	}
	free(text);
	memdir_free(m);
}

static void test_copy(void **state)
{
	struct memdir *m = memdir_new();
	struct memdir *copy;
	size_t size;

	(void)state;
	made(memdir_dir(m), "a", "text");
	copy = memdir_copy(m);
	memdir_content(copy, "a", &size)[0] = 'T';
	assert_true(holds(copy, "a", "Text"));
	assert_true(holds(m, "a", "text"));
	assert_int_equal(memdir_open_files(copy), 0);
	assert_int_equal(memdir_durable_size(copy, "a"), 4);
	memdir_free(copy);
	memdir_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_a_directory),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_move_by_copy),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_short_writes_and_full),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_durable_stays),
		cmocka_unit_test(test_unsynced_write),
		cmocka_unit_test(test_torn_write),
		cmocka_unit_test(test_reordered_writes),
		cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
