/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The floor on io_uring: what moving the bytes costs with a ring, beside
 * epoll in the same program.  Both receive, count line ends and send for each
 * request one fixed reply, all that a receive has asked for in one send.
 *
 *	floor_uring epoll PORT
 *	floor_uring TRICK[,TRICK...] PORT
 *
 * The reply is a real one: the first request, one line, goes on to the server
 * at PORT of 127.0.0.1, and its reply is repeated from then on; so a load on
 * one hot key may check what it gets.  The tricks of the ring:
 *
 *	plain		none: default flags, one receive at a time into a
 *			buffer of the connection's, sends through the ring
 *	coop		IORING_SETUP_COOP_TASKRUN
 *	defer		SINGLE_ISSUER and DEFER_TASKRUN
 *	multishot	one receive for the life of a connection, into
 *			buffers that are provided in a ring
 *	files		registered files: accepted as direct descriptors
 *	direct		replies go by send(), at once; not with `files`
 *	skip		a send that the socket takes at once and whole makes
 *			no completion; with `defer`, so that the others' come
 *			before anything else of the connection
 *	zerocopy	sends without a copy
 *
 * Linux 6.1 and liburing 2.3 have them all.  It listens on a free port of
 * 127.0.0.1, writes `port N` to standard output and runs until a signal ends
 * it.
 */
#include <err.h>
#include <errno.h>
#include <liburing.h>
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
	REPLY_LIMIT = 64 * 1024,
	QUEUE = 4096,
	FILES = 16384,
	BUFFERS = 256, /* a power of two */
	BUFFER_BYTES = 4096,
	BUFFER_GROUP = 1
};

enum trick {
	PLAIN = 0,
	COOP = 1 << 0,
	DEFER = 1 << 1,
	MULTISHOT = 1 << 2,
	FIXED = 1 << 3,
	DIRECT = 1 << 4,
	SKIP = 1 << 5,
	ZEROCOPY = 1 << 6,
	EPOLL = 1 << 7 /* no ring at all */
};

/* What a completion is about: the low bits of the pointer it carries. */
enum kind {
	KIND_ACCEPT,
	KIND_RECV,
	KIND_SEND,
	KIND_SHORT, /* a send with SKIP that was not all taken */
	KIND_CLOSE,
	KIND_MASK = 7
};

struct server {
	int listen_fd;
	uint16_t real_port;
	unsigned tricks;
	size_t reply_len;
	size_t replies_len; /* the reply repeated; at least SEND_BYTES */
	char *replies;
	int epoll_fd;
	struct io_uring ring;
	struct client *due; /* who gets a send at the end of the batch */
	struct io_uring_buf_ring *buffers;
	char *buffer_bytes;
};

struct client {
	int fd;             /* or the number of a direct descriptor */
	size_t owed;        /* bytes of replies still to send */
	size_t phase;       /* where in a reply the next byte stands */
	size_t skipped;     /* length of the last send with SKIP */
	unsigned under_way; /* completions still to come */
	bool sending;
	bool lost;
	char *receive; /* without multishot */
	struct client *next_due;
	bool is_due;
};

static void address_set(struct sockaddr_in *a, uint16_t port)
{
	memset(a, 0, sizeof(*a));
	a->sin_family = AF_INET;
	a->sin_port = htons(port);
	a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
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
	while (have < 5 || memcmp(reply + have - 5, "END\r\n", 5) != 0) {
		ssize_t n = recv(fd, reply + have, REPLY_LIMIT - have, 0);

		if (n <= 0) {
			errx(2, "no reply that ends in END");
		}
		have += (size_t)n;
	}
	close(fd);
	return have;
}

/* Learns the reply to the first request of `in`. */
static void reply_learn(struct server *s, const char *in, size_t len)
{
	const char *end = memchr(in, '\n', len);
	size_t filled;

	if (end == NULL) {
		errx(2, "the first request came in pieces");
	}
	s->replies = malloc(SEND_BYTES + REPLY_LIMIT);
	if (s->replies == NULL) {
		err(2, "replies");
	}
	s->reply_len = reply_fetch(s, in, (size_t)(end + 1 - in), s->replies);
	for (filled = s->reply_len; filled < SEND_BYTES;
	     filled += s->reply_len) {
		memcpy(s->replies + filled, s->replies, s->reply_len);
	}
	s->replies_len = filled;
}

