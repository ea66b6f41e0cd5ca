/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Addresses and listening sockets.
 *
 * IPv4 and IPv6 are listened on by sockets of their own (IPV6_V6ONLY), so
 * that an address in text is what the client has, never a mapped one.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/num.h"
#include "io/sock.h"

enum {
	PORT_MAX = 65535,
	/* A port that is free for one address may be taken for the next. */
	FREE_PORT_TRIES = 16,
};

/* ---- addresses in text -------------------------------------------------- */

static bool parse_port(const char *text, int *port, const char **why)
{
	uint32_t number;

	if (!num_parse_u32(text, strlen(text), &number) || number > PORT_MAX) {
		*why = "the port is not a number from 0 to 65535";
		return false;
	}
	*port = (int)number;
	return true;
}

/* Finds the host in `text`; the rest, from a ':' on or empty, is the port. */
static const char *split_host(const char *text, size_t *host_len,
			      const char **why)
{
	const char *colon = strchr(text, ':');
	const char *bracket;

	if (text[0] == '[') {
		bracket = strchr(text, ']');
		if (bracket == NULL) {
			*why = "no ] after [";
			return NULL;
		}
		*host_len = (size_t)(bracket - text) - 1;
		return bracket + 1;
	}
	if (colon == NULL || strchr(colon + 1, ':') != NULL) {
		*host_len = strlen(text); /* no port, or an IPv6 address */
	} else {
		*host_len = (size_t)(colon - text);
	}
	return text + *host_len;
}

bool sock_split_address(const char *text, int default_port, char *host,
			size_t host_room, int *port, const char **why)
{
	size_t host_len;
	const char *rest = split_host(text, &host_len, why);

	if (rest == NULL) {
		return false;
	}
	if (host_len == 0) {
		*why = "no address";
		return false;
	}
	if (host_len >= host_room) {
		*why = "the address is too long";
		return false;
	}
	*port = default_port;
	if (rest[0] == ':') {
		if (!parse_port(rest + 1, port, why)) {
			return false;
		}
	} else if (rest[0] != '\0') {
		*why = "only :port can follow ]";
		return false;
	}
	memcpy(host, text + (text[0] == '[' ? 1 : 0), host_len);
	host[host_len] = '\0';
	return true;
}

/* A path comes from whoever has bound it: nothing that breaks a line. */
static void format_unix(const struct sockaddr_un *un, socklen_t len, char *out,
			size_t room)
{
	const size_t head = offsetof(struct sockaddr_un, sun_path);
	char path[sizeof(un->sun_path) + 1] = "";
	size_t n = len > head ? len - head : 0;

	if (n > sizeof(un->sun_path)) {
		n = sizeof(un->sun_path);
	}
	memcpy(path, un->sun_path, n);
	if (n > 1 && path[0] == '\0') {
		path[0] = '@';
	}
	for (char *c = path; *c != '\0'; c++) {
		if (*c <= ' ' || *c == 0x7f) {
			*c = '?';
		}
	}
	if (path[0] == '\0') {
		snprintf(out, room, "unix:<AF %d>", AF_UNIX);
	} else {
		snprintf(out, room, "unix:%s", path);
	}
}

static_assert(SOCK_IP_TEXT >= INET6_ADDRSTRLEN, "an address fits its text");

static bool format_ip(const struct sockaddr_storage *addr,
		      char out[SOCK_IP_TEXT])
{
	const void *any = addr;
	const struct sockaddr_in *in = any;
	const struct sockaddr_in6 *in6 = any;
	const void *ip;

	switch (addr->ss_family) {
	case AF_INET:
		ip = &in->sin_addr;
		break;
	case AF_INET6:
		ip = &in6->sin6_addr;
		break;
	default:
		return false;
	}
	return inet_ntop(addr->ss_family, ip, out, SOCK_IP_TEXT) != NULL;
}

