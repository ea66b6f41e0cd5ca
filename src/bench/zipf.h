/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ranks drawn by Zipf's law: rank k of n comes up in proportion to
 * k^-theta.  The method is rejection-inversion (W. Hormann, G. Derflinger,
 * "Rejection-inversion to generate variates from monotone discrete
 * distributions", ACM TOMACS 6(3), 1996): exact, no table, a few calls to log
 * and exp for each draw at any n and any theta.
 */
#ifndef DOZO_BENCH_ZIPF_H
#define DOZO_BENCH_ZIPF_H

#include <stdint.h>

#include "base/rand.h"

struct zipf {
	double ranks;
	double theta;
	double area_low;  /* the integral's range that is drawn from */
	double area_high; /* (see zipf.c) */
	double sure;      /* so near to a rank nothing is rejected */
};

/* ranks at least 1; theta above 0. */
void zipf_init(struct zipf *z, uint64_t ranks, double theta);

/* A rank from 1, the most frequent, to `ranks`. */
uint64_t zipf_draw(const struct zipf *z, struct rng *r);

#endif
