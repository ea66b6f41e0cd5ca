/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Streams while they live: turns and their order, receiving in one part and
 * in two, pausing, sending more than the socket takes.
 */
#include <errno.h>
#include <stdlib.h>

#include "stream_fixture.h"

/* One report, one receive, and no second one to be told EAGAIN. */
static void a_short_receive_is_the_last(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	write_all(n->far, "get a\r\n", 7);
	run_until_settled(l);
	assert_memory_equal(n->bytes, "get a\r\n", 7);
	assert_int_equal(n->used, 7);
	assert_int_equal(n->places, 1);
	assert_string_equal(n->trace->text, "Ar");
}

/* When the room was filled exactly, only another receive can tell. */
static void a_full_receive_is_followed_by_another(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->step = 4;
	write_all(n->far, "12345678", 8);
	run_until_settled(l);
	assert_int_equal(n->used, 8);
	assert_int_equal(n->places, 3);
	assert_string_equal(n->trace->text, "ArAr");
	write_all(n->far, "9", 1);
	run_until_settled(l);
	assert_memory_equal(n->bytes, "123456789", 9);
}

static void two_parts_are_filled_in_order(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->step = 10;
	n->split = 3;
	write_all(n->far, "abcdefghijklm", 13);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "ArAr");
	assert_memory_equal(n->bytes, "abcdefghijklm", 13);
}

static void streams_take_turns(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		near_open(&n[i], l, (char)('A' + i), &t);
		n[i].step = 2;
		write_all(n[i].far, "123456", (size_t)(2 * i + 1));
	}
	run_until_settled(l);
	assert_string_equal(t.text, "ArBrCrBrCrCr");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(n[i].used, 2 * i + 1);
		near_close(&n[i]);
	}
	io_loop_free(l);
}

static void again_once(struct near *n)
{
	n->on_received = NULL;
	io_stream_again(&n->s);
	io_stream_again(&n->s);
}

/* Again goes to the back, takes the place of one receive, and what came in
 * the meantime is received after it. */
static void again_comes_behind_the_others(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		near_open(&n[i], l, (char)('A' + i), &t);
		n[i].step = 2;
		write_all(n[i].far, "123", 3);
	}
	n[0].on_received = again_once;
	run_until_settled(l);
	assert_string_equal(t.text, "ArBrAaBrAr");
	assert_int_equal(n[0].used, 3);
	near_close(&n[0]);
	near_close(&n[1]);
	io_loop_free(l);
}

static void note_ready(struct near *n)
{
	bool *ready = n->arg;

	io_stream_again(&n->s);
	*ready = io_loop_has_ready(n->s.loop);
	n->on_received = NULL;
}

static void a_stream_knows_whether_others_wait(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	bool first = false;
	bool second = true;
	struct near n[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		near_open(&n[i], l, (char)('A' + i), &t);
		n[i].on_received = note_ready;
		write_all(n[i].far, "1", 1);
	}
	n[0].arg = &first;
	n[1].arg = &second;
	run_until_settled(l);
	assert_string_equal(t.text, "ArBrAaBa");
	/* B's turn was still to come in A's, and A waited again in B's. */
	assert_true(first);
	assert_true(second);
	near_close(&n[0]);
	n[1].on_received = note_ready;
	write_all(n[1].far, "1", 1);
	run_until_settled(l);
	/* It waits only for itself. */
	assert_false(second);
	near_close(&n[1]);
	io_loop_free(l);
}

/* ---- batches ------------------------------------------------------------ */

enum { MANY = IO_BATCH + 3 };

/* Says in arrived() how many have arrived, and in received() that none does
 * after that. */
struct arrivals {
	unsigned arrived;
	unsigned received;
	unsigned arrived_at_first; /* when the first was handed its bytes */
	struct near *victim;       /* closed by the first, if given */
};

static void count_arrived(struct near *n)
{
	struct arrivals *a = n->arg;

	assert_int_equal(n->slot, a->arrived % IO_BATCH);
	a->arrived++;
}

static void count_received(struct near *n)
{
	struct arrivals *a = n->arg;

	if (a->received++ == 0) {
		a->arrived_at_first = a->arrived;
	}
	assert_true(a->received == MANY || io_loop_has_ready(n->s.loop));
	if (a->victim != NULL) {
		near_close(a->victim);
		a->victim = NULL;
	}
}

static void open_many(struct near *n, struct io_loop *l, struct trace *t,
		      struct arrivals *a)
{
	for (int i = 0; i < MANY; i++) {
		near_open(&n[i], l, (char)('A' + i), t);
		n[i].on_arrived = count_arrived;
		n[i].on_received = count_received;
		n[i].arg = a;
		write_all(n[i].far, "1", 1);
	}
}

