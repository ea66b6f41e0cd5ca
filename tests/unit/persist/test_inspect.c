/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What check and dump print, line for line, of directories that are well, torn,
 * damaged, foreign, and of what is none.
 */
#include <time.h>

#include "life_fixture.h"
#include "persist/inspect.h"
#include "persist/restore.h"

struct report {
	int damaged;
	char problem[PROBLEM_SIZE];
	char *text;
	size_t size;
};

static struct report check_it(struct memdir *m)
{
	struct report r = { .text = NULL };
	FILE *out = open_memstream(&r.text, &r.size);

	r.damaged = check_directory(memdir_dir(m), out, r.problem);
	fclose(out);
	return r;
}

static struct report dump_it(struct memdir *m, bool all, bool values)
{
	struct report r = { .text = NULL };
	struct dump_config c = { .all = all, .values = values };

	c.out = open_memstream(&r.text, &r.size);
	r.damaged = dump_directory(memdir_dir(m), &c, r.problem);
	fclose(c.out);
	return r;
}

static void says(const struct report *r, const char *words)
{
	if (strstr(r->text, words) == NULL) {
		fail_msg("'%s' is not said in:\n%s", words, r->text);
	}
}

static unsigned count(const char *text, const char *words)
{
	unsigned n = 0;

	for (; (text = strstr(text, words)) != NULL; text++) {
		n++;
	}
	return n;
}

static void fill(struct life *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		life_set(l, i % LIFE_KEYS, 0);
		life_write(l);
	}
}

static struct datadir files_of(struct memdir *m)
{
	struct datadir d = { .dir = memdir_dir(m) };

	assert_int_equal(datadir_scan(&d), 0);
	return d;
}

static char *bytes_of(struct memdir *m, const char *name, size_t *size)
{
	char *bytes = memdir_content(m, name, size);

	assert_non_null(bytes);
	return bytes;
}

static void put_file(struct memdir *m, const char *name, const char *bytes,
		     size_t n)
{
	struct dir *d = memdir_dir(m);
	int file = dir_open(d, name, FILE_CREATE);

	assert_true(file >= 0);
	assert_int_equal(dir_write_all(d, file, bytes, n, 0), 0);
	dir_close(d, file);
}

/* ---- check -------------------------------------------------------------- */

static void test_check_good(void **state)
{
	struct life *l = life_new(900);
	struct report r;
	struct datadir d;

	(void)state;
	fill(l, 30);
	life_snapshot(l, false, NULL);
	fill(l, 30);
	life_crash(l);
	put_file(l->data, "notes", "hello", 5);
	put_file(l->data, "snapshot-0000000000000100.part", "hello", 5);
	r = check_it(l->data);
	d = files_of(l->data);
	assert_int_equal(r.damaged, 0);
	says(&r, "dozo                       good     data directory "
		 "0000000000001dea\n");
	says(&r, "notes                      ignored  not a file of dozo\n");
	says(&r,
	     "snapshot-0000000000000100.part ignored  was never completed\n");
	says(&r, "snapshot-000000000000001e  good     LSN 30, 30 records, ");
	says(&r, "journal-0000000000000001   good     LSN 1 to ");
	says(&r, "the last change is LSN 60, of 2026-11-26 04:15:00\n");
	says(&r, "nothing is damaged\n");
	assert_int_equal(count(r.text, " good "),
			 1 + d.journal_count + d.snapshot_count);
	free(r.text);
	datadir_close(&d);
	life_free(l);
}

static void test_check_stopped(void **state)
{
	struct life *l = life_new(900);
	struct report r;

	(void)state;
	fill(l, 30);
	life_stop(l);
	r = check_it(l->data);
	assert_int_equal(r.damaged, 0);
	says(&r, ", of a clean stop\n");
	says(&r, "nothing is damaged; the last stop was clean\n");
	free(r.text);
	/* The archive has no snapshot, but its journals are whole. */
	r = check_it(l->archive);
	assert_int_equal(r.damaged, 0);
	says(&r, "an archive: there is no file \"dozo\"\n");
	says(&r, "; there is no snapshot, the journals have 30\n");
	free(r.text);
	life_free(l);
}

static void test_check_torn(void **state)
{
	struct life *l = life_new(1 << 20);
	struct memdir *m;
	struct report r;
	size_t size = 0;

	(void)state;
	fill(l, 10);
	life_set(l, 1, 0);
	while (journal_write(&l->journal, &l->cursor, 1 << 16, l->now) > 0) {
	}
	life_crash(l);
	m = memdir_copy(l->data);
	memdir_content(m, "journal-0000000000000001", &size);
	memdir_resize(m, "journal-0000000000000001", size - 9);
	r = check_it(m);
	assert_int_equal(r.damaged, 0);
	says(&r, "journal-0000000000000001   torn     LSN 1 to 10, 10 records");
	free(r.text);
	memdir_free(m);
	life_free(l);
}

