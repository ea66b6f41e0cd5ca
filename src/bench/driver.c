/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of a driver.  What holds between two steps of it:
 *
 * D1 a connection's requests stand in a ring, oldest first; the first
 *    `composed` of them were composed, and replies come in that order;
 * D2 `in_flight` is the sum of the rings;
 * D3 a connection is open, or rests (fd -1) in the queue of the resting;
 * D4 closed loop: an open connection has an empty ring only where nothing
 *    more may be sent;
 * D5 open loop: a connection on which one more request may be put is in the
 *    line; one that has no room any more is dropped when its turn comes.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/counter.h"
#include "base/rand.h"
#include "bench/driver.h"
#include "bench/permute.h"
#include "bench/zipf.h"
#include "io/clock.h"

enum {
	EVENTS = 256,
	IN_BYTES = 256 * 1024,
	OUT_BYTES = 256 * 1024, /* composed at a time, and one request more */
};

static const uint64_t MS = 1000000;
static const uint64_t REST_NS = 100 * 1000000ULL;    /* before a new try */
static const uint64_t INSPECT_NS = 100 * 1000000ULL; /* between two looks */
static const uint64_t NEVER = UINT64_MAX;
/*
 * A sleeper is woken some microseconds late, so the open loop is awake that
 * long before a request is due and asks the clock instead.
 */
static const uint64_t AWAKE_NS = 30000;

struct flight {
	uint64_t sent_ns;
	uint32_t keys;
	bool is_set;
};

struct connection {
	int fd;
	bool connecting;         /* nothing could be sent yet */
	bool blocked;            /* epoll tells when there is room to send */
	bool in_line;            /* in the line (D5) */
	struct connection *next; /* in the line, or among the resting */
	uint64_t rest_until_ns;
	uint64_t heard_ns; /* of the last bytes, or of the begin to wait */
	uint64_t used;     /* requests put on it since it was opened */
	uint32_t head;
	uint32_t count;
	uint32_t composed;
	uint32_t missed_count; /* keys to set (look-aside) */
	struct answer answer;  /* to the oldest */
	struct flight *flights;
	uint64_t *keys;    /* plan->multiget for each flight */
	uint64_t *missed;  /* by replies that came, to be set */
	uint64_t *missing; /* by the one that comes; behind `missed` */
	char *unsent;      /* composed, and not taken by the socket yet */
	size_t unsent_at;
	size_t unsent_len;
	size_t unsent_room;
	char *kept; /* the begin of a line whose end has not come */
	size_t kept_len;
};

struct queue {
	struct connection *first;
	struct connection *last;
};

struct driver {
	const struct plan *plan;
	const struct content *content;
	const struct target *target;
	struct zipf zipf;
	struct rng rng;
	int epoll_fd;
	uint32_t connection_count;
	uint32_t depth; /* of the rings */
	struct connection *connections;
	char *in;
	char *out;
	/* Of the phase: */
	struct phase phase;
	struct tally tally;
	counter answered;
	uint64_t now_ns;
	uint64_t end_ns;
	uint64_t heard_ns;   /* of the last whole reply, or since when asked */
	bool faulty;         /* a connection failed since */
	uint64_t inspect_ns; /* when to look for silent connections */
	uint64_t drawn;      /* requests, but for those after misses */
	uint64_t in_flight;
	uint32_t window; /* most requests in flight on a connection */
	struct queue line;
	struct queue resting;
};

/* ---- queues of connections ---------------------------------------------- */

static void queue_put(struct queue *q, struct connection *c)
{
	c->next = NULL;
	if (q->first == NULL) {
		q->first = c;
	} else {
		q->last->next = c;
	}
	q->last = c;
}

static struct connection *queue_take(struct queue *q)
{
	struct connection *c = q->first;

	if (c != NULL) {
		q->first = c->next;
	}
	return c;
}

static void queue_remove(struct queue *q, struct connection *c)
{
	struct connection *before = NULL;

	for (struct connection *at = q->first; at != c; at = at->next) {
		before = at;
	}
	if (before == NULL) {
		q->first = c->next;
	} else {
		before->next = c->next;
	}
	if (q->last == c) {
		q->last = before;
	}
}

static bool is_open_loop(const struct driver *d)
{
	return d->phase.rate > 0;
}

/* ---- what to ask -------------------------------------------------------- */

