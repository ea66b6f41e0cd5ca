/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading journals: where one ends, when that is a torn end and when damage,
 * what of it counts, and that no changed bit and no lost byte goes unseen.
 */
#include "journal_fixture.h"

#define FIRST "journal-0000000000000001"
#define SECOND "journal-000000000000000c"

enum {
	SYNCED = 8,   /* a mark says so */
	RECORDS = 11, /* in the first file */
	MARK_SIZE = 32,
};

static const struct file_header header = {
	.kind = FILE_JOURNAL,
	.identity = FIXTURE_IDENTITY,
	.lsn = 1,
	.hash_seed = FIXTURE_HASH_SEED,
};

/* Three syncs and one write behind the last; big enough for one file. */
static struct memdir *write_one(bool followed)
{
	struct journal_fixture f;

	fixture_begin(&f);
	f.journal.config.file_bytes = 1 << 20;
	fixture_put_durably(&f, 2);
	fixture_put_durably(&f, 3);
	fixture_put_durably(&f, 3);
	fixture_put(&f, 3);
	assert_int_equal(fixture_write_all(&f), 0);
	if (followed) {
		assert_int_equal(
			journal_start(&f.journal, RECORDS, FIXTURE_NOW), 0);
	}
	fixture_leave(&f);
	return f.m;
}

/* The first file of the line, opened and closed. */
struct seen {
	enum journal_check check;
	uint64_t last;
	uint64_t records;
	size_t end;
	char problem[PROBLEM_SIZE];
};

static struct seen see(struct memdir *m)
{
	struct fixture_line l;
	struct journal_file f;
	struct seen s;

	fixture_line(&l, m);
	s.check = journal_file_open(&f, memdir_dir(m), &l.link[0]);
	s.last = f.last_lsn;
	s.records = f.records;
	s.end = f.end;
	snprintf(s.problem, sizeof(s.problem), "%s", f.problem);
	if (s.check <= JOURNAL_TORN) {
		struct fixture_read all = { 0 };

		fixture_read_file(&all, &f);
		assert_int_equal(all.records, f.records);
		assert_true(f.records == 0 || all.first == l.link[0].lsn);
		assert_int_equal(f.torn, s.check == JOURNAL_TORN);
	}
	journal_file_close(&f);
	assert_int_equal(memdir_open_files(m), 0);
	return s;
}

static void expect_problem(const struct seen *s, const char *text)
{
	assert_string_equal(s->problem, text);
}

/* Where the record with an LSN begins. */
static size_t place_of(struct memdir *m, uint64_t lsn)
{
	size_t size;
	const char *bytes = memdir_content(m, FIRST, &size);
	size_t at = HEADER_SIZE;

	while (at < size) {
		struct record r;
		uint32_t used;

		assert_int_equal(record_read(bytes + at, size - at, &r, &used),
				 RECORD_GOOD);
		if (r.kind != RECORD_MARK && r.lsn == lsn) {
			return at;
		}
		at += used;
	}
	return at;
}

static void flip(struct memdir *m, size_t bit)
{
	size_t size;
	char *bytes = memdir_content(m, FIRST, &size);

	assert_true(bit / 8 < size);
	bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
}

static void cut(struct memdir *m, size_t size)
{
	memdir_resize(m, FIRST, size);
}

static void append(struct memdir *m, const char *name, const void *bytes,
		   size_t n)
{
	struct dir *dir = memdir_dir(m);
	int file = dir_open(dir, name, FILE_WRITE);
	int64_t size;

	if (file == -ENOENT) {
		file = dir_open(dir, name, FILE_CREATE);
	}
	assert_true(file >= 0);
	size = dir_size(dir, file);
	assert_int_equal(dir_write_all(dir, file, bytes, n, (uint64_t)size), 0);
	dir_close(dir, file);
}

/* ---- whole files -------------------------------------------------------- */

