/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw sockets and the waiting client of the chaos programs; see the header.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dialer.h"

#define SOURCE_NET UINT32_C(0x7f000101) /* 127.0.1.1 */

int dialer_open(uint16_t port, uint64_t source, int rcvbuf_bytes)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET };
	int one = 1;
	int saved;
	int fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	from.sin_addr.s_addr =
		htonl(SOURCE_NET + (uint32_t)(source % DIALER_SOURCES));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(port);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (rcvbuf_bytes > 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf_bytes,
			   sizeof(rcvbuf_bytes));
	}
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ||
	     errno == EINPROGRESS)) {
		return fd;
	}
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

bool dialer_wait(int fd, unsigned int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t size = sizeof(int);
	int error = 0;

	if (poll(&pfd, 1, (int)timeout_ms) != 1) {
		return false;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	return error == 0;
}

void dialer_reset(int fd)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

bool talk_open(struct talk *talk, uint16_t port, unsigned int timeout_ms)
{
	talk->used = 0;
	talk->timeout_ms = timeout_ms;
	talk->fd = dialer_open(port, 0, 0);
	if (talk->fd < 0) {
		return false;
	}
	if (!dialer_wait(talk->fd, timeout_ms)) {
		talk_close(talk);
		return false;
	}
	return true;
}

void talk_close(struct talk *talk)
{
	if (talk->fd >= 0) {
		close(talk->fd);
	}
	talk->fd = -1;
}

bool talk_send(struct talk *talk, const void *data, size_t size)
{
	const char *from = data;

	while (size > 0) {
		struct pollfd pfd = { .fd = talk->fd, .events = POLLOUT };
		ssize_t sent;

		if (poll(&pfd, 1, (int)talk->timeout_ms) != 1) {
			return false;
		}
		sent = send(talk->fd, from, size, MSG_NOSIGNAL);
		if (sent < 0) {
			return false;
		}
		from += sent;
		size -= (size_t)sent;
	}
	return true;
}

bool talk_say(struct talk *talk, const char *format, ...)
{
	char text[1024];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return length > 0 && (size_t)length < sizeof(text) &&
	       talk_send(talk, text, (size_t)length);
}

/* Waits for more bytes; false on end, error, timeout or a full buffer. */
static bool talk_fill(struct talk *talk)
{
	struct pollfd pfd = { .fd = talk->fd, .events = POLLIN };
	ssize_t got;

	if (talk->used == sizeof(talk->buf) ||
	    poll(&pfd, 1, (int)talk->timeout_ms) != 1) {
		return false;
	}
	got = recv(talk->fd, talk->buf + talk->used,
		   sizeof(talk->buf) - talk->used, 0);
	if (got <= 0) {
		return false;
	}
	talk->used += (size_t)got;
	return true;
}

static void talk_consume(struct talk *talk, size_t size)
{
	talk->used -= size;
	memmove(talk->buf, talk->buf + size, talk->used);
}

bool talk_line(struct talk *talk, char *line, size_t size)
{
	for (;;) {
		const char *end = memchr(talk->buf, '\n', talk->used);
		size_t length;

		if (end == NULL) {
			if (!talk_fill(talk)) {
				return false;
			}
			continue;
		}
		length = (size_t)(end - talk->buf) + 1;
		if (length > size || length < 2 || end[-1] != '\r') {
			return false;
		}
		memcpy(line, talk->buf, length - 2);
		line[length - 2] = '\0';
		talk_consume(talk, length);
		return true;
	}
}

bool talk_bytes(struct talk *talk, void *data, size_t size)
{
	char *to = data;

	while (size > 0) {
		size_t part = talk->used < size ? talk->used : size;

		memcpy(to, talk->buf, part);
		talk_consume(talk, part);
		to += part;
		size -= part;
		if (size > 0 && !talk_fill(talk)) {
			return false;
		}
	}
	return true;
}

bool talk_expect(struct talk *talk, const char *line, const char *reply)
{
	char got[1024];

	if (!talk_say(talk, "%s\r\n", line)) {
		fprintf(stderr, "could not send: %s\n", line);
		return false;
	}
	if (!talk_line(talk, got, sizeof(got))) {
		fprintf(stderr, "no reply to: %s\n", line);
		return false;
	}
	if (strcmp(got, reply) != 0) {
		fprintf(stderr, "%s: got %s, not %s\n", line, got, reply);
		return false;
	}
	return true;
}

bool talk_store(struct talk *talk, const char *key, size_t size, char fill)
{
	char line[64];
	bool stored;
	char *data = malloc(size + 2);

	if (data == NULL) {
		return false;
	}
	memset(data, fill, size);
	memcpy(data + size, "\r\n", 2);
	stored = talk_say(talk, "set %s 0 0 %zu\r\n", key, size) &&
		 talk_send(talk, data, size + 2) &&
		 talk_line(talk, line, sizeof(line)) &&
		 strcmp(line, "STORED") == 0;
	free(data);
	return stored;
}

bool talk_stat(struct talk *talk, const char *name, uint64_t *number)
{
	char line[512];
	char want[128];
	bool found = false;
	size_t length;

	length = (size_t)snprintf(want, sizeof(want), "STAT %s ", name);
	if (length >= sizeof(want) || !talk_say(talk, "stats\r\n")) {
		return false;
	}
	while (talk_line(talk, line, sizeof(line))) {
		if (strcmp(line, "END") == 0) {
			return found;
		}
		if (strncmp(line, want, length) == 0) {
			*number = strtoull(line + length, NULL, 10);
			found = true;
		}
	}
	return false;
}

/* The line that comes next is `wanted`. */
static bool talk_next_is(struct talk *talk, const char *wanted)
{
	char line[256];

	return talk_line(talk, line, sizeof(line)) && strcmp(line, wanted) == 0;
}

bool talk_works(uint16_t port)
{
	struct talk talk;
	bool works;

	if (!talk_open(&talk, port, 60000)) {
		return false;
	}
	works = talk_store(&talk, "talk_works", 5, 'w') &&
		talk_expect(&talk, "get talk_works", "VALUE talk_works 0 5") &&
		talk_next_is(&talk, "wwwww") && talk_next_is(&talk, "END") &&
		talk_expect(&talk, "delete talk_works", "DELETED");
	talk_close(&talk);
	return works;
}