static bool may_draw(const struct driver *d)
{
	if (d->phase.populate) {
		return d->phase.from + d->drawn < d->phase.until;
	}
	if (d->phase.span.ns == 0) {
		return d->drawn < d->phase.span.requests;
	}
	return d->now_ns < d->end_ns;
}

static uint64_t draw_key(struct driver *d)
{
	const struct plan *p = d->plan;

	switch (p->dist) {
	case DIST_HOT:
		return p->first;
	case DIST_ZIPF:
		return p->first +
		       permute_below(zipf_draw(&d->zipf, &d->rng) - 1, p->keys);
	default:
		return p->first + rng_below(&d->rng, p->keys);
	}
}

static void draw(struct driver *d, struct flight *f, uint64_t *keys)
{
	const struct plan *p = d->plan;

	d->drawn++;
	f->keys = 1;
	if (d->phase.populate) {
		f->is_set = true;
		keys[0] = d->phase.from + d->drawn - 1;
		return;
	}
	f->is_set = p->get_share == 0 ||
		    (p->set_share > 0 &&
		     rng_below(&d->rng, p->get_share + p->set_share) >=
			     p->get_share);
	if (!f->is_set) {
		f->keys = p->multiget;
	}
	for (uint32_t i = 0; i < f->keys; i++) {
		keys[i] = draw_key(d);
	}
}

static uint64_t *keys_of(const struct driver *d, const struct connection *c,
			 uint32_t slot)
{
	return c->keys + (size_t)slot * d->plan->multiget;
}

static uint32_t ring_slot(const struct driver *d, const struct connection *c,
			  uint32_t i)
{
	uint32_t slot = c->head + i;

	return slot < d->depth ? slot : slot - d->depth;
}

static bool is_used_up(const struct driver *d, const struct connection *c)
{
	return d->plan->reconnect > 0 && c->used >= d->plan->reconnect;
}

/* Puts a request on a connection with room; false when there is none to do. */
static bool ask_add(struct driver *d, struct connection *c, uint64_t sent_ns)
{
	uint32_t slot = ring_slot(d, c, c->count);
	struct flight *f = &c->flights[slot];

	check(c->count < d->depth);
	if (c->missed_count > 0) {
		f->is_set = true;
		f->keys = 1;
		keys_of(d, c, slot)[0] = c->missed[--c->missed_count];
	} else if (may_draw(d)) {
		draw(d, f, keys_of(d, c, slot));
	} else {
		return false;
	}
	f->sent_ns = sent_ns;
	if (c->count == 0) {
		c->heard_ns = d->now_ns;
	}
	if (d->in_flight == 0 && !d->faulty) {
		d->heard_ns = d->now_ns;
	}
	c->count++;
	c->used++;
	d->in_flight++;
	return true;
}

/* ---- opening and closing ------------------------------------------------ */

static void connection_watch(struct driver *d, struct connection *c, int how)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	if (c->blocked) {
		event.events |= EPOLLOUT;
	}
	if (epoll_ctl(d->epoll_fd, how, c->fd, &event) != 0) {
		panic("epoll_ctl: %s", strerror(errno));
	}
}

static void reply_begin(const struct driver *d, struct connection *c)
{
	c->answer = (struct answer){ .unchecked = d->plan->unchecked };
	c->answer.missed = c->missing;
}

static void connection_reset(struct driver *d, struct connection *c)
{
	if (c->fd >= 0) {
		close(c->fd);
	}
	c->fd = -1;
	c->connecting = false;
	c->blocked = false;
	c->used = 0;
	d->in_flight -= c->count;
	c->head = 0;
	c->count = 0;
	c->composed = 0;
	c->unsent_len = 0;
	c->kept_len = 0;
	reply_begin(d, c);
	if (c->in_line) {
		queue_remove(&d->line, c);
		c->in_line = false;
	}
}

/* Lets it rest (D3). */
static void connection_rest(struct driver *d, struct connection *c)
{
	c->rest_until_ns = d->now_ns + REST_NS;
	queue_put(&d->resting, c);
}

/* What was in flight on it is lost; n bytes that came tell people why. */
static void connection_fail(struct driver *d, struct connection *c,
			    enum fault fault, const char *came, size_t n)
{
	faults_note(&d->tally.faults, fault, came, n);
	if (c->count > 1) {
		faults_add(&d->tally.faults, fault, c->count - 1);
	}
	d->faulty = true;
	connection_reset(d, c);
	connection_rest(d, c);
}