static void test_good(void **state)
{
	struct memdir *m = write_one(false);
	struct seen s = see(m);
	size_t size;

	(void)state;
	memdir_content(m, FIRST, &size);
	assert_int_equal(s.check, JOURNAL_GOOD);
	assert_int_equal(s.records, RECORDS);
	assert_int_equal(s.last, RECORDS);
	assert_int_equal(s.end, size);
	memdir_free(m);
}

/*
 * Any bit of a file behind which another stands is seen.  Of the last, what a
 * mark proves; behind that it ends in front of the record with the bit.
 */
static void test_any_bit(void **state)
{
	struct memdir *followed = write_one(true);
	struct memdir *last = write_one(false);
	size_t durable = place_of(last, SYNCED + 1);
	size_t size;
	struct seen s;

	(void)state;
	memdir_content(last, FIRST, &size);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		flip(followed, bit);
		s = see(followed);
		assert_int_equal(s.check, JOURNAL_DAMAGED);
		flip(followed, bit);
		flip(last, bit);
		s = see(last);
		/* The last mark is no part of what it proves. */
		if (bit / 8 < durable - MARK_SIZE) {
			assert_int_equal(s.check, JOURNAL_DAMAGED);
		} else {
			assert_int_equal(s.check, JOURNAL_TORN);
			assert_true(s.end <= bit / 8);
			assert_true(s.last >= SYNCED);
		}
		flip(last, bit);
	}
	assert_int_equal(see(followed).check, JOURNAL_GOOD);
	assert_int_equal(see(last).check, JOURNAL_GOOD);
	memdir_free(followed);
	memdir_free(last);
}

static void test_any_length(void **state)
{
	size_t size;

	(void)state;
	for (size_t lost = 1;; lost += 3) {
		struct memdir *followed = write_one(true);
		struct memdir *last = write_one(false);
		struct seen s;

		memdir_content(last, FIRST, &size);
		if (lost > size) {
			memdir_free(followed);
			memdir_free(last);
			break;
		}
		cut(followed, size - lost);
		s = see(followed);
		assert_int_equal(s.check, JOURNAL_DAMAGED);
		cut(last, size - lost);
		s = see(last);
		if (size - lost < HEADER_SIZE) {
			assert_int_equal(s.check, JOURNAL_DAMAGED);
			expect_problem(&s, FIRST ": it ends within its header");
		} else {
			assert_true(s.check <= JOURNAL_TORN);
			assert_int_equal(s.check == JOURNAL_GOOD,
					 s.end == size - lost);
		}
		memdir_free(followed);
		memdir_free(last);
	}
}

static void test_texts(void **state)
{
	struct memdir *m = write_one(true);
	size_t at = place_of(m, 3);
	size_t mark;
	char text[PROBLEM_SIZE];
	struct seen s;

	(void)state;
	flip(m, 8 * at + 90);
	s = see(m);
	snprintf(text, sizeof(text),
		 FIRST ": damaged at byte %zu, where the record with LSN 3 "
		       "should be: " SECOND " says that there were records up "
		       "to LSN 11",
		 at);
	expect_problem(&s, text);
	flip(m, 8 * at + 90);
	cut(m, at);
	s = see(m);
	snprintf(text, sizeof(text),
		 FIRST ": it ends at byte %zu, where the record with LSN 3 "
		       "should be: " SECOND " says that there were records up "
		       "to LSN 11",
		 at);
	expect_problem(&s, text);
	memdir_free(m);
	m = write_one(false);
	mark = place_of(m, 6) - MARK_SIZE;
	flip(m, 8 * at + 90);
	s = see(m);
	snprintf(text, sizeof(text),
		 FIRST ": damaged at byte %zu, where the record with LSN 3 "
		       "should be: the mark at byte %zu says that it was there",
		 at, mark);
	expect_problem(&s, text);
	memdir_free(m);
}

/* ---- ends --------------------------------------------------------------- */