void sock_format(const struct sockaddr_storage *addr, socklen_t len, char *out,
		 size_t room)
{
	char ip[SOCK_IP_TEXT] = "";

	(void)format_ip(addr, ip);
	switch (addr->ss_family) {
	case AF_INET:
		snprintf(out, room, "tcp:%s:%d", ip, sock_port(addr));
		break;
	case AF_INET6:
		snprintf(out, room, "tcp6:[%s]:%d", ip, sock_port(addr));
		break;
	case AF_UNIX:
		format_unix((const void *)addr, len, out, room);
		break;
	default:
		snprintf(out, room, "<AF %d>", addr->ss_family);
		break;
	}
}

static void format_end(int fd, char *out, size_t room,
		       int (*name_of)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	/* On failure (the peer has gone) the family stays unspecified. */
	(void)name_of(fd, (struct sockaddr *)(void *)&addr, &len);
	sock_format(&addr, len, out, room);
}

static int local_name(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getsockname(fd, addr, len);
}

static int peer_name(int fd, struct sockaddr *addr, socklen_t *len)
{
	return getpeername(fd, addr, len);
}

void sock_format_local(int fd, char *out, size_t room)
{
	format_end(fd, out, room, local_name);
}

void sock_format_peer(int fd, char *out, size_t room)
{
	format_end(fd, out, room, peer_name);
}

bool sock_peer_ip(int fd, char ip[SOCK_IP_TEXT], int *port)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	if (peer_name(fd, (struct sockaddr *)(void *)&addr, &len) != 0 ||
	    !format_ip(&addr, ip)) {
		return false;
	}
	*port = sock_port(&addr);
	return true;
}

int sock_port(const struct sockaddr_storage *addr)
{
	const void *any = addr;
	const struct sockaddr_in *in = any;
	const struct sockaddr_in6 *in6 = any;

	switch (addr->ss_family) {
	case AF_INET:
		return ntohs(in->sin_port);
	case AF_INET6:
		return ntohs(in6->sin6_port);
	default:
		return 0;
	}
}

int sock_local_port(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)(void *)&addr, &len) < 0) {
		return 0;
	}
	return sock_port(&addr);
}

/* ---- TCP ---------------------------------------------------------------- */

static void switch_on(int fd, int level, int option)
{
	const int on = 1;

	/* What a socket does not know it does without. */
	(void)setsockopt(fd, level, option, &on, sizeof(on));
}

static void close_all(const int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		close(fds[i]);
	}
}

static void set_port(struct sockaddr *addr, int port)
{
	void *any = addr;
	struct sockaddr_in *in = any;
	struct sockaddr_in6 *in6 = any;

	if (addr->sa_family == AF_INET) {
		in->sin_port = htons((uint16_t)port);
	} else if (addr->sa_family == AF_INET6) {
		in6->sin6_port = htons((uint16_t)port);
	}
}

bool sock_start(int fd, int backlog)
{
	return listen(fd, backlog) == 0;
}

static int listen_on(const struct addrinfo *a, int backlog)
{
	int fd = socket(a->ai_family,
			a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
			a->ai_protocol);
	int error;

	if (fd < 0) {
		return -1;
	}
	if (a->ai_family == AF_INET6) {
		switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	}
	switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
	/* What is accepted inherits these: two calls less for each. */
	switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
	switch_on(fd, SOL_SOCKET, SO_KEEPALIVE);
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    (backlog == SOCK_BIND_ONLY || sock_start(fd, backlog))) {
		return fd;
	}
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* A machine without IPv6 says so by one of these. */
static bool is_missing_family(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

static void warn_of(const struct addrinfo *a, int error)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	char text[SOCK_ADDR_TEXT];

	memcpy(&addr, a->ai_addr, a->ai_addrlen);
	sock_format(&addr, a->ai_addrlen, text, sizeof(text));
	diag(DIAG_WARN, "cannot listen on %s: %s", text, strerror(error));
}

/*
 * Listens on each address of the list, all on the same port.  Returns the
 * number opened; 0 with errno set.  EADDRINUSE after a free port was asked
 * for means that another may do.
 */