static void streams_receive_in_batches(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct arrivals a = { .arrived = 0 };
	struct near n[MANY];

	(void)state;
	open_many(n, l, &t, &a);
	run_until_settled(l);
	assert_string_equal(t.text, "ArBrCrDrErFrGrHrIrJrKr");
	assert_int_equal(a.arrived_at_first, IO_BATCH);
	assert_int_equal(a.arrived, MANY);
	assert_int_equal(a.received, MANY);
	for (int i = 0; i < MANY; i++) {
		near_close(&n[i]);
	}
	io_loop_free(l);
}

static void who_closes_in_a_batch_is_handed_nothing(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n[MANY];
	struct arrivals a = { .victim = &n[2] };

	(void)state;
	open_many(n, l, &t, &a);
	a.received = 1; /* the victim's bytes will not be counted */
	run_until_settled(l);
	assert_string_equal(t.text, "ArBrDrErFrGrHrIrJrKr");
	for (int i = 0; i < MANY; i++) {
		near_close(&n[i]);
	}
	io_loop_free(l);
}

/* ---- pausing ------------------------------------------------------------ */

static void a_paused_stream_keeps_its_bytes(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->pause = true;
	write_all(n->far, "12", 2);
	run_until_settled(l);
	write_all(n->far, "34", 2);
	run_until_settled(l);
	assert_int_equal(n->places, 1);
	assert_string_equal(n->trace->text, "");
	n->pause = false;
	io_stream_resume(&n->s);
	run_until_settled(l);
	assert_string_equal(n->trace->text, "Ar");
	assert_memory_equal(n->bytes, "1234", 4);
	/* A resume without a pause changes nothing. */
	io_stream_resume(&n->s);
	run_until_settled(l);
	assert_int_equal(n->places, 2);
}

/* The peer may go on writing as often as it likes. */
static void packets_for_a_paused_stream_are_no_fault(void **state)
{
	struct near *n = *state;
	struct io_loop *l = n->s.loop;

	n->pause = true;
	for (int i = 0; i < IO_GUARD_REPORTS + 100; i++) {
		char c;

		write_all(n->far, "x", 1);
		run_until_settled(l);
		/* Taken away, or a small socket buffer would fill. */
		assert_int_equal(recv(n->s.fd, &c, 1, 0), 1);
	}
	assert_int_equal(n->ends, 0);
	assert_int_equal(counter_read(&io_loop_stats(l)->guard_closed), 0);
}

/* ---- sending ------------------------------------------------------------ */

enum { BULK = 4 * 1024 * 1024 };

struct bulk {
	char *out;
	size_t sent;
	int calls;
};

static void bulk_send(struct near *n)
{
	struct bulk *b = n->arg;
	struct iovec part[3];
	size_t left = BULK - b->sent;
	long taken;

	b->calls++;
	part[0] = (struct iovec){ b->out + b->sent, left / 3 };
	part[1] = (struct iovec){ b->out + b->sent + left / 3, left / 3 };
	part[2].iov_base = b->out + b->sent + 2 * (left / 3);
	part[2].iov_len = left - 2 * (left / 3);
	taken = io_send(&n->s, part, 3);
	assert_true(taken >= 0);
	b->sent += (size_t)taken;
}

/* Sends a lot to a peer that reads in between; all of it arrives. */
static void send_bulk(struct near *n, struct io_loop *l)
{
	struct bulk b = { .out = malloc(BULK) };
	char *in = malloc(BULK);
	size_t got = 0;

	assert_non_null(b.out);
	assert_non_null(in);
	for (size_t i = 0; i < BULK; i++) {
		b.out[i] = (char)(i * 31 + i / 251);
	}
	n->arg = &b;
	n->on_sendable = bulk_send;
	bulk_send(n);
	assert_true(b.sent > 0 && b.sent < BULK);
	run_until_settled(l);
	/* No room, no call. */
	assert_int_equal(b.calls, 1);
	while (got < BULK) {
		ssize_t len = recv(n->far, in + got, BULK - got, MSG_DONTWAIT);

		if (len > 0) {
			got += (size_t)len;
		} else {
			assert_int_equal(errno, EAGAIN);
		}
		run_until_settled(l);
	}
	assert_memory_equal(in, b.out, BULK);
	assert_int_equal(b.sent, BULK);
	assert_true(b.calls > 1);
	free(b.out);
	free(in);
}

