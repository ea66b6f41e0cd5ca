/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Points in time: every one of a life with overwrites, removals, touches,
 * snapshots under way, a crash and a clean stop is restored and compared with
 * the model; and what cannot be restored is refused with the reason and the
 * way out.
 */
#include <errno.h>

#include "life_fixture.h"
#include "persist/restore.h"

enum { HOUR = 3600 };

struct attempt {
	struct memdir *into;
	bool ok;
	char problem[PROBLEM_SIZE];
	char *text; /* what was told */
	size_t text_size;
};

static void attempt_from(struct attempt *a, struct dir *const *from,
			 size_t count, uint64_t to_lsn, uint32_t to_time)
{
	struct restore_config c = { .from = from,
				    .from_count = count,
				    .to_lsn = to_lsn,
				    .to_time = to_time,
				    .identity = 0x2b0b,
				    .memory_limit = LIFE_MEMORY,
				    .now = BIRTH + 10 * HOUR };

	memset(a, 0, sizeof(*a));
	a->into = memdir_new();
	c.into = memdir_dir(a->into);
	c.out = open_memstream(&a->text, &a->text_size);
	a->ok = restore_directory(&c, a->problem);
	fclose(c.out);
}

/* From the archive and the data directory. */
static void attempt(struct attempt *a, const struct life *l, uint64_t to_lsn,
		    uint32_t to_time)
{
	struct dir *from[] = { memdir_dir(l->archive), memdir_dir(l->data) };

	attempt_from(a, from, 2, to_lsn, to_time);
}

static void release(struct attempt *a)
{
	memdir_free(a->into);
	free(a->text);
}

static void says(const char *text, const char *words)
{
	if (strstr(text, words) == NULL) {
		fail_msg("'%s' does not say '%s'", text, words);
	}
}

/* It failed, with these words, and left nothing that a server starts from. */
static void refused(struct attempt *a, const char *words)
{
	char problem[PROBLEM_SIZE];
	struct datadir d;

	if (a->ok) {
		fail_msg("it was restored:\n%s", a->text);
	}
	says(a->problem, words);
	assert_false(datadir_open(&d, memdir_dir(a->into), DATADIR_LOOK, 0, 0,
				  BIRTH, problem));
	datadir_close(&d);
	release(a);
}

static void restored(const struct life *l, struct attempt *a, uint64_t lsn,
		     uint32_t now)
{
	if (!a->ok) {
		fail_msg("LSN %llu: %s\n%s", (unsigned long long)lsn,
			 a->problem, a->text);
	}
	life_expect(l, a->into, lsn, now,
		    l->ops[l->op_count - 1].lsn + LSN_SKIP - 1);
	release(a);
}

/* ---- a life ------------------------------------------------------------- */

static void change(struct life *l)
{
	unsigned n = l->steps++;
	unsigned key = n * 7 % LIFE_KEYS;

	if (n % 9 == 4) {
		life_remove(l, key);
	} else if (n % 9 == 7) {
		life_touch(l, (key + 1) % LIFE_KEYS, l->now + 50 + n % 3);
	} else {
		life_set(l, key, n % 5 == 0 ? l->now + 40 : 0);
	}
	if (n % 3 == 0) {
		l->now++;
	}
}

static void changes(struct life *l, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		change(l);
		if (i % 4 == 3) {
			life_write(l);
		}
	}
	life_write(l);
}

static unsigned left; /* changes that a snapshot may meet */

static void change_a_few(struct life *l)
{
	if (left > 0) {
		left--;
		change(l);
	}
}

/* Three runs: one that is stopped, one that crashes, one that is stopped. */
static struct life *whole_life(void)
{
	struct life *l = life_new(900);

	changes(l, 60);
	left = 12;
	life_snapshot(l, false, change_a_few);
	changes(l, 30);
	life_archive(l);
	life_stop(l);
	l->now += 100;
	life_start(l);
	changes(l, 40);
	left = 12;
	life_snapshot(l, false, change_a_few);
	life_archive(l);
	changes(l, 20);
	life_crash(l);
	l->now += 100;
	life_start(l);
	changes(l, 40);
	life_crash(l);
	return l;
}

