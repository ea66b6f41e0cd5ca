/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing the journal: rotation, marks (J3), what happens when an operation
 * fails (J4), what a header says of the files in front (J5), and that what was
 * synced survives any crash (J1, J2).
 */
#include "journal_fixture.h"

#define FIRST "journal-0000000000000001"
#define EVERY_OP ((1U << MEMDIR_OPS) - 1)

static struct file_header header_of(struct memdir *m, uint64_t lsn)
{
	struct file_header h;
	char name[FILE_NAME_SIZE];
	size_t size;
	const char *bytes;

	file_name(name, FILE_JOURNAL, lsn);
	bytes = memdir_content(m, name, &size);
	assert_non_null(bytes);
	assert_true(size >= HEADER_SIZE);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	return h;
}

/* Names one fault for all calls of some kind, or for the n-th. */
static void add_fault(struct memdir *m, unsigned ops, const char *prefix,
		      uint64_t skip, uint64_t times, int error)
{
	const struct memdir_fault fault = { ops, prefix, skip, times, error };

	memdir_fail(m, &fault);
}

static void test_empty(void **state)
{
	struct journal_fixture f;
	struct file_header h;

	(void)state;
	fixture_begin(&f);
	h = header_of(f.m, 1);
	assert_int_equal(h.identity, FIXTURE_IDENTITY);
	assert_int_equal(h.hash_seed, FIXTURE_HASH_SEED);
	assert_int_equal(h.lsn, 1);
	assert_int_equal(h.lsn_before, 0);
	assert_int_equal(h.lsn_floor, 0);
	assert_int_equal(h.time, FIXTURE_NOW);
	assert_int_equal(fixture_write(&f), 0);
	assert_int_equal(journal_sync(&f.journal), 0);
	assert_int_equal(f.journal.syncs, 0);
	assert_int_equal(f.journal.files_made, 1);
	fixture_expect(f.m, 0, 0);
	fixture_end(&f);
}

static void test_records(void **state)
{
	struct journal_fixture f;
	size_t size;

	(void)state;
	fixture_begin(&f);
	fixture_put(&f, 3);
	assert_int_equal(fixture_write_all(&f), 0);
	assert_int_equal(f.journal.written, 3);
	assert_int_equal(f.journal.synced, 0);
	assert_int_equal(f.cursor.lsn, 3);
	assert_int_equal(journal_sync(&f.journal), 0);
	assert_int_equal(f.journal.synced, 3);
	assert_int_equal(f.journal.syncs, 1);
	memdir_content(f.m, FIRST, &size);
	assert_int_equal(f.journal.size, size);
	assert_int_equal(f.journal.bytes_written, size - HEADER_SIZE);
	fixture_expect(f.m, 1, 3);
	fixture_end(&f);
}

/* A little at a time, and more at a time than one write takes. */
static void test_pieces(void **state)
{
	struct journal_fixture f;
	unsigned calls = 0;

	(void)state;
	fixture_begin(&f);
	f.journal.config.file_bytes = 1 << 20;
	fixture_put(&f, 400);
	while (journal_write(&f.journal, &f.cursor, 1, FIXTURE_NOW) > 0) {
		calls++;
		assert_int_equal(f.journal.written, calls);
	}
	assert_int_equal(calls, 400);
	fixture_put(&f, 2000);
	assert_int_equal(fixture_write_all(&f), 0);
	assert_int_equal(journal_sync(&f.journal), 0);
	fixture_expect(f.m, 1, 2400);
	fixture_end(&f);
}

