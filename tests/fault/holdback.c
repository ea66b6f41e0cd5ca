/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library to preload into a server so that killing it is a loss of power:
 * what is written to a file stays in this library's memory, and the kernel
 * gets it when the file is synced.  So a process that is killed loses all
 * that it has not synced, and a reply that went out before its sync is a
 * reply that lied.
 *
 * A sync takes HOLDBACK_SYNC_US microseconds (1000), as a disk would, before
 * anything of it is there.  Names (new files, renames, removals) are passed on
 * at once: also a state that a loss of power may leave.
 *
 * What a closed file has not synced is kept by its inode, and passed on when
 * the process opens that file again, since it may read it.
 */

/* The 64-bit names are what a server calls. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* One write that the kernel has not got, oldest first. */
struct held {
	struct held *next;
	dev_t device;
	ino_t inode;
	off64_t offset;
	size_t size;
	char data[];
};

/* File-level state is what a preloaded library has. */
static struct held *held_first;
static struct held **held_end = &held_first;
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;

static void *real_find(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL) {
		abort();
	}
	return found;
}

#define REAL(name) ((__typeof__(&name))real_find(#name))

static bool is_file(int fd, struct stat *st)
{
	int saved = errno;
	bool is = fstat(fd, st) == 0 && S_ISREG(st->st_mode);

	errno = saved;
	return is;
}

static void pass_on(int fd, const struct held *h)
{
	size_t done = 0;

	while (done < h->size) {
		struct iovec part = { .iov_base = (char *)h->data + done,
				      .iov_len = h->size - done };
		ssize_t put = REAL(pwritev64)(fd, &part, 1,
					      h->offset + (off64_t)done);

		if (put <= 0) {
			abort();
		}
		done += (size_t)put;
	}
}

/* All that is held of the file goes to the kernel. */
static void release(int fd)
{
	struct stat st;
	struct held **at = &held_first;

	if (!is_file(fd, &st)) {
		return;
	}
	pthread_mutex_lock(&held_lock);
	while (*at != NULL) {
		struct held *h = *at;

		if (h->device != st.st_dev || h->inode != st.st_ino) {
			at = &h->next;
			continue;
		}
		pass_on(fd, h);
		*at = h->next;
		free(h);
	}
	held_end = at;
	pthread_mutex_unlock(&held_lock);
}

static bool holds(const struct stat *st)
{
	bool found = false;

	pthread_mutex_lock(&held_lock);
	for (struct held *h = held_first; h != NULL && !found; h = h->next) {
		found = h->device == st->st_dev && h->inode == st->st_ino;
	}
	pthread_mutex_unlock(&held_lock);
	return found;
}

/* A file goes: its number may be another's soon.  Under the lock. */
static void forget(const struct stat *st)
{
	struct held **at = &held_first;

	while (*at != NULL) {
		struct held *h = *at;

		if (h->device == st->st_dev && h->inode == st->st_ino) {
			*at = h->next;
			free(h);
		} else {
			at = &h->next;
		}
	}
	held_end = at;
}

static void wait_for_disk(void)
{
	const char *text = getenv("HOLDBACK_SYNC_US");
	long us = text != NULL ? strtol(text, NULL, 10) : 1000;
	struct timespec left = { .tv_sec = us / 1000000,
				 .tv_nsec = us % 1000000 * 1000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR) {
	}
}

/* ---- the calls ---------------------------------------------------------- */

/* A file that this process has written and not synced is opened again. */
static void release_by_name(int dir_fd, const char *name)
{
	struct stat st;
	int saved = errno;
	int fd;

	if (fstatat(dir_fd, name, &st, 0) == 0 && holds(&st)) {
		fd = REAL(openat64)(dir_fd, name, O_WRONLY | O_CLOEXEC);
		if (fd < 0) {
			abort();
		}
		release(fd);
		close(fd);
	}
	errno = saved;
}

int openat64(int dir_fd, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	release_by_name(dir_fd, name);
	return REAL(openat64)(dir_fd, name, flags, mode);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
	struct stat st;
	struct held *h;
	size_t size = 0;

	/* A file without a name goes with its process in any case. */
	if (!is_file(fd, &st) || st.st_nlink == 0) {
		return REAL(pwritev64)(fd, parts, count, offset);
	}
	for (int i = 0; i < count; i++) {
		size += parts[i].iov_len;
	}
	h = malloc(sizeof(*h) + size);
	if (h == NULL) {
		abort();
	}
	h->next = NULL;
	h->device = st.st_dev;
	h->inode = st.st_ino;
	h->offset = offset;
	h->size = size;
	size = 0;
	for (int i = 0; i < count; i++) {
		memcpy(h->data + size, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	pthread_mutex_lock(&held_lock);
	*held_end = h;
	held_end = &h->next;
	pthread_mutex_unlock(&held_lock);
	return (ssize_t)size;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	struct iovec part = { .iov_base = (void *)data, .iov_len = size };

	return pwritev64(fd, &part, 1, offset);
}

int ftruncate64(int fd, off64_t size)
{
	release(fd);
	return REAL(ftruncate64)(fd, size);
}

int fdatasync(int fd)
{
	wait_for_disk();
	release(fd);
	return 0;
}

/*
 * The lock is held over both: once the file has gone, another thread may make
 * one that gets its number, and what is written to that is not to be forgotten.
 */
int unlinkat(int dir_fd, const char *name, int flags)
{
	struct stat st;
	bool was;
	int result;

	pthread_mutex_lock(&held_lock);
	was = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	result = REAL(unlinkat)(dir_fd, name, flags);
	if (result == 0 && was && st.st_nlink == 1) {
		forget(&st);
	}
	pthread_mutex_unlock(&held_lock);
	return result;
}