static void test_tails(void **state)
{
	static const char zeros[100];
	struct memdir *m = write_one(false);
	char text[PROBLEM_SIZE];
	size_t size;
	struct seen s;

	(void)state;
	memdir_content(m, FIRST, &size);
	append(m, FIRST, zeros, sizeof(zeros));
	s = see(m);
	assert_int_equal(s.check, JOURNAL_TORN);
	assert_int_equal(s.end, size);
	assert_int_equal(s.last, RECORDS);
	snprintf(text, sizeof(text),
		 FIRST ": it ends at byte %zu, in front of LSN 12; 100 bytes "
		       "behind that are zero, and are left out",
		 size);
	expect_problem(&s, text);
	append(m, FIRST, "x", 1);
	s = see(m);
	assert_int_equal(s.check, JOURNAL_TORN);
	snprintf(text, sizeof(text),
		 FIRST ": it ends at byte %zu, in front of LSN 12; 101 bytes "
		       "behind that are not whole, and are left out",
		 size);
	expect_problem(&s, text);
	memdir_free(m);
}

/* The tail of one that another follows is of no interest. */
static void test_tail_in_front(void **state)
{
	struct memdir *m = write_one(true);

	(void)state;
	append(m, FIRST, "what a failed write left", 24);
	assert_int_equal(see(m).check, JOURNAL_GOOD);
	memdir_free(m);
}

/* A record at the end of the first file; its place. */
static size_t append_record(struct memdir *m, const struct record *r)
{
	uint64_t size = record_size(r);
	char *bytes = aligned_alloc(RECORD_ALIGN, size);
	size_t at;

	assert_non_null(bytes);
	memdir_content(m, FIRST, &at);
	record_set_length(bytes, record_write(bytes, r));
	append(m, FIRST, bytes, size);
	free(bytes);
	return at;
}

static size_t append_change(struct memdir *m, uint64_t lsn)
{
	char text[16 + FIXTURE_VALUE_MAX];
	struct record r = fixture_record(lsn, text);

	return append_record(m, &r);
}

static uint64_t change_size(uint64_t lsn)
{
	char text[16 + FIXTURE_VALUE_MAX];
	struct record r = fixture_record(lsn, text);

	return record_size(&r);
}

static void append_mark(struct memdir *m, uint64_t lsn, uint64_t seal)
{
	const struct record r = { .kind = RECORD_MARK,
				  .lsn = lsn,
				  .number = seal };

	append_record(m, &r);
}

static size_t size_of(struct memdir *m)
{
	size_t size;

	memdir_content(m, FIRST, &size);
	return size;
}

/* LSNs follow each other: no gap, none twice. */
static void test_dense(void **state)
{
	static const uint64_t wrong[] = { 13, 11, 1, 1000, 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct memdir *m = write_one(false);
		size_t at = append_change(m, wrong[i]);
		struct seen s = see(m);

		append_change(m, wrong[i] + 1);
		assert_int_equal(s.check, JOURNAL_TORN);
		assert_int_equal(s.end, at);
		assert_int_equal(s.last, RECORDS);
		memdir_free(m);
	}
}

/* The first is the one in the name. */
static void test_first(void **state)
{
	struct memdir *m = memdir_new();
	char bytes[HEADER_SIZE];

	(void)state;
	header_write(bytes, &header);
	append(m, FIRST, bytes, sizeof(bytes));
	assert_int_equal(see(m).check, JOURNAL_GOOD);
	append_change(m, 2);
	assert_int_equal(see(m).check, JOURNAL_TORN);
	cut(m, HEADER_SIZE);
	append_change(m, 1);
	append_change(m, 2);
	assert_int_equal(see(m).check, JOURNAL_GOOD);
	assert_int_equal(see(m).last, 2);
	memdir_free(m);
}