static void test_every_lsn(void **state)
{
	struct life *l = whole_life();
	size_t points = 0;

	(void)state;
	for (size_t i = 0; i < l->op_count; i++) {
		struct attempt a;

		attempt(&a, l, l->ops[i].lsn, UINT32_MAX);
		restored(l, &a, l->ops[i].lsn, l->ops[i].time);
		points++;
	}
	assert_true(points > 150);
	life_free(l);
}

static void test_every_second(void **state)
{
	struct life *l = whole_life();
	uint32_t end = l->ops[l->op_count - 1].time;

	(void)state;
	for (uint32_t t = BIRTH; t <= end; t++) {
		uint64_t lsn = 0;
		struct attempt a;

		for (size_t i = 0; i < l->op_count && l->ops[i].time <= t;
		     i++) {
			lsn = l->ops[i].lsn;
		}
		attempt(&a, l, UINT64_MAX, t);
		restored(l, &a, lsn, t);
	}
	life_free(l);
}

/* A flush_all by mistake, undone to the second before. */
static void test_mishap(void **state)
{
	struct life *l = life_new(64 << 10);
	uint32_t before;
	struct attempt a;
	uint64_t lsn;
	uint64_t flush;

	(void)state;
	changes(l, 500);
	life_snapshot(l, false, NULL);
	changes(l, 500);
	lsn = log_lsn(l->log);
	before = l->now;
	l->now++;
	assert_int_equal(store_flush(l->store, l->now, &flush), STORE_OK);
	life_note(l, LIFE_FLUSH, flush);
	changes(l, 20);
	life_snapshot(l, false, NULL);
	life_archive(l);
	life_crash(l);

	attempt(&a, l, UINT64_MAX, before);
	says(a.text, "flush, of 20");
	restored(l, &a, lsn, before);
	attempt(&a, l, flush - 1, UINT32_MAX);
	restored(l, &a, lsn, before);
	attempt(&a, l, flush, UINT32_MAX);
	restored(l, &a, flush, before + 1);
	life_free(l);
}

/* ---- what is refused ---------------------------------------------------- */

static void erase(struct memdir *m, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];

	file_name(name, kind, lsn);
	assert_int_equal(dir_remove(memdir_dir(m), name), 0);
}

/* The journals or snapshots of a directory. */
static struct datadir files_of(struct memdir *m)
{
	struct datadir d = { .dir = memdir_dir(m) };

	assert_int_equal(datadir_scan(&d), 0);
	return d;
}

/* Follows the advice: the point that is named can be restored. */
static void follow(const struct life *l, const char *problem)
{
	const char *at = strstr(problem, "--to-lsn ");
	struct attempt a;
	uint64_t lsn;

	assert_non_null(at);
	lsn = strtoull(at + 9, NULL, 10);
	attempt(&a, l, lsn, UINT32_MAX);
	restored(l, &a, lsn, BIRTH);
}

static size_t size_of(struct memdir *m, enum file_kind kind, uint64_t lsn)
{
	char name[FILE_NAME_SIZE];
	size_t size;

	file_name(name, kind, lsn);
	assert_non_null(memdir_content(m, name, &size));
	return size;
}

static void test_missing_journal(void **state)
{
	struct life *l = life_new(900);
	char problem[PROBLEM_SIZE];
	struct attempt a;
	struct datadir d;
	char words[80];

	(void)state;
	changes(l, 100);
	life_crash(l);
	d = files_of(l->data);
	assert_true(d.journal_count > 4);
	erase(l->data, FILE_JOURNAL, d.journals[2]);
	snprintf(words, sizeof(words),
		 "it ends at byte %zu, where the record with LSN %llu should "
		 "be",
		 size_of(l->data, FILE_JOURNAL, d.journals[1]),
		 (unsigned long long)d.journals[2]);
	attempt(&a, l, d.journals[3], UINT32_MAX);
	memcpy(problem, a.problem, sizeof(problem));
	refused(&a, words);
	follow(l, problem);
	attempt(&a, l, UINT64_MAX, l->now);
	refused(&a, words);
	/* What comes before it is no matter. */
	attempt(&a, l, d.journals[2] - 1, UINT32_MAX);
	restored(l, &a, d.journals[2] - 1, BIRTH);
	erase(l->data, FILE_JOURNAL, d.journals[0]);
	attempt(&a, l, d.journals[0], UINT32_MAX);
	refused(&a, "there is no snapshot, and the journals do not go back");
	datadir_close(&d);
	life_free(l);
}

