/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories of the system: every operation, its refusals, moving a file,
 * and the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/file.h"

enum { PATH_SIZE = 256, BIG = 700 * 1000 };

struct place {
	char path[PATH_SIZE];
	struct dir *dir;
};

static void place_path(const struct place *p, const char *name, char *to)
{
	int n = snprintf(to, PATH_SIZE, "%s/%s", p->path, name);

	assert_in_range(n, 1, PATH_SIZE - 1);
}

static void place_make(struct place *p)
{
	const char *base = getenv("TMPDIR");
	int error = 0;
	int n = snprintf(p->path, sizeof(p->path), "%s/dozo-file-XXXXXX",
			 base ? base : "/tmp");

	assert_in_range(n, 1, sizeof(p->path) - 1);
	assert_non_null(mkdtemp(p->path));
	p->dir = dir_system(p->path, &error);
	assert_non_null(p->dir);
}

static void remove_named(void *arg, const char *name)
{
	char path[PATH_SIZE];

	place_path(arg, name, path);
	assert_int_equal(unlink(path), 0);
}

static void place_clear(struct place *p)
{
	assert_int_equal(dir_list(p->dir, remove_named, p), 0);
	dir_free(p->dir);
	assert_int_equal(rmdir(p->path), 0);
}

static int made(struct dir *d, const char *name, const char *text)
{
	int file = dir_open(d, name, FILE_CREATE);

	assert_true(file >= 0);
	assert_int_equal(dir_write_all(d, file, text, strlen(text), 0), 0);
	return file;
}

static void assert_content(struct dir *d, const char *name, const char *text)
{
	char buffer[64];
	int file = dir_open(d, name, FILE_READ);

	assert_true(file >= 0);
	assert_int_equal(dir_read(d, file, buffer, sizeof(buffer), 0),
			 strlen(text));
	assert_memory_equal(buffer, text, strlen(text));
	dir_close(d, file);
}

static void test_no_directory(void **state)
{
	struct place p;
	char path[PATH_SIZE];
	int error = 0;

	(void)state;
	place_make(&p);
	place_path(&p, "nothing", path);
	assert_null(dir_system(path, &error));
	assert_int_equal(error, -ENOENT);
	dir_close(p.dir, made(p.dir, "file", "x"));
	place_path(&p, "file", path);
	assert_null(dir_system(path, &error));
	assert_int_equal(error, -ENOTDIR);
	place_clear(&p);
	dir_free(NULL);
}

static void test_open(void **state)
{
	struct place p;
	struct stat s;
	char path[PATH_SIZE];
	int file;

	(void)state;
	place_make(&p);
	assert_int_equal(dir_open(p.dir, "a", FILE_READ), -ENOENT);
	assert_int_equal(dir_open(p.dir, "a", FILE_WRITE), -ENOENT);
	file = dir_open(p.dir, "a", FILE_CREATE);
	assert_true(file >= 0);
	assert_int_not_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, 0);
	dir_close(p.dir, file);
	assert_int_equal(dir_open(p.dir, "a", FILE_CREATE), -EEXIST);
	place_path(&p, "a", path);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	file = dir_open(p.dir, "a", FILE_READ);
	assert_int_equal(dir_write_all(p.dir, file, "x", 1, 0), -EBADF);
	dir_close(p.dir, file);
	assert_int_equal(dir_sync(p.dir, -1), -EBADF);
	assert_int_equal(dir_size(p.dir, -1), -EBADF);
	place_clear(&p);
}