/* Records of kinds that mean nothing here are the caller's to judge. */
static void test_kinds_to_come(void **state)
{
	const struct record r = { .kind = RECORD_EPOCH, .lsn = RECORDS + 1 };
	struct memdir *m = write_one(false);
	struct fixture_line l;
	struct journal_file f;

	(void)state;
	append_record(m, &r);
	fixture_line(&l, m);
	assert_int_equal(journal_file_open(&f, memdir_dir(m), &l.link[0]),
			 JOURNAL_GOOD);
	assert_int_equal(f.records, RECORDS + 1);
	journal_file_close(&f);
	memdir_free(m);
}

/* ---- marks -------------------------------------------------------------- */

/* Behind a bad record: a mark of a later sync, or what looks like one. */
static struct memdir *write_bad_and_mark(uint64_t lsn, int64_t seal_at)
{
	struct memdir *m = write_one(false);
	size_t bad = append_change(m, 12);
	size_t at;

	append_change(m, 13);
	at = size_of(m);
	append_mark(m, lsn, mark_seal(&header, lsn, at + (uint64_t)seal_at));
	append_change(m, 14);
	flip(m, 8 * bad + 300);
	return m;
}

static void test_proof(void **state)
{
	struct memdir *m = write_bad_and_mark(13, 0);
	struct seen s = see(m);

	(void)state;
	assert_int_equal(s.check, JOURNAL_DAMAGED);
	assert_int_equal(s.last, RECORDS);
	memdir_free(m);
	m = write_bad_and_mark(12, 0);
	assert_int_equal(see(m).check, JOURNAL_DAMAGED);
	memdir_free(m);
}

/* It speaks of what is in front of the bad record only. */
static void test_no_proof(void **state)
{
	struct memdir *m = write_bad_and_mark(11, 0);

	(void)state;
	assert_int_equal(see(m).check, JOURNAL_TORN);
	memdir_free(m);
	/* Nor does one that is torn itself, though its seal is whole. */
	m = write_bad_and_mark(13, 0);
	flip(m, 8 * (size_of(m) - change_size(14) - MARK_SIZE + 16));
	assert_int_equal(see(m).check, JOURNAL_TORN);
	memdir_free(m);
}

/* A client can store a mark, but not seal it; nor move one. */
static void test_forged_mark(void **state)
{
	struct memdir *m = write_bad_and_mark(13, 8);
	char value[32];
	struct record forged = { .kind = RECORD_MARK,
				 .lsn = 1000,
				 .number = 77 };
	struct record r = { .kind = RECORD_ITEM,
			    .lsn = 12,
			    .key = "the-key8",
			    .key_len = 8,
			    .value = value,
			    .value_len = sizeof(value) };
	size_t bad;

	(void)state;
	assert_int_equal(see(m).check, JOURNAL_TORN);
	memdir_free(m);
	m = write_one(false);
	record_set_length(value, record_write(value, &forged));
	bad = append_record(m, &r);
	flip(m, 8 * bad + 8 * 25);
	assert_int_equal(see(m).check, JOURNAL_TORN);
	/* The same in its place, with the seal, is seen. */
	forged.number = mark_seal(&header, 1000, bad + 32);
	record_set_length(value, record_write(value, &forged));
	cut(m, bad);
	append_record(m, &r);
	flip(m, 8 * bad + 8 * 25);
	assert_int_equal(see(m).check, JOURNAL_DAMAGED);
	memdir_free(m);
}

/* One in a place where the journal writes none is not read over. */
static void test_mark_out_of_place(void **state)
{
	struct memdir *m = write_one(false);
	size_t at = size_of(m);

	(void)state;
	append_mark(m, RECORDS, mark_seal(&header, RECORDS, at));
	append_change(m, 12);
	assert_int_equal(see(m).check, JOURNAL_GOOD);
	cut(m, at);
	append_mark(m, RECORDS, mark_seal(&header, RECORDS, at) ^ 2);
	append_change(m, 12);
	assert_int_equal(see(m).end, at);
	cut(m, at);
	append_mark(m, RECORDS - 1, mark_seal(&header, RECORDS - 1, at));
	append_change(m, 12);
	assert_int_equal(see(m).end, at);
	cut(m, HEADER_SIZE);
	append_mark(m, 0, mark_seal(&header, 0, HEADER_SIZE));
	append_change(m, 1);
	assert_int_equal(see(m).end, HEADER_SIZE);
	memdir_free(m);
}

