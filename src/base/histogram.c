/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading and merging histograms; adding is in the header, since it is done
 * for each request.
 */
#include "base/histogram.h"

void histogram_merge(struct histogram *h, const struct histogram *more)
{
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		h->bucket[i] += more->bucket[i];
	}
	h->count += more->count;
	h->sum += more->sum;
	if (more->max > h->max) {
		h->max = more->max;
	}
}

/* The middle of the numbers that fall into a bucket. */
static uint64_t bucket_middle(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_STEP_BITS;
	uint64_t low;

	if (shift <= 1) {
		return bucket;
	}
	shift--;
	low = (uint64_t)(bucket - (shift << HISTOGRAM_STEP_BITS)) << shift;
	return low + (1ULL << shift) / 2;
}

uint64_t histogram_at(const struct histogram *h, double share)
{
	double exact = share * (double)h->count;
	uint64_t wanted = (uint64_t)exact;
	uint64_t seen = 0;

	if ((double)wanted < exact || wanted == 0) {
		wanted++;
	}
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= wanted) {
			uint64_t middle = bucket_middle(i);

			return middle < h->max ? middle : h->max;
		}
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}
