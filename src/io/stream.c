/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connected sockets.
 *
 * Edge-triggered reports are news, not states, so what they said is kept in
 * `state` until a system call has shown that it is no longer so: READABLE
 * until a receive finds the socket drained, SHORT until there is room.  A
 * receive that does not fill its room has drained the socket, unless the end
 * has been announced (HALF, BROKEN): the end makes no second edge, so then
 * receiving goes on until it is reached.
 *
 * A report counts as barren when it gives the stream something to look at
 * that was not known before; progress sets the count back to 0.  Data for a
 * stream that is paused or already waits for its turn is not such a report:
 * how often the peer's packets come is no sign of a fault of ours.
 */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "io/loop_inside.h"

enum stream_state {
	READABLE = 1 << 0, /* there may be bytes, or the end */
	HALF = 1 << 1,     /* the peer ends its side behind these bytes */
	BROKEN = 1 << 2,   /* an error or a hang-up has been reported */
	PAUSED = 1 << 3,   /* place() said 0 */
	SHORT = 1 << 4,    /* a send was short */
	ROOM = 1 << 5,     /* and there is room again */
	AGAIN = 1 << 6,    /* io_stream_again() */
	ENDED = 1 << 7,    /* ended() was called */
	GUARDED = 1 << 8,  /* the guard is to strike */
	CUT = 1 << 9,      /* the guard has struck */
	ARRIVED = 1 << 10, /* bytes wait to be handed over */
};

static bool has(const struct io_stream *s, unsigned bits)
{
	return (s->state & bits) == bits;
}

static void set(struct io_stream *s, unsigned bits)
{
	s->state = (uint16_t)(s->state | bits);
}

static void clear(struct io_stream *s, unsigned bits)
{
	s->state = (uint16_t)(s->state & ~bits);
}

bool io_stream_open(struct io_stream *s, struct io_loop *l, int fd,
		    const struct io_stream_ops *ops)
{
	s->ops = ops;
	s->loop = l;
	s->barren = 0;
	s->state = 0;
	list_init(&s->ready);
	s->fd = -1;
	if (!loop_join(l, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, s,
		       KIND_STREAM)) {
		return false;
	}
	s->fd = fd;
	return true;
}

void io_stream_close(struct io_stream *s)
{
	if (s->fd < 0) {
		return;
	}
	list_remove(&s->ready);
	loop_leave(s->loop, s->fd);
	close(s->fd);
	s->fd = -1;
	s->state = 0;
}

/* Is there something to do in a turn? */
static bool wants_turn(const struct io_stream *s)
{
	if ((s->state & (GUARDED | AGAIN)) != 0 || has(s, SHORT | ROOM)) {
		return true;
	}
	if (has(s, ENDED)) {
		return false;
	}
	return has(s, PAUSED) ? has(s, BROKEN) : has(s, READABLE);
}

static void queue(struct io_stream *s)
{
	if (s->fd >= 0 && list_empty(&s->ready) && wants_turn(s)) {
		list_push_tail(&s->loop->streams, &s->ready);
	}
}

void io_stream_resume(struct io_stream *s)
{
	clear(s, PAUSED);
	queue(s);
}

void io_stream_again(struct io_stream *s)
{
	if (s->fd >= 0) {
		set(s, AGAIN);
		queue(s);
	}
}

void stream_mark(struct io_stream *s, uint32_t events)
{
	bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
	bool known = has(s, PAUSED) || !list_empty(&s->ready);

	if (broken) {
		set(s, READABLE | BROKEN);
	}
	if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) {
		set(s, READABLE);
	}
	if ((events & EPOLLRDHUP) != 0) {
		set(s, HALF);
	}
	if (has(s, SHORT) && (broken || (events & EPOLLOUT) != 0)) {
		set(s, ROOM);
	}
	if ((broken || !known) && loop_barren(&s->barren)) {
		set(s, GUARDED);
	}
	queue(s);
}

static void end(struct io_stream *s, int error)
{
	s->barren = 0;
	set(s, ENDED);
	clear(s, READABLE | HALF | BROKEN);
	s->ops->ended(s, error);
}

/*
 * The guard strikes: the kernel no longer reports the descriptor, and its
 * owner is told.  One that was told of an end already learns it from its
 * next io_send(), which is asked for here if the owner waits for room.
 */
static void strike(struct io_stream *s)
{
	counter_add(&s->loop->stats.guard_closed, 1);
	loop_leave(s->loop, s->fd);
	clear(s, GUARDED);
	set(s, CUT);
	if (!has(s, ENDED)) {
		end(s, ELOOP);
	} else if (has(s, SHORT)) {
		clear(s, SHORT | ROOM);
		s->ops->sendable(s);
	}
}

