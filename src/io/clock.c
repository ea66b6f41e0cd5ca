/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading the two clocks.  The store's clock begins on a whole second of
 * Unix time, so that its seconds change when the wall clock's do.
 */
#include <time.h>

#include "io/clock.h"

static uint64_t read_us(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

uint64_t clock_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

void store_clock_init(struct store_clock *c)
{
	uint64_t wall_ms = clock_wall_us() / 1000;
	uint64_t now_ms = clock_ms();
	uint64_t into_second_ms = wall_ms % 1000;

	if (into_second_ms > now_ms) {
		into_second_ms = now_ms;
	}
	c->base_ms = now_ms - into_second_ms;
	c->base_s = (uint32_t)(wall_ms / 1000);
	atomic_init(&c->shift_s, 0);
	atomic_init(&c->frozen_s, 0);
}

uint32_t store_clock_s(const struct store_clock *c, uint64_t now_ms)
{
	uint32_t frozen = atomic_load_explicit(&c->frozen_s,
					       memory_order_relaxed);
	int64_t shift;

	if (frozen != 0) {
		return frozen;
	}
	shift = atomic_load_explicit(&c->shift_s, memory_order_relaxed);
	return (uint32_t)(c->base_s + (now_ms - c->base_ms) / 1000 +
			  (uint64_t)shift);
}

void store_clock_raise(struct store_clock *c, uint64_t now_ms, uint32_t at_s)
{
	uint32_t now = store_clock_s(c, now_ms);

	if (now < at_s) {
		c->base_s += at_s - now;
	}
}

void store_clock_move(struct store_clock *c, int64_t seconds)
{
	uint32_t frozen = atomic_load(&c->frozen_s);

	atomic_fetch_add(&c->shift_s, seconds);
	if (frozen != 0) {
		atomic_store(&c->frozen_s,
			     (uint32_t)(frozen + (uint64_t)seconds));
	}
}

void store_clock_freeze(struct store_clock *c, uint64_t now_ms)
{
	atomic_store(&c->frozen_s, store_clock_s(c, now_ms));
}

void store_clock_thaw(struct store_clock *c)
{
	atomic_store(&c->frozen_s, 0);
}
