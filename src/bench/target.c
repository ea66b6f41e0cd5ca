/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses, connections and processor time of a server.  The time is read
 * from the process's own clock (clock_getcpuclockid(3)): the scheduler's
 * nanoseconds, as in the first field of /proc/PID/task/N/schedstat, but up to
 * date for threads that run at the moment and with the threads that ended.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "bench/target.h"
#include "io/sock.h"

static bool init_unix(struct target *t, const char *path, char *why)
{
	struct sockaddr_un *un = (void *)&t->addr;
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(un->sun_path)) {
		snprintf(why, TARGET_WHY_ROOM, "a path has 1 to %zu letters",
			 sizeof(un->sun_path) - 1);
		return false;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	t->len = sizeof(*un);
	return true;
}

static bool init_tcp(struct target *t, const char *host, int port, char *why)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char service[16];
	int failure;

	snprintf(service, sizeof(service), "%d", port);
	failure = getaddrinfo(host, service, &hints, &found);
	if (failure != 0) {
		snprintf(why, TARGET_WHY_ROOM, "%s", gai_strerror(failure));
		return false;
	}
	memcpy(&t->addr, found->ai_addr, found->ai_addrlen);
	t->len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool target_init(struct target *t, const char *text, char *why)
{
	char host[256] = "127.0.0.1";
	const char *problem = NULL;
	int port = TARGET_PORT_DEFAULT;
	uint32_t number;

	memset(t, 0, sizeof(*t));
	t->text = text;
	if (strncmp(text, "unix:", 5) == 0) {
		return init_unix(t, text + 5, why);
	}
	if (num_parse_u32(text, strlen(text), &number)) {
		port = number <= UINT16_MAX ? (int)number : 0;
	} else if (!sock_split_address(text, port, host, sizeof(host), &port,
				       &problem)) {
		snprintf(why, TARGET_WHY_ROOM, "%s", problem);
		return false;
	}
	if (port == 0) {
		snprintf(why, TARGET_WHY_ROOM, "a port is from 1 to 65535");
		return false;
	}
	return init_tcp(t, host, port, why);
}

/* Waits until a connection stands; false with errno when it does not. */
static bool wait_connected(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);
	int n = poll(&p, 1, wait_ms);

	if (n <= 0) {
		errno = n == 0 ? ETIMEDOUT : errno;
		return false;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
		return false;
	}
	errno = error;
	return error == 0;
}

int target_connect(const struct target *t, int wait_ms)
{
	const struct sockaddr *addr = (const void *)&t->addr;
	int fd = socket(t->addr.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;
	int error;

	if (fd < 0) {
		return -1;
	}
	if (t->addr.ss_family != AF_UNIX) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
	}
	if (connect(fd, addr, t->len) == 0) {
		return fd;
	}
	if (errno == EINPROGRESS &&
	    (wait_ms == 0 || wait_connected(fd, wait_ms))) {
		return fd;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

bool target_cpu_ns(const struct target *t, uint64_t *ns)
{
	struct timespec time;
	clockid_t id;

	if (t->pid == 0 || clock_getcpuclockid(t->pid, &id) != 0 ||
	    clock_gettime(id, &time) != 0) {
		return false;
	}
	*ns = (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
	return true;
}
