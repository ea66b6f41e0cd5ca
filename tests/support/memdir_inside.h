/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What memdir.c keeps and memdir_crash.c reads: files, names, and the history
 * of what was done to them.
 */
#ifndef DOZO_TESTS_MEMDIR_INSIDE_H
#define DOZO_TESTS_MEMDIR_INSIDE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memdir.h"

enum { FAULTS_MAX = 4, NOWHERE = -1 };

struct bytes {
	char *data;
	size_t size;
	size_t room;
};

struct name {
	char name[MEMDIR_NAME_SIZE];
	int file;
};

struct names {
	struct name *all;
	size_t count;
	size_t room;
};

struct mem_file {
	struct bytes live;
	uint64_t synced; /* bytes of it at the last sync */
	bool doubted;    /* a sync failed */
};

struct handle {
	int file; /* NOWHERE: closed */
	bool writes;
	char name[MEMDIR_NAME_SIZE];
};

/* One change, or one sync that went well or failed. */
struct step {
	enum memdir_op op;
	bool failed;
	int file;
	uint64_t offset; /* of a write */
	char *data;
	size_t size;
	char name[MEMDIR_NAME_SIZE];
	char to[MEMDIR_NAME_SIZE];
};

struct memdir {
	struct dir dir; /* first: it is what others see */
	pthread_mutex_t lock;
	struct mem_file *files;
	size_t file_count;
	size_t file_room;
	struct names names;
	struct names durable;
	struct handle *handles;
	size_t handle_count;
	size_t handle_room;
	struct step *steps;
	size_t step_count;
	size_t step_room;
	struct memdir_fault faults[FAULTS_MAX];
	size_t fault_count;
	uint64_t hits;
	uint64_t calls[MEMDIR_OPS];
	size_t write_max;
	uint64_t capacity;
	bool locked;
	void (*watch)(void *arg, enum memdir_op op, const char *name);
	void *watch_arg;
};

/* Room for one more member in an array that doubles. */
void *grown(void *all, size_t count, size_t *room, size_t member);

void bytes_resize(struct bytes *b, size_t size);
void bytes_put(struct bytes *b, uint64_t offset, const char *from, size_t n);

int names_find(const struct names *n, const char *name);
void names_set(struct names *n, const char *name, int file);
void names_drop(struct names *n, const char *name);
void names_copy(struct names *to, const struct names *from);

#endif