/* The same, with errno for a reason. */
static void connection_fail_errno(struct driver *d, struct connection *c,
				  enum fault fault)
{
	const char *reason = strerrordesc_np(errno);

	connection_fail(d, c, fault, reason, strlen(reason));
}

static bool connection_open(struct driver *d, struct connection *c, int wait_ms)
{
	c->fd = target_connect(d->target, wait_ms);
	if (c->fd < 0) {
		return false;
	}
	c->connecting = wait_ms == 0;
	d->tally.connects++;
	connection_watch(d, c, EPOLL_CTL_ADD);
	return true;
}

/* Opens it, or counts that it could not be and lets it rest. */
static bool connection_reopen(struct driver *d, struct connection *c)
{
	connection_reset(d, c);
	if (connection_open(d, c, 0)) {
		return true;
	}
	connection_fail_errno(d, c, FAULT_CONNECT);
	return false;
}

/* ---- sending ------------------------------------------------------------ */

/* Composes into d->out until it is full; the bytes. */
static size_t compose(struct driver *d, struct connection *c)
{
	const struct dialect *dialect = d->plan->dialect;
	char *out = d->out;

	while (c->composed < c->count && out - d->out < OUT_BYTES) {
		uint32_t slot = ring_slot(d, c, c->composed);
		const struct flight *f = &c->flights[slot];
		const uint64_t *keys = keys_of(d, c, slot);

		out = f->is_set ? dialect->set(d->content, keys[0],
					       d->plan->ttl_s, out) :
				  dialect->get(d->content, keys, f->keys, out);
		c->composed++;
	}
	return (size_t)(out - d->out);
}

/* What was composed and is not sent waits with its connection. */
static void keep_unsent(struct connection *c, const char *p, size_t n)
{
	if (n > c->unsent_room) {
		char *more = realloc(c->unsent, n);

		if (more == NULL) {
			panic("no memory for what a server does not take");
		}
		c->unsent = more;
		c->unsent_room = n;
	}
	memcpy(c->unsent, p, n);
	c->unsent_at = 0;
	c->unsent_len = n;
}

static void set_blocked(struct driver *d, struct connection *c, bool blocked)
{
	if (c->blocked != blocked) {
		c->blocked = blocked;
		connection_watch(d, c, EPOLL_CTL_MOD);
	}
}

/* Sends what is to be sent, as far as the socket takes it. */
static void connection_push(struct driver *d, struct connection *c)
{
	while (c->unsent_len > 0 || c->composed < c->count) {
		const char *p = d->out;
		size_t len;
		ssize_t n;

		if (c->unsent_len > 0) {
			p = c->unsent + c->unsent_at;
			len = c->unsent_len;
		} else {
			len = compose(d, c);
		}
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			connection_fail_errno(d, c,
					      c->connecting ? FAULT_CONNECT :
							      FAULT_CLOSED);
			return;
		}
		n = n < 0 ? 0 : n;
		c->connecting = c->connecting && n == 0;
		if ((size_t)n < len) {
			if (p == d->out) {
				keep_unsent(c, p + n, len - (size_t)n);
			} else {
				c->unsent_at += (size_t)n;
				c->unsent_len -= (size_t)n;
			}
			set_blocked(d, c, true);
			return;
		}
		c->unsent_len = 0;
	}
	set_blocked(d, c, false);
}

/* Closed loop, nothing in flight: the next batch. */
static void batch_start(struct driver *d, struct connection *c)
{
	if (is_used_up(d, c) && (c->missed_count > 0 || may_draw(d)) &&
	    !connection_reopen(d, c)) {
		return;
	}
	while (c->count < d->window && !is_used_up(d, c) &&
	       ask_add(d, c, d->now_ns)) {
	}
	connection_push(d, c);
}

/* ---- the open loop ------------------------------------------------------ */

static uint64_t due_ns(const struct driver *d)
{
	return d->tally.start_ns +
	       (uint64_t)(((double)d->drawn + d->phase.lag) * 1e9 /
			  d->phase.rate);
}

static bool has_room(const struct driver *d, const struct connection *c)
{
	return c->fd >= 0 && c->count < d->window && !is_used_up(d, c);
}

static void line_join(struct driver *d, struct connection *c)
{
	if (!c->in_line && has_room(d, c)) {
		c->in_line = true;
		queue_put(&d->line, c);
	}
}

