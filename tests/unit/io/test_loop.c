/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop itself: messages from other threads, deferred work, stopping,
 * idling, watches, and what happens when the kernel refuses it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/clock.h"
#include "loop_fixture.h"

/* ---- messages ----------------------------------------------------------- */

enum { SENDERS = 4, SENT = 20000, BURST = 64 };

struct numbered {
	struct io_msg msg;
	int sender;
	int number;
	struct receipt *receipt;
};

struct receipt {
	struct io_loop *loop;
	int next[SENDERS];
	int total;
	bool disorder;
};

struct sender {
	pthread_t thread;
	int index;
	struct receipt *receipt;
	struct numbered *messages;
};

static void numbered_run(struct io_msg *m)
{
	struct numbered *n = list_entry(m, struct numbered, msg);
	struct receipt *r = n->receipt;

	r->disorder |= n->number != r->next[n->sender]++;
	r->total++;
	if (r->total == SENDERS * SENT) {
		io_loop_stop(r->loop);
	}
}

static void *sender_run(void *arg)
{
	struct sender *s = arg;

	for (int i = 0; i < SENT; i++) {
		s->messages[i].msg.run = numbered_run;
		s->messages[i].sender = s->index;
		s->messages[i].number = i;
		s->messages[i].receipt = s->receipt;
		io_post(s->receipt->loop, &s->messages[i].msg);
		if (i % BURST == 0) {
			/* Lets the loop fall asleep now and then. */
			sched_yield();
		}
	}
	return NULL;
}

/* A lost wake-up would leave the loop asleep until the deadline. */
static void all_messages_arrive_in_order(void **state)
{
	struct receipt r = { .loop = io_loop_new() };
	struct sender senders[SENDERS];

	(void)state;
	for (int i = 0; i < SENDERS; i++) {
		senders[i].index = i;
		senders[i].receipt = &r;
		senders[i].messages = calloc(SENT, sizeof(struct numbered));
		assert_non_null(senders[i].messages);
		assert_int_equal(pthread_create(&senders[i].thread, NULL,
						sender_run, &senders[i]),
				 0);
	}
	run_until_stopped(r.loop);
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(r.next[i], SENT);
		free(senders[i].messages);
	}
	assert_false(r.disorder);
	assert_int_equal(counter_read(&io_loop_stats(r.loop)->messages),
			 SENDERS * SENT);
	io_loop_free(r.loop);
}

struct ping {
	struct io_msg msg;
	struct io_loop *to;
	struct io_loop *home;
	int left;
};

/* The message goes to and fro between two loops, which both sleep whenever
 * it is away: each hop is a chance to lose a wake-up. */
static void ping_run(struct io_msg *m)
{
	struct ping *p = list_entry(m, struct ping, msg);
	struct io_loop *here = p->to;

	if (p->left-- == 0) {
		io_loop_stop(p->home);
		io_loop_stop(here);
		return;
	}
	p->to = p->home;
	p->home = here;
	io_post(p->to, m);
}

static void *run_other_loop(void *arg)
{
	io_loop_run(arg);
	return NULL;
}

static void every_hop_wakes_a_sleeper(void **state)
{
	struct io_loop *here = io_loop_new();
	struct io_loop *there = io_loop_new();
	struct ping p = { .msg.run = ping_run, .left = 20000 };
	pthread_t thread;

	(void)state;
	p.to = there;
	p.home = here;
	assert_int_equal(pthread_create(&thread, NULL, run_other_loop, there),
			 0);
	io_post(there, &p.msg);
	run_until_stopped(here);
	pthread_join(thread, NULL);
	assert_int_equal(p.left, -1);
	io_loop_free(here);
	io_loop_free(there);
}

enum { KNOCKS = 60000, SPREAD = 256 };

struct knock {
	struct io_msg msg;
	struct io_loop *loop;
	atomic_int heard;
	atomic_bool given_up;
};

static void knock_run(struct io_msg *m)
{
	atomic_fetch_add(&list_entry(m, struct knock, msg)->heard, 1);
}

/* Posts a little after the last message has been run, each time a little
 * later: so every moment of the loop's way to sleep is met. */
static void *knock_often(void *arg)
{
	struct knock *k = arg;
	uint64_t give_up_ms = clock_ms() + DEADLINE_MS;

	for (int i = 0; i < KNOCKS; i++) {
		for (atomic_int wait = 0; wait < i % SPREAD; wait++) {
		}
		io_post(k->loop, &k->msg);
		while (atomic_load(&k->heard) == i) {
			if (clock_ms() > give_up_ms) {
				atomic_store(&k->given_up, true);
				goto out;
			}
		}
	}
out:
	io_loop_stop(k->loop);
	return NULL;
}

static void no_knock_is_missed_on_the_way_to_sleep(void **state)
{
	struct knock k = { .msg.run = knock_run, .loop = io_loop_new() };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, knock_often, &k), 0);
	io_loop_run(k.loop);
	pthread_join(thread, NULL);
	assert_false(k.given_up);
	assert_int_equal(k.heard, KNOCKS);
	io_loop_free(k.loop);
}

