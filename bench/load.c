/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load generator: one thread, a number of connections, each with a
 * number of requests in flight.  It speaks memcached's classic text protocol
 * over TCP.  A connection sends a batch of --depth requests, waits for all
 * their replies and sends the next (closed loop).
 *
 * Every reply is compared byte by byte with the one that is right.  A refusal
 * (an ERROR line) or a miss where all keys must be there counts as an error;
 * a reply that is neither right nor a refusal ends the run at once, for what
 * follows in the stream means nothing then.
 *
 * The figure it exists for is the server's processor time per request; the
 * kernel's count for the threads of --pid is read before and after.  A
 * latency is the time from sending a batch to receiving the reply; a closed
 * loop sends nothing while the server stalls, so these latencies describe
 * the usual and understate the stalls.
 *
 * One line of JSON goes to standard output.  Exit status: 0 all replies were
 * right, 1 some were not, 2 the run could not be made.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/rand.h"
#include "latency.h"
#include "payload.h"

enum {
	EVENTS = 256,
	RECEIVE_BYTES = 64 * 1024,
	POPULATE_DEPTH = 16,
	SILENCE_MS = 10000, /* a server that says nothing for so long failed */
	LINE_BYTES = 512,   /* no refusal is longer */
	DEPTH_LIMIT = 1000,
	ITEMS_LIMIT = 1000,
	VALUE_LIMIT = 1000 * 1000
};

static const uint64_t UNSET = UINT64_MAX;

struct options {
	const char *host;
	const char *ratio;
	uint64_t port, connections, depth, items, value_size;
	uint64_t first, keys, seed, warmup, requests, seconds, pid, cpu;
	/* 0 or 1 */
	uint64_t populate, allow_miss, allow_refusal, unchecked;
	uint64_t get_share, set_share; /* from ratio */
};

/* What was counted in one phase. */
struct counts {
	uint64_t gets, sets, keys, hits, misses, refused;
	uint64_t start_ns, stop_ns;
	uint64_t server_ns;
	struct latency latency;
};

/* Which requests a phase sends, and until when: a number or a time. */
struct phase {
	bool sequential; /* set each key once; else by ratio, at random */
	unsigned depth;
	uint64_t limit;
	uint64_t end_ns;
	uint64_t issued;
};

struct request {
	bool is_set;
	const uint64_t *keys; /* options.items of them for a get, one for set */
};

struct connection {
	int fd;
	bool sending; /* waits for room in the socket */
	uint64_t sent_ns;
	struct request *requests;
	uint64_t *keys;
	unsigned count; /* requests of the batch */
	unsigned next;  /* the one whose reply comes next */
	unsigned item;  /* keys of it that are answered */
	char *out;
	size_t out_len, out_pos;
	char *in;
	size_t in_len;
};

struct load {
	struct options o;
	struct rng rng;
	struct phase phase;
	struct counts counts;
	int epoll_fd;
	unsigned busy;      /* connections with a batch in flight */
	char item_head[64]; /* behind the key: flags, length, line end */
	size_t item_head_len;
	size_t item_len; /* all of one item in a reply */
	size_t in_limit;
	char *value; /* scratch, with the line end behind it */
	struct connection *connections;
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void *must_alloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL) {
		err(2, "memory");
	}
	return p;
}

/* ---- The server's processor time -------------------------------------- */

/* Nanoseconds that one thread ran, from the first word of its schedstat. */
static uint64_t thread_ns(int tasks_fd, const char *name)
{
	char path[300];
	char text[128];
	uint64_t ns = 0;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/schedstat", name);
	fd = openat(tasks_fd, path, O_RDONLY);
	if (fd < 0) {
		return 0; /* the thread ended */
	}
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n > 0) {
		size_t digits = 0;

		while (digits < (size_t)n && text[digits] != ' ') {
			digits++;
		}
		if (!num_parse_u64(text, digits, &ns)) {
			errx(2, "schedstat of the server is not readable");
		}
	}
	return ns;
}