/* Open loop: a connection got a reply, or was opened. */
static void open_loop_go_on(struct driver *d, struct connection *c)
{
	if (c->count == 0 && is_used_up(d, c) && !connection_reopen(d, c)) {
		return;
	}
	if (c->missed_count > 0) {
		while (has_room(d, c) && c->missed_count > 0) {
			ask_add(d, c, d->now_ns);
		}
		connection_push(d, c);
	}
	if (c->fd >= 0 && c->missed_count == 0) {
		line_join(d, c);
	}
}

/* Sends what is due on connections that have room. */
static void send_due(struct driver *d)
{
	while (may_draw(d) && d->line.first != NULL) {
		uint64_t due = due_ns(d);
		struct connection *c;

		if (due > d->now_ns) {
			break;
		}
		c = queue_take(&d->line);
		c->in_line = false;
		if (!has_room(d, c)) {
			continue;
		}
		ask_add(d, c, due);
		line_join(d, c);
		connection_push(d, c);
	}
}

static uint64_t count_unsent(const struct driver *d)
{
	double due;

	if (!is_open_loop(d) || d->phase.span.ns == 0) {
		return 0;
	}
	due = (double)d->phase.span.ns * d->phase.rate / 1e9;
	return due > (double)d->drawn ? (uint64_t)due - d->drawn : 0;
}

/* ---- receiving ---------------------------------------------------------- */

static void go_on(struct driver *d, struct connection *c)
{
	if (is_open_loop(d)) {
		open_loop_go_on(d, c);
	} else if (c->count == 0) {
		batch_start(d, c);
	}
}

static void reply_done(struct driver *d, struct connection *c)
{
	const struct flight *f = &c->flights[c->head];

	histogram_add(&d->tally.latency, d->now_ns - f->sent_ns);
	d->tally.requests++;
	d->tally.hits += c->answer.hits;
	d->tally.misses += c->answer.misses;
	d->tally.stored += c->answer.stored;
	if (c->missed != NULL) {
		memcpy(c->missed + c->missed_count, c->missing,
		       c->answer.misses * sizeof(*c->missed));
		c->missed_count += c->answer.misses;
	}
	c->head = ring_slot(d, c, 1);
	c->count--;
	c->composed--;
	d->in_flight--;
	reply_begin(d, c);
}

/* Takes replies from what was received; false where the stream is lost. */
static bool take_replies(struct driver *d, struct connection *c, const char *p,
			 size_t len, size_t *at)
{
	const struct dialect *dialect = d->plan->dialect;
	enum take take = TAKE_PART;

	while (*at < len && take != TAKE_MORE) {
		const struct flight *f = &c->flights[c->head];
		struct ask ask = { .is_set = f->is_set,
				   .count = f->keys,
				   .keys = keys_of(d, c, c->head) };
		size_t used = 0;

		if (c->composed == 0) {
			return false; /* nothing was asked */
		}
		take = dialect->take(d->content, &ask, &c->answer,
				     &d->tally.faults, p + *at, len - *at,
				     &used);
		if (take == TAKE_LOST) {
			return false;
		}
		*at += used;
		if (take == TAKE_DONE) {
			reply_done(d, c);
		}
	}
	return true;
}

/* Keeps the begin of a line for when the rest of it comes. */
static void keep_rest(struct connection *c, const char *p, size_t n)
{
	check(n < DIALECT_LINE_MAX);
	if (n > 0 && c->kept == NULL) {
		c->kept = malloc(DIALECT_LINE_MAX);
		if (c->kept == NULL) {
			panic("no memory for the begin of a reply");
		}
	}
	if (n > 0) {
		memcpy(c->kept, p, n);
	}
	c->kept_len = n;
}

static void connection_receive(struct driver *d, struct connection *c)
{
	size_t len = c->kept_len;
	size_t at = 0;
	bool lost;
	uint64_t before = d->tally.requests;
	ssize_t n = recv(c->fd, d->in + len, IN_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		return;
	}
	d->now_ns = clock_ns();
	if (n < 0) {
		connection_fail_errno(
			d, c, c->connecting ? FAULT_CONNECT : FAULT_CLOSED);
		return;
	}
	if (n == 0) {
		connection_fail(d, c, FAULT_CLOSED, NULL, 0);
		return;
	}
	c->heard_ns = d->now_ns;
	if (len > 0) {
		memcpy(d->in, c->kept, len);
	}
	len += (size_t)n;
	lost = !take_replies(d, c, d->in, len, &at);
	if (d->tally.requests > before) {
		d->heard_ns = d->now_ns;
		d->faulty = false;
		counter_set(&d->answered, d->tally.requests);
	}
	if (lost) {
		connection_fail(d, c, FAULT_GARBAGE, d->in + at, len - at);
		return;
	}
	keep_rest(c, d->in + at, len - at);
	go_on(d, c);
}