/* Files end between records, near the size, each synced before the next. */
static void test_rotation(void **state)
{
	struct journal_fixture f;
	struct fixture_line l;
	uint64_t files;

	(void)state;
	fixture_begin(&f);
	fixture_put(&f, 60);
	assert_int_equal(fixture_write_all(&f), 0);
	files = f.journal.files_made;
	assert_true(files > 5);
	assert_int_equal(f.journal.syncs, files - 1);
	assert_int_equal(f.journal.synced, f.journal.first_lsn - 1);
	fixture_line(&l, f.m);
	assert_int_equal(l.d.journal_count, files);
	for (size_t i = 0; i + 1 < files; i++) {
		char name[FILE_NAME_SIZE];
		size_t size;

		file_name(name, FILE_JOURNAL, l.link[i].lsn);
		memdir_content(f.m, name, &size);
		assert_true(size >= FIXTURE_FILE_BYTES);
		assert_true(size < FIXTURE_FILE_BYTES + 800);
		assert_int_equal(memdir_durable_size(f.m, name), size);
		assert_int_equal(l.link[i].until, l.link[i + 1].lsn - 1);
		assert_int_equal(l.link[i].next, l.link[i + 1].lsn);
	}
	fixture_expect(f.m, 1, 60);
	fixture_end(&f);
}

/* The record at `at` of the first journal. */
static struct record record_at(struct memdir *m, size_t *at)
{
	struct record r;
	uint32_t used;
	size_t size;
	const char *bytes = memdir_content(m, FIRST, &size);

	assert_true(*at < size);
	assert_int_equal(record_read(bytes + *at, size - *at, &r, &used),
			 RECORD_GOOD);
	*at += used;
	return r;
}

/* One in front of the first write after a sync, and nowhere else. */
static void test_marks(void **state)
{
	static const int expected[] = { 1, 2, -2, 3, 4, 5, -5, 6 };
	const struct file_header h = { .identity = FIXTURE_IDENTITY,
				       .hash_seed = FIXTURE_HASH_SEED };
	struct journal_fixture f;
	size_t at = HEADER_SIZE;

	(void)state;
	fixture_begin(&f);
	assert_int_equal(journal_sync(&f.journal), 0);
	fixture_put_durably(&f, 2);
	assert_int_equal(journal_sync(&f.journal), 0);
	fixture_put(&f, 1);
	assert_int_equal(fixture_write_all(&f), 0);
	fixture_put_durably(&f, 2);
	fixture_put_durably(&f, 1);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		size_t place = at;
		struct record r = record_at(f.m, &at);

		if (expected[i] > 0) {
			assert_int_equal(r.kind, RECORD_ITEM);
			assert_int_equal(r.lsn, expected[i]);
		} else {
			assert_int_equal(r.kind, RECORD_MARK);
			assert_int_equal(r.lsn, -expected[i]);
			assert_int_equal(r.time, FIXTURE_NOW);
			assert_int_equal(r.number, mark_seal(&h, r.lsn, place));
		}
	}
	assert_int_equal(f.journal.size, at);
	fixture_expect(f.m, 1, 6);
	fixture_end(&f);
}

/* The example of docs/formats/files.md, but for the header of a release. */
static void test_example(void **state)
{
	static const unsigned char expected[] = {
		0x20, 0x00, 0x00, 0x00, 0x2a, 0xbe, 0x81, 0x2d, 0x01, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x03, 0x00, 0x00,
		0x01, 0x05, 0x00, 0x00, 0x61, 0x70, 0x70, 0x6c, 0x65, 0x72,
		0x65, 0x64, 0x20, 0x00, 0x00, 0x00, 0x26, 0xe1, 0xa8, 0x1b,
		0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x03,
		0x00, 0x00, 0x06, 0x00, 0x00, 0x10, 0xdf, 0x5a, 0x79, 0xed,
		0xa4, 0x5f, 0x70, 0x20, 0x20, 0x00, 0x00, 0x00, 0xb0, 0x61,
		0xfe, 0xec, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0xe8, 0x03, 0x00, 0x00, 0x02, 0x05, 0x00, 0x60, 0x61, 0x70,
		0x70, 0x6c, 0x65, 0x00, 0x00, 0x00,
	};
	static const struct record changes[] = {
		{ .kind = RECORD_ITEM,
		  .key = "apple",
		  .key_len = 5,
		  .value = "red",
		  .value_len = 3,
		  .time = FIXTURE_NOW },
		{ .kind = RECORD_REMOVE,
		  .key = "apple",
		  .key_len = 5,
		  .time = FIXTURE_NOW },
	};
	struct journal_fixture f;
	struct log_slot slot;
	const char *bytes;
	size_t size;

	(void)state;
	fixture_begin(&f);
	for (size_t i = 0; i < 2; i++) {
		assert_true(log_reserve(f.log, &changes[i], &slot));
		log_publish(f.log, &slot, &changes[i]);
		assert_int_equal(fixture_write_all(&f), 0);
		assert_int_equal(journal_sync(&f.journal), 0);
	}
	bytes = memdir_content(f.m, FIRST, &size);
	assert_int_equal(size, HEADER_SIZE + sizeof(expected));
	assert_memory_equal(bytes + HEADER_SIZE, expected, sizeof(expected));
	fixture_end(&f);
}

