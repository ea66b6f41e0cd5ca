/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names and counts of faults.
 */
#include <stdio.h>
#include <string.h>

#include "bench/fault.h"

enum { SHOWN_MAX = 100 };

static const char *const names[FAULT_COUNT] = {
	[FAULT_REFUSED] = "refused",
	[FAULT_WRONG_KEY] = "wrong_key",
	[FAULT_WRONG_FLAGS] = "wrong_flags",
	[FAULT_WRONG_LENGTH] = "wrong_length",
	[FAULT_UNKNOWN_VALUE] = "unknown_value",
	[FAULT_GARBAGE] = "garbage",
	[FAULT_CLOSED] = "closed",
	[FAULT_TIMEOUT] = "timeout",
	[FAULT_CONNECT] = "connect",
};

const char *fault_name(enum fault f)
{
	return names[f];
}

void faults_add(struct faults *f, enum fault kind, uint64_t n)
{
	f->count[kind] += n;
	if (n > 0 && f->sample[0] == '\0') {
		snprintf(f->sample, sizeof(f->sample), "%s", names[kind]);
	}
}

static void sample_write(struct faults *f, enum fault kind, const char *came,
			 size_t n)
{
	int at = snprintf(f->sample, sizeof(f->sample), "%s%s", names[kind],
			  n > 0 ? ": " : "");
	char *out = f->sample + at;

	for (size_t i = 0; i < n && i < SHOWN_MAX && came[i] != '\n'; i++) {
		if (came[i] != '\r') {
			*out++ = came[i] >= ' ' && came[i] <= '~' ? came[i] :
								    '?';
		}
	}
	*out = '\0';
}

void faults_note(struct faults *f, enum fault kind, const char *came, size_t n)
{
	if (f->sample[0] == '\0') {
		sample_write(f, kind, came, n);
	}
	f->count[kind]++;
}

void faults_merge(struct faults *f, const struct faults *more)
{
	for (int i = 0; i < FAULT_COUNT; i++) {
		f->count[i] += more->count[i];
	}
	if (f->sample[0] == '\0') {
		memcpy(f->sample, more->sample, sizeof(f->sample));
	}
}

uint64_t faults_sum(const struct faults *f)
{
	uint64_t sum = 0;

	for (int i = 0; i < FAULT_COUNT; i++) {
		sum += f->count[i];
	}
	return sum;
}