/* ---- the line ----------------------------------------------------------- */

static void add_header(struct memdir *m, uint64_t lsn, uint64_t lsn_before)
{
	struct file_header h = header;
	char bytes[HEADER_SIZE];
	char name[FILE_NAME_SIZE];

	h.lsn = lsn;
	h.lsn_before = lsn_before;
	header_write(bytes, &h);
	file_name(name, FILE_JOURNAL, lsn);
	append(m, name, bytes, sizeof(bytes));
}

/* What the file has above what counts is not read. */
static void test_until(void **state)
{
	struct memdir *m = write_one(false);
	struct seen s;

	(void)state;
	add_header(m, 1000, 7);
	s = see(m);
	assert_int_equal(s.check, JOURNAL_GOOD);
	assert_int_equal(s.last, 7);
	assert_int_equal(s.records, 7);
	add_header(m, 2000, 999);
	assert_int_equal(see(m).last, 7);
	/* Not even if it is damaged. */
	flip(m, 8 * place_of(m, 8) + 99);
	assert_int_equal(see(m).check, JOURNAL_GOOD);
	flip(m, 8 * place_of(m, 7) + 99);
	assert_int_equal(see(m).check, JOURNAL_DAMAGED);
	memdir_free(m);
}

static void test_line(void **state)
{
	struct memdir *m = memdir_new();
	struct fixture_line l;

	(void)state;
	add_header(m, 1, 0);
	add_header(m, 10, 9);
	add_header(m, 20, 19);
	add_header(m, 30, 15);
	add_header(m, 40, 39);
	add_header(m, 50, 39);
	fixture_line(&l, m);
	assert_true(l.well);
	assert_int_equal(l.link[0].until, 9);
	assert_int_equal(l.link[0].next, 10);
	assert_int_equal(l.link[1].until, 15);
	assert_int_equal(l.link[1].next, 30);
	assert_true(l.link[1].counts);
	assert_int_equal(l.link[2].until, 15);
	assert_int_equal(l.link[2].next, 30);
	assert_false(l.link[2].counts);
	assert_int_equal(l.link[3].until, 39);
	/* Of those that say the same, the nearest is named. */
	assert_int_equal(l.link[3].next, 40);
	assert_false(l.link[4].counts);
	assert_int_equal(l.link[4].next, 50);
	assert_true(l.link[5].until == UINT64_MAX);
	assert_int_equal(l.link[5].next, 0);
	assert_true(l.link[5].counts);
	for (size_t i = 0; i < 6; i++) {
		assert_string_equal(l.link[i].problem, "");
	}
	memdir_free(m);
}

/* One that does not count is read as one without records. */
static void test_given_up(void **state)
{
	struct memdir *m = write_one(false);
	struct fixture_line l;
	struct journal_file f;

	(void)state;
	add_header(m, 12, 11);
	append(m, SECOND, "given up", 8);
	add_header(m, 20, 11);
	fixture_line(&l, m);
	assert_false(l.link[1].counts);
	assert_int_equal(journal_file_open(&f, memdir_dir(m), &l.link[1]),
			 JOURNAL_GOOD);
	assert_int_equal(f.records, 0);
	assert_int_equal(f.last_lsn, 11);
	journal_file_close(&f);
	memdir_free(m);
}

static void test_file_missing(void **state)
{
	struct journal_fixture f;
	struct fixture_line l;
	char name[FILE_NAME_SIZE];

	(void)state;
	fixture_begin(&f);
	fixture_put(&f, 60);
	assert_int_equal(fixture_write_all(&f), 0);
	fixture_line(&l, f.m);
	assert_true(l.d.journal_count > 4);
	file_name(name, FILE_JOURNAL, l.link[2].lsn);
	assert_int_equal(dir_remove(memdir_dir(f.m), name), 0);
	assert_int_equal(fixture_read(f.m, 0).worst, JOURNAL_DAMAGED);
	fixture_end(&f);
}