static void test_short_writes(void **state)
{
	struct journal_fixture f;

	(void)state;
	for (size_t bytes = 1; bytes < 100; bytes += 7) {
		fixture_begin(&f);
		memdir_set_write_max(f.m, bytes);
		fixture_put_durably(&f, 7);
		fixture_put_durably(&f, 7);
		fixture_expect(f.m, 1, 14);
		fixture_end(&f);
	}
}

/* Half a write is there and the disk is full; then it has room again. */
static void test_disk_full(void **state)
{
	struct journal_fixture f;

	(void)state;
	for (uint64_t room = 0; room < 6000; room += 61) {
		long failed = 0;
		uint64_t written;

		fixture_begin(&f);
		fixture_put_durably(&f, 2);
		fixture_put(&f, 20);
		memdir_set_capacity(f.m, f.journal.size + room);
		failed = fixture_write_all(&f);
		if (failed < 0) {
			written = f.journal.written;
			assert_int_equal(failed, -ENOSPC);
			assert_int_equal(f.cursor.lsn, written);
			assert_int_equal(fixture_write(&f), -ENOSPC);
			assert_int_equal(f.journal.written, written);
			assert_false(f.journal.sync_failed);
			memdir_set_capacity(f.m, UINT64_MAX);
			assert_int_equal(fixture_write_all(&f), 0);
		}
		assert_int_equal(journal_sync(&f.journal), 0);
		assert_int_equal(f.journal.synced, 22);
		fixture_expect(f.m, 1, 22);
		fixture_end(&f);
	}
}

/* It stays at the old file, with all in it, and tries again. */
static void test_rotation_fails(void **state)
{
	static const unsigned ops[] = { MEMDIR_CREATE, MEMDIR_RENAME,
					MEMDIR_SYNC_NAMES };
	struct journal_fixture f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		fixture_begin(&f);
		add_fault(f.m, 1U << ops[i], NULL, 0, MEMDIR_FOR_EVER, -ENOSPC);
		fixture_put(&f, 40);
		assert_int_equal(fixture_write_all(&f), -ENOSPC);
		assert_int_equal(f.journal.files_made, 1);
		assert_int_equal(f.journal.first_lsn, 1);
		assert_true(f.journal.size >= FIXTURE_FILE_BYTES);
		assert_int_equal(f.journal.synced, f.journal.written);
		assert_int_equal(fixture_write(&f), -ENOSPC);
		memdir_heal(f.m);
		assert_int_equal(fixture_write_all(&f), 0);
		assert_int_equal(f.journal.written, 40);
		fixture_expect(f.m, 1, 40);
		fixture_end(&f);
	}
}

/*
 * A new file that may have its name says where the old one ends, so nothing
 * more is written to that.
 */