static void test_read_and_write(void **state)
{
	struct place p;
	char buffer[16];
	int file;
	struct iovec part[3] = {
		{ .iov_base = "one", .iov_len = 3 },
		{ .iov_base = "", .iov_len = 0 },
		{ .iov_base = "two", .iov_len = 3 },
	};

	(void)state;
	place_make(&p);
	file = made(p.dir, "a", "0123456789");
	assert_int_equal(dir_write(p.dir, file, part, 3, 8), 6);
	assert_int_equal(dir_size(p.dir, file), 14);
	assert_int_equal(dir_read(p.dir, file, buffer, 16, 0), 14);
	assert_memory_equal(buffer, "01234567onetwo", 14);
	assert_int_equal(dir_read(p.dir, file, buffer, 3, 7), 3);
	assert_memory_equal(buffer, "7on", 3);
	assert_int_equal(dir_read(p.dir, file, buffer, 3, 14), 0);
	assert_int_equal(dir_sync(p.dir, file), 0);
	assert_int_equal(dir_sync_names(p.dir), 0);
	dir_close(p.dir, file);
	place_clear(&p);
}

/* More parts than the kernel takes in one call. */
static void test_many_parts(void **state)
{
	enum { PARTS = 3000 };
	static struct iovec part[PARTS];
	struct place p;
	int file;
	long put;

	(void)state;
	place_make(&p);
	for (int i = 0; i < PARTS; i++) {
		part[i].iov_base = "ab";
		part[i].iov_len = 2;
	}
	file = dir_open(p.dir, "a", FILE_CREATE);
	put = dir_write(p.dir, file, part, PARTS, 0);
	assert_in_range(put, 1, 2 * PARTS);
	assert_int_equal(dir_size(p.dir, file), put);
	dir_close(p.dir, file);
	place_clear(&p);
}

/* A write that is cut short by a limit is told, and so is the next. */
static void write_into_limit(struct place *p)
{
	static char data[8192];
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = 4096 };
	struct iovec part = { .iov_base = data, .iov_len = sizeof(data) };
	int file = dir_open(p->dir, "a", FILE_CREATE);
	bool well = file >= 0;

	signal(SIGXFSZ, SIG_IGN);
	well = well && setrlimit(RLIMIT_FSIZE, &limit) == 0;
	well = well && dir_write(p->dir, file, &part, 1, 0) == 4096;
	well = well && dir_write(p->dir, file, &part, 1, 4096) == -EFBIG;
	well = well && dir_write_all(p->dir, file, data, 8192, 0) == -EFBIG;
	_exit(well ? 0 : 1);
}

