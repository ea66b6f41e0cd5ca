/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How streams end: by the peer, by a reset in each state, by the owner
 * inside each callback, and by the guard.
 */
#include <errno.h>
#include <linux/net_tstamp.h>
#include <stdlib.h>

#include "stream_fixture.h"

enum { FILL = 8 * 1024 * 1024 };

/* Sends until the socket takes no more. */
static void fill(struct near *n)
{
	char *zeros = calloc(1, FILL);
	struct iovec part = { zeros, FILL };

	assert_non_null(zeros);
	assert_in_range(io_send(&n->s, &part, 1), 1, FILL - 1);
	free(zeros);
}

/* The loop has nothing left to do: it would sleep, and stays asleep. */
static void assert_quiet(struct io_loop *l)
{
	uint64_t before = counter_read(&io_loop_stats(l)->turns);

	run_until_settled(l);
	assert_int_equal(counter_read(&io_loop_stats(l)->turns) - before,
			 SETTLED_TURNS);
}

/* ---- by the peer -------------------------------------------------------- */

/* Data and end come in one report; the receive is short, and still the end
 * is seen.  Replies can be sent to a peer that has only ended its side. */
static void the_end_behind_the_last_bytes_is_seen(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;
	char reply[3] = "OK";
	struct iovec part = { reply, 2 };

	write_all(n->far, "quit", 4);
	shutdown(n->far, SHUT_WR);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "ArAe");
	assert_int_equal(n->error, 0);
	assert_int_equal(io_send(&n->s, &part, 1), 2);
	assert_int_equal(recv(n->far, reply, 2, 0), 2);
	close(n->far);
	n->far = -1;
	run_until_settled(l);
	assert_int_equal(n->ends, 1);
	assert_quiet(l);
}

static void the_same_over_tcp(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->stops = true;
	write_all(n->far, "quit", 4);
	shutdown(n->far, SHUT_WR);
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "ArAe");
	assert_int_equal(n->error, 0);
}

/* After its end a stream still gets room and turns, but no bytes. */
static void an_ended_stream_can_finish_sending(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;
	char buffer[65536];

	fill(n);
	shutdown(n->far, SHUT_WR);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "Ae");
	while (recv(n->far, buffer, sizeof(buffer), 0) > 0) {
	}
	run_until_settled(l);
	assert_string_equal(n->trace->text, "AeAs");
	io_stream_again(&n->s);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "AeAsAa");
	assert_int_equal(n->places, 1);
}

static void a_reset_ends_a_reader(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->stops = true;
	near_reset(n);
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "Ae");
	assert_int_equal(n->error, ECONNRESET);
	assert_quiet(l);
}

/* With bytes in the socket that nobody takes: a peek would not see it. */
static void a_reset_ends_a_paused_stream(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->stops = true;
	n->pause = true;
	write_all(n->far, "set a 0 0 100\r\nabc", 18);
	near_reset(n);
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "Ae");
	assert_int_equal(n->error, ECONNRESET);
	assert_quiet(l);
	io_stream_resume(&n->s);
	run_until_settled(l);
	assert_int_equal(n->ends, 1);
}

static void send_and_stop(struct near *n)
{
	char byte = 'x';
	struct iovec part = { &byte, 1 };

	n->error = (int)-io_send(&n->s, &part, 1);
	io_stream_close(&n->s);
	io_loop_stop(n->s.loop);
}

/* Paused and with output pending: the owner learns it by sending. */
static void a_reset_reaches_a_sender(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->pause = true;
	n->on_sendable = send_and_stop;
	fill(n);
	write_all(n->far, "x", 1);
	near_reset(n);
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "As");
	assert_int_equal(n->error, ECONNRESET);
}

/* The same, with an owner that does nothing about it. */
static void a_reset_ends_a_sender_that_does_not_send(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->pause = true;
	n->stops = true;
	fill(n);
	near_reset(n);
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "AsAe");
	assert_int_equal(n->error, ECONNRESET);
	assert_quiet(l);
}

/* A unix peer that wrote and closed has not failed: its bytes are served. */
static void bytes_before_a_hang_up_are_kept(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->pause = true;
	write_all(n->far, "quit", 4);
	close(n->far);
	n->far = -1;
	run_until_settled(l);
	assert_string_equal(n->trace->text, "");
	assert_quiet(l);
	n->pause = false;
	io_stream_resume(&n->s);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "ArAe");
	assert_int_equal(n->error, 0);
	assert_memory_equal(n->bytes, "quit", 4);
}