static int listen_any(void)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	address_set(&a, 0);
	/* What is accepted inherits TCP_NODELAY. */
	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
	    bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
		err(2, "listen");
	}
	printf("port %u\n", (unsigned)ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static struct client *client_new(int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err(2, "client");
	}
	c->fd = fd;
	return c;
}

/* Requests have come: their replies are owed. */
static void client_ask(struct server *s, struct client *c, const char *in,
		       size_t len)
{
	const char *end = in + len;

	if (s->replies == NULL) {
		reply_learn(s, in, len);
	}
	while ((in = memchr(in, '\n', (size_t)(end - in))) != NULL) {
		c->owed += s->reply_len;
		in++;
	}
}

static size_t send_len(const struct server *s, const struct client *c)
{
	size_t len = s->replies_len - c->phase;

	return len < c->owed ? len : c->owed;
}

static void client_sent(struct server *s, struct client *c, size_t n)
{
	c->owed -= n;
	c->phase = (c->phase + n) % s->reply_len;
}

/* What the socket takes; false when the connection is lost. */
static bool client_send_now(struct server *s, struct client *c)
{
	ssize_t n = send(c->fd, s->replies + c->phase, send_len(s, c),
			 MSG_NOSIGNAL);

	if (n < 0) {
		return errno == EAGAIN;
	}
	client_sent(s, c, (size_t)n);
	return true;
}

/* ---- epoll -------------------------------------------------------------- */

static void epoll_set(struct server *s, int how, int fd, uint32_t events,
		      struct client *c)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(s->epoll_fd, how, fd, &ev) != 0) {
		err(2, "epoll_ctl");
	}
}

static void epoll_accept(struct server *s)
{
	int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK);

	if (fd >= 0) {
		epoll_set(s, EPOLL_CTL_ADD, fd, EPOLLIN, client_new(fd));
	}
}

static bool epoll_turn(struct server *s, struct client *c, char *in)
{
	if (!c->sending) {
		ssize_t n = recv(c->fd, in, RECEIVE_BYTES, 0);

		if (n <= 0) {
			return n < 0 && errno == EAGAIN;
		}
		client_ask(s, c, in, (size_t)n);
	}
	/* Twice, if the replies must be begun again from the front. */
	for (int i = 0; i < 2 && c->owed > 0; i++) {
		if (!client_send_now(s, c)) {
			return false;
		}
	}
	if (c->sending != (c->owed > 0)) {
		c->sending = c->owed > 0;
		epoll_set(s, EPOLL_CTL_MOD, c->fd,
			  c->sending ? EPOLLOUT : EPOLLIN, c);
	}
	return true;
}

static void __attribute__((noreturn)) epoll_serve(struct server *s)
{
	static char in[RECEIVE_BYTES];
	struct epoll_event events[EVENTS];

	s->epoll_fd = epoll_create1(0);
	if (s->epoll_fd < 0) {
		err(2, "epoll_create1");
	}
	epoll_set(s, EPOLL_CTL_ADD, s->listen_fd, EPOLLIN, NULL);
	for (;;) {
		int n = epoll_wait(s->epoll_fd, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (c == NULL) {
				epoll_accept(s);
			} else if (!epoll_turn(s, c, in)) {
				close(c->fd);
				free(c);
			}
		}
		if (n < 0 && errno != EINTR) {
			err(2, "epoll_wait");
		}
	}
}

/* ---- the ring ----------------------------------------------------------- */

static struct io_uring_sqe *sqe_next(struct server *s)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);

	if (sqe == NULL) {
		if (io_uring_submit(&s->ring) < 0 ||
		    (sqe = io_uring_get_sqe(&s->ring)) == NULL) {
			errx(2, "the ring is full");
		}
	}
	return sqe;
}