static uint64_t server_ns(const struct options *o)
{
	char path[64];
	struct dirent *entry;
	uint64_t ns = 0;
	DIR *tasks;

	if (o->pid == UNSET) {
		return 0;
	}
	snprintf(path, sizeof(path), "/proc/%llu/task",
		 (unsigned long long)o->pid);
	tasks = opendir(path);
	if (tasks == NULL) {
		err(2, "%s", path);
	}
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] != '.') {
			ns += thread_ns(dirfd(tasks), entry->d_name);
		}
	}
	closedir(tasks);
	return ns;
}

/* ---- Requests --------------------------------------------------------- */

static char *text_append(char *at, const char *text)
{
	size_t len = strlen(text);

	memcpy(at, text, len);
	return at + len;
}

static char *request_write(struct load *l, const struct request *r, char *at)
{
	size_t size = l->o.value_size;

	at = text_append(at, r->is_set ? "set" : "get");
	for (unsigned i = 0; i < (r->is_set ? 1 : l->o.items); i++) {
		*at++ = ' ';
		payload_key_write(r->keys[i], at);
		at += PAYLOAD_KEY_BYTES;
	}
	if (r->is_set) {
		at = text_append(at, " 0");
		memcpy(at, l->item_head, l->item_head_len);
		at += l->item_head_len;
		payload_value_write(r->keys[0], at, size);
		at += size;
	}
	return text_append(at, "\r\n");
}

static void request_choose(struct load *l, struct request *r, uint64_t *keys)
{
	const struct options *o = &l->o;
	struct phase *p = &l->phase;

	r->keys = keys;
	if (p->sequential) {
		r->is_set = true;
		keys[0] = o->first + p->issued;
		return;
	}
	r->is_set = o->get_share == 0 ||
		    (o->set_share != 0 &&
		     rng_below(&l->rng, o->get_share + o->set_share) >=
			     o->get_share);
	for (unsigned i = 0; i < (r->is_set ? 1 : o->items); i++) {
		keys[i] = o->first + rng_below(&l->rng, o->keys);
	}
}

static void connection_watch(struct load *l, struct connection *c, int op)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

	if (c->sending) {
		ev.events |= EPOLLOUT;
	}
	if (epoll_ctl(l->epoll_fd, op, c->fd, &ev) != 0) {
		err(2, "epoll_ctl");
	}
}

static void connection_flush(struct load *l, struct connection *c)
{
	bool sending;

	while (c->out_pos < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_pos,
				 c->out_len - c->out_pos, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			break;
		}
		if (n < 0) {
			err(1, "send");
		}
		c->out_pos += (size_t)n;
	}
	sending = c->out_pos < c->out_len;
	if (sending != c->sending) {
		c->sending = sending;
		connection_watch(l, c, EPOLL_CTL_MOD);
	}
}

/* Sends the next batch of the phase; the connection rests if none is left. */
static void connection_start(struct load *l, struct connection *c)
{
	struct phase *p = &l->phase;
	uint64_t now = clock_ns();
	char *at = c->out;

	c->count = 0;
	c->next = 0;
	c->item = 0;
	while (c->count < p->depth && p->issued < p->limit && now < p->end_ns) {
		struct request *r = &c->requests[c->count];

		request_choose(l, r, c->keys + c->count * l->o.items);
		at = request_write(l, r, at);
		c->count++;
		p->issued++;
	}
	if (c->count == 0) {
		l->busy--;
		return;
	}
	c->out_len = (size_t)(at - c->out);
	c->out_pos = 0;
	c->sent_ns = now;
	connection_flush(l, c);
}

/* ---- Replies ---------------------------------------------------------- */

static bool text_starts(const char *p, size_t len, const char *start)
{
	size_t n = strlen(start);

	return len >= n && memcmp(p, start, n) == 0;
}

static bool is_refusal(const char *p, size_t len)
{
	return text_starts(p, len, "ERROR") ||
	       text_starts(p, len, "CLIENT_ERROR") ||
	       text_starts(p, len, "SERVER_ERROR");
}

/* The length of the line at `p` with its end; 0 while that is not there. */
static size_t line_length(const char *p, size_t len)
{
	const char *end = memchr(p, '\n', len < LINE_BYTES ? len : LINE_BYTES);

	return end == NULL ? 0 : (size_t)(end + 1 - p);
}