static void test_short_write(void **state)
{
	struct place p;
	int status;
	pid_t child;

	(void)state;
	place_make(&p);
	child = fork();
	if (child == 0) {
		write_into_limit(&p);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	place_clear(&p);
}

static void test_rename_and_remove(void **state)
{
	struct place p;

	(void)state;
	place_make(&p);
	dir_close(p.dir, made(p.dir, "a", "first"));
	dir_close(p.dir, made(p.dir, "b", "second"));
	assert_int_equal(dir_rename(p.dir, "c", p.dir, "a"), -ENOENT);
	assert_int_equal(dir_rename(p.dir, "b", p.dir, "a"), 0);
	assert_content(p.dir, "a", "second");
	assert_int_equal(dir_remove(p.dir, "b"), -ENOENT);
	assert_int_equal(dir_remove(p.dir, "a"), 0);
	assert_int_equal(dir_open(p.dir, "a", FILE_READ), -ENOENT);
	place_clear(&p);
}

static void note_name(void *arg, const char *name)
{
	unsigned *seen = arg;

	assert_int_equal(strlen(name), 1);
	assert_in_range(name[0], 'a', 'c');
	*seen |= 1U << (name[0] - 'a');
}

static void test_list(void **state)
{
	struct place p;
	unsigned seen = 0;

	(void)state;
	place_make(&p);
	assert_int_equal(dir_list(p.dir, note_name, &seen), 0);
	assert_int_equal(seen, 0);
	dir_close(p.dir, made(p.dir, "a", ""));
	dir_close(p.dir, made(p.dir, "c", ""));
	for (int i = 0; i < 2; i++) {
		seen = 0;
		assert_int_equal(dir_list(p.dir, note_name, &seen), 0);
		assert_int_equal(seen, 5);
	}
	place_clear(&p);
}

static void test_lock(void **state)
{
	struct place p;
	struct dir *other;
	int error = 0;

	(void)state;
	place_make(&p);
	other = dir_system(p.path, &error);
	assert_non_null(other);
	assert_int_equal(dir_lock(p.dir, "lock"), 0);
	assert_int_equal(dir_lock(other, "lock"), -EWOULDBLOCK);
	assert_int_equal(dir_lock(other, "lock"), -EWOULDBLOCK);
	dir_free(p.dir);
	assert_int_equal(dir_lock(other, "lock"), 0);
	p.dir = other;
	place_clear(&p);
}

/* The lock goes with the process that had it, however it ends. */
static void test_lock_of_the_dead(void **state)
{
	struct place p;
	int status, pipe_fd[2];
	char byte;
	pid_t child;

	(void)state;
	place_make(&p);
	assert_int_equal(pipe(pipe_fd), 0);
	child = fork();
	if (child == 0) {
		byte = dir_lock(p.dir, "lock") == 0 ? 'y' : 'n';
		if (write(pipe_fd[1], &byte, 1) != 1) {
			_exit(1);
		}
		pause();
		_exit(1);
	}
	assert_true(child > 0);
	assert_int_equal(read(pipe_fd[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(dir_lock(p.dir, "lock"), -EWOULDBLOCK);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(dir_lock(p.dir, "lock"), 0);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	place_clear(&p);
}

static void test_write_all_and_move(void **state)
{
	struct place p, to;
	char *data = malloc(BIG);
	char *back = malloc(BIG);
	int file;

	(void)state;
	place_make(&p);
	place_make(&to);
	assert_non_null(data);
	assert_non_null(back);
	for (size_t i = 0; i < BIG; i++) {
		data[i] = (char)(i * 7 + i / 256);
	}
	file = dir_open(p.dir, "a", FILE_CREATE);
	assert_int_equal(dir_write_all(p.dir, file, data, BIG, 0), 0);
	assert_int_equal(dir_sync(p.dir, file), 0);
	dir_close(p.dir, file);
	dir_close(to.dir, made(to.dir, "a", "older"));
	assert_int_equal(dir_move(p.dir, "a", to.dir), 0);
	assert_int_equal(dir_open(p.dir, "a", FILE_READ), -ENOENT);
	file = dir_open(to.dir, "a", FILE_READ);
	assert_int_equal(dir_size(to.dir, file), BIG);
	assert_int_equal(dir_read(to.dir, file, back, BIG, 0), BIG);
	assert_memory_equal(back, data, BIG);
	dir_close(to.dir, file);
	assert_int_equal(dir_move(p.dir, "a", to.dir), -ENOENT);
	free(back);
	free(data);
	place_clear(&p);
	place_clear(&to);
}

static void test_make(void **state)
{
	struct place p;
	char path[PATH_SIZE];
	struct stat st;

	(void)state;
	place_make(&p);
	place_path(&p, "new", path);
	assert_int_equal(dir_make(path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & (S_IFMT | 0777), S_IFDIR | 0700);
	assert_int_equal(dir_make(path), -EEXIST);
	assert_int_equal(rmdir(path), 0);
	place_path(&p, "slash/", path);
	assert_int_equal(dir_make(path), 0);
	assert_int_equal(rmdir(path), 0);
	place_path(&p, "none/new", path);
	assert_int_equal(dir_make(path), -ENOENT);
	dir_close(p.dir, made(p.dir, "file", ""));
	place_path(&p, "file", path);
	assert_int_equal(dir_make(path), -EEXIST);
	place_clear(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_read_and_write),
		cmocka_unit_test(test_many_parts),
		cmocka_unit_test(test_short_write),
		cmocka_unit_test(test_rename_and_remove),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_lock_of_the_dead),
		cmocka_unit_test(test_write_all_and_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