/* The journal that follows a snapshot, and none in front of it. */
static void test_missing_behind_snapshot(void **state)
{
	struct life *l = life_new(900);
	struct dir *from[] = { memdir_dir(l->data) };
	char problem[PROBLEM_SIZE];
	struct attempt a;
	struct datadir d;
	uint64_t s;

	(void)state;
	changes(l, 40);
	life_snapshot(l, false, NULL);
	changes(l, 60);
	life_archive(l);
	life_crash(l);
	d = files_of(l->data);
	s = d.snapshots[0];
	assert_int_equal(d.journals[0], s + 1);
	erase(l->data, FILE_JOURNAL, s + 1);
	attempt_from(&a, from, 1, s + 1, UINT32_MAX);
	memcpy(problem, a.problem, sizeof(problem));
	refused(&a, "are in no journal here (the next is journal-");
	follow(l, problem);
	attempt_from(&a, from, 1, s, UINT32_MAX);
	restored(l, &a, s, BIRTH);
	datadir_close(&d);
	life_free(l);
}

/* Turns one bit of a file, at a part of its length. */
static void spoil(struct memdir *m, enum file_kind kind, uint64_t lsn,
		  double where)
{
	char name[FILE_NAME_SIZE];
	size_t size;
	char *bytes;

	file_name(name, kind, lsn);
	bytes = memdir_content(m, name, &size);
	assert_non_null(bytes);
	bytes[(size_t)((double)size * where)] ^= 0x10;
}

static void test_damaged_journal(void **state)
{
	struct life *l = life_new(900);
	char problem[PROBLEM_SIZE];
	struct attempt a;
	struct datadir d;

	(void)state;
	changes(l, 100);
	life_crash(l);
	d = files_of(l->data);
	spoil(l->data, FILE_JOURNAL, d.journals[2], 0.5);
	attempt(&a, l, UINT64_MAX, l->now);
	memcpy(problem, a.problem, sizeof(problem));
	refused(&a, "the last point before that is --to-lsn");
	follow(l, problem);
	datadir_close(&d);
	life_free(l);
}

static void test_damaged_snapshot(void **state)
{
	struct life *l = life_new(4000);
	struct attempt a;
	struct datadir d;
	uint64_t last;

	(void)state;
	changes(l, 50);
	life_snapshot(l, false, NULL);
	changes(l, 50);
	life_snapshot(l, false, NULL);
	changes(l, 50);
	last = log_lsn(l->log);
	life_archive(l);
	life_crash(l);
	d = files_of(l->data);
	assert_int_equal(d.snapshot_count, 1);
	attempt(&a, l, last, UINT32_MAX);
	assert_null(strstr(a.text, "passed over"));
	restored(l, &a, last, l->now);
	for (int part = 0; part < 10; part++) {
		spoil(l->data, FILE_SNAPSHOT, d.snapshots[0], part / 10.0);
		attempt(&a, l, last, UINT32_MAX);
		says(a.text, "is passed over, an older one is looked for");
		restored(l, &a, last, l->now);
		spoil(l->data, FILE_SNAPSHOT, d.snapshots[0], part / 10.0);
	}
	datadir_close(&d);
	life_free(l);
}

/* Copies the first bytes of a file. */
static void copy(struct memdir *from, struct memdir *to, enum file_kind kind,
		 uint64_t lsn, double part)
{
	char name[FILE_NAME_SIZE];
	size_t size;
	char *bytes;
	int file;

	file_name(name, kind, lsn);
	bytes = memdir_content(from, name, &size);
	assert_non_null(bytes);
	file = dir_open(memdir_dir(to), name, FILE_CREATE);
	assert_true(file >= 0);
	assert_int_equal(dir_write_all(memdir_dir(to), file, bytes,
				       (size_t)((double)size * part), 0),
			 0);
	dir_close(memdir_dir(to), file);
}