static bool item_is_right(struct load *l, uint64_t number, const char *p)
{
	size_t size = l->o.value_size;

	p += PAYLOAD_KEY_BYTES;
	if (memcmp(p, l->item_head, l->item_head_len) != 0) {
		return false;
	}
	payload_value_write(number, l->value, size);
	return memcmp(p + l->item_head_len, l->value, size + 2) == 0;
}

/*
 * An item of a get's reply.  Items come in the order of the keys, so keys
 * that are passed over are misses.
 */
static bool item_take(struct load *l, struct connection *c, const char *p)
{
	const struct request *r = &c->requests[c->next];
	char key[PAYLOAD_KEY_BYTES];

	p += strlen("VALUE ");
	while (c->item < l->o.items) {
		uint64_t number = r->keys[c->item++];

		if (l->o.unchecked) {
			l->counts.hits++;
			return true;
		}
		payload_key_write(number, key);
		if (memcmp(p, key, sizeof(key)) == 0) {
			l->counts.hits++;
			return item_is_right(l, number, p);
		}
		l->counts.misses++;
	}
	return false;
}

static void request_finish(struct load *l, struct connection *c, uint64_t now)
{
	const struct request *r = &c->requests[c->next];

	if (r->is_set) {
		l->counts.sets++;
		l->counts.keys++;
	} else {
		l->counts.gets++;
		l->counts.keys += l->o.items;
		l->counts.misses += l->o.items - c->item;
	}
	latency_add(&l->counts.latency, now - c->sent_ns);
	c->next++;
	c->item = 0;
}

/*
 * Takes one step of a reply from the front of what was received; the bytes
 * it took, 0 when it needs more, -1 when they are no right reply.
 */
static ssize_t reply_take(struct load *l, struct connection *c, const char *p,
			  size_t len, uint64_t now)
{
	bool is_set;
	size_t line = line_length(p, len);

	if (line == 0) {
		return len < LINE_BYTES ? 0 : -1;
	}
	if (c->next == c->count) {
		return -1; /* nothing was asked */
	}
	is_set = c->requests[c->next].is_set;
	if (!is_set && text_starts(p, line, "VALUE ")) {
		if (len < l->item_len) {
			return 0;
		}
		return item_take(l, c, p) ? (ssize_t)l->item_len : -1;
	}
	if (is_refusal(p, line)) {
		/* Keys without an answer are not misses too. */
		c->item = (unsigned)l->o.items;
		l->counts.refused++;
	} else if (line != strlen(is_set ? "STORED\r\n" : "END\r\n") ||
		   memcmp(p, is_set ? "STORED\r\n" : "END\r\n", line) != 0) {
		return -1;
	}
	request_finish(l, c, now);
	return (ssize_t)line;
}

static void __attribute__((noreturn))
reply_complain(const struct connection *c, const char *p, size_t len)
{
	char key[PAYLOAD_KEY_BYTES + 1] = "(nothing)";

	if (c->next < c->count) {
		payload_key_write(c->requests[c->next].keys[0], key);
	}
	fprintf(stderr, "load: wrong reply to %s %s: ",
		c->next < c->count && c->requests[c->next].is_set ? "set" :
								    "get",
		key);
	for (size_t i = 0; i < len && i < 300; i++) {
		if (p[i] >= ' ' && p[i] <= '~') {
			fputc(p[i], stderr);
		} else {
			fprintf(stderr, "\\x%02x", (unsigned char)p[i]);
		}
	}
	fputc('\n', stderr);
	exit(1);
}

static void connection_receive(struct load *l, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, l->in_limit - c->in_len, 0);
	uint64_t now = clock_ns();
	size_t at = 0;

	if (n < 0 && errno == EAGAIN) {
		return;
	}
	if (n <= 0) {
		errx(1, "the server closed a connection%s%s", n < 0 ? ": " : "",
		     n < 0 ? strerror(errno) : "");
	}
	c->in_len += (size_t)n;
	while (at < c->in_len) {
		n = reply_take(l, c, c->in + at, c->in_len - at, now);
		if (n < 0) {
			reply_complain(c, c->in + at, c->in_len - at);
		}
		if (n == 0) {
			break;
		}
		at += (size_t)n;
	}
	c->in_len -= at;
	memmove(c->in, c->in + at, c->in_len);
	if (c->next == c->count && c->in_len == 0) {
		connection_start(l, c);
	}
}