/*
 * One bit of any file.  In the last journal, behind its last mark, it cannot
 * be told from a torn end; there it is told of as such.
 */
static void test_check_damage(void **state)
{
	struct life *l = life_new(900);
	struct datadir d;
	char names[64][FILE_NAME_SIZE];
	size_t name_count = 0;

	(void)state;
	fill(l, 30);
	life_snapshot(l, false, NULL);
	fill(l, 30);
	life_crash(l);
	d = files_of(l->data);
	memcpy(names[name_count++], NAME_IDENTITY, sizeof(NAME_IDENTITY));
	file_name(names[name_count++], FILE_SNAPSHOT, d.snapshots[0]);
	for (size_t i = 0; i < d.journal_count; i++) {
		file_name(names[name_count++], FILE_JOURNAL, d.journals[i]);
	}
	for (size_t i = 0; i < name_count; i++) {
		size_t size;
		char *bytes = bytes_of(l->data, names[i], &size);
		struct report r;

		bytes[size / 2] ^= 1;
		r = check_it(l->data);
		if (i + 1 == name_count) {
			says(&r, " torn ");
		} else {
			assert_true(r.damaged >= 1);
			says(&r, " DAMAGED ");
			says(&r, " damaged or missing\n");
		}
		bytes[size / 2] ^= 1;
		free(r.text);
	}
	datadir_close(&d);
	life_free(l);
}

static void test_check_missing(void **state)
{
	struct life *l = life_new(900);
	struct memdir *m;
	struct report r;
	struct datadir d;
	char name[FILE_NAME_SIZE];

	(void)state;
	fill(l, 60);
	life_crash(l);
	d = files_of(l->data);
	assert_true(d.journal_count > 3);
	/* Bytes behind the end of the identity. */
	m = memdir_copy(l->data);
	{
		struct dir *dir = memdir_dir(m);
		int file = dir_open(dir, NAME_IDENTITY, FILE_WRITE);

		assert_int_equal(dir_write_all(dir, file, "x", 1, HEADER_SIZE),
				 0);
		dir_close(dir, file);
	}
	r = check_it(m);
	assert_int_equal(r.damaged, 1);
	says(&r, "DAMAGED  it has not the size");
	free(r.text);
	memdir_free(m);
	/* The first, and one in the middle. */
	for (size_t i = 0; i < 2; i++) {
		m = memdir_copy(l->data);
		file_name(name, FILE_JOURNAL, d.journals[i]);
		assert_int_equal(dir_remove(memdir_dir(m), name), 0);
		r = check_it(m);
		assert_int_equal(r.damaged, 1);
		free(r.text);
		memdir_free(m);
	}
	/* All. */
	for (size_t i = 0; i < d.journal_count; i++) {
		file_name(name, FILE_JOURNAL, d.journals[i]);
		assert_int_equal(dir_remove(memdir_dir(l->data), name), 0);
	}
	r = check_it(l->data);
	assert_int_equal(r.damaged, 1);
	says(&r, "the directory has lost its files");
	free(r.text);
	datadir_close(&d);
	life_free(l);
}

static void test_check_foreign(void **state)
{
	struct life *l = life_new(1 << 20);
	struct life *other = life_new(1 << 20);
	struct file_header h;
	struct report r;
	size_t size;
	char *bytes;

	(void)state;
	fill(l, 10);
	fill(other, 5);
	life_crash(other);
	/* The same file, of another directory. */
	bytes = bytes_of(other->data, NAME_IDENTITY, &size);
	assert_null(header_read(bytes, FILE_IDENTITY, &h));
	h.identity++;
	header_write(bytes, &h);
	r = check_it(other->data);
	assert_int_equal(r.damaged, 1);
	says(&r, "FOREIGN  of data directory 0000000000001dea");
	free(r.text);
	life_crash(l);
	life_free(l);
	life_free(other);
}

static void test_no_directory(void **state)
{
	struct memdir *m = memdir_new();
	struct report r = check_it(m);

	(void)state;
	assert_int_equal(r.damaged, -1);
	assert_non_null(strstr(r.problem, "neither a data directory nor"));
	free(r.text);
	r = dump_it(m, true, true);
	assert_int_equal(r.damaged, -1);
	assert_non_null(strstr(r.problem, "neither a data directory nor"));
	free(r.text);
	memdir_fail(m, &(struct memdir_fault){ .ops = 1U << MEMDIR_LIST,
					       .times = 1,
					       .error = -13 });
	r = check_it(m);
	assert_int_equal(r.damaged, -1);
	assert_non_null(strstr(r.problem, "Permission denied"));
	free(r.text);
	memdir_free(m);
}

