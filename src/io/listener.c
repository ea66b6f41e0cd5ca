/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listening sockets.
 *
 * A paused listener is not registered with the kernel at all, so a storm of
 * connections costs nothing while none can be taken; being registered again
 * makes a fresh edge when connections wait.  That registration can be
 * refused (ENOMEM, ENOSPC), and a listener must not die of it: it is tried
 * once more in a turn of the loop, where the owner can be told by starved(),
 * and resumes again later.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/loop_inside.h"

/* Connections accepted before others have their turn. */
enum { ACCEPTS_PER_TURN = 64 };

enum listener_state {
	ACCEPTABLE = 1 << 0, /* connections may wait */
	PAUSED = 1 << 1,
	STARVED = 1 << 2, /* registration failed, to be tried once more */
	GUARDED = 1 << 3, /* the guard is to strike */
};

static bool has(const struct io_listener *l, unsigned bits)
{
	return (l->state & bits) == bits;
}

static void set(struct io_listener *l, unsigned bits)
{
	l->state = (uint8_t)(l->state | bits);
}

static void clear(struct io_listener *l, unsigned bits)
{
	l->state = (uint8_t)(l->state & ~bits);
}

static void queue(struct io_listener *l)
{
	if (list_empty(&l->ready)) {
		list_push_tail(&l->loop->listeners, &l->ready);
	}
}

static bool join(struct io_listener *l, int fd)
{
	return loop_join(l->loop, fd, EPOLLIN, l, KIND_LISTENER);
}

bool io_listener_open(struct io_listener *l, struct io_loop *loop, int fd,
		      const struct io_listener_ops *ops)
{
	l->ops = ops;
	l->loop = loop;
	l->state = 0;
	l->barren = 0;
	list_init(&l->ready);
	l->fd = join(l, fd) ? fd : -1;
	return l->fd >= 0;
}

void io_listener_pause(struct io_listener *l)
{
	if (l->fd < 0 || has(l, PAUSED)) {
		return;
	}
	loop_leave(l->loop, l->fd);
	list_remove(&l->ready);
	l->state = PAUSED;
}

void io_listener_resume(struct io_listener *l)
{
	if (l->fd < 0 || !has(l, PAUSED)) {
		return;
	}
	l->barren = 0;
	clear(l, PAUSED);
	if (!join(l, l->fd)) {
		set(l, STARVED);
		queue(l);
	}
}

void io_listener_close(struct io_listener *l)
{
	if (l->fd < 0) {
		return;
	}
	list_remove(&l->ready);
	loop_leave(l->loop, l->fd);
	close(l->fd);
	l->fd = -1;
	l->state = 0;
}

void listener_mark(struct io_listener *l, uint32_t events)
{
	bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
	bool known = !list_empty(&l->ready);

	set(l, ACCEPTABLE);
	if ((broken || !known) && loop_barren(&l->barren)) {
		set(l, GUARDED);
	}
	queue(l);
}

/*
 * Faults of one connection, or of the network it came from: accept(2) lists
 * them as reasons to try again.
 */
static bool is_passing(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
	case ETIMEDOUT:
		return true;
	default:
		return false;
	}
}

static void accept_one(struct io_listener *l)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	int fd = accept4(l->fd, (struct sockaddr *)(void *)&peer, &peer_len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		l->barren = 0;
		l->ops->accepted(l, fd, &peer, peer_len);
	} else if (errno == EAGAIN) {
		clear(l, ACCEPTABLE);
	} else if (!is_passing(errno)) {
		clear(l, ACCEPTABLE);
		l->ops->starved(l, errno);
	} else if (loop_barren(&l->barren)) {
		/* A thousand in a row: it does not pass. */
		set(l, GUARDED);
	}
}

static void strike(struct io_listener *l)
{
	counter_add(&l->loop->stats.guard_closed, 1);
	clear(l, GUARDED | ACCEPTABLE);
	l->ops->starved(l, ELOOP);
}

static void rejoin(struct io_listener *l)
{
	clear(l, STARVED);
	if (!join(l, l->fd)) {
		/* As after a pause, until it is resumed once more. */
		set(l, PAUSED);
		l->ops->starved(l, errno);
	}
}

void listener_turn(struct io_listener *l)
{
	if (has(l, STARVED)) {
		rejoin(l);
		return;
	}
	for (int i = 0; i < ACCEPTS_PER_TURN && has(l, ACCEPTABLE); i++) {
		if (has(l, GUARDED)) {
			strike(l);
			return;
		}
		accept_one(l);
	}
	if (has(l, ACCEPTABLE)) {
		queue(l);
	}
}