/* ---- headers ------------------------------------------------------------ */

static void test_headers(void **state)
{
	struct memdir *m = memdir_new();
	struct fixture_line l;

	(void)state;
	add_header(m, 1, 0);
	add_header(m, 5, 5);
	add_header(m, 12, 7);
	assert_int_equal(dir_rename(memdir_dir(m), SECOND, memdir_dir(m),
				    "journal-0000000000000009"),
			 0);
	append(m, "journal-000000000000000a", "dozo", 4);
	fixture_line(&l, m);
	assert_false(l.well);
	assert_string_equal(l.link[0].problem, "");
	assert_string_equal(l.link[1].problem,
			    "journal-0000000000000005: its header is that of "
			    "another journal");
	assert_string_equal(l.link[2].problem,
			    "journal-0000000000000009: its header is that of "
			    "another journal");
	assert_string_equal(l.link[3].problem,
			    "journal-000000000000000a: it ends within its "
			    "header");
	memdir_free(m);
}

/* ---- errors ------------------------------------------------------------- */

static void test_errors(void **state)
{
	static const struct {
		unsigned op;
		const char *text;
	} cases[] = {
		{ MEMDIR_OPEN, FIRST ": cannot open it: Input/output error" },
		{ MEMDIR_READ, FIRST ": cannot read it: Input/output error" },
		{ MEMDIR_SIZE, FIRST ": cannot read it: Input/output error" },
	};
	struct memdir *m = write_one(false);
	struct fixture_line l;

	(void)state;
	fixture_line(&l, m);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct memdir_fault fault = { 1U << cases[i].op, NULL, 0,
					      MEMDIR_FOR_EVER, -EIO };
		struct journal_file f;
		struct fixture_line again;

		memdir_fail(m, &fault);
		assert_int_equal(journal_file_open(&f, memdir_dir(m),
						   &l.link[0]),
				 JOURNAL_ERROR);
		assert_string_equal(f.problem, cases[i].text);
		journal_file_close(&f);
		if (cases[i].op != MEMDIR_SIZE) {
			fixture_line(&again, m);
			assert_false(again.well);
			assert_string_equal(again.link[0].problem,
					    cases[i].text);
		}
		memdir_heal(m);
		assert_int_equal(memdir_open_files(m), 0);
	}
	memdir_free(m);
}

/* A directory whose only file says it has a size, and has 100 bytes. */
struct liar {
	struct dir dir;
	int64_t size;
};

static int liar_open(struct dir *d, const char *name, enum file_use use)
{
	(void)d;
	(void)name;
	return use == FILE_READ ? 3 : -EACCES;
}

static int64_t liar_size(struct dir *d, int file)
{
	(void)file;
	return ((struct liar *)d)->size;
}

static long liar_read(struct dir *d, int file, void *to, size_t n,
		      uint64_t offset)
{
	(void)d;
	(void)file;
	assert_int_equal(offset, 0);
	n = n < 100 ? n : 100;
	memset(to, 0, n);
	return (long)n;
}

static void liar_close(struct dir *d, int file)
{
	(void)d;
	assert_int_equal(file, 3);
}