/* A server or a copy was stopped half way: the whole one is taken. */
static void test_two_places(void **state)
{
	struct life *l = life_new(900);
	struct attempt a;
	struct datadir d;
	uint64_t last;

	(void)state;
	changes(l, 50);
	life_snapshot(l, false, NULL);
	changes(l, 50);
	last = log_lsn(l->log);
	life_crash(l);
	d = files_of(l->data);
	for (size_t i = 0; i < d.journal_count; i++) {
		copy(l->data, l->archive, FILE_JOURNAL, d.journals[i],
		     (double)i / (double)d.journal_count);
	}
	copy(l->data, l->archive, FILE_SNAPSHOT, d.snapshots[0], 0.9);
	attempt(&a, l, last, UINT32_MAX);
	restored(l, &a, last, l->now);
	/* The longer one is not the better one if it is spoilt. */
	spoil(l->archive, FILE_JOURNAL, d.journals[d.journal_count - 1], 0.1);
	attempt(&a, l, last, UINT32_MAX);
	restored(l, &a, last, l->now);
	datadir_close(&d);
	life_free(l);
}

static void test_two_directories(void **state)
{
	struct life *l = life_new(4000);
	struct life *other = life_new(4000);
	char problem[PROBLEM_SIZE];
	struct dir *from[2];
	struct attempt a;

	(void)state;
	changes(l, 10);
	life_crash(l);
	life_crash(other);
	memdir_free(other->data);
	other->data = memdir_new();
	assert_true(datadir_open(&other->d, memdir_dir(other->data),
				 DATADIR_CREATE, 0xbad, LIFE_SEED, BIRTH,
				 problem));
	datadir_close(&other->d);
	from[0] = memdir_dir(l->data);
	from[1] = memdir_dir(other->data);
	attempt_from(&a, from, 2, UINT64_MAX, BIRTH);
	refused(&a, "are of different data directories");
	attempt_from(&a, from, 1, UINT64_MAX, l->now);
	assert_true(a.ok);
	release(&a);
	life_free(l);
	life_free(other);
}

static void test_beyond_the_end(void **state)
{
	struct life *l = life_new(4000);
	struct memdir *empty = memdir_new();
	struct dir *from[] = { memdir_dir(empty) };
	struct attempt a;
	uint64_t last;

	(void)state;
	changes(l, 20);
	last = log_lsn(l->log);
	life_crash(l);
	attempt(&a, l, last + 1, UINT32_MAX);
	refused(&a, "is not here: the last change is --to-lsn");
	attempt(&a, l, UINT64_MAX, l->now + HOUR);
	says(a.text, "nothing is known of what followed");
	restored(l, &a, last, l->now);
	attempt(&a, l, last, UINT32_MAX);
	restored(l, &a, last, l->now);
	attempt(&a, l, UINT64_MAX, BIRTH - 1);
	refused(&a, "that is before the first change, which is LSN 1, of 20");
	attempt_from(&a, from, 1, last, UINT32_MAX);
	refused(&a, "there are no snapshots and no journals");
	memdir_free(empty);
	life_free(l);
}

/* The header of the last journal, which restoring leaves out, tells this. */
static void set_last_floor(struct memdir *m, uint64_t lsn_floor)
{
	struct datadir d = files_of(m);
	char name[FILE_NAME_SIZE];
	struct file_header h;
	size_t size;
	char *bytes;

	file_name(name, FILE_JOURNAL, d.journals[d.journal_count - 1]);
	bytes = memdir_content(m, name, &size);
	assert_null(header_read(bytes, FILE_JOURNAL, &h));
	h.lsn_floor = lsn_floor;
	header_write(bytes, &h);
	datadir_close(&d);
}

/* The new directory's LSNs are above all that any file tells of. */
static void test_no_lsns_left(void **state)
{
	struct life *l = life_new(900);
	const uint64_t most = UINT64_MAX - 3 * LSN_SKIP;
	struct attempt a;

	(void)state;
	changes(l, 60);
	life_crash(l);
	set_last_floor(l->data, most + 1);
	attempt(&a, l, 5, UINT32_MAX);
	refused(&a, "there are no LSNs above 18446744073608888320");
	set_last_floor(l->data, most);
	attempt(&a, l, 5, UINT32_MAX);
	restored(l, &a, 5, BIRTH);
	life_free(l);
}

