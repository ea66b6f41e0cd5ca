/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rejection-inversion.  The steps k^-theta lie under the curve x^-theta,
 * moved by half a step; a point under the curve is drawn by inverting its
 * integral and rounded to the nearest rank, and the little that the curve
 * has too much there is rejected.
 */
#include <math.h>

#include "bench/zipf.h"

/* (exp(x) - 1) / x, which is 1 at 0. */
static double exp_slope(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

/* log(1 + x) / x, which is 1 at 0. */
static double log_slope(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

/* The curve. */
static double height(const struct zipf *z, double x)
{
	return exp(-z->theta * log(x));
}

/* Its integral from 1 to x, also where theta is 1. */
static double area(const struct zipf *z, double x)
{
	double l = log(x);

	return exp_slope((1 - z->theta) * l) * l;
}

static double area_inverse(const struct zipf *z, double a)
{
	double t = a * (1 - z->theta);

	if (t < -1) {
		t = -1; /* what rounding put outside */
	}
	return exp(log_slope(t) * a);
}

void zipf_init(struct zipf *z, uint64_t ranks, double theta)
{
	z->ranks = (double)ranks;
	z->theta = theta;
	/* Rank 1 has its own height for a width, not the curve's integral. */
	z->area_low = area(z, 1.5) - 1;
	z->area_high = area(z, z->ranks + 0.5);
	z->sure = 2 - area_inverse(z, area(z, 2.5) - height(z, 2));
}

uint64_t zipf_draw(const struct zipf *z, struct rng *r)
{
	for (;;) {
		double u = (double)(rng_next(r) >> 11) * 0x1p-53;
		double a = z->area_high + u * (z->area_low - z->area_high);
		double x = area_inverse(z, a);
		double rank = floor(x + 0.5);

		if (rank < 1) {
			rank = 1;
		} else if (rank > z->ranks) {
			rank = z->ranks;
		}
		if (rank - x <= z->sure ||
		    a >= area(z, rank + 0.5) - height(z, rank)) {
			return (uint64_t)rank;
		}
	}
}