static void what_was_short_is_sent_when_there_is_room(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n;

	(void)state;
	near_open(&n, l, 'A', &t);
	send_bulk(&n, l);
	near_close(&n);
	t.len = 0;
	near_open_tcp(&n, l, 'A', &t);
	send_bulk(&n, l);
	near_close(&n);
	io_loop_free(l);
}

static void sending_has_precedence_over_receiving(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct bulk b = { .out = calloc(1, BULK) };
	struct near n;
	char buffer[65536];

	(void)state;
	near_open(&n, l, 'A', &t);
	n.arg = &b;
	run_until_settled(l);
	bulk_send(&n);
	while (recv(n.far, buffer, sizeof(buffer), 0) > 0) {
	}
	write_all(n.far, "1", 1);
	run_until_settled(l);
	assert_string_equal(t.text, "AsAr");
	near_close(&n);
	free(b.out);
	io_loop_free(l);
}

struct filler {
	struct io_msg msg;
	struct near *near;
};

static void filler_run(struct io_msg *m)
{
	bulk_send(list_entry(m, struct filler, msg)->near);
}

/* Room is reported, and taken before the stream's turn comes. */
static void room_that_is_gone_is_not_announced(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct bulk b = { .out = calloc(1, BULK) };
	struct near n;
	struct filler f = { .msg.run = filler_run, .near = &n };
	char buffer[65536];

	(void)state;
	near_open(&n, l, 'A', &t);
	n.arg = &b;
	bulk_send(&n);
	while (recv(n.far, buffer, sizeof(buffer), 0) > 0) {
	}
	io_post(l, &f.msg);
	run_until_settled(l);
	assert_int_equal(b.calls, 2);
	assert_true(b.sent < BULK);
	assert_string_equal(t.text, "");
	while (recv(n.far, buffer, sizeof(buffer), 0) > 0) {
	}
	run_until_settled(l);
	assert_string_equal(t.text, "As");
	near_close(&n);
	free(b.out);
	io_loop_free(l);
}

static void nothing_can_be_sent_to_a_closed_stream(void **state)
{
	struct io_loop *l = io_loop_new();
	struct trace t = { .len = 0 };
	struct near n;
	char byte = 'x';
	struct iovec part = { &byte, 1 };

	(void)state;
	near_open(&n, l, 'A', &t);
	assert_int_equal(io_send(&n.s, &part, 0), 0);
	assert_int_equal(io_send(&n.s, &part, 1), 1);
	close(n.far);
	n.far = -1;
	assert_int_equal(io_send(&n.s, &part, 1), -EPIPE);
	io_stream_close(&n.s);
	assert_int_equal(io_send(&n.s, &part, 1), -EBADF);
	io_stream_again(&n.s);
	io_stream_resume(&n.s);
	io_stream_close(&n.s);
	run_until_settled(l);
	assert_string_equal(t.text, "");
	io_loop_free(l);
}

/* The kernel's refusal leaves the descriptor with the caller. */
static void a_file_is_no_stream(void **state)
{
	struct io_loop *l = io_loop_new();
	char path[] = "/tmp/dozo-file-XXXXXX";
	int fd = mkstemp(path);
	struct io_stream s;

	(void)state;
	assert_return_code(fd, 0);
	unlink(path);
	errno = 0;
	assert_false(io_stream_open(&s, l, fd, &near_ops));
	assert_int_equal(errno, EPERM);
	io_stream_close(&s);
	assert_return_code(close(fd), 0);
	io_loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NEAR_TEST(a_short_receive_is_the_last),
		NEAR_TEST(a_full_receive_is_followed_by_another),
		NEAR_TEST(two_parts_are_filled_in_order),
		cmocka_unit_test(streams_take_turns),
		cmocka_unit_test(again_comes_behind_the_others),
		cmocka_unit_test(a_stream_knows_whether_others_wait),
		cmocka_unit_test(streams_receive_in_batches),
		cmocka_unit_test(who_closes_in_a_batch_is_handed_nothing),
		NEAR_TEST(a_paused_stream_keeps_its_bytes),
		NEAR_TEST(packets_for_a_paused_stream_are_no_fault),
		cmocka_unit_test(what_was_short_is_sent_when_there_is_room),
		cmocka_unit_test(sending_has_precedence_over_receiving),
		cmocka_unit_test(room_that_is_gone_is_not_announced),
		cmocka_unit_test(nothing_can_be_sent_to_a_closed_stream),
		cmocka_unit_test(a_file_is_no_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
