/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Data directories: how one is made, whatever fails or ends on the way, and
 * what is refused with which words.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memdir.h"
#include "persist/datadir.h"

#define IDENTITY 0xfeedULL
#define HASH_SEED 0xbeefULL
#define FIRST "journal-0000000000000001"

static bool open_dir(struct memdir *m, enum datadir_how how, struct datadir *d,
		     char *problem)
{
	bool ok = datadir_open(d, memdir_dir(m), how, IDENTITY, HASH_SEED, 99,
			       problem);

	assert_int_equal(memdir_open_files(m), 0);
	assert_int_equal(ok, problem[0] == '\0');
	return ok;
}

/* It is refused, with these words. */
static void expect_refusal(struct memdir *m, enum datadir_how how,
			   const char *words)
{
	struct datadir d;
	char problem[PROBLEM_SIZE];

	assert_false(open_dir(m, how, &d, problem));
	assert_string_equal(problem, words);
	datadir_close(&d);
	memdir_end_process(m);
}

static void add_file(struct memdir *m, const char *name, const void *bytes,
		     size_t size)
{
	struct dir *dir = memdir_dir(m);
	int file = dir_open(dir, name, FILE_CREATE);

	assert_true(file >= 0);
	if (size > 0) {
		assert_int_equal(dir_write_all(dir, file, bytes, size, 0), 0);
	}
	dir_close(dir, file);
}

static void remove_file(struct memdir *m, const char *name)
{
	assert_int_equal(dir_remove(memdir_dir(m), name), 0);
}

static bool has_file(struct memdir *m, const char *name)
{
	size_t size;

	return memdir_content(m, name, &size) != NULL;
}

/* A made one, as its process leaves it. */
static struct memdir *made(void)
{
	struct memdir *m = memdir_new();
	struct datadir d;
	char problem[PROBLEM_SIZE];

	assert_true(open_dir(m, DATADIR_SERVE, &d, problem));
	assert_true(d.fresh);
	datadir_close(&d);
	memdir_end_process(m);
	return m;
}

static void expect_well(struct memdir *m, enum datadir_how how)
{
	struct datadir d;
	char problem[PROBLEM_SIZE];

	assert_true(open_dir(m, how, &d, problem));
	assert_int_equal(d.identity, IDENTITY);
	assert_int_equal(d.hash_seed, HASH_SEED);
	assert_int_equal(d.journal_count, 1);
	assert_int_equal(d.journals[0], 1);
	assert_int_equal(d.snapshot_count, 0);
	datadir_close(&d);
	memdir_end_process(m);
}

static void test_make(void **state)
{
	struct memdir *m = made();
	struct file_header h;
	size_t size;
	const char *bytes = memdir_content(m, FIRST, &size);

	(void)state;
	assert_int_equal(size, HEADER_SIZE);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	assert_int_equal(h.lsn, 1);
	assert_int_equal(h.lsn_before, 0);
	assert_int_equal(h.identity, IDENTITY);
	assert_int_equal(h.hash_seed, HASH_SEED);
	assert_int_equal(h.time, 99);
	expect_well(m, DATADIR_SERVE);
	expect_well(m, DATADIR_LOOK);
	expect_refusal(m, DATADIR_CREATE, "it is not empty: there is dozo");
	memdir_free(m);
}

/* The second opening finds the numbers of the first. */
static void test_numbers_stay(void **state)
{
	struct memdir *m = made();
	struct datadir d;
	char problem[PROBLEM_SIZE];

	(void)state;
	assert_true(datadir_open(&d, memdir_dir(m), DATADIR_SERVE, 1, 2, 3,
				 problem));
	assert_int_equal(d.identity, IDENTITY);
	assert_int_equal(d.hash_seed, HASH_SEED);
	assert_false(d.fresh);
	datadir_close(&d);
	memdir_free(m);
}

static void test_create(void **state)
{
	struct memdir *m = memdir_new();
	struct datadir d;
	char problem[PROBLEM_SIZE];

	(void)state;
	assert_true(open_dir(m, DATADIR_CREATE, &d, problem));
	assert_true(d.fresh);
	datadir_close(&d);
	memdir_free(m);
}