struct noted {
	struct io_msg msg;
	struct io_loop *loop;
	char name;
	char *notes;
	struct noted *then_post;
	struct noted *then_defer;
	bool stops;
};

static void noted_run(struct io_msg *m)
{
	struct noted *n = list_entry(m, struct noted, msg);
	size_t len = strlen(n->notes);

	n->notes[len] = n->name;
	n->notes[len + 1] = '\0';
	if (n->then_post != NULL) {
		io_post(n->loop, &n->then_post->msg);
	}
	if (n->then_defer != NULL) {
		io_loop_defer(n->loop, &n->then_defer->msg);
	}
	if (n->stops) {
		io_loop_stop(n->loop);
	}
}

static struct noted noted_of(struct io_loop *l, char name, char *notes)
{
	return (struct noted){
		.msg.run = noted_run, .loop = l, .name = name, .notes = notes
	};
}

/* Deferred: at the end of the turn, so before what is posted meanwhile. */
static void the_deferred_comes_before_the_posted(void **state)
{
	struct io_loop *l = io_loop_new();
	char notes[16] = "";
	struct noted first = noted_of(l, 'f', notes);
	struct noted second = noted_of(l, 's', notes);
	struct noted posted = noted_of(l, 'p', notes);
	struct noted deferred = noted_of(l, 'd', notes);
	struct noted nested = noted_of(l, 'n', notes);

	(void)state;
	first.then_post = &posted;
	first.then_defer = &deferred;
	deferred.then_defer = &nested;
	posted.stops = true;
	io_post(l, &first.msg);
	io_post(l, &second.msg);
	run_until_stopped(l);
	assert_string_equal(notes, "fsdnp");
	io_loop_free(l);
}

static void what_was_posted_before_a_stop_is_run(void **state)
{
	struct io_loop *l = io_loop_new();
	char notes[16] = "";
	struct noted stopper = noted_of(l, 's', notes);
	struct noted late = noted_of(l, 'l', notes);
	struct noted deferred = noted_of(l, 'd', notes);
	struct noted at_free = noted_of(l, 'f', notes);

	(void)state;
	stopper.then_post = &late;
	stopper.stops = true;
	late.then_defer = &deferred;
	io_post(l, &stopper.msg);
	run_until_stopped(l);
	assert_string_equal(notes, "sld");
	io_loop_defer(l, &at_free.msg);
	io_loop_free(l);
	assert_string_equal(notes, "sldf");
}

/* A stop that comes while nothing runs is not lost either. */
static void a_stop_ends_the_run_that_follows(void **state)
{
	struct io_loop *l = io_loop_new();

	(void)state;
	io_loop_stop(l);
	run_until_stopped(l);
	io_loop_free(l);
}

struct delayed_stop {
	struct io_loop *loop;
	bool slept;
};

/* Waits until the loop is in the kernel, then stops it. */
static void *stop_when_asleep(void *arg)
{
	struct delayed_stop *d = arg;
	const struct io_loop_stats *stats = io_loop_stats(d->loop);
	uint64_t give_up_ms = clock_ms() + DEADLINE_MS;

	while (!d->slept && clock_ms() < give_up_ms) {
		d->slept = counter_read(&stats->turns) > 0 &&
			   atomic_load(&stats->busy_since_ms) == 0;
		sched_yield();
	}
	io_loop_stop(d->loop);
	return NULL;
}

static void a_stop_wakes_a_sleeper(void **state)
{
	struct delayed_stop d = { .loop = io_loop_new() };
	char notes[16] = "";
	struct noted first = noted_of(d.loop, 'f', notes);
	pthread_t thread;

	(void)state;
	io_post(d.loop, &first.msg);
	assert_int_equal(pthread_create(&thread, NULL, stop_when_asleep, &d),
			 0);
	run_until_stopped(d.loop);
	pthread_join(thread, NULL);
	assert_true(d.slept);
	io_loop_free(d.loop);
}

/* ---- idling ------------------------------------------------------------- */

static void what_is_deferred_is_not_slept_upon(void **state)
{
	struct io_loop *l = io_loop_new();
	char notes[16] = "";
	struct noted last = noted_of(l, 'l', notes);

	(void)state;
	last.stops = true;
	io_loop_defer(l, &last.msg);
	run_until_stopped(l);
	assert_string_equal(notes, "l");
	io_loop_free(l);
}

static void check_busy(struct io_msg *m)
{
	struct noted *n = list_entry(m, struct noted, msg);

	assert_int_equal(atomic_load(&io_loop_stats(n->loop)->busy_since_ms),
			 io_loop_now_ms(n->loop));
	assert_true(io_loop_now_ms(n->loop) > 0);
	io_loop_stop(n->loop);
}

static void it_says_since_when_it_works(void **state)
{
	struct io_loop *l = io_loop_new();
	struct noted n = noted_of(l, 'n', NULL);

	(void)state;
	n.msg.run = check_busy;
	io_post(l, &n.msg);
	run_until_stopped(l);
	assert_int_equal(atomic_load(&io_loop_stats(l)->busy_since_ms), 0);
	io_loop_free(l);
}

/* ---- watches ------------------------------------------------------------ */

