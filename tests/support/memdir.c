/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The directory in memory: files are bytes, names point to them, and each
 * change is kept as a step of history.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "memdir.h"
#include "memdir_inside.h"

/* File numbers begin here, so that they are no descriptors of the system. */
enum { HANDLE_BASE = 100000 };

static const struct dir_ops memdir_ops;

static struct memdir *of(struct dir *d)
{
	check(d->ops == &memdir_ops);
	return (struct memdir *)d;
}

/* ---- arrays, bytes and names -------------------------------------------- */

void *grown(void *all, size_t count, size_t *room, size_t member)
{
	if (count < *room) {
		return all;
	}
	*room = *room == 0 ? 16 : 2 * *room;
	all = realloc(all, *room * member);
	check(all);
	return all;
}

void bytes_resize(struct bytes *b, size_t size)
{
	if (size > b->room) {
		b->room = size + size / 2 + 64;
		b->data = realloc(b->data, b->room);
		check(b->data);
	}
	if (size > b->size) {
		memset(b->data + b->size, 0, size - b->size);
	}
	b->size = size;
}

void bytes_put(struct bytes *b, uint64_t offset, const char *from, size_t n)
{
	if (n == 0) {
		return;
	}
	if (offset + n > b->size) {
		bytes_resize(b, offset + n);
	}
	memcpy(b->data + offset, from, n);
}

static struct name *names_look(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++) {
		if (strcmp(n->all[i].name, name) == 0) {
			return &n->all[i];
		}
	}
	return NULL;
}

int names_find(const struct names *n, const char *name)
{
	const struct name *found = names_look(n, name);

	return found ? found->file : NOWHERE;
}

static void name_copy(char to[MEMDIR_NAME_SIZE], const char *name)
{
	size_t n = strlen(name);

	check(n > 0 && n < MEMDIR_NAME_SIZE);
	memcpy(to, name, n + 1);
}

void names_set(struct names *n, const char *name, int file)
{
	struct name *found = names_look(n, name);

	if (!found) {
		n->all = grown(n->all, n->count, &n->room, sizeof(*n->all));
		found = &n->all[n->count++];
		name_copy(found->name, name);
	}
	found->file = file;
}

void names_drop(struct names *n, const char *name)
{
	struct name *found = names_look(n, name);

	if (found) {
		*found = n->all[--n->count];
	}
}

void names_copy(struct names *to, const struct names *from)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++) {
		names_set(to, from->all[i].name, from->all[i].file);
	}
}

/* ---- what is common to all operations ----------------------------------- */

static struct memdir_fault *fault_for(struct memdir *m, enum memdir_op op,
				      const char *name)
{
	for (size_t i = 0; i < m->fault_count; i++) {
		struct memdir_fault *f = &m->faults[i];
		size_t n = f->prefix ? strlen(f->prefix) : 0;

		if (!(f->ops & 1U << op) || f->times == 0 ||
		    (n > 0 && strncmp(name, f->prefix, n) != 0)) {
			continue;
		}
		if (f->skip > 0) {
			f->skip--;
			continue;
		}
		if (f->times != MEMDIR_FOR_EVER) {
			f->times--;
		}
		return f;
	}
	return NULL;
}

/*
 * Begins an operation, and leaves with the lock taken; a negative errno if it
 * is to fail.
 */
static int enter(struct memdir *m, enum memdir_op op, const char *name)
{
	struct memdir_fault *f;

	if (m->watch) {
		m->watch(m->watch_arg, op, name);
	}
	pthread_mutex_lock(&m->lock);
	m->calls[op]++;
	f = fault_for(m, op, name);
	if (!f) {
		return 0;
	}
	m->hits++;
	return f->error;
}

static void leave(struct memdir *m)
{
	pthread_mutex_unlock(&m->lock);
}

static struct handle *handle_of(struct memdir *m, int file)
{
	struct handle *h;

	check(file >= HANDLE_BASE &&
	      (size_t)(file - HANDLE_BASE) < m->handle_count);
	h = &m->handles[file - HANDLE_BASE];
	check(h->file != NOWHERE);
	return h;
}

/* The same for an operation on an open file. */
static int enter_file(struct memdir *m, enum memdir_op op, int file)
{
	char name[MEMDIR_NAME_SIZE];

	pthread_mutex_lock(&m->lock);
	name_copy(name, handle_of(m, file)->name);
	pthread_mutex_unlock(&m->lock);
	return enter(m, op, name);
}