static void sqe_finish(struct server *s, struct io_uring_sqe *sqe, void *handle,
		       enum kind kind)
{
	if ((s->tricks & FIXED) != 0 && kind != KIND_ACCEPT) {
		sqe->flags |= IOSQE_FIXED_FILE;
	}
	io_uring_sqe_set_data64(sqe,
				(uint64_t)(uintptr_t)handle | (uint64_t)kind);
}

static void accept_arm(struct server *s)
{
	struct io_uring_sqe *sqe = sqe_next(s);

	if ((s->tricks & FIXED) != 0) {
		io_uring_prep_multishot_accept_direct(sqe, s->listen_fd, NULL,
						      NULL, 0);
	} else {
		io_uring_prep_multishot_accept(sqe, s->listen_fd, NULL, NULL,
					       SOCK_NONBLOCK);
	}
	sqe_finish(s, sqe, NULL, KIND_ACCEPT);
}

static void recv_arm(struct server *s, struct client *c)
{
	struct io_uring_sqe *sqe = sqe_next(s);

	if ((s->tricks & MULTISHOT) != 0) {
		io_uring_prep_recv_multishot(sqe, c->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = BUFFER_GROUP;
	} else {
		io_uring_prep_recv(sqe, c->fd, c->receive, BUFFER_BYTES, 0);
	}
	sqe_finish(s, sqe, c, KIND_RECV);
	c->under_way++;
}

static void client_accept(struct server *s, int fd)
{
	struct client *c = client_new(fd);

	if ((s->tricks & MULTISHOT) == 0) {
		c->receive = malloc(BUFFER_BYTES);
		if (c->receive == NULL) {
			err(2, "client");
		}
	}
	recv_arm(s, c);
}

/* The shutdown ends what the ring still has under way. */
static void client_lose(struct server *s, struct client *c)
{
	if (!c->lost && (s->tricks & FIXED) == 0) {
		shutdown(c->fd, SHUT_RDWR);
	}
	c->lost = true;
}

/*
 * Closes a lost client when nothing of it is under way any more.  The ring
 * does it, behind the sends that are not submitted yet.
 */
static void client_reap(struct server *s, struct client *c)
{
	struct io_uring_sqe *sqe;

	if (!c->lost || c->under_way > 0) {
		return;
	}
	sqe = sqe_next(s);
	if ((s->tricks & FIXED) != 0) {
		io_uring_prep_close_direct(sqe, (unsigned)c->fd);
	} else {
		io_uring_prep_close(sqe, c->fd);
	}
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)c | KIND_CLOSE);
	c->under_way++;
}

static void client_free(struct client *c)
{
	free(c->receive);
	free(c);
}

/* `wait`: for room, when the socket is full. */
static void send_submit(struct server *s, struct client *c, bool wait)
{
	struct io_uring_sqe *sqe = sqe_next(s);
	const char *from = s->replies + c->phase;
	size_t len = send_len(s, c);
	int flags = MSG_NOSIGNAL | MSG_WAITALL | (wait ? 0 : MSG_DONTWAIT);

	if ((s->tricks & ZEROCOPY) != 0) {
		io_uring_prep_send_zc(sqe, c->fd, from, len, flags, 0);
	} else {
		io_uring_prep_send(sqe, c->fd, from, len, flags);
	}
	if (!wait) {
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		sqe_finish(s, sqe, c, KIND_SHORT);
		client_sent(s, c, len);
		c->skipped = len;
		return;
	}
	sqe_finish(s, sqe, c, KIND_SEND);
	c->under_way++;
	c->sending = true;
}

static void client_send(struct server *s, struct client *c)
{
	if (c->lost || c->sending || c->owed == 0) {
		return;
	}
	if ((s->tricks & DIRECT) != 0 && !client_send_now(s, c)) {
		client_lose(s, c);
		return;
	}
	/* What the socket did not take waits in the ring. */
	if (c->owed > 0) {
		send_submit(s, c,
			    (s->tricks & SKIP) == 0 ||
				    c->owed > send_len(s, c));
	}
}

