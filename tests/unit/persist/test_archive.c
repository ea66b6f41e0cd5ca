/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clearing away: which files go, in which order, and what an archive that has
 * other files, or no room, does about it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memdir.h"
#include "persist/archive.h"
#include "persist/format.h"

enum { IDENTITY = 5, BODY = 1000 };

struct place {
	struct memdir *m;
	struct memdir *archive;
};

static void put(struct memdir *m, enum file_kind kind, uint64_t lsn,
		uint64_t identity, size_t body)
{
	struct file_header h = {
		.kind = kind,
		.identity = identity,
		.lsn = lsn,
	};
	struct dir *d = memdir_dir(m);
	char head[HEADER_SIZE], name[FILE_NAME_SIZE], bytes[2 * BODY];
	int file;

	header_write(head, &h);
	memset(bytes, (int)lsn, sizeof(bytes));
	file_name(name, kind, lsn);
	file = dir_open(d, name, FILE_CREATE);
	assert_true(file >= 0);
	assert_int_equal(dir_write_all(d, file, head, sizeof(head), 0), 0);
	assert_int_equal(dir_write_all(d, file, bytes, body, sizeof(head)), 0);
	assert_int_equal(dir_sync(d, file), 0);
	dir_close(d, file);
	assert_int_equal(dir_sync_names(d), 0);
}

static void add(char *to, size_t size, char letter, const uint64_t *lsns,
		size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(to);

		snprintf(to + n, size - n, "%s%c%llu", n > 0 ? " " : "", letter,
			 (unsigned long long)lsns[i]);
	}
}

/* The files that are there, as "j1 j10 s20". */
static void assert_files(struct memdir *m, const char *expected)
{
	struct datadir d = { .dir = memdir_dir(m) };
	char there[256] = "";

	assert_int_equal(datadir_scan(&d), 0);
	add(there, sizeof(there), 'j', d.journals, d.journal_count);
	add(there, sizeof(there), 's', d.snapshots, d.snapshot_count);
	datadir_close(&d);
	assert_string_equal(there, expected);
}

/* Journals from 1, 11, 21 and 31 on, snapshots of 15 and 25. */
static void place_open(struct place *p)
{
	p->m = memdir_new();
	p->archive = memdir_new();
	for (uint64_t lsn = 1; lsn <= 31; lsn += 10) {
		put(p->m, FILE_JOURNAL, lsn, IDENTITY, BODY);
	}
	put(p->m, FILE_SNAPSHOT, 15, IDENTITY, BODY);
	put(p->m, FILE_SNAPSHOT, 25, IDENTITY, BODY);
}

static void place_close(struct place *p)
{
	assert_int_equal(memdir_open_files(p->m), 0);
	assert_int_equal(memdir_open_files(p->archive), 0);
	memdir_free(p->m);
	memdir_free(p->archive);
}

static struct archive_work work(struct place *p, bool archive, uint64_t lsn)
{
	return (struct archive_work){
		.dir = memdir_dir(p->m),
		.identity = IDENTITY,
		.archive = archive ? memdir_dir(p->archive) : NULL,
		.lsn = lsn,
	};
}

static void test_what_goes(void **state)
{
	struct place p;
	struct archive_work w;

	(void)state;
	place_open(&p);
	w = work(&p, false, 9); /* the first journal has a record above */
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j1 j11 j21 j31 s15 s25");
	w = work(&p, false, 10);
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j11 j21 j31 s15 s25");
	assert_int_equal(w.removed, 1);
	w = work(&p, false, 25);
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j21 j31 s25");
	w = work(&p, false, 99); /* the last journal never goes */
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j31");
	place_close(&p);
}

static void test_what_goes_at_the_end(void **state)
{
	struct place p;
	struct archive_work w;

	(void)state;
	place_open(&p);
	put(p.m, FILE_SNAPSHOT, 40, IDENTITY, BODY);
	put(p.m, FILE_JOURNAL, 41, IDENTITY, 0);
	w = work(&p, true, 40);
	w.last_too = true;
	assert_true(archive_old_files(&w));
	assert_files(p.m, "s40");
	assert_files(p.archive, "j1 j11 j21 j31 s15 s25"); /* not j41 */
	assert_int_equal(w.moved, 6);
	assert_int_equal(w.removed, 1);
	place_close(&p);
}

/* A journal that goes on behind the last snapshot is somebody's mistake. */
static void test_records_behind_the_end(void **state)
{
	struct place p;
	struct archive_work w;

	(void)state;
	place_open(&p);
	w = work(&p, true, 25);
	w.last_too = true;
	assert_false(archive_old_files(&w));
	assert_non_null(strstr(w.problem, "has records"));
	assert_files(p.m, "j1 j11 j21 j31 s15 s25");
	place_close(&p);
}

/* A1: wherever it stops, what is left is a whole end. */
static void test_oldest_first(void **state)
{
	static const char *const left[] = {
		"j1 j11 j21 j31 s15 s25",
		"j11 j21 j31 s15 s25",
		"j21 j31 s15 s25",
		"j21 j31 s25",
	};
	struct archive_work w;

	(void)state;
	for (uint64_t n = 0; n < 3; n++) {
		struct memdir_fault broken = {
			.ops = 1U << MEMDIR_REMOVE,
			.skip = n,
			.times = 1,
			.error = -EIO,
		};
		struct place p;

		place_open(&p);
		memdir_fail(p.m, &broken);
		w = work(&p, false, 25);
		assert_false(archive_old_files(&w));
		assert_non_null(strstr(w.problem, strerror(EIO)));
		assert_int_equal(w.removed, n);
		assert_files(p.m, left[n]);
		assert_true(archive_old_files(&w)); /* again, and to its end */
		assert_files(p.m, left[3]);
		place_close(&p);
	}
}