static struct step *note(struct memdir *m, enum memdir_op op, int file,
			 const char *name)
{
	struct step *s;

	m->steps = grown(m->steps, m->step_count, &m->step_room,
			 sizeof(*m->steps));
	s = &m->steps[m->step_count++];
	memset(s, 0, sizeof(*s));
	s->op = op;
	s->file = file;
	if (name[0]) {
		name_copy(s->name, name);
	}
	return s;
}

static uint64_t bytes_used(const struct memdir *m)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < m->names.count; i++) {
		sum += m->files[m->names.all[i].file].live.size;
	}
	return sum;
}

/* ---- the operations ----------------------------------------------------- */

static int file_new(struct memdir *m, const char *name)
{
	int file = (int)m->file_count;

	m->files = grown(m->files, m->file_count, &m->file_room,
			 sizeof(*m->files));
	memset(&m->files[m->file_count++], 0, sizeof(*m->files));
	names_set(&m->names, name, file);
	note(m, MEMDIR_CREATE, file, name);
	return file;
}

static int handle_new(struct memdir *m, int file, const char *name, bool writes)
{
	struct handle *h;

	m->handles = grown(m->handles, m->handle_count, &m->handle_room,
			   sizeof(*m->handles));
	h = &m->handles[m->handle_count++];
	h->file = file;
	h->writes = writes;
	name_copy(h->name, name);
	return HANDLE_BASE + (int)m->handle_count - 1;
}

static int mem_open(struct dir *d, const char *name, enum file_use use)
{
	struct memdir *m = of(d);
	bool create = use == FILE_CREATE;
	int result = enter(m, create ? MEMDIR_CREATE : MEMDIR_OPEN, name);
	int file = names_find(&m->names, name);

	if (result == 0 && create && file != NOWHERE) {
		result = -EEXIST;
	} else if (result == 0 && !create && file == NOWHERE) {
		result = -ENOENT;
	}
	if (result == 0) {
		if (create) {
			file = file_new(m, name);
		}
		result = handle_new(m, file, name, use != FILE_READ);
	}
	leave(m);
	return result;
}

static long mem_read(struct dir *d, int file, void *to, size_t n,
		     uint64_t offset)
{
	struct memdir *m = of(d);
	long result = enter_file(m, MEMDIR_READ, file);
	const struct bytes *b = &m->files[handle_of(m, file)->file].live;

	if (result == 0 && offset < b->size) {
		size_t left = b->size - offset;

		n = n < left ? n : left;
		memcpy(to, b->data + offset, n);
		result = (long)n;
	}
	leave(m);
	return result;
}

static char *gathered(const struct iovec *part, int count, size_t *size)
{
	size_t sum = 0;
	char *all;

	for (int i = 0; i < count; i++) {
		sum += part[i].iov_len;
	}
	all = malloc(sum + 1);
	check(all);
	*size = sum;
	sum = 0;
	for (int i = 0; i < count; i++) {
		if (part[i].iov_len > 0) {
			memcpy(all + sum, part[i].iov_base, part[i].iov_len);
		}
		sum += part[i].iov_len;
	}
	return all;
}

/* How much of a write there is room for; it may lie over what is there. */
static size_t fitting(const struct memdir *m, const struct bytes *b,
		      uint64_t offset, size_t n)
{
	uint64_t used = bytes_used(m);
	uint64_t room = used < m->capacity ? m->capacity - used : 0;
	uint64_t last = room > UINT64_MAX - b->size ? UINT64_MAX :
						      b->size + room;

	if (m->write_max > 0 && n > m->write_max) {
		n = m->write_max;
	}
	if (offset >= last) {
		return 0;
	}
	return n < last - offset ? n : (size_t)(last - offset);
}

static void write_bytes(struct memdir *m, int file, uint64_t offset,
			const char *from, size_t n)
{
	struct step *s = note(m, MEMDIR_WRITE, file, "");

	s->offset = offset;
	s->size = n;
	s->data = malloc(n + 1);
	check(s->data);
	memcpy(s->data, from, n);
	bytes_put(&m->files[file].live, offset, from, n);
}

