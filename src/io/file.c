/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Directories of the system, and what can be said in terms of any directory's
 * operations.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "io/file.h"

enum {
	FILE_MODE = 0600,
	DIR_MODE = 0700,
	COPY_BYTES = 256 * 1024,
	PART_NAME_SIZE = NAME_MAX + sizeof(".part"),
};

struct system_dir {
	struct dir dir; /* first: it is what others see */
	int fd;
	int lock_fd;       /* -1: not locked */
	bool counts_links; /* a file without a name is one that was removed */
};

static const struct dir_ops system_ops;

static struct system_dir *of(struct dir *d)
{
	check(d->ops == &system_ops);
	return (struct system_dir *)d;
}

/* The result of a system call in our way of telling. */
static int told(int result)
{
	return result < 0 ? -errno : result;
}

static bool again(long result)
{
	return result < 0 && errno == EINTR;
}

static int open_at(int dir_fd, const char *name, int flags)
{
	int fd;

	do {
		fd = openat(dir_fd, name, flags | O_CLOEXEC, FILE_MODE);
	} while (again(fd));
	return told(fd);
}

static int system_open(struct dir *d, const char *name, enum file_use use)
{
	static const int flags[] = {
		[FILE_READ] = O_RDONLY,
		[FILE_WRITE] = O_RDWR,
		[FILE_CREATE] = O_RDWR | O_CREAT | O_EXCL,
	};

	return open_at(of(d)->fd, name, flags[use]);
}

static long system_read(struct dir *d, int file, void *to, size_t n,
			uint64_t offset)
{
	size_t have = 0;

	(void)d;
	while (have < n) {
		ssize_t got = pread(file, (char *)to + have, n - have,
				    (off_t)(offset + have));

		if (again(got)) {
			continue;
		}
		if (got < 0) {
			return -errno;
		}
		if (got == 0) {
			break;
		}
		have += (size_t)got;
	}
	return (long)have;
}

static long system_write(struct dir *d, int file, const struct iovec *part,
			 int count, uint64_t offset)
{
	ssize_t put;

	(void)d;
	do {
		put = pwritev(file, part, count < IOV_MAX ? count : IOV_MAX,
			      (off_t)offset);
	} while (again(put));
	return put < 0 ? -errno : put;
}

static bool has_no_name(int fd)
{
	struct stat s;

	return fstat(fd, &s) == 0 && s.st_nlink == 0;
}

/* What has no name any more is lost with this process, synced or not. */
static int system_sync(struct dir *d, int file)
{
	int result;

	do {
		result = fdatasync(file);
	} while (again(result));
	if (result == 0 && of(d)->counts_links && has_no_name(file)) {
		return -ENOENT;
	}
	return told(result);
}

static int64_t system_size(struct dir *d, int file)
{
	struct stat s;

	(void)d;
	return fstat(file, &s) < 0 ? -errno : (int64_t)s.st_size;
}

static void system_close(struct dir *d, int file)
{
	(void)d;
	close(file);
}

/* Between directories of different kinds it is as between file systems. */
static int system_rename(struct dir *d, const char *from, struct dir *to_dir,
			 const char *to)
{
	if (to_dir->ops != &system_ops) {
		return -EXDEV;
	}
	return told(renameat(of(d)->fd, from, of(to_dir)->fd, to));
}

static int system_remove(struct dir *d, const char *name)
{
	return told(unlinkat(of(d)->fd, name, 0));
}

static int sync_dir(int fd)
{
	int result;

	do {
		result = fsync(fd);
	} while (again(result));
	return told(result);
}

static int system_sync_names(struct dir *d)
{
	return sync_dir(of(d)->fd);
}

static int read_names(DIR *names, void (*each)(void *arg, const char *name),
		      void *arg)
{
	struct dirent *e;

	for (;;) {
		errno = 0;
		e = readdir(names);
		if (!e) {
			return -errno;
		}
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0) {
			each(arg, e->d_name);
		}
	}
}

static int system_list(struct dir *d, void (*each)(void *arg, const char *name),
		       void *arg)
{
	int fd = open_at(of(d)->fd, ".", O_RDONLY | O_DIRECTORY);
	DIR *names;
	int result;

	if (fd < 0) {
		return fd;
	}
	names = fdopendir(fd);
	if (!names) {
		result = -errno;
		close(fd);
		return result;
	}
	result = read_names(names, each, arg);
	closedir(names);
	return result;
}

static int system_lock(struct dir *d, const char *name)
{
	struct system_dir *s = of(d);
	int fd, result;

	check(s->lock_fd < 0);
	fd = open_at(s->fd, name, O_RDWR | O_CREAT);
	if (fd < 0) {
		return fd;
	}
	do {
		result = flock(fd, LOCK_EX | LOCK_NB);
	} while (again(result));
	if (result < 0) {
		result = -errno;
		close(fd);
		return result;
	}
	s->lock_fd = fd;
	s->counts_links = !has_no_name(fd);
	return 0;
}