static void test_half_rotated(void **state)
{
	struct journal_fixture f;
	uint64_t size;

	(void)state;
	fixture_begin(&f);
	fixture_put_durably(&f, 3);
	size = f.journal.size;
	add_fault(f.m, 1U << MEMDIR_SYNC_NAMES, NULL, 0, 2, -EIO);
	assert_int_equal(journal_start(&f.journal, 3, FIXTURE_NOW), -EIO);
	fixture_put(&f, 1);
	assert_int_equal(fixture_write(&f), -EIO);
	assert_int_equal(f.journal.size, size);
	assert_int_equal(f.journal.first_lsn, 1);
	assert_true(fixture_write(&f) > 0);
	assert_int_equal(f.journal.first_lsn, 4);
	fixture_expect(f.m, 1, 4);
	fixture_end(&f);
}

/* One that has no records yet is new enough. */
static void test_start_twice(void **state)
{
	struct journal_fixture f;

	(void)state;
	fixture_begin(&f);
	assert_int_equal(journal_start(&f.journal, 0, FIXTURE_NOW), 0);
	assert_int_equal(f.journal.files_made, 1);
	fixture_put_durably(&f, 2);
	assert_int_equal(journal_start(&f.journal, 2, FIXTURE_NOW), 0);
	assert_int_equal(journal_start(&f.journal, 2, FIXTURE_NOW), 0);
	assert_int_equal(f.journal.files_made, 2);
	fixture_end(&f);
}

/* After a start: an empty file of the name is replaced, one in use is not. */
static void test_start_over(void **state)
{
	struct journal_fixture f;
	struct journal_fixture g;

	(void)state;
	fixture_begin(&f);
	fixture_leave(&f);
	fixture_begin_at(&g, f.m, 0, 1, 0);
	assert_int_equal(journal_start(&g.journal, 0, FIXTURE_NOW), 0);
	fixture_put_durably(&g, 2);
	fixture_expect(g.m, 1, 2);
	fixture_leave(&g);
	fixture_begin_at(&g, f.m, 0, 1, 0);
	assert_int_equal(journal_start(&g.journal, 0, FIXTURE_NOW), -EEXIST);
	assert_int_equal(g.journal.file, -1);
	fixture_expect(g.m, 1, 2);
	fixture_end(&g);
}

/* A run that ends, and one that goes on behind a jump. */
static void test_next_run(void **state)
{
	struct journal_fixture f;
	struct journal_fixture g;
	struct file_header h;
	struct fixture_read got;

	(void)state;
	fixture_begin(&f);
	fixture_put(&f, 3);
	assert_int_equal(fixture_write_all(&f), 0);
	fixture_leave(&f);
	assert_int_equal(memdir_durable_size(f.m, FIRST), HEADER_SIZE);
	fixture_begin_at(&g, f.m, 1000, 1, 3);
	assert_int_equal(journal_start(&g.journal, 1000, FIXTURE_NOW), 0);
	/* What was read must not be lost any more. */
	assert_true(memdir_durable_size(f.m, FIRST) > HEADER_SIZE);
	h = header_of(f.m, 1001);
	assert_int_equal(h.lsn_before, 3);
	assert_int_equal(h.lsn_floor, 0);
	assert_int_equal(g.journal.synced, 1000);
	fixture_put_durably(&g, 50);
	got = fixture_read(f.m, 0);
	assert_int_equal(got.worst, JOURNAL_GOOD);
	assert_int_equal(got.records, 53);
	assert_int_equal(got.last, 1050);
	assert_int_equal(got.jumps, 1);
	fixture_end(&g);
}

static void test_next_run_cannot_sync(void **state)
{
	struct journal_fixture f;
	struct journal_fixture g;

	(void)state;
	fixture_begin(&f);
	fixture_put_durably(&f, 3);
	fixture_leave(&f);
	fixture_begin_at(&g, f.m, 1000, 1, 3);
	add_fault(f.m, 1U << MEMDIR_SYNC, FIRST, 0, 1, -EIO);
	assert_int_equal(journal_start(&g.journal, 1000, FIXTURE_NOW), -EIO);
	assert_int_equal(g.journal.file, -1);
	fixture_expect(f.m, 1, 3);
	fixture_end(&g);
}

/* ---- failed syncs ------------------------------------------------------- */