/* ---- Phases ----------------------------------------------------------- */

/* Waits for events, at most SILENCE_MS; their number. */
static int events_wait(const struct load *l, struct epoll_event *events)
{
	int n = epoll_wait(l->epoll_fd, events, EVENTS, SILENCE_MS);

	if (n == 0) {
		errx(1, "no reply for %d ms", SILENCE_MS);
	}
	if (n < 0 && errno != EINTR) {
		err(2, "epoll_wait");
	}
	return n;
}

static void phase_run(struct load *l, struct phase phase)
{
	struct epoll_event events[EVENTS];
	uint64_t cpu_ns;

	l->phase = phase;
	memset(&l->counts, 0, sizeof(l->counts));
	cpu_ns = server_ns(&l->o);
	l->counts.start_ns = clock_ns();
	l->busy = (unsigned)l->o.connections;
	for (unsigned i = 0; i < l->o.connections; i++) {
		connection_start(l, &l->connections[i]);
	}
	while (l->busy > 0) {
		int n = events_wait(l, events);

		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;

			if (events[i].events & EPOLLOUT) {
				connection_flush(l, c);
			}
			connection_receive(l, c);
		}
	}
	l->counts.stop_ns = clock_ns();
	l->counts.server_ns = server_ns(&l->o) - cpu_ns;
}

static uint64_t counts_errors(const struct load *l)
{
	return (l->o.allow_refusal ? 0 : l->counts.refused) +
	       (l->o.allow_miss ? 0 : l->counts.misses);
}

static void populate(struct load *l)
{
	phase_run(l, (struct phase){ .sequential = true,
				     .depth = POPULATE_DEPTH,
				     .limit = l->o.keys,
				     .end_ns = UINT64_MAX });
}

static void warm_up(struct load *l)
{
	phase_run(l, (struct phase){ .depth = (unsigned)l->o.depth,
				     .limit = l->o.warmup,
				     .end_ns = UINT64_MAX });
}

static void measure(struct load *l)
{
	const struct options *o = &l->o;
	uint64_t end_ns = UINT64_MAX;

	if (o->seconds > 0) {
		end_ns = clock_ns() + o->seconds * 1000000000U;
	}
	phase_run(l, (struct phase){ .depth = (unsigned)o->depth,
				     .limit = o->requests > 0 ? o->requests :
								UINT64_MAX,
				     .end_ns = end_ns });
}

/* ---- The report ------------------------------------------------------- */

static void report_number(const char *name, uint64_t n)
{
	printf("\"%s\": %llu, ", name, (unsigned long long)n);
}

static void report(const struct load *l, uint64_t errors)
{
	const struct counts *n = &l->counts;
	double requests = (double)(n->gets + n->sets);
	double seconds = (double)(n->stop_ns - n->start_ns) / 1e9;

	printf("{");
	report_number("requests", n->gets + n->sets);
	report_number("gets", n->gets);
	report_number("sets", n->sets);
	report_number("keys", n->keys);
	report_number("hits", n->hits);
	report_number("misses", n->misses);
	report_number("refused", n->refused);
	report_number("errors", errors); /* of all phases */
	printf("\"checked\": %s, ", l->o.unchecked ? "false" : "true");
	printf("\"seconds\": %.4f, ", seconds);
	printf("\"requests_per_s\": %.0f, ", requests / seconds);
	if (l->o.pid != UNSET) {
		printf("\"server_cpu_s\": %.4f, ", (double)n->server_ns / 1e9);
		printf("\"server_cpu_us_per_request\": %.4f, ",
		       (double)n->server_ns / 1e3 / requests);
		printf("\"server_cpu_us_per_key\": %.4f, ",
		       (double)n->server_ns / 1e3 / (double)n->keys);
	}
	printf("\"p50_us\": %.1f, ",
	       (double)latency_at(&n->latency, 0.5) / 1e3);
	printf("\"p99_us\": %.1f, ",
	       (double)latency_at(&n->latency, 0.99) / 1e3);
	printf("\"p99_9_us\": %.1f}\n",
	       (double)latency_at(&n->latency, 0.999) / 1e3);
}

/* ---- Setting up ------------------------------------------------------- */