/* ---- dump --------------------------------------------------------------- */

static void test_dump(void **state)
{
	struct life *l = life_new(1 << 20);
	struct report r;
	uint64_t lsn;

	(void)state;
	life_set(l, 0, 0);
	life_set(l, 1, BIRTH + 60);
	l->now++;
	life_touch(l, 1, 0);
	life_remove(l, 7);
	assert_int_equal(store_flush(l->store, l->now, &lsn), STORE_OK);
	assert_int_equal(store_flush_at(l->store, BIRTH + 3600, l->now, &lsn),
			 STORE_OK);
	life_write(l);
	life_crash(l);
	r = dump_it(l->data, false, false);
	assert_int_equal(r.damaged, 0);
	says(&r, "# journal-0000000000000001: 6 records, begun 2026-11-26 "
		 "04:15:00\n"
		 "1 2026-11-26 04:15:00 2026-11-26T04:15:00Z item key-0 "
		 "size=20 flags=0 exptime=never\n"
		 "2 2026-11-26 04:15:00 2026-11-26T04:15:00Z item key-1 "
		 "size=21 flags=1 exptime=2026-11-26T04:16:00Z\n"
		 "3 2026-11-26 04:15:01 2026-11-26T04:15:01Z touch key-1 "
		 "item=2 exptime=never\n"
		 "4 2026-11-26 04:15:01 2026-11-26T04:15:01Z remove key-7\n"
		 "5 2026-11-26 04:15:01 2026-11-26T04:15:01Z flush -\n"
		 "6 2026-11-26 04:15:01 2026-11-26T04:15:01Z flush-at - "
		 "at=2026-11-26T05:15:00Z\n");
	free(r.text);
	r = dump_it(l->data, false, true);
	says(&r, "exptime=never value=0000000000-aaaaaaaaa\n");
	free(r.text);
	life_free(l);
}

static void test_dump_files(void **state)
{
	struct life *l = life_new(900);
	struct report r;
	struct datadir d;
	size_t size;
	char name[FILE_NAME_SIZE];
	const char *after;

	(void)state;
	fill(l, 30);
	life_snapshot(l, false, NULL);
	fill(l, 10);
	life_snapshot(l, false, NULL);
	fill(l, 5);
	life_crash(l);
	r = dump_it(l->data, false, false);
	assert_int_equal(r.damaged, 0);
	assert_int_equal(count(r.text, "# snapshot-"), 1);
	says(&r, "# snapshot-0000000000000028: LSN 40, 30 records, of "
		 "2026-11-26 04:15:00\n");
	assert_int_equal(count(r.text, " item "), 30 + 5);
	free(r.text);
	r = dump_it(l->data, true, false);
	assert_int_equal(r.damaged, 0);
	assert_int_equal(count(r.text, "# snapshot-"), 2);
	assert_int_equal(count(r.text, " item "), 30 + 30 + 45);
	free(r.text);
	/* What is damaged is told; the rest is shown. */
	d = files_of(l->data);
	file_name(name, FILE_JOURNAL, d.journals[1]);
	bytes_of(l->data, name, &size)[size / 2] ^= 1;
	r = dump_it(l->data, true, false);
	assert_int_equal(r.damaged, 1);
	assert_int_equal(count(r.text, ": DAMAGED: "), 1);
	assert_true(count(r.text, " item ") > 80);
	after = strchr(strstr(r.text, ": DAMAGED: "), '\n');
	assert_int_equal(strtoull(after, NULL, 10), d.journals[1]);
	free(r.text);
	datadir_close(&d);
	life_free(l);
}

static void test_escape(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	inspect_escape(out, "a b\\c\n\0\x7f~\xc3\xa9!", 12);
	fclose(out);
	assert_string_equal(text, "a\\x20b\\x5cc\\x0a\\x00\\x7f~\\xc3\\xa9!");
	free(text);
}

static int use_utc(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_good),
		cmocka_unit_test(test_check_stopped),
		cmocka_unit_test(test_check_torn),
		cmocka_unit_test(test_check_damage),
		cmocka_unit_test(test_check_missing),
		cmocka_unit_test(test_check_foreign),
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_dump_files),
		cmocka_unit_test(test_escape),
	};

	return cmocka_run_group_tests(tests, use_utc, NULL);
}