static void test_abandoned(void **state)
{
	const _Atomic bool yes = true;
	struct place p;
	struct archive_work w;

	(void)state;
	place_open(&p);
	w = work(&p, true, 25);
	w.abandon = &yes;
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j1 j11 j21 j31 s15 s25");
	place_close(&p);
}

/* Every operation fails once: told, and nothing is in neither place. */
static void test_each_failure(void **state)
{
	uint64_t n = 0;
	bool done = false;

	(void)state;
	while (!done) {
		struct memdir_fault broken = {
			.ops = (1U << MEMDIR_OPS) - 1,
			.skip = n++,
			.times = 1,
			.error = -EIO,
		};
		struct place p;
		struct archive_work w;

		place_open(&p);
		memdir_fail(p.m, &broken);
		memdir_fail(p.archive, &broken);
		w = work(&p, true, 25);
		done = archive_old_files(&w);
		assert_int_equal(done, memdir_hits(p.m) == 0 &&
					       memdir_hits(p.archive) == 0);
		assert_true(done || w.problem[0] != '\0');
		memdir_heal(p.m);
		memdir_heal(p.archive);
		assert_true(archive_old_files(&w));
		assert_files(p.m, "j21 j31 s25");
		assert_files(p.archive, "j1 j11 s15");
		place_close(&p);
	}
	assert_true(n > 15);
}

/*
 * The power may go behind any step of the move: a file that is gone here is
 * whole there.
 */
static void test_crash(void **state)
{
	(void)state;
	for (uint64_t removed = 0; removed <= 3; removed++) {
		struct memdir_fault broken = {
			.ops = 1U << MEMDIR_REMOVE,
			.prefix = "journal",
			.skip = removed,
			.times = 1,
			.error = -EIO,
		};
		struct place p;
		struct archive_work w;

		place_open(&p);
		memdir_fail(p.m, &broken);
		w = work(&p, true, 31);
		archive_old_files(&w);
		for (uint64_t seed = 0; seed < 20; seed++) {
			struct memdir *left =
				memdir_crash(p.archive, MEMDIR_POWER,
					     memdir_position(p.archive), seed);
			char name[FILE_NAME_SIZE];
			size_t size = 0;

			for (uint64_t i = 0; i < removed; i++) {
				file_name(name, FILE_JOURNAL, 1 + 10 * i);
				assert_non_null(
					memdir_content(left, name, &size));
				assert_int_equal(size, HEADER_SIZE + BODY);
			}
			memdir_free(left);
		}
		place_close(&p);
	}
}

/* ---- A2 ----------------------------------------------------------------- */

static void refuses(uint64_t identity, uint64_t lsn_inside, size_t body,
		    const char *why)
{
	struct file_header h = {
		.kind = FILE_JOURNAL,
		.identity = identity,
		.lsn = lsn_inside,
	};
	char head[HEADER_SIZE], bytes[2 * BODY] = "", name[FILE_NAME_SIZE];
	struct place p;
	struct archive_work w;
	struct dir *d;
	int file;

	place_open(&p);
	d = memdir_dir(p.archive);
	header_write(head, &h);
	file_name(name, FILE_JOURNAL, 11);
	file = dir_open(d, name, FILE_CREATE);
	dir_write_all(d, file, head, sizeof(head), 0);
	dir_write_all(d, file, bytes, body, sizeof(head));
	dir_close(d, file);
	w = work(&p, true, 25);
	assert_false(archive_old_files(&w));
	assert_non_null(strstr(w.problem, name));
	assert_non_null(strstr(w.problem, why));
	assert_files(p.m, "j11 j21 j31 s15 s25");
	assert_files(p.archive, "j1 j11");
	place_close(&p);
}

static void test_never_overwrites(void **state)
{
	struct place p;
	struct archive_work w;
	char name[FILE_NAME_SIZE];
	int file;

	(void)state;
	refuses(IDENTITY + 1, 11, BODY, "another data directory");
	refuses(IDENTITY, 12, BODY, "another data directory");
	refuses(IDENTITY, 11, BODY + 1, "longer");
	place_open(&p);
	file_name(name, FILE_JOURNAL, 11);
	file = dir_open(memdir_dir(p.archive), name, FILE_CREATE);
	dir_write_all(memdir_dir(p.archive), file, "a note", 6, 0);
	dir_close(memdir_dir(p.archive), file);
	w = work(&p, true, 25);
	assert_false(archive_old_files(&w));
	assert_non_null(strstr(w.problem, "not a file of dozo"));
	place_close(&p);
}

/* The same file is there, by a move that had not come to its end. */
static void test_completes(void **state)
{
	struct place p;
	struct archive_work w;
	char name[FILE_NAME_SIZE];
	size_t size = 0;

	(void)state;
	place_open(&p);
	put(p.archive, FILE_JOURNAL, 1, IDENTITY, BODY);
	put(p.archive, FILE_JOURNAL, 11, IDENTITY, BODY / 2);
	put(p.archive, FILE_SNAPSHOT, 15, IDENTITY, BODY * 2);
	w = work(&p, true, 25);
	assert_true(archive_old_files(&w));
	assert_files(p.m, "j21 j31 s25");
	assert_files(p.archive, "j1 j11 s15");
	file_name(name, FILE_JOURNAL, 11);
	assert_non_null(memdir_content(p.archive, name, &size));
	assert_int_equal(size, HEADER_SIZE + BODY);
	place_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_goes),
		cmocka_unit_test(test_what_goes_at_the_end),
		cmocka_unit_test(test_records_behind_the_end),
		cmocka_unit_test(test_oldest_first),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_each_failure),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_never_overwrites),
		cmocka_unit_test(test_completes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
