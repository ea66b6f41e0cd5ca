/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listeners: turns, pausing, starvation, the guard.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "io/loop_inside.h"
#include "io/sock.h"
#include "loop_fixture.h"

enum { CALLERS_MAX = 256 };

struct door {
	struct io_listener l;
	int accepted;
	int starved;
	int error;
	int pause_after; /* accepted so many: pause; 0 never */
	bool closes;     /* at the first connection */
	bool pauses;     /* when starved */
	int turns_seen;  /* of the loop, at the last accept */
	int most_in_turn;
	int in_turn;
	int port;
	int callers[CALLERS_MAX];
	int caller_count;
};

static struct door *door_of(struct io_listener *l)
{
	return list_entry(l, struct door, l);
}

static void door_accepted(struct io_listener *l, int fd,
			  const struct sockaddr_storage *peer,
			  socklen_t peer_len)
{
	struct door *d = door_of(l);
	int turn = (int)counter_read(&io_loop_stats(l->loop)->turns);

	assert_int_equal(peer->ss_family, AF_INET);
	assert_int_equal(peer_len, sizeof(struct sockaddr_in));
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	close(fd);
	d->in_turn = turn == d->turns_seen ? d->in_turn + 1 : 1;
	d->turns_seen = turn;
	if (d->in_turn > d->most_in_turn) {
		d->most_in_turn = d->in_turn;
	}
	d->accepted++;
	if (d->accepted == d->pause_after) {
		io_listener_pause(l);
	}
	if (d->closes) {
		io_listener_close(l);
	}
}

static void door_starved(struct io_listener *l, int error)
{
	struct door *d = door_of(l);

	d->starved++;
	d->error = error;
	if (d->pauses) {
		io_listener_pause(l);
	}
}

static const struct io_listener_ops door_ops = {
	.accepted = door_accepted,
	.starved = door_starved,
};

static void door_open(struct door *d, struct io_loop *loop)
{
	const char *why;
	int fd;

	memset(d, 0, sizeof(*d));
	assert_int_equal(
		sock_listen_tcp("127.0.0.1", 0, CALLERS_MAX, &fd, 1, &why), 1);
	d->port = sock_local_port(fd);
	d->pauses = true;
	assert_true(io_listener_open(&d->l, loop, fd, &door_ops));
}

/* Connections that are complete when this returns. */
static void door_call(struct door *d, int count)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	to.sin_port = htons((uint16_t)d->port);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_return_code(fd, 0);
		assert_return_code(connect(fd, (struct sockaddr *)(void *)&to,
					   sizeof(to)),
				   0);
		assert_true(d->caller_count < CALLERS_MAX);
		d->callers[d->caller_count++] = fd;
	}
}

static void door_hang_up(struct door *d)
{
	while (d->caller_count > 0) {
		close(d->callers[--d->caller_count]);
	}
}

static void door_close(struct door *d)
{
	door_hang_up(d);
	io_listener_close(&d->l);
}

/* On the loopback a connection is in the queue when connect() returns; the
 * report of it may take a moment longer, so this waits for the effect. */
struct expectation {
	struct settling settling;
	struct door *door;
	int accepted;
	int starved;
};

static bool as_expected(struct settling *s)
{
	struct expectation *e = list_entry(s, struct expectation, settling);

	return e->door->accepted >= e->accepted &&
	       e->door->starved >= e->starved;
}

static void run_until(struct door *d, int accepted, int starved)
{
	struct expectation e = {
		.settling = {
			.msg.run = settling_run,
			.loop = d->l.loop,
			.may_settle = as_expected,
		},
		.door = d,
		.accepted = accepted,
		.starved = starved,
	};

	io_post(d->l.loop, &e.settling.msg);
	run_until_stopped(d->l.loop);
	assert_int_equal(d->accepted, accepted);
	assert_int_equal(d->starved, starved);
}

static void a_turn_accepts_a_bounded_number(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	door_call(&d, 200);
	run_until(&d, 200, 0);
	assert_int_equal(d.most_in_turn, 64);
	door_close(&d);
	io_loop_free(l);
}

static void a_paused_listener_accepts_nothing(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	d.pause_after = 3;
	door_call(&d, 10);
	run_until(&d, 3, 0);
	door_call(&d, 1);
	run_until(&d, 3, 0);
	io_listener_pause(&d.l);
	io_listener_resume(&d.l);
	io_listener_resume(&d.l);
	run_until(&d, 11, 0);
	/* Paused and resumed before a turn: nothing is missed. */
	door_call(&d, 2);
	io_listener_pause(&d.l);
	io_listener_resume(&d.l);
	run_until(&d, 13, 0);
	door_close(&d);
	io_loop_free(l);
}

static void a_listener_may_be_closed_while_it_accepts(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	d.closes = true;
	door_call(&d, 5);
	run_until(&d, 1, 0);
	io_listener_pause(&d.l);
	io_listener_resume(&d.l);
	run_until(&d, 1, 0);
	door_close(&d);
	io_loop_free(l);
}

