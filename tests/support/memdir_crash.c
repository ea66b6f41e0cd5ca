/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a directory in memory may look like after a crash: its history is gone
 * through once more, with what is durable apart from what is on its way, and
 * at the end of it dice settle what of the latter has arrived.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rand.h"
#include "memdir.h"
#include "memdir_inside.h"

enum { SECTOR = 512 };

/* Changes on their way: numbers of steps. */
struct pending {
	size_t *all;
	size_t count;
	size_t room;
};

struct image_file {
	struct bytes durable;
	struct pending pending;
};

struct image {
	const struct memdir *m;
	enum memdir_crash how;
	size_t position; /* steps that were done */
	struct rng dice;
	unsigned arrive; /* in 8: how likely a change is to have arrived */
	struct image_file *files;
	struct names names;
	struct pending pending; /* changes of names */
};

static void pend(struct pending *p, size_t step)
{
	p->all = grown(p->all, p->count, &p->room, sizeof(*p->all));
	p->all[p->count++] = step;
}

static bool arrives(struct image *i)
{
	return rng_below(&i->dice, 8) < i->arrive;
}

/* ---- bytes -------------------------------------------------------------- */

/* Bytes of some write of the past, as blocks of a disk may still hold. */
static void fill_stale(struct image *i, char *to, size_t n)
{
	const struct step *s = &i->m->steps[rng_below(&i->dice, i->position)];

	if (s->size == 0) {
		return;
	}
	for (size_t at = 0; at < n; at += s->size) {
		memcpy(to + at, s->data, n - at < s->size ? n - at : s->size);
	}
}

/* What stands where a file has grown and the bytes have not arrived. */
static void fill_hole(struct image *i, struct bytes *b, size_t from)
{
	size_t n = b->size - from;

	switch (rng_below(&i->dice, 4)) {
	case 0:
		fill_stale(i, b->data + from, n);
		break;
	case 1:
		for (size_t at = from; at < b->size; at++) {
			b->data[at] = (char)rng_next(&i->dice);
		}
		break;
	default:
		break;
	}
}

static void grow_with_hole(struct image *i, struct bytes *b, size_t size)
{
	size_t before = b->size;

	if (size > before) {
		bytes_resize(b, size);
		fill_hole(i, b, before);
	}
}

/* A place within the write where a sector ends; 0 if there is none. */
static size_t tear_at(struct image *i, const struct step *s)
{
	uint64_t first = s->offset / SECTOR + 1;
	uint64_t end = (s->offset + s->size - 1) / SECTOR + 1;

	if (s->size == 0 || first >= end) {
		return 0;
	}
	return (size_t)((first + rng_below(&i->dice, end - first)) * SECTOR -
			s->offset);
}

static void settle_write(struct image *i, struct bytes *b, const struct step *s)
{
	size_t cut;

	if (arrives(i)) {
		grow_with_hole(i, b, s->offset);
		bytes_put(b, s->offset, s->data, s->size);
		return;
	}
	cut = tear_at(i, s);
	switch (rng_below(&i->dice, 4)) {
	case 0: /* the front of it */
		grow_with_hole(i, b, cut ? s->offset : 0);
		bytes_put(b, s->offset, s->data, cut);
		break;
	case 1: /* the back of it */
		if (cut) {
			grow_with_hole(i, b, s->offset + cut);
			bytes_put(b, s->offset + cut, s->data + cut,
				  s->size - cut);
		}
		break;
	case 2: /* nothing but the room for it */
		grow_with_hole(i, b, s->offset + s->size);
		break;
	default:
		break;
	}
}

static void settle_file(struct image *i, struct image_file *f)
{
	for (size_t n = 0; n < f->pending.count; n++) {
		settle_write(i, &f->durable, &i->m->steps[f->pending.all[n]]);
	}
	f->pending.count = 0;
}

static void apply_file(struct image *i, struct image_file *f)
{
	for (size_t n = 0; n < f->pending.count; n++) {
		const struct step *s = &i->m->steps[f->pending.all[n]];

		bytes_put(&f->durable, s->offset, s->data, s->size);
	}
	f->pending.count = 0;
}

/* ---- names -------------------------------------------------------------- */