static long receive_once(int fd, struct iovec *part, int parts)
{
	struct msghdr m = { .msg_iov = part, .msg_iovlen = (size_t)parts };
	long n;

	do {
		n = parts == 1 ? recv(fd, part[0].iov_base, part[0].iov_len,
				      MSG_DONTWAIT) :
				 recvmsg(fd, &m, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* The bytes that have arrived, 0 if there is nothing to hand over. */
static size_t receive(struct io_stream *s, unsigned slot)
{
	struct iovec part[2];
	int parts = s->ops->place(s, slot, part);
	size_t room;
	long n;

	if (s->fd < 0) {
		return 0;
	}
	if (parts == 0) {
		set(s, PAUSED);
		return 0;
	}
	room = part[0].iov_len + (parts == 2 ? part[1].iov_len : 0);
	/* A receive without room would look like the end of the stream. */
	check(room > 0);
	n = receive_once(s->fd, part, parts);
	if (n > 0) {
		s->barren = 0;
		if ((size_t)n < room && (s->state & (HALF | BROKEN)) == 0) {
			clear(s, READABLE);
		}
		return (size_t)n;
	}
	if (n == 0) {
		end(s, 0);
	} else if (errno == EAGAIN) {
		clear(s, READABLE | HALF | BROKEN);
	} else {
		end(s, errno);
	}
	return 0;
}

/*
 * An error or a hang-up while the owner does not receive: finds out, without
 * taking bytes, whether the stream has ended.  When bytes are still there
 * and no error is, they are the owner's, and the end will be found behind
 * them.
 */
static void probe(struct io_stream *s)
{
	int error = 0;
	socklen_t len = sizeof(error);
	char byte;
	long n;

	clear(s, BROKEN);
	set(s, HALF);
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
	    error != 0) {
		end(s, error);
		return;
	}
	n = recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0) {
		end(s, 0);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		end(s, errno);
	}
}

size_t stream_turn(struct io_stream *s, unsigned slot)
{
	size_t n = 0;

	if (has(s, GUARDED)) {
		strike(s);
		queue(s);
		return 0;
	}
	if (has(s, SHORT | ROOM)) {
		clear(s, SHORT | ROOM);
		s->ops->sendable(s);
		if (s->fd < 0) {
			return 0;
		}
	}
	if (has(s, AGAIN)) {
		clear(s, AGAIN);
		s->ops->again(s);
	} else if (has(s, ENDED)) {
		return 0;
	} else if (has(s, PAUSED)) {
		if (has(s, BROKEN)) {
			probe(s);
		}
	} else if (has(s, READABLE)) {
		n = receive(s, slot);
	}
	if (n == 0) {
		queue(s);
		return 0;
	}
	set(s, ARRIVED);
	return n;
}

void stream_announce(struct io_stream *s, unsigned slot, size_t n)
{
	if (has(s, ARRIVED) && s->ops->arrived != NULL) {
		s->ops->arrived(s, slot, n);
	}
}

void stream_hand_over(struct io_stream *s, unsigned slot, size_t n)
{
	if (!has(s, ARRIVED)) {
		return; /* closed since */
	}
	clear(s, ARRIVED);
	s->ops->received(s, slot, n);
	queue(s);
}

static long send_once(int fd, const struct iovec *part, int count)
{
	struct msghdr m = { .msg_iovlen = (size_t)count };
	long n;

	m.msg_iov = (struct iovec *)(uintptr_t)part; /* only read */
	do {
		n = count == 1 ? send(fd, part[0].iov_base, part[0].iov_len,
				      MSG_DONTWAIT | MSG_NOSIGNAL) :
				 sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

long io_send(struct io_stream *s, const struct iovec *part, int count)
{
	size_t total = 0;
	long n;

	check(count <= IOV_MAX);
	if (s->fd < 0) {
		return -EBADF;
	}
	if (has(s, CUT)) {
		return -ELOOP;
	}
	for (int i = 0; i < count; i++) {
		total += part[i].iov_len;
	}
	if (total == 0) {
		return 0;
	}
	n = send_once(s->fd, part, count);
	if (n < 0 && errno != EAGAIN) {
		return -errno;
	}
	if (n > 0) {
		s->barren = 0;
	} else {
		n = 0;
	}
	if ((size_t)n < total) {
		/* Room that was reported before this send is taken. */
		clear(s, ROOM);
		set(s, SHORT);
	}
	return n;
}