/* Without the journals that it needs a snapshot leads nowhere. */
static void test_snapshot_without_its_journals(void **state)
{
	struct life *l = life_new(4000);
	struct attempt a;
	struct datadir d;

	(void)state;
	changes(l, 50);
	left = 30;
	life_snapshot(l, false, change_a_few);
	assert_int_equal(left, 0);
	life_crash(l);
	d = files_of(l->data);
	for (size_t i = 0; i < d.journal_count; i++) {
		erase(l->data, FILE_JOURNAL, d.journals[i]);
	}
	attempt(&a, l, UINT64_MAX, l->now);
	refused(&a, "needs the journals up to LSN");
	attempt(&a, l, d.snapshots[0], UINT32_MAX);
	refused(&a, "nothing leads to that point: the oldest snapshot is of");
	datadir_close(&d);
	life_free(l);
}

/* After a failed sync only the snapshot that followed leads on. */
static void test_failed_sync(void **state)
{
	struct life *l = life_new(1 << 20);
	uint64_t synced;
	uint64_t between;
	struct attempt a;
	uint64_t last;

	(void)state;
	changes(l, 30);
	synced = l->journal.synced;
	change(l);
	change(l);
	memdir_fail(l->data, &(struct memdir_fault){ .ops = 1U << MEMDIR_SYNC,
						     .times = 1,
						     .error = -EIO });
	while (journal_write(&l->journal, &l->cursor, 1 << 16, l->now) > 0) {
	}
	assert_int_equal(journal_sync(&l->journal), -EIO);
	between = log_lsn(l->log);
	assert_int_equal(journal_restart(&l->journal, between, l->now), 0);
	left = 0;
	life_snapshot(l, false, NULL);
	changes(l, 30);
	last = log_lsn(l->log);
	life_crash(l);
	attempt(&a, l, last, UINT32_MAX);
	restored(l, &a, last, l->now);
	attempt(&a, l, synced, UINT32_MAX);
	restored(l, &a, synced, BIRTH);
	attempt(&a, l, synced + 1, UINT32_MAX);
	refused(&a, "are in no journal here");
	life_free(l);
}

/* ---- the new directory -------------------------------------------------- */

static void test_flush_that_is_pending(void **state)
{
	struct life *l = life_new(4000);
	struct attempt a;
	uint64_t lsn;

	(void)state;
	changes(l, 20);
	assert_int_equal(store_flush_at(l->store, l->now + HOUR, l->now, &lsn),
			 STORE_OK);
	changes(l, 20);
	life_crash(l);
	attempt(&a, l, lsn - 1, UINT32_MAX);
	assert_null(strstr(a.text, "attention"));
	restored(l, &a, lsn - 1, BIRTH);
	attempt(&a, l, lsn, UINT32_MAX);
	says(a.text, "attention: a flush_all that was ordered before that "
		     "point is pending, for 20");
	restored(l, &a, lsn, BIRTH);
	life_free(l);
}

/* On a terminal a line tells what is being done, and goes away again. */
static void test_progress(void **state)
{
	struct life *l = life_new(4000);
	struct dir *from[] = { memdir_dir(l->data) };
	struct memdir *into = memdir_new();
	struct restore_config c = { .from = from,
				    .from_count = 1,
				    .into = memdir_dir(into),
				    .to_time = UINT32_MAX,
				    .progress = true };
	char problem[PROBLEM_SIZE];
	char *text = NULL;
	size_t size;

	(void)state;
	changes(l, 20);
	life_snapshot(l, false, NULL);
	changes(l, 20);
	c.to_lsn = log_lsn(l->log);
	life_crash(l);
	c.out = open_memstream(&text, &size);
	assert_true(restore_directory(&c, problem));
	fclose(c.out);
	says(text, "\rreading snapshot-");
	says(text, "\rreading journal-");
	says(text, "\rwriting: ");
	says(text, " \rfrom snapshot-");
	says(text, " \rrestored: ");
	free(text);
	memdir_free(into);
	life_free(l);
}