static void connection_event(struct driver *d, struct connection *c,
			     uint32_t events)
{
	if ((events & EPOLLOUT) != 0) {
		connection_push(d, c);
	}
	if (c->fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0) {
		connection_receive(d, c);
	}
}

/* ---- the loop ----------------------------------------------------------- */

/* Tries the ones again that have rested. */
static void wake_resting(struct driver *d)
{
	while (d->resting.first != NULL &&
	       d->resting.first->rest_until_ns <= d->now_ns) {
		struct connection *c = queue_take(&d->resting);

		if (connection_reopen(d, c)) {
			go_on(d, c);
		}
	}
}

/* Gives up connections that are silent for too long, and then the phase. */
static void inspect(struct driver *d)
{
	uint64_t timeout = d->plan->timeout_ns;

	if (d->now_ns < d->inspect_ns) {
		return;
	}
	d->inspect_ns = d->now_ns + INSPECT_NS;
	d->tally.gave_up = d->now_ns - d->heard_ns > timeout &&
			   (d->in_flight > 0 || d->faulty);
	for (uint32_t i = 0; i < d->connection_count; i++) {
		struct connection *c = &d->connections[i];

		if (c->count > 0 &&
		    (d->tally.gave_up || d->now_ns - c->heard_ns > timeout)) {
			connection_fail(d, c, FAULT_TIMEOUT, NULL, 0);
		}
	}
}

static bool is_finished(const struct driver *d)
{
	return d->tally.gave_up || (d->in_flight == 0 && !may_draw(d));
}

/* Until when there is nothing to do but to wait for events. */
static uint64_t wake_ns(const struct driver *d)
{
	uint64_t wake = d->inspect_ns;

	if (d->resting.first != NULL &&
	    d->resting.first->rest_until_ns < wake) {
		wake = d->resting.first->rest_until_ns;
	}
	if (d->end_ns > d->now_ns && d->end_ns < wake) {
		wake = d->end_ns;
	}
	if (is_open_loop(d) && d->line.first != NULL && may_draw(d)) {
		uint64_t due = due_ns(d) - AWAKE_NS;

		wake = due < wake ? due : wake;
	}
	return wake;
}

static int wait_events(struct driver *d, struct epoll_event *events)
{
	uint64_t wake = wake_ns(d);
	uint64_t wait = wake > d->now_ns ? wake - d->now_ns : 0;
	const struct timespec timeout = { .tv_sec = (time_t)(wait / 1000000000),
					  .tv_nsec =
						  (long)(wait % 1000000000) };
	int n = epoll_pwait2(d->epoll_fd, events, EVENTS, &timeout, NULL);

	if (n < 0 && errno != EINTR) {
		panic("epoll_pwait2: %s", strerror(errno));
	}
	return n;
}

static void turn(struct driver *d)
{
	struct epoll_event events[EVENTS];
	int n = wait_events(d, events);

	for (int i = 0; i < n; i++) {
		connection_event(d, events[i].data.ptr, events[i].events);
	}
	d->now_ns = clock_ns();
	wake_resting(d);
	if (is_open_loop(d)) {
		send_due(d);
	}
	inspect(d);
}

static void phase_begin(struct driver *d, const struct phase *phase)
{
	d->phase = *phase;
	memset(&d->tally, 0, sizeof(d->tally));
	counter_set(&d->answered, 0);
	d->drawn = 0;
	d->window = phase->populate && d->plan->depth < PLAN_POPULATE_DEPTH ?
			    PLAN_POPULATE_DEPTH :
			    d->plan->depth;
	d->now_ns = clock_ns();
	d->tally.start_ns = d->now_ns;
	d->heard_ns = d->now_ns;
	d->faulty = false;
	d->inspect_ns = d->now_ns + INSPECT_NS;
	d->end_ns = phase->span.ns > 0 ? d->now_ns + phase->span.ns : NEVER;
	if (is_open_loop(d)) {
		/* A nanosecond instead of 50 us between wanted and done. */
		(void)prctl(PR_SET_TIMERSLACK, 1UL);
	}
}