/*
 * At most one send of a client is submitted at a time, so that a short one
 * is known before the next.
 */
static void client_send_later(struct server *s, struct client *c)
{
	if (!c->is_due) {
		c->is_due = true;
		c->next_due = s->due;
		s->due = c;
	}
}

static void clients_send(struct server *s)
{
	while (s->due != NULL) {
		struct client *c = s->due;

		s->due = c->next_due;
		c->is_due = false;
		client_send(s, c);
	}
}

static void buffer_give_back(struct server *s, unsigned id)
{
	io_uring_buf_ring_add(s->buffers,
			      s->buffer_bytes + (size_t)id * BUFFER_BYTES,
			      BUFFER_BYTES, (unsigned short)id, BUFFERS - 1, 0);
	io_uring_buf_ring_advance(s->buffers, 1);
}

static void client_received(struct server *s, struct client *c,
			    const struct io_uring_cqe *cqe)
{
	unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
	const char *from = c->receive;

	if (!more) {
		c->under_way--;
	}
	if (cqe->res > 0 && (s->tricks & MULTISHOT) != 0) {
		from = s->buffer_bytes + (size_t)id * BUFFER_BYTES;
	}
	if (cqe->res > 0 && !c->lost) {
		client_ask(s, c, from, (size_t)cqe->res);
		if ((s->tricks & DIRECT) != 0) {
			client_send(s, c);
		} else {
			client_send_later(s, c);
		}
	}
	if ((cqe->flags & IORING_CQE_F_BUFFER) != 0) {
		buffer_give_back(s, id);
	}
	if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
		client_lose(s, c);
	}
	if (!c->lost && !more) {
		recv_arm(s, c);
	}
	client_reap(s, c);
}

static void client_send_done(struct server *s, struct client *c,
			     const struct io_uring_cqe *cqe)
{
	/* With zero copy, a notice that the bytes are free follows. */
	if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
		c->under_way--;
	}
	if ((cqe->flags & IORING_CQE_F_NOTIF) == 0) {
		c->sending = false;
		if (cqe->res < 0) {
			client_lose(s, c);
		} else {
			client_sent(s, c, (size_t)cqe->res);
		}
	}
	client_send_later(s, c);
	client_reap(s, c);
}

static void client_send_short(struct server *s, struct client *c,
			      const struct io_uring_cqe *cqe)
{
	size_t taken = cqe->res > 0 ? (size_t)cqe->res : 0;
	size_t back = c->skipped - taken;

	if (cqe->res < 0 && cqe->res != -EAGAIN) {
		client_lose(s, c);
	}
	c->owed += back;
	c->phase = (c->phase + s->replies_len - back) % s->reply_len;
	if (!c->lost) {
		send_submit(s, c, true);
	}
}

static void complete(struct server *s, const struct io_uring_cqe *cqe)
{
	uint64_t tagged = cqe->user_data;
	struct client *c = (void *)(uintptr_t)(tagged & ~(uint64_t)KIND_MASK);

	switch ((enum kind)(tagged & KIND_MASK)) {
	case KIND_ACCEPT:
		if (cqe->res >= 0) {
			client_accept(s, cqe->res);
		}
		if ((cqe->flags & IORING_CQE_F_MORE) == 0) {
			accept_arm(s);
		}
		break;
	case KIND_RECV:
		client_received(s, c, cqe);
		break;
	case KIND_SEND:
		client_send_done(s, c, cqe);
		break;
	case KIND_SHORT:
		client_send_short(s, c, cqe);
		break;
	case KIND_CLOSE:
		client_free(c);
		break;
	case KIND_MASK:
		break;
	}
}