static long mem_write(struct dir *d, int file, const struct iovec *part,
		      int count, uint64_t offset)
{
	struct memdir *m = of(d);
	long result = enter_file(m, MEMDIR_WRITE, file);
	struct handle *h = handle_of(m, file);
	size_t size, n;
	char *all = gathered(part, count, &size);

	if (!h->writes) {
		result = -EBADF;
	} else if (result < 0) {
		write_bytes(m, h->file, offset, all, size / 2);
	} else if (size > 0) {
		n = fitting(m, &m->files[h->file].live, offset, size);
		if (n > 0) {
			write_bytes(m, h->file, offset, all, n);
		}
		result = n > 0 ? (long)n : -ENOSPC;
	}
	leave(m);
	free(all);
	return result;
}

static int mem_sync(struct dir *d, int file)
{
	struct memdir *m = of(d);
	int result = enter_file(m, MEMDIR_SYNC, file);
	int number = handle_of(m, file)->file;

	note(m, MEMDIR_SYNC, number, "")->failed = result < 0;
	if (result < 0) {
		m->files[number].doubted = true;
	} else if (!m->files[number].doubted) {
		m->files[number].synced = m->files[number].live.size;
	}
	leave(m);
	return result;
}

static int64_t mem_size(struct dir *d, int file)
{
	struct memdir *m = of(d);
	int64_t result = enter_file(m, MEMDIR_SIZE, file);

	if (result == 0) {
		result = (int64_t)m->files[handle_of(m, file)->file].live.size;
	}
	leave(m);
	return result;
}

static void mem_close(struct dir *d, int file)
{
	struct memdir *m = of(d);

	pthread_mutex_lock(&m->lock);
	handle_of(m, file)->file = NOWHERE;
	leave(m);
}

static int mem_rename(struct dir *d, const char *from, struct dir *to_dir,
		      const char *to)
{
	struct memdir *m = of(d);
	int result = enter(m, MEMDIR_RENAME, from);
	int file = names_find(&m->names, from);

	if (result == 0 && to_dir != d) {
		result = -EXDEV;
	} else if (result == 0 && file == NOWHERE) {
		result = -ENOENT;
	}
	if (result == 0) {
		name_copy(note(m, MEMDIR_RENAME, file, from)->to, to);
		names_drop(&m->names, from);
		names_set(&m->names, to, file);
	}
	leave(m);
	return result;
}

static int mem_remove(struct dir *d, const char *name)
{
	struct memdir *m = of(d);
	int result = enter(m, MEMDIR_REMOVE, name);
	int file = names_find(&m->names, name);

	if (result == 0 && file == NOWHERE) {
		result = -ENOENT;
	}
	if (result == 0) {
		note(m, MEMDIR_REMOVE, file, name);
		names_drop(&m->names, name);
	}
	leave(m);
	return result;
}

static int mem_sync_names(struct dir *d)
{
	struct memdir *m = of(d);
	int result = enter(m, MEMDIR_SYNC_NAMES, "");

	note(m, MEMDIR_SYNC_NAMES, NOWHERE, "")->failed = result < 0;
	if (result == 0) {
		names_copy(&m->durable, &m->names);
	}
	leave(m);
	return result;
}

static int mem_list(struct dir *d, void (*each)(void *arg, const char *name),
		    void *arg)
{
	struct memdir *m = of(d);
	struct names seen = { 0 };
	int result = enter(m, MEMDIR_LIST, "");

	names_copy(&seen, &m->names);
	leave(m);
	for (size_t i = 0; result == 0 && i < seen.count; i++) {
		each(arg, seen.all[i].name);
	}
	free(seen.all);
	return result;
}

static int mem_lock(struct dir *d, const char *name)
{
	struct memdir *m = of(d);
	int result = enter(m, MEMDIR_LOCK, name);

	if (result == 0 && m->locked) {
		result = -EWOULDBLOCK;
	}
	if (result == 0) {
		if (names_find(&m->names, name) == NOWHERE) {
			file_new(m, name);
		}
		m->locked = true;
	}
	leave(m);
	return result;
}