static void a_callers_reset_is_no_fault(void **state)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	door_call(&d, 20);
	for (int i = 0; i < 20; i++) {
		setsockopt(d.callers[i], SOL_SOCKET, SO_LINGER, &now,
			   sizeof(now));
	}
	door_hang_up(&d);
	door_call(&d, 1);
	/* Linux hands out the reset ones too. */
	run_until(&d, 21, 0);
	door_close(&d);
	io_loop_free(l);
}

/* ---- starvation --------------------------------------------------------- */

/* In a child, which has no descriptors left until its callers hang up. */
static void starve(void)
{
	struct io_loop *l = io_loop_new();
	struct door d;
	struct rlimit limit;

	door_open(&d, l);
	door_call(&d, 8);
	limit.rlim_cur = (rlim_t)d.callers[7] + 1;
	limit.rlim_max = limit.rlim_cur;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), 0);
	run_until(&d, 0, 1);
	assert_int_equal(d.error, EMFILE);
	io_listener_resume(&d.l);
	run_until(&d, 0, 2);
	door_hang_up(&d);
	io_listener_resume(&d.l);
	run_until(&d, 8, 2);
	/* An owner that does not pause makes the loop no busier. */
	d.pauses = false;
	door_call(&d, 8);
	run_until(&d, 8, 3);
	door_close(&d);
	io_loop_free(l);
}

static void without_descriptors_the_owner_is_asked(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_return_code(child, 0);
	if (child == 0) {
		starve();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A listener that was shut down fails for good; the owner hears of it. */
static void a_lasting_error_is_told(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	run_until(&d, 0, 0);
	assert_return_code(shutdown(d.l.fd, SHUT_RD), 0);
	run_until(&d, 0, 1);
	assert_int_equal(d.error, EINVAL);
	door_close(&d);
	io_loop_free(l);
}

/* The kernel refuses to take the listener back: made to by registering its
 * descriptor for something else meanwhile. */
static void a_refused_resume_is_told(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;

	(void)state;
	door_open(&d, l);
	io_listener_pause(&d.l);
	assert_true(loop_join(l, d.l.fd, 0, NULL, KIND_WAKE));
	io_listener_resume(&d.l);
	run_until(&d, 0, 1);
	assert_int_equal(d.error, EEXIST);
	loop_leave(l, d.l.fd);
	door_call(&d, 1);
	io_listener_resume(&d.l);
	run_until(&d, 1, 1);
	/* And when it has passed by the next turn, nobody need hear. */
	io_listener_pause(&d.l);
	assert_true(loop_join(l, d.l.fd, 0, NULL, KIND_WAKE));
	io_listener_resume(&d.l);
	loop_leave(l, d.l.fd);
	door_call(&d, 1);
	run_until(&d, 2, 1);
	door_close(&d);
	io_loop_free(l);
}

/* ---- the guard ---------------------------------------------------------- */

struct thief {
	struct io_msg steal;
	struct io_msg lay;
	struct door *door;
	int rounds;
};

/* At the end of a turn: a connection, of which the loop is told later. */
static void thief_lay(struct io_msg *m)
{
	struct thief *f = list_entry(m, struct thief, lay);

	if (f->door->starved == 0) {
		assert_true(f->rounds < 2 * IO_GUARD_REPORTS);
		door_hang_up(f->door);
		door_call(f->door, 1);
		f->rounds++;
		io_post(f->door->l.loop, &f->steal);
	}
}

/* Messages run before listeners: takes it before the listener looks. */
static void thief_steal(struct io_msg *m)
{
	struct thief *f = list_entry(m, struct thief, steal);
	int fd = accept4(f->door->l.fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0) {
		close(fd);
	}
	io_loop_defer(f->door->l.loop, &f->lay);
}

static void reports_without_connections_pause_a_listener(void **state)
{
	struct io_loop *l = io_loop_new();
	struct door d;
	struct thief f = {
		.steal.run = thief_steal,
		.lay.run = thief_lay,
		.door = &d,
	};

	(void)state;
	door_open(&d, l);
	io_loop_defer(l, &f.lay);
	run_until(&d, 0, 1);
	assert_int_equal(d.error, ELOOP);
	assert_true(f.rounds >= IO_GUARD_REPORTS);
	assert_int_equal(counter_read(&io_loop_stats(l)->guard_closed), 1);
	/* It lives on. */
	io_listener_resume(&d.l);
	door_call(&d, 1);
	run_until(&d, 1, 1);
	door_close(&d);
	io_loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_accepts_a_bounded_number),
		cmocka_unit_test(a_paused_listener_accepts_nothing),
		cmocka_unit_test(a_listener_may_be_closed_while_it_accepts),
		cmocka_unit_test(a_callers_reset_is_no_fault),
		cmocka_unit_test(without_descriptors_the_owner_is_asked),
		cmocka_unit_test(a_lasting_error_is_told),
		cmocka_unit_test(a_refused_resume_is_told),
		cmocka_unit_test(reports_without_connections_pause_a_listener),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
