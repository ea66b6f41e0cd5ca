/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Upkeep and watchdog.
 *
 * Upkeep runs in steps of at most UPKEEP_ITEMS items, so that a shard's lock
 * is never held for long; while there is more to do the thread goes on after
 * a pause of UPKEEP_BUSY_MS, which leaves the processor to the workers.
 * When nothing is left it looks again after UPKEEP_IDLE_MS.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "io/clock.h"
#include "node/control.h"
#include "node/node_state.h"

enum {
	UPKEEP_ITEMS = 4096,
	UPKEEP_BUSY_MS = 2,
	UPKEEP_IDLE_MS = 1000,
	WATCHDOG_MS = 1000,
	STALL_MS = 5000, /* a loop that works on one turn for so long */
};

/* Sent to a stuck thread, which then writes its stack. */
#define STACK_SIGNAL SIGURG

static void upkeep_fire(struct io_timer *t)
{
	struct control *c = list_entry(t, struct control, upkeep);
	uint32_t now = store_clock_s(&c->node->clock, io_loop_now_ms(c->loop));
	bool more = store_maintain(c->store, now, UPKEEP_ITEMS);

	if (watch_has_news(&c->node->watch)) {
		watch_wake(&c->node->watch);
	}
	io_timer_set(c->loop, t, more ? UPKEEP_BUSY_MS : UPKEEP_IDLE_MS);
}

static void sweep_run(struct io_msg *m)
{
	struct control *c = list_entry(m, struct control, sweep_msg);

	atomic_store(&c->sweep_posted, false);
	io_timer_set(c->loop, &c->upkeep, 0);
}

void control_sweep_now(struct control *c)
{
	if (!atomic_exchange(&c->sweep_posted, true)) {
		io_post(c->loop, &c->sweep_msg);
	}
}

static void write_stack(int signal_number)
{
	int saved = errno;

	(void)signal_number;
	panic_write_stack(STDERR_FILENO);
	errno = saved;
}

static void watch_worker(struct control *c, uint32_t i)
{
	struct worker *w = &c->node->workers[i];
	uint64_t since = atomic_load(&io_loop_stats(w->loop)->busy_since_ms);
	uint64_t now = clock_ms();

	if (since == 0 || now < since + c->stall_ms ||
	    c->reported_ms[i] == since) {
		return;
	}
	c->reported_ms[i] = since;
	diag(DIAG_ERROR,
	     "%s: its loop has not turned for %llu ms; its stack:", w->name,
	     (unsigned long long)(now - since));
	pthread_kill(w->thread, STACK_SIGNAL);
	atomic_fetch_add(&c->stalls, 1);
}

static void watchdog_fire(struct io_timer *t)
{
	struct control *c = list_entry(t, struct control, watchdog);

	for (uint32_t i = 0; i < c->node->worker_count; i++) {
		watch_worker(c, i);
	}
	io_timer_set(c->loop, t, c->watch_ms);
}

static void *control_main(void *arg)
{
	struct control *c = arg;

	diag_set_thread("control");
	io_timer_set(c->loop, &c->upkeep, UPKEEP_IDLE_MS);
	io_timer_set(c->loop, &c->watchdog, c->watch_ms);
	io_loop_run(c->loop);
	return NULL;
}

int control_init(struct control *c, struct node *n)
{
	struct sigaction on_stack_signal = { .sa_handler = write_stack,
					     .sa_flags = SA_RESTART };

	memset(c, 0, sizeof(*c));
	c->node = n;
	c->stall_ms = STALL_MS;
	c->watch_ms = WATCHDOG_MS;
	io_timer_init(&c->upkeep, upkeep_fire);
	io_timer_init(&c->watchdog, watchdog_fire);
	c->sweep_msg.run = sweep_run;
	sigaction(STACK_SIGNAL, &on_stack_signal, NULL);
	c->reported_ms = calloc(n->worker_count, sizeof(uint64_t));
	c->store = store_ctx_new(n->store);
	if (c->reported_ms == NULL || c->store == NULL) {
		return ENOMEM;
	}
	c->loop = io_loop_new();
	return c->loop == NULL ? errno : 0;
}

int control_start(struct control *c)
{
	int error = pthread_create(&c->thread, NULL, control_main, c);

	c->started = error == 0;
	return error;
}

void control_stop(struct control *c)
{
	if (c->started) {
		io_loop_stop(c->loop);
		pthread_join(c->thread, NULL);
		c->started = false;
	}
}

void control_release(struct control *c)
{
	if (c->loop != NULL) {
		io_loop_free(c->loop);
	}
	if (c->store != NULL) {
		store_ctx_free(c->store);
	}
	free(c->reported_ms);
}