static void a_hang_up_without_bytes_ends_a_paused_stream(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;
	char c;

	n->pause = true;
	write_all(n->far, "x", 1);
	run_until_settled(l);
	assert_int_equal(recv(n->s.fd, &c, 1, 0), 1);
	close(n->far);
	n->far = -1;
	run_until_settled(l);
	assert_string_equal(n->trace->text, "Ae");
	assert_int_equal(n->error, 0);
}

/* ---- by the owner ------------------------------------------------------- */

struct victims {
	struct near *self;
	struct near *other;
	struct io_msg free_self;
	struct io_msg free_other;
};

static void free_near(struct near *n)
{
	near_close(n);
	free(n);
}

static void free_self(struct io_msg *m)
{
	free_near(list_entry(m, struct victims, free_self)->self);
}

static void free_other(struct io_msg *m)
{
	free_near(list_entry(m, struct victims, free_other)->other);
}

/* Closes both streams, of which the other has an event in the same batch and
 * this one waits for one more turn, and has their memory freed at the end of
 * the present one. */
static void close_both(struct near *n)
{
	struct victims *v = n->arg;
	struct io_loop *l = n->s.loop;

	io_stream_again(&n->s);
	io_stream_close(&n->s);
	io_stream_close(&v->other->s);
	v->self = n;
	v->free_self.run = free_self;
	v->free_other.run = free_other;
	io_loop_defer(l, &v->free_self);
	io_loop_defer(l, &v->free_other);
}

static void again_first(struct near *n)
{
	n->on_received = NULL;
	io_stream_again(&n->s);
}

/* Two streams with news; the one that `arm` has prepared closes both in the
 * callback that the last two letters of `expected` name. */
static void close_inside(void (*arm)(struct near *n), const char *expected)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct victims v = { .other = calloc(1, sizeof(struct near)) };
	struct near *n = calloc(1, sizeof(*n));

	assert_non_null(n);
	assert_non_null(v.other);
	near_open(n, l, 'A', &t);
	near_open(v.other, l, 'B', &t);
	n->arg = &v;
	arm(n);
	write_all(v.other->far, "12", 2);
	run_until_settled(l);
	assert_string_equal(t.text, expected);
	io_loop_free(l);
}

static void arm_place(struct near *n)
{
	n->on_place = close_both;
	write_all(n->far, "1", 1);
}

static void arm_received(struct near *n)
{
	n->on_received = close_both;
	n->step = 1;
	write_all(n->far, "123", 3);
}

static void arm_again(struct near *n)
{
	n->on_received = again_first;
	n->on_again = close_both;
	write_all(n->far, "1", 1);
}

static void arm_sendable(struct near *n)
{
	char buffer[65536];

	n->on_sendable = close_both;
	fill(n);
	while (recv(n->far, buffer, sizeof(buffer), 0) > 0) {
	}
	write_all(n->far, "1", 1);
}

static void arm_ended(struct near *n)
{
	n->on_ended = close_both;
	shutdown(n->far, SHUT_WR);
}

static void any_callback_may_close(void **state)
{
	(void)state;
	close_inside(arm_place, "");
	close_inside(arm_received, "Ar");
	close_inside(arm_again, "ArBrAa");
	close_inside(arm_sendable, "As");
	close_inside(arm_ended, "Ae");
}

/* ---- by the guard ------------------------------------------------------- */

struct thief {
	struct io_msg steal;
	struct io_msg lay;
	struct near *near;
	int rounds;
};

/* At the end of a turn: a byte, of which the loop is told in the next. */
static void thief_lay(struct io_msg *m)
{
	struct thief *f = list_entry(m, struct thief, lay);

	if (f->near->ends == 0) {
		assert_true(f->rounds < 2 * IO_GUARD_REPORTS);
		write_all(f->near->far, "x", 1);
		f->rounds++;
		io_post(f->near->s.loop, &f->steal);
	}
}

/* Messages run before streams: takes the byte before the stream looks. */
static void thief_steal(struct io_msg *m)
{
	struct thief *f = list_entry(m, struct thief, steal);
	char c;

	assert_int_equal(recv(f->near->s.fd, &c, 1, 0), 1);
	io_loop_defer(f->near->s.loop, &f->lay);
}

static void reports_without_bytes_end_a_stream(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;
	struct thief f = {
		.steal.run = thief_steal,
		.lay.run = thief_lay,
		.near = n,
	};

	io_loop_defer(l, &f.lay);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "Ae");
	assert_int_equal(n->error, ELOOP);
	assert_in_range(f.rounds, IO_GUARD_REPORTS - 1, IO_GUARD_REPORTS + 1);
	assert_int_equal(counter_read(&io_loop_stats(l)->guard_closed), 1);
	write_all(n->far, "y", 1);
	assert_quiet(l);
}

