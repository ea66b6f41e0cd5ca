/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Time.  Two clocks: one that never goes back (CLOCK_BOOTTIME, which also
 * counts while the machine sleeps) for all that waits, and the store's clock
 * in whole seconds, which starts as Unix time and then follows the first, so
 * that a step of the wall clock neither expires nor revives an item.
 */
#ifndef DOZO_IO_CLOCK_H
#define DOZO_IO_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

/* CLOCK_BOOTTIME in milliseconds, microseconds and nanoseconds. */
uint64_t clock_ms(void);
uint64_t clock_us(void);
uint64_t clock_ns(void);

/* Unix time in microseconds, for people (watch, logs of the wall clock). */
uint64_t clock_wall_us(void);

struct store_clock {
	uint64_t base_ms; /* clock_ms() at the second in which it began */
	uint32_t base_s;  /* Unix time at that moment */
	_Atomic int64_t shift_s;   /* debugtime: moved so far */
	_Atomic uint32_t frozen_s; /* debugtime p: stands still; 0 if not */
};

void store_clock_init(struct store_clock *c);

/* The store's time at clock_ms() == now_ms.  Any thread. */
uint32_t store_clock_s(const struct store_clock *c, uint64_t now_ms);

/* It is at least `at_s` now, and goes on from there.  Before threads run. */
void store_clock_raise(struct store_clock *c, uint64_t now_ms, uint32_t at_s);

/*
 * For debug builds' debugtime: move on, stand still, go on.  A clock that
 * stands still can be moved; when it goes on it has not lost time.  One
 * caller at a time.
 */
void store_clock_move(struct store_clock *c, int64_t seconds);
void store_clock_freeze(struct store_clock *c, uint64_t now_ms);
void store_clock_thaw(struct store_clock *c);

#endif
