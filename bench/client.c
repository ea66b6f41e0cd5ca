/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One connection to a memcached-protocol server.  See client.h.
 */
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

enum {
	SILENCE_MS = 10000,
	IN_BYTES = 256 * 1024, /* room to receive into, at least */
	LINE_LIMIT = 1024      /* no line of a reply is longer */
};

void client_open(struct client *c, struct items *items, unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1;

	memset(c, 0, sizeof(*c));
	c->items = items;
	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) !=
		    0) {
		err(2, "connect to port %u", port);
	}
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->out);
	free(c->in);
}

/* ---- Requests --------------------------------------------------------- */

/* Room for `len` bytes more in a buffer that holds `used`. */
static void room(char **buffer, size_t *size, size_t used, size_t len)
{
	if (*size - used < len) {
		*size = 2 * *size > used + len ? 2 * *size : used + len;
		*buffer = realloc(*buffer, *size);
		if (*buffer == NULL) {
			err(2, "memory");
		}
	}
}

static void append(struct client *c, const char *bytes, size_t len)
{
	memcpy(c->out + c->out_len, bytes, len);
	c->out_len += len;
}

void client_set(struct client *c, uint64_t number, unsigned ttl_s)
{
	size_t size = item_size(c->items, number);

	room(&c->out, &c->out_size, c->out_len, size + LINE_LIMIT);
	append(c, "set ", 4);
	item_key_write(number, c->out + c->out_len);
	c->out_len += ITEM_KEY_BYTES;
	c->out_len += (size_t)snprintf(c->out + c->out_len, LINE_LIMIT / 2,
				       " 0 %u %zu\r\n", ttl_s, size);
	append(c, item_value(c->items, number), size);
	append(c, "\r\n", 2);
}

void client_get(struct client *c, const uint64_t *numbers, size_t count)
{
	room(&c->out, &c->out_size, c->out_len,
	     16 + count * (ITEM_KEY_BYTES + 1));
	append(c, "get", 3);
	for (size_t i = 0; i < count; i++) {
		append(c, " ", 1);
		item_key_write(numbers[i], c->out + c->out_len);
		c->out_len += ITEM_KEY_BYTES;
	}
	append(c, "\r\n", 2);
}

/* ---- Replies ---------------------------------------------------------- */

static void send_some(struct client *c)
{
	ssize_t n = send(c->fd, c->out + c->out_pos, c->out_len - c->out_pos,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN) {
		err(1, "the server does not take requests");
	}
	c->out_pos += n > 0 ? (size_t)n : 0;
	if (c->out_pos == c->out_len) {
		c->out_pos = 0;
		c->out_len = 0;
	}
}

static void receive_some(struct client *c)
{
	ssize_t n;

	if (c->in_pos > 0) {
		c->in_len -= c->in_pos;
		memmove(c->in, c->in + c->in_pos, c->in_len);
		c->in_pos = 0;
	}
	room(&c->in, &c->in_size, c->in_len, IN_BYTES);
	n = recv(c->fd, c->in + c->in_len, c->in_size - c->in_len,
		 MSG_DONTWAIT);
	if (n == 0) {
		errx(1, "the server closed the connection");
	}
	if (n < 0 && errno != EAGAIN) {
		err(1, "receive");
	}
	c->in_len += n > 0 ? (size_t)n : 0;
}

/* Waits until there is more to read, and sends meanwhile. */
static void more(struct client *c)
{
	size_t before = c->in_len - c->in_pos;

	while (c->in_len - c->in_pos == before) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };

		if (c->out_len > 0) {
			send_some(c);
		}
		if (c->out_len > 0) {
			p.events |= POLLOUT;
		}
		if (poll(&p, 1, SILENCE_MS) == 0) {
			errx(1, "no reply for %d ms", SILENCE_MS);
		}
		if ((p.revents & ~POLLOUT) != 0) {
			receive_some(c);
		}
	}
}

static __attribute__((noreturn)) void complain(const struct client *c,
					       const char *what)
{
	size_t len = c->in_len - c->in_pos;

	fprintf(stderr, "wrong reply to %s: ", what);
	for (size_t i = 0; i < len && i < 200; i++) {
		char byte = c->in[c->in_pos + i];

		if (byte >= ' ' && byte <= '~') {
			fputc(byte, stderr);
		} else {
			fprintf(stderr, "\\x%02x", (unsigned char)byte);
		}
	}
	fputc('\n', stderr);
	exit(1);
}

/* Makes `len` unread bytes available. */
static const char *peek(struct client *c, size_t len)
{
	while (c->in_len - c->in_pos < len) {
		more(c);
	}
	return c->in + c->in_pos;
}

/* The next line, with its end; it stays unread. */
static const char *peek_line(struct client *c, size_t *len)
{
	for (;;) {
		size_t have = c->in_len - c->in_pos;
		char *at = c->in + c->in_pos;
		char *end = have > 0 ? memchr(at, '\n', have) : NULL;

		if (end != NULL) {
			*len = (size_t)(end - at) + 1;
			return at;
		}
		if (have > LINE_LIMIT) {
			complain(c, "a request (no end of line)");
		}
		more(c);
	}
}

static bool is_line(const char *line, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(line, text, len) == 0;
}

static bool starts(const char *line, size_t len, const char *text)
{
	return len >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

bool client_set_reply(struct client *c)
{
	size_t len;
	const char *line = peek_line(c, &len);
	bool stored = is_line(line, len, "STORED\r\n");

	if (!stored && !starts(line, len, "SERVER_ERROR ")) {
		complain(c, "set");
	}
	c->in_pos += len;
	return stored;
}

/* Takes the item `number` off the input if it is what comes next. */
static bool item_take(struct client *c, uint64_t number)
{
	char head[LINE_LIMIT] = "VALUE ";
	size_t at = strlen(head);
	size_t size = item_size(c->items, number);
	const char *in;

	item_key_write(number, head + at);
	at += ITEM_KEY_BYTES;
	in = peek(c, at);
	if (memcmp(in, head, at) != 0) {
		return false;
	}
	at += (size_t)snprintf(head + at, sizeof(head) - at, " 0 %zu\r\n",
			       size);
	in = peek(c, at + size + 2);
	if (memcmp(in, head, at) != 0 ||
	    memcmp(in + at, item_value(c->items, number), size) != 0 ||
	    memcmp(in + at + size, "\r\n", 2) != 0) {
		complain(c, "get");
	}
	c->in_pos += at + size + 2;
	return true;
}

size_t client_get_reply(struct client *c, const uint64_t *numbers, size_t count,
			bool *hit)
{
	size_t hits = 0;
	size_t len;
	const char *line = peek_line(c, &len);

	for (size_t i = 0; i < count; i++) {
		hit[i] = starts(line, len, "VALUE ") &&
			 item_take(c, numbers[i]);
		if (hit[i]) {
			hits++;
			line = peek_line(c, &len);
		}
	}
	if (!is_line(line, len, "END\r\n")) {
		complain(c, "get");
	}
	c->in_pos += len;
	return hits;
}