static void system_free(struct dir *d)
{
	struct system_dir *s = of(d);

	if (s->lock_fd >= 0) {
		close(s->lock_fd);
	}
	close(s->fd);
	free(s);
}

static const struct dir_ops system_ops = {
	.open = system_open,
	.read = system_read,
	.write = system_write,
	.sync = system_sync,
	.size = system_size,
	.close = system_close,
	.rename = system_rename,
	.remove = system_remove,
	.sync_names = system_sync_names,
	.list = system_list,
	.lock = system_lock,
	.free = system_free,
};

struct dir *dir_system(const char *path, int *error)
{
	struct system_dir *s = malloc(sizeof(*s));

	if (!s) {
		*error = -ENOMEM;
		return NULL;
	}
	s->dir.ops = &system_ops;
	s->lock_fd = -1;
	s->counts_links = false;
	s->fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
	if (s->fd < 0) {
		*error = s->fd;
		free(s);
		return NULL;
	}
	return &s->dir;
}

/* A name is durable when the directory that has it is synced. */
static int sync_parent(const char *path)
{
	int fd = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
	int parent;
	int result;

	if (fd < 0) {
		return fd;
	}
	parent = open_at(fd, "..", O_RDONLY | O_DIRECTORY);
	close(fd);
	if (parent < 0) {
		return parent;
	}
	result = sync_dir(parent);
	close(parent);
	return result;
}

int dir_make(const char *path)
{
	int result = told(mkdir(path, DIR_MODE));

	if (result == 0) {
		result = sync_parent(path);
		if (result < 0) {
			rmdir(path);
		}
	}
	return result;
}

void dir_free(struct dir *d)
{
	if (d) {
		d->ops->free(d);
	}
}

/* ---- in terms of the operations ----------------------------------------- */

int dir_write_all(struct dir *d, int file, const void *from, size_t n,
		  uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		struct iovec part = {
			.iov_base = (char *)from + done,
			.iov_len = n - done,
		};
		long put = dir_write(d, file, &part, 1, offset + done);

		if (put < 0) {
			return (int)put;
		}
		if (put == 0) {
			return -EIO;
		}
		done += (size_t)put;
	}
	return 0;
}

static int copy_bytes(struct dir *from_dir, int from, struct dir *to_dir,
		      int to)
{
	char *buffer = malloc(COPY_BYTES);
	uint64_t offset = 0;
	long got;
	int result = 0;

	if (!buffer) {
		return -ENOMEM;
	}
	do {
		got = dir_read(from_dir, from, buffer, COPY_BYTES, offset);
		if (got < 0) {
			result = (int)got;
			goto out;
		}
		result = dir_write_all(to_dir, to, buffer, (size_t)got, offset);
		if (result < 0) {
			goto out;
		}
		offset += (uint64_t)got;
	} while (got == COPY_BYTES);
	result = dir_sync(to_dir, to);
out:
	free(buffer);
	return result;
}

/* A synced copy under the name `part`, which may be there from before. */
static int copy_aside(struct dir *d, const char *name, struct dir *to,
		      const char *part)
{
	int in, out, result;

	in = dir_open(d, name, FILE_READ);
	if (in < 0) {
		return in;
	}
	result = dir_remove(to, part);
	if (result < 0 && result != -ENOENT) {
		dir_close(d, in);
		return result;
	}
	out = dir_open(to, part, FILE_CREATE);
	if (out < 0) {
		dir_close(d, in);
		return out;
	}
	result = copy_bytes(d, in, to, out);
	dir_close(to, out);
	dir_close(d, in);
	return result;
}

static int move_by_copy(struct dir *d, const char *name, struct dir *to)
{
	char part[PART_NAME_SIZE];
	int n = snprintf(part, sizeof(part), "%s.part", name);
	int result;

	if (n < 0 || (size_t)n >= sizeof(part)) {
		return -ENAMETOOLONG;
	}
	result = copy_aside(d, name, to, part);
	if (result == 0) {
		result = dir_rename(to, part, to, name);
	}
	if (result < 0) {
		dir_remove(to, part);
		return result;
	}
	result = dir_sync_names(to);
	if (result < 0) {
		return result;
	}
	return dir_remove(d, name);
}

int dir_move(struct dir *d, const char *name, struct dir *to)
{
	int result = dir_rename(d, name, to, name);

	if (result == -EXDEV) {
		result = move_by_copy(d, name, to);
	} else if (result == 0) {
		result = dir_sync_names(to);
	}
	return result < 0 ? result : dir_sync_names(d);
}