static void mem_free(struct dir *d)
{
	struct memdir *m = of(d);

	for (size_t i = 0; i < m->file_count; i++) {
		free(m->files[i].live.data);
	}
	for (size_t i = 0; i < m->step_count; i++) {
		free(m->steps[i].data);
	}
	free(m->files);
	free(m->names.all);
	free(m->durable.all);
	free(m->handles);
	free(m->steps);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static const struct dir_ops memdir_ops = {
	.open = mem_open,
	.read = mem_read,
	.write = mem_write,
	.sync = mem_sync,
	.size = mem_size,
	.close = mem_close,
	.rename = mem_rename,
	.remove = mem_remove,
	.sync_names = mem_sync_names,
	.list = mem_list,
	.lock = mem_lock,
	.free = mem_free,
};

/* ---- for tests ---------------------------------------------------------- */

struct memdir *memdir_new(void)
{
	struct memdir *m = calloc(1, sizeof(*m));

	check(m);
	m->dir.ops = &memdir_ops;
	m->capacity = UINT64_MAX;
	check(pthread_mutex_init(&m->lock, NULL) == 0);
	return m;
}

void memdir_free(struct memdir *m)
{
	if (m) {
		mem_free(&m->dir);
	}
}

struct dir *memdir_dir(struct memdir *m)
{
	return &m->dir;
}

void memdir_end_process(struct memdir *m)
{
	for (size_t i = 0; i < m->handle_count; i++) {
		m->handles[i].file = NOWHERE;
	}
	m->locked = false;
}

unsigned memdir_open_files(const struct memdir *m)
{
	unsigned open = 0;

	for (size_t i = 0; i < m->handle_count; i++) {
		open += m->handles[i].file != NOWHERE;
	}
	return open;
}

void memdir_fail(struct memdir *m, const struct memdir_fault *f)
{
	pthread_mutex_lock(&m->lock);
	check(m->fault_count < FAULTS_MAX && f->error < 0);
	m->faults[m->fault_count++] = *f;
	pthread_mutex_unlock(&m->lock);
}

void memdir_heal(struct memdir *m)
{
	pthread_mutex_lock(&m->lock);
	m->fault_count = 0;
	pthread_mutex_unlock(&m->lock);
}

uint64_t memdir_hits(struct memdir *m)
{
	uint64_t hits;

	pthread_mutex_lock(&m->lock);
	hits = m->hits;
	pthread_mutex_unlock(&m->lock);
	return hits;
}

uint64_t memdir_calls(struct memdir *m, enum memdir_op op)
{
	uint64_t calls;

	pthread_mutex_lock(&m->lock);
	calls = m->calls[op];
	pthread_mutex_unlock(&m->lock);
	return calls;
}

void memdir_set_write_max(struct memdir *m, size_t bytes)
{
	pthread_mutex_lock(&m->lock);
	m->write_max = bytes;
	pthread_mutex_unlock(&m->lock);
}

void memdir_set_capacity(struct memdir *m, uint64_t bytes)
{
	pthread_mutex_lock(&m->lock);
	m->capacity = bytes;
	pthread_mutex_unlock(&m->lock);
}

void memdir_set_watch(struct memdir *m,
		      void (*watch)(void *arg, enum memdir_op op,
				    const char *name),
		      void *arg)
{
	m->watch = watch;
	m->watch_arg = arg;
}

char *memdir_content(struct memdir *m, const char *name, size_t *size)
{
	int file = names_find(&m->names, name);

	if (file == NOWHERE) {
		return NULL;
	}
	*size = m->files[file].live.size;
	return m->files[file].live.data;
}

void memdir_resize(struct memdir *m, const char *name, size_t size)
{
	int file = names_find(&m->names, name);

	check(file != NOWHERE);
	bytes_resize(&m->files[file].live, size);
}

uint64_t memdir_durable_size(struct memdir *m, const char *name)
{
	uint64_t size = 0;
	int file;

	pthread_mutex_lock(&m->lock);
	file = names_find(&m->durable, name);
	if (file != NOWHERE) {
		size = m->files[file].synced;
	}
	pthread_mutex_unlock(&m->lock);
	return size;
}

size_t memdir_position(struct memdir *m)
{
	size_t position;

	pthread_mutex_lock(&m->lock);
	position = m->step_count;
	pthread_mutex_unlock(&m->lock);
	return position;
}

static const char *const op_names[MEMDIR_OPS] = {
	"open",   "create", "read",       "write", "sync", "size",
	"rename", "remove", "sync names", "list",  "lock",
};

void memdir_tell(const struct memdir *m, size_t position, FILE *to)
{
	for (size_t i = 0; i < position && i < m->step_count; i++) {
		const struct step *s = &m->steps[i];

		fprintf(to, "%4zu %s%s", i, op_names[s->op],
			s->failed ? " FAILED" : "");
		if (s->file != NOWHERE) {
			fprintf(to, " file %d", s->file);
		}
		if (s->op == MEMDIR_WRITE) {
			fprintf(to, " at %llu, %zu bytes",
				(unsigned long long)s->offset, s->size);
		}
		fprintf(to, " %s %s\n", s->name, s->to);
	}
}