static void test_not_empty(void **state)
{
	struct life *l = life_new(4000);
	struct dir *from[] = { memdir_dir(l->data) };
	struct restore_config c = { .from = from,
				    .from_count = 1,
				    .into = memdir_dir(l->data),
				    .to_lsn = 1,
				    .to_time = UINT32_MAX,
				    .now = BIRTH,
				    .out = stdout };
	char problem[PROBLEM_SIZE];

	(void)state;
	changes(l, 5);
	life_crash(l);
	assert_false(restore_directory(&c, problem));
	says(problem, "the new directory is not empty: there is ");
	life_free(l);
}

static void count_name(void *arg, const char *name)
{
	unsigned *count = arg;

	*count += name[0] != '\0';
}

/* Whatever fails, and when: nothing is there that a server would start from. */
static void test_each_failure(void **state)
{
	struct life *l = life_new(4000);
	struct dir *from[] = { memdir_dir(l->data) };
	struct restore_config c = { .from = from,
				    .from_count = 1,
				    .to_time = UINT32_MAX,
				    .identity = 5,
				    .now = BIRTH,
				    .memory_limit = LIFE_MEMORY };
	char problem[PROBLEM_SIZE];
	bool done = false;
	uint64_t failed = 0;

	(void)state;
	changes(l, 20);
	c.to_lsn = log_lsn(l->log);
	life_crash(l);
	c.out = fopen("/dev/null", "w");
	assert_non_null(c.out);
	for (; !done; failed++) {
		struct memdir *into = memdir_new();
		unsigned names = 0;
		struct datadir d;

		c.into = memdir_dir(into);
		memdir_fail(into, &(struct memdir_fault){
					  .ops = ((1U << MEMDIR_OPS) - 1) &
						 ~(1U << MEMDIR_REMOVE |
						   1U << MEMDIR_LIST),
					  .skip = failed,
					  .times = 1,
					  .error = -EIO });
		done = restore_directory(&c, problem);
		done = done && memdir_hits(into) == 0;
		memdir_heal(into);
		memdir_end_process(into);
		if (datadir_open(&d, c.into, DATADIR_LOOK, 0, 0, BIRTH,
				 problem)) {
			life_expect(l, into, c.to_lsn, BIRTH, c.to_lsn);
		} else {
			assert_false(done);
			assert_int_equal(dir_list(c.into, count_name, &names),
					 0);
			assert_int_equal(names, 0);
		}
		datadir_close(&d);
		memdir_free(into);
	}
	assert_true(failed > 8);
	fclose(c.out);
	life_free(l);
}

/* A power loss in the middle of it, at any point. */
static void test_each_crash(void **state)
{
	struct life *l = life_new(4000);
	struct attempt a;
	uint64_t last;
	size_t whole = 0;

	(void)state;
	changes(l, 20);
	last = log_lsn(l->log);
	life_crash(l);
	attempt(&a, l, last, UINT32_MAX);
	assert_true(a.ok);
	for (size_t p = 0; p <= memdir_position(a.into); p++) {
		for (uint64_t seed = 1; seed < 20; seed++) {
			struct memdir *m = memdir_crash(a.into, MEMDIR_POWER, p,
							seed);
			char problem[PROBLEM_SIZE];
			struct datadir d;

			if (datadir_open(&d, memdir_dir(m), DATADIR_LOOK, 0, 0,
					 BIRTH, problem)) {
				life_expect(l, m, last, BIRTH, last);
				whole++;
			}
			datadir_close(&d);
			memdir_free(m);
		}
	}
	assert_true(whole >= 19);
	release(&a);
	life_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mishap),
		cmocka_unit_test(test_every_lsn),
		cmocka_unit_test(test_every_second),
		cmocka_unit_test(test_missing_journal),
		cmocka_unit_test(test_missing_behind_snapshot),
		cmocka_unit_test(test_damaged_journal),
		cmocka_unit_test(test_damaged_snapshot),
		cmocka_unit_test(test_two_places),
		cmocka_unit_test(test_two_directories),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_no_lsns_left),
		cmocka_unit_test(test_snapshot_without_its_journals),
		cmocka_unit_test(test_failed_sync),
		cmocka_unit_test(test_flush_that_is_pending),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_not_empty),
		cmocka_unit_test(test_each_failure),
		cmocka_unit_test(test_each_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