/* 3 durable records, 2 of which the sync failed. */
static void begin_distrusted(struct journal_fixture *f)
{
	fixture_begin(f);
	fixture_put_durably(f, 3);
	fixture_put(f, 2);
	assert_int_equal(fixture_write_all(f), 0);
	add_fault(f->m, 1U << MEMDIR_SYNC, NULL, 0, 1, -EIO);
	assert_int_equal(journal_sync(&f->journal), -EIO);
	memdir_heal(f->m);
	assert_true(f->journal.sync_failed);
	assert_int_equal(f->journal.synced, 3);
	assert_int_equal(f->journal.written, 5);
}

/* Nothing goes on before a restart. */
static void test_failed_sync_is_final(void **state)
{
	struct journal_fixture f;

	(void)state;
	begin_distrusted(&f);
	assert_int_equal(journal_sync(&f.journal), -EIO);
	fixture_put(&f, 1);
	assert_int_equal(fixture_write(&f), -EIO);
	assert_int_equal(journal_start(&f.journal, 5, FIXTURE_NOW), -EIO);
	assert_int_equal(f.journal.synced, 3);
	assert_int_equal(f.journal.files_made, 1);
	fixture_end(&f);
}

/* A sync that fails at a rotation is no less final. */
static void test_failed_sync_at_rotation(void **state)
{
	struct journal_fixture f;

	(void)state;
	fixture_begin(&f);
	add_fault(f.m, 1U << MEMDIR_SYNC, FIRST, 0, 1, -EIO);
	fixture_put(&f, 40);
	assert_int_equal(fixture_write_all(&f), -EIO);
	assert_true(f.journal.sync_failed);
	assert_int_equal(f.journal.synced, 0);
	assert_int_equal(fixture_write(&f), -EIO);
	fixture_end(&f);
}

/* The line says which snapshot it needs; with that, it goes on. */
static void test_restart(void **state)
{
	struct journal_fixture f;
	struct file_header h;
	struct fixture_read got;

	(void)state;
	begin_distrusted(&f);
	assert_int_equal(journal_restart(&f.journal, 5, FIXTURE_NOW), 0);
	assert_false(f.journal.sync_failed);
	assert_int_equal(f.journal.synced, 3);
	h = header_of(f.m, 6);
	assert_int_equal(h.lsn_before, 3);
	assert_int_equal(h.lsn_floor, 5);
	/* A rotation must not make that unsaid. */
	assert_int_equal(journal_start(&f.journal, 5, FIXTURE_NOW), 0);
	assert_int_equal(header_of(f.m, 6).lsn_floor, 5);
	fixture_put_durably(&f, 40);
	assert_int_equal(f.journal.synced, 45);
	got = fixture_read(f.m, 4);
	assert_int_equal(got.last, 3);
	assert_int_equal(got.worst, JOURNAL_GOOD);
	got = fixture_read(f.m, 5);
	assert_int_equal(got.worst, JOURNAL_GOOD);
	assert_int_equal(got.records, 3 + 40);
	assert_int_equal(got.last, 45);
	assert_int_equal(got.jumps, 1);
	fixture_end(&f);
}

/* Again before anything stands: the first file counts as far as before. */
static void test_restart_twice(void **state)
{
	struct journal_fixture f;
	struct fixture_line l;
	struct fixture_read got;

	(void)state;
	begin_distrusted(&f);
	assert_int_equal(journal_restart(&f.journal, 5, FIXTURE_NOW), 0);
	fixture_put(&f, 2);
	assert_int_equal(fixture_write_all(&f), 0);
	add_fault(f.m, 1U << MEMDIR_SYNC, NULL, 0, 1, -EIO);
	assert_int_equal(journal_sync(&f.journal), -EIO);
	assert_int_equal(journal_restart(&f.journal, 7, FIXTURE_NOW), 0);
	fixture_put_durably(&f, 1);
	fixture_line(&l, f.m);
	assert_int_equal(l.d.journal_count, 3);
	assert_int_equal(l.link[0].until, 3);
	assert_true(l.link[0].counts);
	assert_false(l.link[1].counts);
	assert_true(l.link[2].counts);
	got = fixture_read(f.m, 7);
	assert_int_equal(got.worst, JOURNAL_GOOD);
	assert_int_equal(got.records, 4);
	assert_int_equal(got.last, 8);
	fixture_end(&f);
}

