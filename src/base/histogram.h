/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A log-linear histogram of whole numbers, such as latencies in nanoseconds:
 * 128 steps for each power of two, after the idea of HdrHistogram (G. Tene).
 * A figure read from it is off by less than 0.4 % at any size, and exact
 * below 256; count, mean and greatest are always exact.
 *
 * Zeroed is empty.  It needs no release.  Thread rule: the holder's; threads
 * keep one each and merge them.
 */
#ifndef DOZO_BASE_HISTOGRAM_H
#define DOZO_BASE_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_STEP_BITS = 7,
	HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS
};

struct histogram {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

/* The bucket of a number: its power of two and the seven bits behind. */
static inline unsigned histogram_bucket(uint64_t n)
{
	unsigned top = 63U - (unsigned)__builtin_clzll(n | 1);
	unsigned shift;

	if (top < HISTOGRAM_STEP_BITS) {
		return (unsigned)n;
	}
	shift = top - HISTOGRAM_STEP_BITS;
	return (shift << HISTOGRAM_STEP_BITS) + (unsigned)(n >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t n)
{
	h->bucket[histogram_bucket(n)]++;
	h->count++;
	h->sum += n;
	if (n > h->max) {
		h->max = n;
	}
}

/* Adds all of `more` to `h`. */
void histogram_merge(struct histogram *h, const struct histogram *more);

/*
 * The number that a share (0 to 1) of the entries does not exceed: the middle
 * of its bucket, but never above the greatest.  0 when empty.
 */
uint64_t histogram_at(const struct histogram *h, double share);

double histogram_mean(const struct histogram *h);

#endif