static void connection_open(struct load *l, struct connection *c)
{
	const struct options *o = &l->o;
	size_t depth = o->depth > POPULATE_DEPTH ? o->depth : POPULATE_DEPTH;
	size_t longest = 64 + o->items * (PAYLOAD_KEY_BYTES + 1) +
			 o->value_size;
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1;

	a.sin_port = htons((uint16_t)o->port);
	if (inet_pton(AF_INET, o->host, &a.sin_addr) != 1) {
		errx(2, "--host %s: a numeric IPv4 address", o->host);
	}
	c->requests = must_alloc(depth, sizeof(*c->requests));
	c->keys = must_alloc(depth * o->items, sizeof(*c->keys));
	c->out = must_alloc(depth, longest);
	c->in = must_alloc(1, l->in_limit);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (c->fd < 0 ||
	    connect(c->fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) !=
		    0) {
		err(2, "connect to %s port %u", o->host, (unsigned)o->port);
	}
	connection_watch(l, c, EPOLL_CTL_ADD);
}

static void load_open(struct load *l)
{
	const struct options *o = &l->o;

	rng_init(&l->rng, o->seed);
	l->item_head_len = (size_t)snprintf(l->item_head, sizeof(l->item_head),
					    " 0 %llu\r\n",
					    (unsigned long long)o->value_size);
	l->item_len = strlen("VALUE ") + PAYLOAD_KEY_BYTES + l->item_head_len +
		      o->value_size + strlen("\r\n");
	l->in_limit = l->item_len + RECEIVE_BYTES;
	l->value = must_alloc(1, o->value_size + 2);
	memcpy(l->value + o->value_size, "\r\n", 2);
	l->epoll_fd = epoll_create1(0);
	if (l->epoll_fd < 0) {
		err(2, "epoll_create1");
	}
	l->connections = must_alloc(o->connections, sizeof(*l->connections));
	for (unsigned i = 0; i < o->connections; i++) {
		connection_open(l, &l->connections[i]);
	}
}

static void load_close(struct load *l)
{
	for (unsigned i = 0; i < l->o.connections; i++) {
		struct connection *c = &l->connections[i];

		close(c->fd);
		free(c->requests);
		free(c->keys);
		free(c->out);
		free(c->in);
	}
	free(l->connections);
	free(l->value);
	close(l->epoll_fd);
}

/* ---- Options ---------------------------------------------------------- */

struct option_row {
	const char *name;
	uint64_t *number; /* one of number, text and flag */
	const char **text;
	uint64_t *flag;
	uint64_t low, high;
	const char *help;
};

static void option_take(const struct option_row *row, const char *value)
{
	if (value == NULL) {
		errx(2, "--%s wants a value", row->name);
	}
	if (row->text != NULL) {
		*row->text = value;
	} else if (!num_parse_u64(value, strlen(value), row->number) ||
		   *row->number < row->low || *row->number > row->high) {
		errx(2, "--%s %s: from %llu to %llu", row->name, value,
		     (unsigned long long)row->low,
		     (unsigned long long)row->high);
	}
}

static void options_help(const struct option_row *rows, size_t count)
{
	printf("usage: load --port N [options]\n");
	for (size_t i = 0; i < count; i++) {
		printf("  --%-13s %s\n", rows[i].name, rows[i].help);
	}
	exit(0);
}

static void options_walk(const struct option_row *rows, size_t count,
			 char **argv)
{
	while (*argv != NULL) {
		const char *word = *argv++;
		size_t i = 0;

		if (strcmp(word, "--help") == 0) {
			options_help(rows, count);
		}
		while (i < count && (strncmp(word, "--", 2) != 0 ||
				     strcmp(word + 2, rows[i].name) != 0)) {
			i++;
		}
		if (i == count) {
			errx(2, "%s: no such option; see --help", word);
		}
		if (rows[i].flag != NULL) {
			*rows[i].flag = 1;
		} else {
			option_take(&rows[i], *argv);
			argv++;
		}
	}
}