static void test_look_makes_nothing(void **state)
{
	struct memdir *m = memdir_new();

	(void)state;
	expect_refusal(m, DATADIR_LOOK,
		       "it is not a data directory: it is empty");
	assert_int_equal(memdir_position(m), 0);
	memdir_free(m);
	m = made();
	add_file(m, "dozo.part", "x", 1);
	expect_well(m, DATADIR_LOOK);
	assert_true(has_file(m, "dozo.part"));
	memdir_free(m);
}

/* Nothing is done in a foreign directory, not even a lock. */
static void test_foreign(void **state)
{
	static const enum datadir_how hows[] = { DATADIR_SERVE, DATADIR_LOOK,
						 DATADIR_CREATE };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct memdir *m = memdir_new();

		add_file(m, "photo.jpg", "x", 1);
		add_file(m, "letter.txt", "x", 1);
		add_file(m, "film.part", "x", 1);
		expect_refusal(m, hows[i],
			       "it is neither empty nor a data directory: "
			       "there is film.part");
		assert_false(has_file(m, NAME_LOCK));
		assert_false(has_file(m, NAME_IDENTITY));
		memdir_free(m);
	}
}

static void test_own_file_system(void **state)
{
	struct memdir *m = memdir_new();
	struct datadir d;
	char problem[PROBLEM_SIZE];

	(void)state;
	add_file(m, "lost+found", "", 0);
	assert_true(open_dir(m, DATADIR_SERVE, &d, problem));
	datadir_close(&d);
	memdir_free(m);
}

static void test_note_of_operator(void **state)
{
	struct memdir *m = made();

	(void)state;
	add_file(m, "README", "do not touch", 12);
	add_file(m, "journal-copy", "x", 1);
	expect_well(m, DATADIR_SERVE);
	assert_true(has_file(m, "README"));
	memdir_free(m);
}

static void test_lost_files(void **state)
{
	struct memdir *m = made();

	(void)state;
	remove_file(m, FIRST);
	expect_refusal(m, DATADIR_SERVE,
		       "it has lost its files: there is \"dozo\", but neither "
		       "a snapshot nor a journal");
	memdir_free(m);
}

/* The first journal has something in it, or is not the only file. */
static void test_lost_identity(void **state)
{
	static const char words[] = "it has lost its file \"dozo\": there are "
				    "journals or snapshots";
	struct memdir *m = made();
	char bytes[HEADER_SIZE + 1] = { 0 };

	(void)state;
	remove_file(m, NAME_IDENTITY);
	remove_file(m, FIRST);
	add_file(m, FIRST, bytes, sizeof(bytes));
	expect_refusal(m, DATADIR_SERVE, words);
	remove_file(m, FIRST);
	add_file(m, "journal-0000000000000002", bytes, HEADER_SIZE);
	expect_refusal(m, DATADIR_SERVE, words);
	remove_file(m, "journal-0000000000000002");
	add_file(m, "snapshot-0000000000000001", bytes, HEADER_SIZE);
	expect_refusal(m, DATADIR_SERVE, words);
	memdir_free(m);
}

static void test_bad_identity(void **state)
{
	struct memdir *m = made();
	size_t size;

	(void)state;
	for (unsigned bit = 0; bit < 8 * HEADER_SIZE; bit++) {
		char *bytes = memdir_content(m, NAME_IDENTITY, &size);
		struct datadir d;
		char problem[PROBLEM_SIZE];

		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		assert_false(open_dir(m, DATADIR_SERVE, &d, problem));
		datadir_close(&d);
		memdir_end_process(m);
		bytes = memdir_content(m, NAME_IDENTITY, &size);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
	}
	expect_well(m, DATADIR_SERVE);
	remove_file(m, NAME_IDENTITY);
	add_file(m, NAME_IDENTITY, "", 0);
	expect_refusal(m, DATADIR_SERVE,
		       "its file \"dozo\": it has not the size that it was "
		       "made with");
	remove_file(m, NAME_IDENTITY);
	add_file(m, NAME_IDENTITY, memdir_content(m, FIRST, &size),
		 HEADER_SIZE);
	expect_refusal(m, DATADIR_SERVE,
		       "its file \"dozo\": a file of dozo, but of another "
		       "kind");
	memdir_free(m);
}