static void change_name(struct names *n, const struct step *s)
{
	if (s->op != MEMDIR_CREATE && names_find(n, s->name) == s->file) {
		names_drop(n, s->name);
	}
	if (s->op == MEMDIR_CREATE) {
		names_set(n, s->name, s->file);
	} else if (s->op == MEMDIR_RENAME) {
		names_set(n, s->to, s->file);
	}
}

static void settle_names(struct image *i, bool all)
{
	for (size_t n = 0; n < i->pending.count; n++) {
		if (all || arrives(i)) {
			change_name(&i->names, &i->m->steps[i->pending.all[n]]);
		}
	}
	i->pending.count = 0;
}

/* ---- history ------------------------------------------------------------ */

static void walk_step(struct image *i, size_t number)
{
	const struct step *s = &i->m->steps[number];

	switch (s->op) {
	case MEMDIR_WRITE:
		pend(&i->files[s->file].pending, number);
		break;
	case MEMDIR_SYNC:
		if (s->failed && i->how == MEMDIR_POWER) {
			settle_file(i, &i->files[s->file]);
		} else {
			apply_file(i, &i->files[s->file]);
		}
		break;
	case MEMDIR_SYNC_NAMES:
		if (!s->failed) {
			settle_names(i, true);
		}
		break;
	default:
		pend(&i->pending, number);
		break;
	}
}

/* The last step of a process that was killed may be a part of a write. */
static void cut_last(struct image *i)
{
	const struct step *s;
	struct image_file *f;

	if (i->position == 0) {
		return;
	}
	s = &i->m->steps[i->position - 1];
	if (s->op != MEMDIR_WRITE) {
		return;
	}
	f = &i->files[s->file];
	f->pending.count--;
	apply_file(i, f);
	bytes_put(&f->durable, s->offset, s->data,
		  rng_below(&i->dice, s->size + 1));
}

/* A new directory of what the image holds, all of it durable. */
static struct memdir *image_dir(const struct image *i)
{
	struct memdir *m = memdir_new();
	struct dir *d = memdir_dir(m);

	for (size_t n = 0; n < i->names.count; n++) {
		const struct name *name = &i->names.all[n];
		const struct bytes *b = &i->files[name->file].durable;
		int file = dir_open(d, name->name, FILE_CREATE);

		check(file >= 0);
		check(dir_write_all(d, file, b->data, b->size, 0) == 0);
		check(dir_sync(d, file) == 0);
		dir_close(d, file);
	}
	check(dir_sync_names(d) == 0);
	memset(m->calls, 0, sizeof(m->calls));
	return m;
}

static void image_release(struct image *i)
{
	for (size_t n = 0; n < i->m->file_count; n++) {
		free(i->files[n].durable.data);
		free(i->files[n].pending.all);
	}
	free(i->files);
	free(i->names.all);
	free(i->pending.all);
}

struct memdir *memdir_crash(const struct memdir *m, enum memdir_crash how,
			    size_t position, uint64_t seed)
{
	static const unsigned arrive[] = { 0, 1, 4, 7, 8 };
	struct image i = { .m = m, .how = how, .position = position };
	struct memdir *after;

	check(position <= m->step_count);
	rng_init(&i.dice, seed);
	i.arrive = arrive[rng_below(&i.dice, 5)];
	i.files = calloc(m->file_count + 1, sizeof(*i.files));
	check(i.files);
	for (size_t n = 0; n < position; n++) {
		walk_step(&i, n);
	}
	if (how == MEMDIR_KILL) {
		cut_last(&i);
	}
	for (size_t n = 0; n < m->file_count; n++) {
		if (how == MEMDIR_KILL) {
			apply_file(&i, &i.files[n]);
		} else {
			settle_file(&i, &i.files[n]);
		}
	}
	settle_names(&i, how == MEMDIR_KILL);
	after = image_dir(&i);
	image_release(&i);
	return after;
}

struct memdir *memdir_copy(const struct memdir *m)
{
	struct image i = { .m = m, .how = MEMDIR_KILL };
	struct memdir *copy;

	i.files = calloc(m->file_count + 1, sizeof(*i.files));
	check(i.files);
	for (size_t n = 0; n < m->file_count; n++) {
		bytes_put(&i.files[n].durable, 0, m->files[n].live.data,
			  m->files[n].live.size);
	}
	names_copy(&i.names, &m->names);
	copy = image_dir(&i);
	image_release(&i);
	return copy;
}
