/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor: a server that does no work.  It receives, counts line ends and
 * sends for each request a fixed reply as long as a real server's, from one
 * thread around epoll.  What it costs is what the kernel asks for moving the
 * bytes; no server that is built the same way can cost less, so a server's
 * own work is what it costs above this.
 *
 *	floor get VALUE_SIZE ITEMS	ITEMS values, then END, for each line
 *	floor set			STORED for each two lines
 *
 * It listens on a free port of 127.0.0.1, writes `port N` to standard output
 * and runs until a signal ends it.  The values are of the right length and
 * the wrong content, and no client may take them for a cache's.
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

#include "payload.h"

enum {
	EVENTS = 256,
	RECEIVE_BYTES = 64 * 1024,
	SEND_BYTES = 256 * 1024,
	VALUE_LIMIT = 1024 * 1024,
	ITEMS_LIMIT = 1000
};

struct server {
	int epoll_fd;
	int listen_fd;
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

static size_t reply_write(char *out, bool is_set, size_t size, size_t items)
{
	char *at = out;

	if (is_set) {
		memcpy(out, "STORED\r\n", 8);
		return 8;
	}
	for (size_t i = 0; i < items; i++) {
		at += sprintf(at, "VALUE %0*d 0 %zu\r\n", PAYLOAD_KEY_BYTES, 0,
			      size);
		memset(at, '.', size);
		at += size;
		memcpy(at, "\r\n", 2);
		at += 2;
	}
	memcpy(at, "END\r\n", 5);
	return (size_t)(at + 5 - out);
}

static void replies_prepare(struct server *s, bool is_set, size_t size,
			    size_t items)
{
	size_t one = 16 + items * (size + PAYLOAD_KEY_BYTES + 32);

	s->replies = malloc(SEND_BYTES + 2 * one);
	if (s->replies == NULL) {
		err(2, "replies");
	}
	s->reply_len = reply_write(s->replies, is_set, size, items);
	s->replies_len = s->reply_len;
	while (s->replies_len < SEND_BYTES) {
		memcpy(s->replies + s->replies_len, s->replies, s->reply_len);
		s->replies_len += s->reply_len;
	}
	s->lines_per_request = is_set ? 2 : 1;
}

static void server_listen(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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
	c->lines += lines_count(s->receive, (size_t)n);
	c->owed += c->lines / s->lines_per_request * s->reply_len;
	c->lines %= s->lines_per_request;
	return client_send(s, c);
}

static size_t size_parse(const char *text, size_t low, size_t high)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*text == '-' || end == text || *end != '\0' || n < low ||
	    n > high) {
		errx(2, "%s: from %zu to %zu", text, low, high);
	}
	return (size_t)n;
}

int main(int argc, char **argv)
{
	static struct server s;
	struct epoll_event events[EVENTS];

	if (argc == 4 && strcmp(argv[1], "get") == 0) {
		replies_prepare(&s, false, size_parse(argv[2], 0, VALUE_LIMIT),
				size_parse(argv[3], 1, ITEMS_LIMIT));
	} else if (argc == 2 && strcmp(argv[1], "set") == 0) {
		replies_prepare(&s, true, 0, 0);
	} else {
		errx(2, "usage: floor get VALUE_SIZE ITEMS | floor set");
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