static int listen_on_each(const struct addrinfo *list, int port, int backlog,
			  int *fds, int room)
{
	const struct addrinfo *refused = NULL;
	int count = 0;
	int error = EADDRNOTAVAIL;

	for (const struct addrinfo *a = list; a != NULL && count < room;
	     a = a->ai_next) {
		set_port(a->ai_addr,
			 count > 0 ? sock_local_port(fds[0]) : port);
		fds[count] = listen_on(a, backlog);
		if (fds[count] >= 0) {
			count++;
			continue;
		}
		if (count > 0 && port == 0 && errno == EADDRINUSE) {
			close_all(fds, count);
			errno = EADDRINUSE;
			return 0;
		}
		if (!is_missing_family(errno)) {
			error = errno;
			refused = a;
		}
	}
	/* With none open the caller says why, once. */
	if (count > 0 && refused != NULL) {
		warn_of(refused, error);
	}
	if (count == 0) {
		errno = error;
	}
	return count;
}

int sock_listen_tcp(const char *host, int port, int backlog, int *fds, int room,
		    const char **why)
{
	const struct addrinfo hints = {
		.ai_flags = AI_PASSIVE,
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *list;
	int count;
	int tries = 0;
	int failure;

	if (host != NULL && strcmp(host, "*") == 0) {
		host = NULL;
	}
	/* With neither host nor service there is nothing to resolve. */
	failure = getaddrinfo(host, "0", &hints, &list);
	if (failure != 0) {
		if (failure != EAI_SYSTEM) {
			errno = EADDRNOTAVAIL;
		}
		*why = gai_strerror(failure);
		return 0;
	}
	do {
		count = listen_on_each(list, port, backlog, fds, room);
		tries++;
	} while (count == 0 && port == 0 && errno == EADDRINUSE &&
		 tries < FREE_PORT_TRIES);
	if (count == 0) {
		failure = errno;
		*why = strerrordesc_np(failure);
	}
	freeaddrinfo(list);
	if (count == 0) {
		errno = failure;
	}
	return count;
}

/* ---- unix --------------------------------------------------------------- */

/*
 * Makes way for a new socket file: one that refuses connections was left
 * behind by a process that is no more.  Anything else stays, and bind() will
 * say that the name is in use.
 */
static void remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		return;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return;
	}
	if (connect(fd, (const struct sockaddr *)(const void *)addr,
		    sizeof(*addr)) < 0 &&
	    errno == ECONNREFUSED) {
		(void)unlink(addr->sun_path);
	}
	close(fd);
}

int sock_listen_unix(const char *path, unsigned mask, int backlog)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	mode_t mode = mask & 0777;
	bool bound = false;
	int fd;
	int error;

	if (len == 0 || len >= sizeof(addr.sun_path)) {
		errno = len == 0 ? EINVAL : ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	remove_stale(&addr);
	/*
	 * bind() gives the file the mode of the socket less the umask, so it
	 * is never open wider than asked; chmod() gives back what the umask
	 * took.  The umask itself, which all threads share, stays as it is.
	 */
	if (fchmod(fd, mode) < 0) {
		goto fail;
	}
	if (bind(fd, (struct sockaddr *)(void *)&addr, sizeof(addr)) < 0) {
		goto fail;
	}
	bound = true;
	if (chmod(path, mode) < 0 ||
	    (backlog != SOCK_BIND_ONLY && !sock_start(fd, backlog))) {
		goto fail;
	}
	return fd;
fail:
	error = errno;
	if (bound) {
		(void)unlink(path);
	}
	close(fd);
	errno = error;
	return -1;
}

/* ---- descriptors -------------------------------------------------------- */

bool sock_raise_descriptor_limit(uint64_t wanted, uint64_t *have)
{
	struct rlimit now;
	struct rlimit more;

	*have = 0;
	if (getrlimit(RLIMIT_NOFILE, &now) < 0) {
		return false;
	}
	*have = now.rlim_cur;
	if (now.rlim_cur >= wanted) {
		return true;
	}
	more.rlim_cur = wanted;
	more.rlim_max = now.rlim_max > wanted ? now.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
		*have = wanted;
		return true;
	}
	/* As far as it goes, then. */
	more.rlim_cur = now.rlim_max;
	more.rlim_max = now.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
		*have = now.rlim_max;
	}
	errno = EPERM;
	return false;
}