/* One that fails leaves all as it is, for the next try. */
static void test_restart_fails(void **state)
{
	struct journal_fixture f;

	(void)state;
	for (uint64_t n = 0;; n++) {
		int result;

		begin_distrusted(&f);
		add_fault(f.m, EVERY_OP, NULL, n, 1, -EIO);
		result = journal_restart(&f.journal, 5, FIXTURE_NOW);
		if (result < 0) {
			assert_true(f.journal.sync_failed);
			assert_int_equal(f.journal.first_lsn, 1);
			assert_int_equal(f.journal.written, 5);
			result = journal_restart(&f.journal, 5, FIXTURE_NOW);
		} else {
			assert_true(n > 5);
			fixture_end(&f);
			break;
		}
		assert_int_equal(result, 0);
		fixture_put_durably(&f, 1);
		assert_int_equal(fixture_read(f.m, 5).records, 4);
		fixture_end(&f);
	}
}

/*
 * A run whose last sync failed has ended, and what it had written is still in
 * the system's memory, to be read by the next, but on no disk: that run makes
 * it last, or a crash would leave a line with a hole.
 */
static void fail_and_go_on(unsigned synced, unsigned unsynced, uint64_t seed)
{
	const uint64_t last = synced + unsynced;
	struct journal_fixture f;
	struct journal_fixture g;
	struct fixture_read got;
	struct memdir *left;

	fixture_begin(&f);
	f.journal.config.file_bytes = JOURNAL_FILE_BYTES_MAX;
	for (unsigned i = 0; i < synced; i++) {
		fixture_put_durably(&f, 1);
	}
	fixture_put(&f, unsynced);
	assert_int_equal(fixture_write_all(&f), 0);
	add_fault(f.m, 1U << MEMDIR_SYNC, NULL, 0, 1, -EIO);
	assert_int_equal(journal_sync(&f.journal), -EIO);
	memdir_heal(f.m);
	fixture_leave(&f);
	memdir_end_process(f.m);
	fixture_expect(f.m, 1, last);
	fixture_begin_at(&g, f.m, last + 1000, 1, last);
	assert_int_equal(journal_start(&g.journal, last + 1000, FIXTURE_NOW),
			 0);
	fixture_put_durably(&g, 2);
	left = memdir_crash(g.m, MEMDIR_POWER, memdir_position(g.m), seed);
	got = fixture_read(left, 0);
	assert_string_equal(got.problem, "");
	assert_int_equal(got.records, last + 2);
	assert_int_equal(got.jumps, 1);
	memdir_free(left);
	fixture_end(&g);
}

static void test_failed_sync_and_next_run(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		fail_and_go_on(0, 2, seed);
		fail_and_go_on(5, 1, seed);
	}
	/* More than one piece, with marks in front and without. */
	fail_and_go_on(0, 2500, 1);
	fail_and_go_on(3, 2500, 2);
}

/* ---- any failure, any crash --------------------------------------------- */

/* What was durable after each step of a directory's history. */
struct timeline {
	uint64_t synced[4096];
	uint64_t written[4096];
	size_t known;
};

static void timeline_note(struct timeline *t, struct journal_fixture *f)
{
	size_t now = memdir_position(f->m);

	assert_true(now < 4096);
	while (t->known <= now) {
		size_t i = t->known++;

		/* A sync comes first in whatever makes several steps, a
		 * write last. */
		t->synced[i] = f->journal.synced;
		t->written[i] = i == now || i == 0 ? f->journal.written :
						     t->written[i - 1];
	}
}