struct look {
	struct io_watch watch;
	int reports;
	bool closes;
	struct look *other;
};

static void look_readable(struct io_watch *w)
{
	struct look *k = list_entry(w, struct look, watch);
	uint64_t sum;
	ssize_t n;

	do {
		n = read(w->fd, &sum, sizeof(sum));
	} while (n > 0);
	k->reports++;
	if (k->other != NULL) {
		io_watch_close(&k->other->watch);
	}
	if (k->closes) {
		io_watch_close(w);
	}
}

static void a_watch_sees_each_write(void **state)
{
	const uint64_t one = 1;
	struct io_loop *l = io_loop_new();
	struct look k = { .reports = 0 };
	int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);

	(void)state;
	assert_true(io_watch_open(&k.watch, l, fd, look_readable));
	run_until_settled(l);
	assert_int_equal(k.reports, 1);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	k.closes = true;
	run_until_settled(l);
	assert_int_equal(k.reports, 2);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	io_watch_close(&k.watch);
	io_loop_free(l);
}

/* Both are reported in one batch; the one served first closes the other. */
static void a_closed_watch_is_not_called(void **state)
{
	struct io_loop *l = io_loop_new();
	struct look k[2] = { { .reports = 0 }, { .reports = 0 } };

	(void)state;
	for (int i = 0; i < 2; i++) {
		k[i].other = &k[1 - i];
		assert_true(io_watch_open(
			&k[i].watch, l, eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC),
			look_readable));
	}
	run_until_settled(l);
	assert_int_equal(k[0].reports + k[1].reports, 1);
	io_watch_close(&k[0].watch);
	io_watch_close(&k[1].watch);
	io_loop_free(l);
}

/* Each coming and going of a writer reports a hang-up on a fifo. */
static void a_watch_that_only_hangs_up_is_dropped(void **state)
{
	struct io_loop *l = io_loop_new();
	char folder[] = "/tmp/dozo-watch-XXXXXX";
	char path[64];
	struct look k = { .reports = 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/fifo", folder);
	assert_return_code(mkfifo(path, 0600), 0);
	assert_true(io_watch_open(&k.watch, l,
				  open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC),
				  look_readable));
	for (int i = 0; i < IO_GUARD_REPORTS + 10; i++) {
		int writer = open(path, O_WRONLY | O_CLOEXEC);

		assert_return_code(writer, 0);
		close(writer);
		run_until_settled(l);
	}
	assert_int_equal(counter_read(&io_loop_stats(l)->guard_closed), 1);
	assert_int_equal(k.reports, IO_GUARD_REPORTS);
	io_watch_close(&k.watch);
	io_loop_free(l);
	unlink(path);
	rmdir(folder);
}

/* ---- refusals ----------------------------------------------------------- */

/* In a child: with room for `room` more descriptors, is a loop refused? */
static int try_with_descriptors(int room)
{
	struct rlimit limit;
	int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct io_loop *l;

	close(next);
	limit.rlim_cur = (rlim_t)(next + room);
	limit.rlim_max = limit.rlim_cur;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		return 3;
	}
	l = io_loop_new();
	if (l == NULL) {
		/* What it had opened it has closed again. */
		if (errno != EMFILE || (room > 0 && dup(0) < 0)) {
			return 2;
		}
		return 1;
	}
	io_loop_free(l);
	return 0;
}

static void without_descriptors_there_is_no_loop(void **state)
{
	static const int expected[] = { 1, 1, 0 };

	(void)state;
	for (int room = 0; room < 3; room++) {
		int status;
		pid_t child = fork();

		assert_return_code(child, 0);
		if (child == 0) {
			_exit(try_with_descriptors(room));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), expected[room]);
	}
}

static void a_file_cannot_be_watched(void **state)
{
	struct io_loop *l = io_loop_new();
	struct look k = { .reports = 0 };
	char path[] = "/tmp/dozo-file-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_return_code(fd, 0);
	unlink(path);
	errno = 0;
	assert_false(io_watch_open(&k.watch, l, fd, look_readable));
	assert_int_equal(errno, EPERM);
	io_watch_close(&k.watch);
	assert_return_code(close(fd), 0);
	io_loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_messages_arrive_in_order),
		cmocka_unit_test(every_hop_wakes_a_sleeper),
		cmocka_unit_test(no_knock_is_missed_on_the_way_to_sleep),
		cmocka_unit_test(the_deferred_comes_before_the_posted),
		cmocka_unit_test(what_was_posted_before_a_stop_is_run),
		cmocka_unit_test(a_stop_ends_the_run_that_follows),
		cmocka_unit_test(a_stop_wakes_a_sleeper),
		cmocka_unit_test(what_is_deferred_is_not_slept_upon),
		cmocka_unit_test(it_says_since_when_it_works),
		cmocka_unit_test(a_watch_sees_each_write),
		cmocka_unit_test(a_closed_watch_is_not_called),
		cmocka_unit_test(a_watch_that_only_hangs_up_is_dropped),
		cmocka_unit_test(without_descriptors_there_is_no_loop),
		cmocka_unit_test(a_file_cannot_be_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