static void progress_calms_the_guard(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->s.barren = IO_GUARD_REPORTS - 2;
	write_all(n->far, "x", 1);
	run_until_settled(l);
	assert_int_equal(n->used, 1);
	assert_int_equal(n->s.barren, 0);
}

/*
 * The kernel's own way to report an error for ever: with time stamps asked
 * for, each packet sent puts one on the error queue, which makes EPOLLERR,
 * though the socket has no error.  Datagrams, because they leave one by one
 * whatever the peer does.
 */
static int make_datagram_socket(struct sockaddr_in *self)
{
	socklen_t len = sizeof(*self);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memset(self, 0, sizeof(*self));
	self->sin_family = AF_INET;
	self->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(bind(fd, (struct sockaddr *)(void *)self, len), 0);
	assert_return_code(
		getsockname(fd, (struct sockaddr *)(void *)self, &len), 0);
	return fd;
}

static void near_open_datagrams(struct near *n, struct io_loop *l, char name,
				struct trace *t)
{
	struct sockaddr_in self;
	struct sockaddr_in other;
	int fd = make_datagram_socket(&self);
	int far = make_datagram_socket(&other);

	assert_return_code(connect(fd, (struct sockaddr *)(void *)&other,
				   sizeof(other)),
			   0);
	assert_return_code(connect(far, (struct sockaddr *)(void *)&self,
				   sizeof(self)),
			   0);
	near_init(n, l, name, t, fd, far);
}

static void ask_for_stamps(int fd)
{
	const int flags = SOF_TIMESTAMPING_TX_SOFTWARE |
			  SOF_TIMESTAMPING_SOFTWARE |
			  SOF_TIMESTAMPING_OPT_TSONLY;

	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &flags,
				      sizeof(flags)),
			   0);
}

struct stamper {
	struct io_timer timer;
	struct near *near;
	int sent;
};

static void stamp(struct io_timer *t)
{
	struct stamper *p = list_entry(t, struct stamper, timer);
	struct msghdr m = { .msg_iov = NULL };

	if (p->near->ends > 0 || p->near->s.fd < 0) {
		return;
	}
	/* Those of before, or the queue would be full. */
	while (recvmsg(p->near->s.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
	}
	/* Past the loop, which would count it as progress. */
	(void)send(p->near->s.fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	p->sent++;
	io_timer_set(p->near->s.loop, t, 0);
}

/* What made servers spin: told again and again of an error that is none. */
static void errors_that_are_none_end_a_paused_stream(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n;
	struct stamper p = { .near = &n };

	(void)state;
	near_open_datagrams(&n, l, 'A', &t);
	ask_for_stamps(n.s.fd);
	n.pause = true;
	n.stops = true;
	write_all(n.far, "x", 1);
	io_timer_init(&p.timer, stamp);
	io_timer_set(l, &p.timer, 0);
	run_until_stopped(l);
	io_timer_cancel(&p.timer);
	assert_string_equal(t.text, "Ae");
	assert_int_equal(n.error, ELOOP);
	assert_true(p.sent >= IO_GUARD_REPORTS);
	assert_int_equal(counter_read(&io_loop_stats(l)->guard_closed), 1);
	near_close(&n);
	io_loop_free(l);
}

/* One that was told of its end waits for room: it learns it by sending. */
static void the_guard_reaches_a_sender_that_has_ended(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	shutdown(n->far, SHUT_WR);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "Ae");
	fill(n);
	n->on_sendable = send_and_stop;
	n->s.barren = IO_GUARD_REPORTS - 1;
	close(n->far);
	n->far = -1;
	run_until_stopped(l);
	assert_string_equal(n->trace->text, "AeAs");
	assert_int_equal(n->error, ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NEAR_TEST(the_end_behind_the_last_bytes_is_seen),
		NEAR_TEST_TCP(the_same_over_tcp),
		NEAR_TEST(an_ended_stream_can_finish_sending),
		NEAR_TEST_TCP(a_reset_ends_a_reader),
		NEAR_TEST_TCP(a_reset_ends_a_paused_stream),
		NEAR_TEST_TCP(a_reset_reaches_a_sender),
		NEAR_TEST_TCP(a_reset_ends_a_sender_that_does_not_send),
		NEAR_TEST(bytes_before_a_hang_up_are_kept),
		NEAR_TEST(a_hang_up_without_bytes_ends_a_paused_stream),
		cmocka_unit_test(any_callback_may_close),
		NEAR_TEST(reports_without_bytes_end_a_stream),
		NEAR_TEST(progress_calms_the_guard),
		cmocka_unit_test(errors_that_are_none_end_a_paused_stream),
		NEAR_TEST(the_guard_reaches_a_sender_that_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