static void test_parts_go(void **state)
{
	static const char *const parts[] = {
		"dozo.part",
		"journal-0000000000000007.part",
		"snapshot-0000000000000007.part",
	};
	struct memdir *m = made();

	(void)state;
	add_file(m, "film.part", "x", 1);
	for (size_t i = 0; i < 3; i++) {
		add_file(m, parts[i], "x", 1);
	}
	expect_well(m, DATADIR_SERVE);
	for (size_t i = 0; i < 3; i++) {
		assert_false(has_file(m, parts[i]));
	}
	assert_true(has_file(m, "film.part"));
	memdir_free(m);
}

static void test_locked(void **state)
{
	struct memdir *m = made();
	struct memdir_fault busy = { 1U << MEMDIR_LOCK, NULL, 0, 1,
				     -EWOULDBLOCK };
	struct memdir_fault broken = { 1U << MEMDIR_LOCK, NULL, 0, 1, -EACCES };

	(void)state;
	memdir_fail(m, &busy);
	expect_refusal(m, DATADIR_SERVE, "another process is using it");
	expect_well(m, DATADIR_LOOK);
	memdir_heal(m);
	memdir_fail(m, &broken);
	expect_refusal(m, DATADIR_SERVE, "cannot lock it: Permission denied");
	memdir_free(m);
}

static void test_scan(void **state)
{
	struct memdir *m = made();
	struct datadir d;
	char problem[PROBLEM_SIZE];
	char name[FILE_NAME_SIZE];

	(void)state;
	assert_true(open_dir(m, DATADIR_SERVE, &d, problem));
	for (uint64_t lsn = 100; lsn > 50; lsn--) {
		file_name(name, FILE_JOURNAL, lsn << 40);
		add_file(m, name, "", 0);
		file_name(name, FILE_SNAPSHOT, lsn);
		add_file(m, name, "", 0);
	}
	assert_int_equal(datadir_scan(&d), 0);
	assert_int_equal(d.journal_count, 51);
	assert_int_equal(d.snapshot_count, 50);
	assert_int_equal(d.journals[0], 1);
	for (uint64_t i = 0; i < 50; i++) {
		assert_int_equal(d.journals[i + 1], (51 + i) << 40);
		assert_int_equal(d.snapshots[i], 51 + i);
	}
	datadir_close(&d);
	memdir_free(m);
}

/*
 * A crash while it is made: the next start makes it, or finds it made; never
 * is it refused.
 */
static void test_make_and_crash(void **state)
{
	struct memdir *m = made();
	unsigned fresh = 0;
	unsigned states = 0;

	(void)state;
	for (size_t at = 0; at <= memdir_position(m); at++) {
		for (uint64_t seed = 0; seed < 200; seed++) {
			struct memdir *after = memdir_crash(
				m, seed % 2 ? MEMDIR_KILL : MEMDIR_POWER, at,
				seed);
			struct datadir d;
			char problem[PROBLEM_SIZE];

			if (!open_dir(after, DATADIR_SERVE, &d, problem)) {
				memdir_tell(m, at, stderr);
				fail_msg("%s", problem);
			}
			fresh += d.fresh;
			states++;
			datadir_close(&d);
			memdir_end_process(after);
			expect_well(after, DATADIR_SERVE);
			memdir_free(after);
		}
	}
	assert_true(fresh > 0 && fresh < states);
	memdir_free(m);
}

/* The n-th operation fails: it is told, and the next try does. */
static void test_make_fails(void **state)
{
	uint64_t n = 0;

	(void)state;
	for (;; n++) {
		struct memdir *m = memdir_new();
		struct memdir_fault fault = { (1U << MEMDIR_OPS) - 1, NULL, n,
					      1, -EIO };
		struct datadir d;
		char problem[PROBLEM_SIZE];
		bool ok;

		memdir_fail(m, &fault);
		ok = open_dir(m, DATADIR_SERVE, &d, problem);
		datadir_close(&d);
		memdir_end_process(m);
		memdir_heal(m);
		expect_well(m, DATADIR_SERVE);
		memdir_free(m);
		if (ok) {
			break;
		}
		assert_non_null(strstr(problem, "Input/output error"));
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_numbers_stay),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_look_makes_nothing),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test(test_own_file_system),
		cmocka_unit_test(test_note_of_operator),
		cmocka_unit_test(test_lost_files),
		cmocka_unit_test(test_lost_identity),
		cmocka_unit_test(test_bad_identity),
		cmocka_unit_test(test_parts_go),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_make_and_crash),
		cmocka_unit_test(test_make_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
