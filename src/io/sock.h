/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listening sockets and addresses.
 */
#ifndef DOZO_IO_SOCK_H
#define DOZO_IO_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
	SOCK_ADDR_TEXT = 128, /* room for an address in text */
	SOCK_IP_TEXT = 46,    /* for an IPv4 or IPv6 address alone */
};

/*
 * Splits "addr", "addr:port", "[v6]:port", "v6" into host and port; the port
 * is `default_port` where none is given.  False: *why says what is wrong (a
 * static text).
 */
bool sock_split_address(const char *text, int default_port, char *host,
			size_t host_room, int *port, const char **why);

/* For `backlog`: an address, but nobody can connect before sock_start(). */
enum { SOCK_BIND_ONLY = -1 };

/*
 * Opens listening sockets for every address that `host` resolves to (NULL:
 * all addresses).  port 0 asks for a free one.  Fills up to `room`
 * descriptors, non-blocking and close-on-exec, and returns their number; 0
 * with errno and *why set when none could be opened.  Connections accepted
 * on them have TCP_NODELAY and keepalive.
 */
int sock_listen_tcp(const char *host, int port, int backlog, int *fds, int room,
		    const char **why);

/* A unix socket at `path` with mode `mask` (octal, as -a); -1 with errno.
 * A socket file that nobody listens on any more is replaced. */
int sock_listen_unix(const char *path, unsigned mask, int backlog);

/* A socket that was only bound listens; false with errno. */
bool sock_start(int fd, int backlog);

/* "tcp:1.2.3.4:5", "tcp6:[::1]:5", "unix:/path", as `stats conns` has it. */
void sock_format(const struct sockaddr_storage *addr, socklen_t len, char *out,
		 size_t room);
void sock_format_local(int fd, char *out, size_t room);
void sock_format_peer(int fd, char *out, size_t room);

/* The address and the port of a TCP peer; false, with neither touched, when
 * the other end is a unix socket or has gone. */
bool sock_peer_ip(int fd, char ip[SOCK_IP_TEXT], int *port);

/* The port an address or a listening socket has; 0 for none. */
int sock_port(const struct sockaddr_storage *addr);
int sock_local_port(int fd);

/*
 * Raises the descriptor limit so that `wanted` descriptors can be open;
 * false with errno set when that is not allowed; *have tells the limit then.
 */
bool sock_raise_descriptor_limit(uint64_t wanted, uint64_t *have);

#endif