static void ratio_parse(struct options *o)
{
	const char *colon = strchr(o->ratio, ':');

	if (colon == NULL ||
	    !num_parse_u64(o->ratio, (size_t)(colon - o->ratio),
			   &o->get_share) ||
	    !num_parse_u64(colon + 1, strlen(colon + 1), &o->set_share) ||
	    o->get_share > 1000 || o->set_share > 1000 ||
	    o->get_share + o->set_share == 0) {
		errx(2, "--ratio %s: GET:SET, such as 9:1", o->ratio);
	}
}

static void options_parse(struct options *o, char **argv)
{
	const struct option_row rows[] = {
		{ "host", NULL, &o->host, NULL, 0, 0,
		  "address, numeric (127.0.0.1)" },
		{ "port", &o->port, NULL, NULL, 1, 65535, "TCP port" },
		{ "connections", &o->connections, NULL, NULL, 1, 10000,
		  "connections (50)" },
		{ "depth", &o->depth, NULL, NULL, 1, DEPTH_LIMIT,
		  "requests in flight on each connection (1)" },
		{ "ratio", NULL, &o->ratio, NULL, 0, 0,
		  "gets to sets, chosen at random (1:0)" },
		{ "multiget", &o->items, NULL, NULL, 1, ITEMS_LIMIT,
		  "keys of each get (1)" },
		{ "keys", &o->keys, NULL, NULL, 1, 1ULL << 40,
		  "keys to draw from, uniformly; 1 is one hot key (1)" },
		{ "first", &o->first, NULL, NULL, 0, 1ULL << 40,
		  "number of the first of the keys (0)" },
		{ "value-size", &o->value_size, NULL, NULL, 0, VALUE_LIMIT,
		  "bytes of a value (100)" },
		{ "seed", &o->seed, NULL, NULL, 0, UINT64_MAX,
		  "start of the random sequence (1)" },
		{ "populate", NULL, NULL, &o->populate, 0, 0,
		  "first set each key once" },
		{ "warmup", &o->warmup, NULL, NULL, 0, 1ULL << 40,
		  "requests before the ones that count (0)" },
		{ "requests", &o->requests, NULL, NULL, 0, 1ULL << 40,
		  "requests to count" },
		{ "seconds", &o->seconds, NULL, NULL, 0, 3600,
		  "or time to count for" },
		{ "pid", &o->pid, NULL, NULL, 1, INT32_MAX,
		  "process whose CPU time is reported" },
		{ "cpu", &o->cpu, NULL, NULL, 0, CPU_SETSIZE - 1,
		  "processor to run on" },
		{ "allow-miss", NULL, NULL, &o->allow_miss, 0, 0,
		  "a miss is no error" },
		{ "allow-refusal", NULL, NULL, &o->allow_refusal, 0, 0,
		  "nor is an ERROR line" },
		{ "unchecked", NULL, NULL, &o->unchecked, 0, 0,
		  "take any item of the right form (for bench/floor)" },
	};

	options_walk(rows, sizeof(rows) / sizeof(rows[0]), argv);
	ratio_parse(o);
	if (o->port == 0) {
		errx(2, "--port is wanted");
	}
	if (!o->populate && o->requests == 0 && o->seconds == 0) {
		errx(2, "one of --requests, --seconds, --populate is wanted");
	}
}

static void cpu_pin(uint64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		err(2, "--cpu %u", (unsigned)cpu);
	}
}

int main(int argc, char **argv)
{
	static struct load l = {
		.o = { .host = "127.0.0.1",
		       .ratio = "1:0",
		       .connections = 50,
		       .depth = 1,
		       .items = 1,
		       .value_size = 100,
		       .keys = 1,
		       .seed = 1,
		       .pid = UINT64_MAX,
		       .cpu = UINT64_MAX },
	};
	uint64_t errors = 0;

	options_parse(&l.o, argv + (argc > 0));
	if (l.o.cpu != UNSET) {
		cpu_pin(l.o.cpu);
	}
	load_open(&l);
	if (l.o.populate) {
		populate(&l);
		errors += counts_errors(&l);
	}
	if (l.o.warmup > 0) {
		warm_up(&l);
		errors += counts_errors(&l);
	}
	if (l.o.requests > 0 || l.o.seconds > 0) {
		measure(&l);
		errors += counts_errors(&l);
	}
	report(&l, errors);
	load_close(&l);
	return errors == 0 ? 0 : 1;
}