/* Syncs now and then, over several files. */
static void run_script(struct journal_fixture *f, struct timeline *t)
{
	for (unsigned i = 0; i < 30; i++) {
		fixture_put(f, 1 + i % 5);
		for (;;) {
			long put = journal_write(&f->journal, &f->cursor, 900,
						 FIXTURE_NOW);

			timeline_note(t, f);
			if (put == 0) {
				break;
			}
			assert_true(put > 0 || put == -EIO);
		}
		if (i % 3 == 0) {
			int result = journal_sync(&f->journal);

			assert_int_equal(result, 0);
			timeline_note(t, f);
		}
		if (i == 20) {
			int result;

			do {
				result = journal_start(&f->journal,
						       f->journal.written,
						       FIXTURE_NOW);
				timeline_note(t, f);
			} while (result < 0);
		}
	}
}

/*
 * After any crash the line is read, without a gap, up to what was synced at
 * least; and to what was written, if only the process has ended.
 */
static unsigned crash_everywhere(struct journal_fixture *f,
				 const struct timeline *t, unsigned seeds)
{
	unsigned torn = 0;

	for (size_t at = 0; at < t->known; at++) {
		for (uint64_t seed = 0; seed < seeds; seed++) {
			enum memdir_crash how = seed % 4 == 0 ? MEMDIR_KILL :
								MEMDIR_POWER;
			struct memdir *after = memdir_crash(f->m, how, at,
							    seed);
			struct fixture_read got = fixture_read(after, 0);
			uint64_t least = how == MEMDIR_KILL && at > 0 ?
						 t->written[at - 1] :
						 t->synced[at];

			if (got.worst > JOURNAL_TORN || got.last < least ||
			    got.jumps > 0 || got.first > 1) {
				memdir_tell(f->m, at, stderr);
				fail_msg("at %zu, seed %u: last %u of %u, %s",
					 at, (unsigned)seed, (unsigned)got.last,
					 (unsigned)least, got.problem);
			}
			torn += got.worst == JOURNAL_TORN;
			memdir_free(after);
		}
	}
	return torn;
}

static void test_crashes(void **state)
{
	struct journal_fixture f;
	struct timeline *t = calloc(1, sizeof(*t));
	unsigned torn;

	(void)state;
	assert_non_null(t);
	fixture_begin(&f);
	timeline_note(t, &f);
	run_script(&f, t);
	assert_true(f.journal.files_made > 5);
	torn = crash_everywhere(&f, t, 40);
	assert_true(torn > 100);
	free(t);
	fixture_end(&f);
}

/*
 * The n-th operation that is no sync of a journal fails, once and for a while:
 * nothing is lost, whenever it then crashes.
 */
static void test_failures_and_crashes(void **state)
{
	const unsigned ops = EVERY_OP & ~(1U << MEMDIR_SYNC);
	uint64_t hits = 1;

	(void)state;
	for (uint64_t n = 0; hits > 0; n++) {
		struct journal_fixture f;
		struct timeline *t = calloc(1, sizeof(*t));

		assert_non_null(t);
		fixture_begin(&f);
		timeline_note(t, &f);
		add_fault(f.m, ops, NULL, n, 1 + n % 3, -EIO);
		run_script(&f, t);
		hits = memdir_hits(f.m);
		memdir_heal(f.m);
		assert_int_equal(journal_sync(&f.journal), 0);
		fixture_expect(f.m, 1, log_lsn(f.log));
		crash_everywhere(&f, t, 2);
		free(t);
		fixture_end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_rotation),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_short_writes),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_rotation_fails),
		cmocka_unit_test(test_half_rotated),
		cmocka_unit_test(test_start_twice),
		cmocka_unit_test(test_start_over),
		cmocka_unit_test(test_next_run),
		cmocka_unit_test(test_next_run_cannot_sync),
		cmocka_unit_test(test_failed_sync_is_final),
		cmocka_unit_test(test_failed_sync_at_rotation),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_restart_twice),
		cmocka_unit_test(test_restart_fails),
		cmocka_unit_test(test_failed_sync_and_next_run),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_failures_and_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