static void test_sizes_that_lie(void **state)
{
	static const struct dir_ops ops = { .open = liar_open,
					    .size = liar_size,
					    .read = liar_read,
					    .close = liar_close };
	struct liar liar = { .dir = { &ops }, .size = INT64_MAX - 64 };
	const struct journal_link link = { .lsn = 1, .until = UINT64_MAX };
	struct journal_file f;

	(void)state;
	assert_int_equal(journal_file_open(&f, &liar.dir, &link),
			 JOURNAL_ERROR);
	assert_string_equal(f.problem, FIRST
			    ": no memory for its 9223372036854775743 bytes");
	journal_file_close(&f);
	liar.size = 101;
	assert_int_equal(journal_file_open(&f, &liar.dir, &link),
			 JOURNAL_ERROR);
	assert_string_equal(f.problem,
			    FIRST ": it became shorter while it was read");
	journal_file_close(&f);
	liar.size = 100;
	assert_int_equal(journal_file_open(&f, &liar.dir, &link),
			 JOURNAL_DAMAGED);
	assert_string_equal(f.problem, FIRST ": not a file of dozo");
	journal_file_close(&f);
}

/* ---- step by step ------------------------------------------------------- */

/* What is read in steps is what is read at once; nothing good is taken back. */
static void expect_in_steps(struct memdir *m, size_t step,
			    struct journal_file *f)
{
	struct fixture_line l;
	struct journal_file all;
	enum journal_check check;
	enum journal_check whole;
	size_t good = 0;

	fixture_line(&l, m);
	whole = journal_file_open(&all, memdir_dir(m), &l.link[0]);
	check = journal_file_begin(f, memdir_dir(m), &l.link[0], step);
	if (check == JOURNAL_GOOD) {
		do {
			assert_true(f->end >= good && f->end <= all.end);
			good = f->end;
		} while (journal_file_more(f));
		check = journal_file_finish(f);
	}
	assert_int_equal(check, whole);
	assert_int_equal(f->end, all.end);
	assert_int_equal(f->last_lsn, all.last_lsn);
	assert_int_equal(f->records, all.records);
	assert_string_equal(f->problem, all.problem);
	journal_file_close(&all);
}

/* Also when each byte in turn is wrong, or the first of what is missing. */
static void test_steps(void **state)
{
	static const size_t steps[] = { 8, 40, 333, 1 << 20 };
	struct memdir *m = write_one(false);
	struct journal_file f = { .data = NULL };
	size_t size = size_of(m);

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		expect_in_steps(m, steps[i], &f);
		for (size_t at = HEADER_SIZE; at < size; at++) {
			flip(m, 8 * at + at % 8);
			expect_in_steps(m, steps[i], &f);
			flip(m, 8 * at + at % 8);
		}
	}
	while (size > 0) {
		size -= size < 50 ? size : 50;
		cut(m, size);
		if (size >= HEADER_SIZE) {
			expect_in_steps(m, 40, &f);
		}
	}
	journal_file_close(&f);
	assert_int_equal(memdir_open_files(m), 0);
	memdir_free(m);
}

/* The first reads do well, and then one fails. */
static void test_step_that_fails(void **state)
{
	struct memdir_fault fault = { 1U << MEMDIR_READ, NULL, 0, 1, -EIO };
	struct memdir *m = write_one(false);
	struct journal_file f = { .data = NULL };
	struct fixture_line l;
	int more = 0;

	(void)state;
	fixture_line(&l, m);
	assert_int_equal(journal_file_begin(&f, memdir_dir(m), &l.link[0], 100),
			 JOURNAL_GOOD);
	fault.skip = 3;
	memdir_fail(m, &fault);
	while (journal_file_more(&f)) {
		more++;
	}
	assert_int_equal(more, 3);
	assert_false(journal_file_more(&f));
	assert_int_equal(journal_file_finish(&f), JOURNAL_ERROR);
	assert_string_equal(f.problem,
			    FIRST ": cannot read it: Input/output error");
	journal_file_close(&f);
	assert_int_equal(memdir_open_files(m), 0);
	memdir_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_any_bit),
		cmocka_unit_test(test_any_length),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_tails),
		cmocka_unit_test(test_tail_in_front),
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_kinds_to_come),
		cmocka_unit_test(test_proof),
		cmocka_unit_test(test_no_proof),
		cmocka_unit_test(test_forged_mark),
		cmocka_unit_test(test_mark_out_of_place),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_file_missing),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_sizes_that_lie),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_step_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
