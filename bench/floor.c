/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: a server that does no work.  It receives, counts line ends and
 * sends for each request one fixed reply, from one thread around epoll.  What
 * it costs is what the kernel asks for moving the bytes; no server that is
 * built the same way can cost less, so a server's own work is what it costs
 * above this.
 *
 *	floor PORT LINES	LINES of a request: 1 for get, 2 for set
 *
 * The reply is a real one: the first request goes on to the server at PORT
 * of 127.0.0.1, and its reply is repeated from then on.  So a load that asks
 * for one hot key gets true replies, and may check them.
 *
 * It listens on a free port of 127.0.0.1, writes `port N` to standard output
 * and runs until a signal ends it.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	EVENTS = 256,
	RECEIVE_BYTES = 64 * 1024,
	SEND_BYTES = 256 * 1024,
	REPLY_LIMIT = 64 * 1024
};

struct server {
	int epoll_fd;
	int listen_fd;
	uint16_t real_port;
	unsigned lines_per_request;
	size_t reply_len;
	size_t replies_len; /* the reply repeated; at least SEND_BYTES */
	char *replies;
	char receive[RECEIVE_BYTES];
};

struct client {
	int fd;
	unsigned lines; /* of a request that is not complete */
	size_t owed;    /* bytes of replies still to send */
	size_t phase;   /* where in a reply the next byte stands */
	bool waiting;   /* for room in the socket */
};

static void address_set(struct sockaddr_in *a, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_port = htons(port);
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static bool ends_with(const char *text, size_t len, const char *end)
{
	return len >= strlen(end) &&
	       memcmp(text + len - strlen(end), end, strlen(end)) == 0;
}

/* Asks the real server; the length of its reply. */
static size_t reply_fetch(const struct server *s, const char *request,
			  size_t len, char *reply)
{
	struct sockaddr_in a;
	size_t have = 0;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address_set(&a, s->real_port);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len) {
		err(2, "the real server");
	}
	while (!ends_with(reply, have, "END\r\n") &&
	       !ends_with(reply, have, "STORED\r\n")) {
		ssize_t n = recv(fd, reply + have, REPLY_LIMIT - have, 0);

		if (n <= 0) {
			errx(2, "no reply that ends in END or STORED");
		}
		have += (size_t)n;
	}
	close(fd);
	return have;
}

/* Learns the reply to the first request of `in`, if it is complete. */
static void reply_learn(struct server *s, const char *in, size_t len)
{
	unsigned lines = 0;
	size_t end = 0;

	while (end < len && lines < s->lines_per_request) {
		lines += in[end++] == '\n';
	}
	if (lines < s->lines_per_request) {
		errx(2, "the first request came in pieces");
	}
	s->replies = malloc(SEND_BYTES + REPLY_LIMIT);
	if (s->replies == NULL) {
		err(2, "replies");
	}
	s->reply_len = reply_fetch(s, in, end, s->replies);
	s->replies_len = s->reply_len;
	while (s->replies_len < SEND_BYTES) {
		memcpy(s->replies + s->replies_len, s->replies, s->reply_len);
		s->replies_len += s->reply_len;
	}
}

static void server_listen(struct server *s)
{
	struct sockaddr_in a;
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	socklen_t len = sizeof(a);

	address_set(&a, 0);
	s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	s->epoll_fd = epoll_create1(0);
	if (s->listen_fd < 0 || s->epoll_fd < 0 ||
	    bind(s->listen_fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(s->listen_fd, 1024) != 0 ||
	    getsockname(s->listen_fd, (struct sockaddr *)&a, &len) != 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) != 0) {
		err(2, "listen");
	}
	printf("port %u\n", (unsigned)ntohs(a.sin_port));
	fflush(stdout);
}

static void server_accept(struct server *s)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct client *c;
	int one = 1;
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK);

	if (fd < 0) {
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		err(2, "client");
	}
	c->fd = fd;
	ev.data.ptr = c;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
	    epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		err(2, "client");
	}
}

static void client_close(struct client *c)
{
	close(c->fd);
	free(c);
}

static unsigned lines_count(const char *p, size_t len)
{
	const char *end = p + len;
	unsigned lines = 0;

	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		lines++;
		p++;
	}
	return lines;
}

static void client_wait(struct server *s, struct client *c, bool waiting)
{
	struct epoll_event ev = { .events = waiting ? EPOLLOUT : EPOLLIN,
				  .data.ptr = c };

	if (c->waiting != waiting) {
		c->waiting = waiting;
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) != 0) {
			err(2, "epoll_ctl");
		}
	}
}

/* Sends what is owed; false when the connection is lost. */
static bool client_send(struct server *s, struct client *c)
{
	while (c->owed > 0) {
		size_t len = s->replies_len - c->phase;
		ssize_t n;

		len = len < c->owed ? len : c->owed;
		n = send(c->fd, s->replies + c->phase, len, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno == EAGAIN) {
				break;
			}
			return false;
		}
		c->owed -= (size_t)n;
		c->phase = (c->phase + (size_t)n) % s->reply_len;
	}
	client_wait(s, c, c->owed > 0);
	return true;
}

static bool client_turn(struct server *s, struct client *c)
{
	ssize_t n;

	if (c->waiting) {
		return client_send(s, c);
	}
	n = recv(c->fd, s->receive, sizeof(s->receive), 0);
	if (n <= 0) {
		return n < 0 && errno == EAGAIN;
	}
	if (s->replies == NULL) {
		reply_learn(s, s->receive, (size_t)n);
	}
	c->lines += lines_count(s->receive, (size_t)n);
	c->owed += c->lines / s->lines_per_request * s->reply_len;
	c->lines %= s->lines_per_request;
	return client_send(s, c);
}

int main(int argc, char **argv)
{
	static struct server s;
	struct epoll_event events[EVENTS];
	char after;

	if (argc != 3 || sscanf(argv[1], "%hu%c", &s.real_port, &after) != 1 ||
	    sscanf(argv[2], "%u%c", &s.lines_per_request, &after) != 1 ||
	    s.lines_per_request < 1) {
		errx(2, "usage: floor PORT LINES");
	}
	server_listen(&s);
	for (;;) {
		int n = epoll_wait(s.epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c == NULL) {
				server_accept(&s);
			} else if (!client_turn(&s, c)) {
				client_close(c);
			}
		}
		if (n < 0 && errno != EINTR) {
			err(2, "epoll_wait");
		}
	}
}