const struct tally *driver_run(struct driver *d, const struct phase *phase)
{
	phase_begin(d, phase);
	for (uint32_t i = 0; i < d->connection_count; i++) {
		struct connection *c = &d->connections[i];

		d->now_ns = clock_ns();
		if (c->fd >= 0) {
			reply_begin(d, c);
			go_on(d, c);
		}
	}
	while (!is_finished(d)) {
		turn(d);
	}
	d->tally.stop_ns = clock_ns();
	d->tally.unsent = count_unsent(d);
	while (d->line.first != NULL) {
		queue_take(&d->line)->in_line = false;
	}
	return &d->tally;
}

uint64_t driver_answered(const struct driver *d)
{
	return counter_read(&d->answered);
}

/* ---- begin and end ------------------------------------------------------ */

/* The longest request, in bytes. */
static size_t longest_request(const struct plan *p)
{
	size_t get = p->multiget * (p->key_size + p->dialect->get_extra) +
		     p->dialect->get_extra;
	size_t set = p->key_size + p->dialect->set_extra + p->sizes.max;

	return get > set ? get : set;
}

static bool connection_init(struct driver *d, struct connection *c)
{
	size_t keys = (size_t)d->depth * d->plan->multiget;

	c->fd = -1;
	c->flights = calloc(d->depth, sizeof(*c->flights));
	c->keys = calloc(keys, sizeof(*c->keys));
	if (d->plan->look_aside) {
		c->missed = calloc(keys + d->plan->multiget,
				   sizeof(*c->missed));
		if (c->missed != NULL) {
			c->missing = c->missed + keys;
		}
	}
	return c->flights != NULL && c->keys != NULL &&
	       (c->missed != NULL || !d->plan->look_aside);
}

static bool driver_init(struct driver *d)
{
	const struct plan *p = d->plan;

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->in = malloc(DIALECT_LINE_MAX + IN_BYTES);
	d->out = malloc(OUT_BYTES + longest_request(p));
	d->connections = calloc(d->connection_count, sizeof(*d->connections));
	if (d->epoll_fd < 0 || d->in == NULL || d->out == NULL ||
	    d->connections == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < d->connection_count; i++) {
		d->connections[i].fd = -1;
	}
	for (uint32_t i = 0; i < d->connection_count; i++) {
		if (!connection_init(d, &d->connections[i])) {
			return false;
		}
	}
	if (p->dist == DIST_ZIPF) {
		zipf_init(&d->zipf, p->keys, p->theta);
	}
	return true;
}

struct driver *driver_new(const struct plan *plan,
			  const struct content *content,
			  const struct target *target, uint32_t index)
{
	struct driver *d = calloc(1, sizeof(*d));

	if (d == NULL) {
		return NULL;
	}
	d->plan = plan;
	d->content = content;
	d->target = target;
	d->depth = plan->depth;
	if (plan->populate && d->depth < PLAN_POPULATE_DEPTH) {
		d->depth = PLAN_POPULATE_DEPTH;
	}
	d->connection_count = plan->connections / plan->threads +
			      (index < plan->connections % plan->threads);
	if (!driver_init(d)) {
		driver_free(d);
		return NULL;
	}
	return d;
}

bool driver_connect(struct driver *d)
{
	int wait_ms = (int)(d->plan->timeout_ns / MS);

	for (uint32_t i = 0; i < d->connection_count; i++) {
		if (!connection_open(d, &d->connections[i],
				     wait_ms > 0 ? wait_ms : 1)) {
			return false;
		}
	}
	return true;
}

void driver_seed(struct driver *d, uint64_t seed)
{
	rng_init(&d->rng, seed);
}

void driver_free(struct driver *d)
{
	if (d == NULL) {
		return;
	}
	for (uint32_t i = 0; d->connections != NULL && i < d->connection_count;
	     i++) {
		struct connection *c = &d->connections[i];

		if (c->fd >= 0) {
			close(c->fd);
		}
		free(c->flights);
		free(c->keys);
		free(c->missed);
		free(c->unsent);
		free(c->kept);
	}
	if (d->epoll_fd >= 0) {
		close(d->epoll_fd);
	}
	free(d->connections);
	free(d->in);
	free(d->out);
	free(d);
}