static void ring_open(struct server *s)
{
	struct io_uring_params p = { .flags = IORING_SETUP_CQSIZE |
					      IORING_SETUP_SUBMIT_ALL,
				     .cq_entries = 4 * QUEUE };
	int error;

	if ((s->tricks & COOP) != 0) {
		p.flags |= IORING_SETUP_COOP_TASKRUN;
	}
	if ((s->tricks & DEFER) != 0) {
		p.flags |= IORING_SETUP_SINGLE_ISSUER |
			   IORING_SETUP_DEFER_TASKRUN;
	}
	error = io_uring_queue_init_params(QUEUE, &s->ring, &p);
	if (error == 0 && (s->tricks & FIXED) != 0) {
		error = io_uring_register_files_sparse(&s->ring, FILES);
	}
	if (error == 0) {
		(void)io_uring_register_ring_fd(&s->ring);
	}
	if (error < 0) {
		errx(2, "io_uring: %s", strerror(-error));
	}
}

static void buffers_provide(struct server *s)
{
	size_t ring_bytes = BUFFERS * sizeof(struct io_uring_buf);
	struct io_uring_buf_reg reg = { .ring_entries = BUFFERS,
					.bgid = BUFFER_GROUP };
	int error;

	if (posix_memalign((void **)&s->buffers, 4096, ring_bytes) != 0 ||
	    posix_memalign((void **)&s->buffer_bytes, 4096,
			   (size_t)BUFFERS * BUFFER_BYTES) != 0) {
		errx(2, "buffers");
	}
	reg.ring_addr = (uint64_t)(uintptr_t)s->buffers;
	error = io_uring_register_buf_ring(&s->ring, &reg, 0);
	if (error != 0) {
		errx(2, "provided buffers: %s", strerror(-error));
	}
	io_uring_buf_ring_init(s->buffers);
	for (unsigned i = 0; i < BUFFERS; i++) {
		buffer_give_back(s, i);
	}
}

static unsigned tricks_parse(char *text)
{
	static const struct {
		const char *name;
		unsigned trick;
	} rows[] = {
		{ "epoll", EPOLL },         { "plain", PLAIN },
		{ "coop", COOP },           { "defer", DEFER },
		{ "multishot", MULTISHOT }, { "files", FIXED },
		{ "direct", DIRECT },       { "skip", SKIP },
		{ "zerocopy", ZEROCOPY },
	};
	unsigned tricks = 0;

	for (char *word = strtok(text, ","); word != NULL;
	     word = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < sizeof(rows) / sizeof(rows[0]) &&
		       strcmp(word, rows[i].name) != 0) {
			i++;
		}
		if (i == sizeof(rows) / sizeof(rows[0])) {
			errx(2, "%s: no such trick", word);
		}
		tricks |= rows[i].trick;
	}
	if ((tricks & EPOLL) != 0 && tricks != EPOLL) {
		errx(2, "epoll goes with no trick");
	}
	if ((tricks & FIXED) != 0 && (tricks & DIRECT) != 0) {
		errx(2, "files and direct do not go together");
	}
	if ((tricks & SKIP) != 0 && (tricks & (DEFER | ZEROCOPY)) != DEFER) {
		errx(2, "skip goes with defer, and not with zerocopy");
	}
	return tricks;
}

static void __attribute__((noreturn)) ring_serve(struct server *s)
{
	ring_open(s);
	if ((s->tricks & MULTISHOT) != 0) {
		buffers_provide(s);
	}
	accept_arm(s);
	for (;;) {
		struct io_uring_cqe *cqe;
		unsigned head;
		unsigned count = 0;
		int n = io_uring_submit_and_wait(&s->ring, 1);

		if (n < 0 && n != -EINTR) {
			errx(2, "submit: %s", strerror(-n));
		}
		io_uring_for_each_cqe(&s->ring, head, cqe)
		{
			complete(s, cqe);
			count++;
		}
		io_uring_cq_advance(&s->ring, count);
		clients_send(s);
	}
}

int main(int argc, char **argv)
{
	static struct server s;
	char after;

	if (argc != 3 || sscanf(argv[2], "%hu%c", &s.real_port, &after) != 1) {
		errx(2, "usage: floor_uring epoll|TRICK[,TRICK...] PORT");
	}
	s.tricks = tricks_parse(argv[1]);
	s.listen_fd = listen_any();
	if ((s.tricks & EPOLL) != 0) {
		epoll_serve(&s);
	}
	ring_serve(&s);
}
