/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening what the options ask to listen on.
 *
 * Without -l only this machine is served: a cache that answers everybody by
 * default has been the cause of too many amplified attacks and leaks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/sockets.h"
#include "io/sock.h"

static bool fail(struct sockets *s, const char *what, const char *name,
		 const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s %.200s: %.200s", what, name, why);
	return false;
}

static bool open_tcp(struct sockets *s, const char *host, int port)
{
	const char *why = "unknown";
	int count = sock_listen_tcp(host, port, SOCK_BIND_ONLY,
				    s->fds + s->count, LISTENERS_MAX - s->count,
				    &why);
	char name[ADDRESS_HOST_ROOM + 16];
	int error = errno;

	if (count > 0) {
		s->count += count;
		return true;
	}
	snprintf(name, sizeof(name), "%s port %d", host != NULL ? host : "*",
		 port);
	fail(s, "cannot listen on", name, why);
	errno = error;
	return false;
}

/*
 * Both loopback addresses have one port, so that "localhost" means the same
 * server whichever of them a client tries first.  Only where the port was
 * free for the one and taken for the other do they differ.
 */
static bool open_loopback(struct sockets *s, int port)
{
	if (!open_tcp(s, "127.0.0.1", port)) {
		return false;
	}
	if (open_tcp(s, "::1", sock_local_port(s->fds[0]))) {
		return true;
	}
	if (port == 0 && errno == EADDRINUSE) {
		return open_tcp(s, "::1", 0);
	}
	return errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT;
}

static bool open_listed(struct sockets *s, const struct address_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct address *a = &list->items[i];

		if (s->count == LISTENERS_MAX) {
			return fail(s, "cannot listen on", a->host,
				    "too many addresses");
		}
		if (!open_tcp(s, a->host[0] != '\0' ? a->host : NULL,
			      a->port)) {
			return false;
		}
	}
	return true;
}

static bool open_unix(struct sockets *s, const struct settings *settings)
{
	int fd = sock_listen_unix(settings->unix_path, settings->unix_mask,
				  SOCK_BIND_ONLY);

	if (fd < 0) {
		return fail(s, "cannot listen on", settings->unix_path,
			    strerror(errno));
	}
	s->fds[s->count++] = fd;
	return true;
}

bool sockets_listen(struct sockets *s, int backlog)
{
	for (int i = 0; i < s->count; i++) {
		if (!sock_start(s->fds[i], backlog)) {
			return fail(s, "cannot listen on", "its address",
				    strerror(errno));
		}
	}
	return true;
}

bool sockets_open(struct sockets *s, const struct options *o)
{
	const struct settings *settings = &o->settings;
	int port = settings->tcp_port > 0 ? settings->tcp_port : 0;
	bool opened;

	s->count = 0;
	if (settings->unix_path != NULL) {
		opened = open_unix(s, settings);
	} else if (o->addresses.count > 0) {
		opened = open_listed(s, &o->addresses);
	} else {
		opened = open_loopback(s, port);
	}
	if (!opened) {
		sockets_close(s);
	}
	return opened;
}

void sockets_close(struct sockets *s)
{
	for (int i = 0; i < s->count; i++) {
		if (s->fds[i] >= 0) {
			close(s->fds[i]);
		}
	}
	s->count = 0;
}

static int family_of(int fd)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	(void)getsockname(fd, (struct sockaddr *)(void *)&addr, &len);
	return addr.ss_family;
}

static void put_ports(const struct sockets *s, FILE *file)
{
	for (int i = 0; i < s->count; i++) {
		int family = family_of(s->fds[i]);

		if (family == AF_INET || family == AF_INET6) {
			fprintf(file, "TCP %s: %d\n",
				family == AF_INET ? "INET" : "INET6",
				sock_local_port(s->fds[i]));
		}
	}
}

bool sockets_write_ports(struct sockets *s, const char *path)
{
	char partial[4096];
	FILE *file;
	bool written;

	if (snprintf(partial, sizeof(partial), "%s.lck", path) >=
	    (int)sizeof(partial)) {
		return fail(s, "cannot write", path, strerror(ENAMETOOLONG));
	}
	file = fopen(partial, "we");
	if (file == NULL) {
		return fail(s, "cannot write", partial, strerror(errno));
	}
	put_ports(s, file);
	written = !ferror(file);
	written = fclose(file) == 0 && written;
	if (!written || rename(partial, path) < 0) {
		fail(s, "cannot write", path, strerror(errno));
		(void)unlink(partial);
		return false;
	}
	return true;
}

void sockets_format(const struct sockets *s, char *out, size_t room)
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < s->count && at + SOCK_ADDR_TEXT + 1 < room; i++) {
		char text[SOCK_ADDR_TEXT];

		sock_format_local(s->fds[i], text, sizeof(text));
		at += (size_t)snprintf(out + at, room - at, "%s%s",
				       i > 0 ? " " : "", text);
	}
}
