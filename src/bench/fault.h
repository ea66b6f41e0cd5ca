/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What can be wrong with a reply, or with the want of one, and how often each
 * was met.  Of the first fault the words are kept, for people.
 *
 * Zeroed is none.
 */
#ifndef DOZO_BENCH_FAULT_H
#define DOZO_BENCH_FAULT_H

#include <stddef.h>
#include <stdint.h>

enum fault {
	FAULT_REFUSED,       /* an ERROR line, or not stored */
	FAULT_WRONG_KEY,     /* an item that was not asked for */
	FAULT_WRONG_FLAGS,   /* client flags that were not stored */
	FAULT_WRONG_LENGTH,  /* another length than the key's value has */
	FAULT_UNKNOWN_VALUE, /* not the bytes that belong to the key */
	FAULT_GARBAGE,       /* no reply of the protocol; the stream is lost */
	FAULT_CLOSED,        /* closed or reset by the server */
	FAULT_TIMEOUT,       /* no reply in time */
	FAULT_CONNECT,       /* could not connect again */
	FAULT_COUNT
};

enum { FAULT_SAMPLE_ROOM = 200 };

struct faults {
	uint64_t count[FAULT_COUNT];
	char sample[FAULT_SAMPLE_ROOM]; /* printable */
};

/* As in reports: "refused", "wrong_key", ... */
const char *fault_name(enum fault f);

/* Counts one; what came (n bytes, may be none) is shown for the first. */
void faults_note(struct faults *f, enum fault kind, const char *came, size_t n);

/* Counts n of a kind without words. */
void faults_add(struct faults *f, enum fault kind, uint64_t n);

void faults_merge(struct faults *f, const struct faults *more);
uint64_t faults_sum(const struct faults *f);

#endif
