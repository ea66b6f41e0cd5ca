/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one door to files.  Everything that dozo keeps on disk is opened,
 * written, synced, renamed and removed through a `struct dir`: a directory
 * with a table of operations.  dir_system() gives the kernel's; tests give one
 * in memory that records what was done, makes the states that a crash may
 * leave, and fails the n-th operation.
 *
 * Names are plain names within the directory.  A file is a small number, good
 * for this directory only.
 *
 * Every operation returns 0 (or what it counts) on success, and a negative
 * errno on failure; errno itself means nothing.  Interrupted system calls are
 * repeated.  Offsets are given with each call, so a failed write can simply be
 * made again.
 *
 * Durability, as POSIX has it: what was written is durable after dir_sync();
 * that a name exists, was renamed or removed is durable after
 * dir_sync_names().  A rename within one directory is atomic.
 *
 * Thread rule: any thread; one file is used by one thread at a time.
 */
#ifndef DOZO_IO_FILE_H
#define DOZO_IO_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct dir;

enum file_use {
	FILE_READ,   /* an existing one */
	FILE_WRITE,  /* an existing one, for reading and writing */
	FILE_CREATE, /* a new one, for reading and writing; -EEXIST */
};

struct dir_ops {
	int (*open)(struct dir *d, const char *name, enum file_use use);
	/* Bytes read; fewer than `n` only at the end of the file. */
	long (*read)(struct dir *d, int file, void *to, size_t n,
		     uint64_t offset);
	/* Bytes written, at least 1; perhaps fewer than given. */
	long (*write)(struct dir *d, int file, const struct iovec *part,
		      int count, uint64_t offset);
	/* Data and size; -ENOENT, if that is seen: the file was removed. */
	int (*sync)(struct dir *d, int file);
	int64_t (*size)(struct dir *d, int file);
	void (*close)(struct dir *d, int file);
	/* -EXDEV if the other directory is not on the same file system. */
	int (*rename)(struct dir *d, const char *from, struct dir *to_dir,
		      const char *to);
	int (*remove)(struct dir *d, const char *name);
	int (*sync_names)(struct dir *d);
	/* Calls `each` for each name but "." and ".."; in no order. */
	int (*list)(struct dir *d, void (*each)(void *arg, const char *name),
		    void *arg);
	/*
	 * Makes the directory this process's own until dir_free(), by a lock
	 * on the file `name`, made if it is not there; -EWOULDBLOCK: another
	 * process has it.
	 */
	int (*lock)(struct dir *d, const char *name);
	void (*free)(struct dir *d);
};

/* The head of what an implementation keeps. */
struct dir {
	const struct dir_ops *ops;
};

/* A directory of the system; NULL with a negative errno in *error. */
struct dir *dir_system(const char *path, int *error);

/*
 * Makes a directory of the system, for its owner only, so that it is still
 * there after a loss of power: 0, or a negative errno, and then this call has
 * left none behind; -EEXIST: something of that name is there.
 */
int dir_make(const char *path);

void dir_free(struct dir *d); /* NULL is fine */

static inline int dir_open(struct dir *d, const char *name, enum file_use use)
{
	return d->ops->open(d, name, use);
}

static inline long dir_read(struct dir *d, int file, void *to, size_t n,
			    uint64_t offset)
{
	return d->ops->read(d, file, to, n, offset);
}

static inline long dir_write(struct dir *d, int file, const struct iovec *part,
			     int count, uint64_t offset)
{
	return d->ops->write(d, file, part, count, offset);
}

static inline int dir_sync(struct dir *d, int file)
{
	return d->ops->sync(d, file);
}

static inline int64_t dir_size(struct dir *d, int file)
{
	return d->ops->size(d, file);
}

static inline void dir_close(struct dir *d, int file)
{
	d->ops->close(d, file);
}

static inline int dir_rename(struct dir *d, const char *from,
			     struct dir *to_dir, const char *to)
{
	return d->ops->rename(d, from, to_dir, to);
}

static inline int dir_remove(struct dir *d, const char *name)
{
	return d->ops->remove(d, name);
}

static inline int dir_sync_names(struct dir *d)
{
	return d->ops->sync_names(d);
}

static inline int dir_list(struct dir *d,
			   void (*each)(void *arg, const char *name), void *arg)
{
	return d->ops->list(d, each, arg);
}

static inline int dir_lock(struct dir *d, const char *name)
{
	return d->ops->lock(d, name);
}

/*
 * Writes all of `n` bytes, in as many calls as it takes; 0 or a negative
 * errno, with some of it perhaps written.
 */
int dir_write_all(struct dir *d, int file, const void *from, size_t n,
		  uint64_t offset);

/*
 * Moves a synced file to another directory, in place of one of that name: by
 * rename, or, on another file system, copied to `to` under a name that ends in
 * ".part", synced, renamed, the directory synced, and only then removed here.
 * Durable on success; on failure it is in one of them or in both.
 */
int dir_move(struct dir *d, const char *name, struct dir *to);

#endif
