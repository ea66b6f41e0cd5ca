/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One thread, poll(), and a line buffer for each client. Only lines are
 * looked at: one that begins with `get ` is answered with the value, one that
 * begins with `set ` announces data, and any other is such data.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_server.h"

/* The descriptors of the thread: the pipe, the listener, then clients. */
#define CLIENTS_MAX 32
#define PIPE 0
#define LISTENER 1
#define FIRST 2
#define LINE_MAX_BYTES 256

struct client {
	size_t used;
	char line[LINE_MAX_BYTES];
};

struct service {
	struct pollfd fds[FIRST + CLIENTS_MAX];
	struct client clients[CLIENTS_MAX];
	nfds_t count;
};

static bool send_all(int fd, const char *data, size_t size)
{
	ssize_t sent = 1;

	while (size != 0 && sent > 0) {
		sent = send(fd, data, size, MSG_NOSIGNAL);
		data += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
	return size == 0;
}

/* Answers a line, given with its end as a string. */
static bool answer(int fd, const char *line)
{
	char reply[LINE_MAX_BYTES + CONTROL_BYTES + 64];
	int head;

	if (strncmp(line, "set ", 4) == 0) {
		return true;
	}
	if (strncmp(line, "get ", 4) != 0) {
		return send_all(fd, "STORED\r\n", 8);
	}
	head = snprintf(reply, sizeof(reply), "VALUE %.*s 0 %d\r\n",
			(int)strcspn(line + 4, "\r\n"), line + 4,
			CONTROL_BYTES);
	memset(reply + head, CONTROL_FILL, CONTROL_BYTES);
	memcpy(reply + head + CONTROL_BYTES, "\r\nEND\r\n", 7);
	return send_all(fd, reply, (size_t)head + CONTROL_BYTES + 7);
}

/* Receives once, answers the lines that are complete; false at the end. */
static bool client_serve(struct client *client, int fd)
{
	ssize_t got = recv(fd, client->line + client->used,
			   sizeof(client->line) - 1 - client->used, 0);
	char *end;

	if (got <= 0) {
		return false;
	}
	client->used += (size_t)got;
	client->line[client->used] = '\0';
	while ((end = strchr(client->line, '\n')) != NULL) {
		*end = '\0';
		if (!answer(fd, client->line)) {
			return false;
		}
		client->used -= (size_t)(end + 1 - client->line);
		memmove(client->line, end + 1, client->used + 1);
	}
	return client->used < sizeof(client->line) - 1;
}

static void service_accept(struct service *service)
{
	int fd = accept(service->fds[LISTENER].fd, NULL, NULL);

	if (fd < 0 || service->count == FIRST + CLIENTS_MAX) {
		fprintf(stderr, "control: cannot accept\n");
		exit(2);
	}
	service->clients[service->count - FIRST].used = 0;
	service->fds[service->count++] = (struct pollfd){ .fd = fd,
							  .events = POLLIN };
}

/* The last client takes the place of the one that leaves. */
static void service_drop(struct service *service, nfds_t at)
{
	close(service->fds[at].fd);
	service->count--;
	service->fds[at] = service->fds[service->count];
	service->clients[at - FIRST] = service->clients[service->count - FIRST];
}

static void *control_run(void *argument)
{
	const struct control *control = argument;
	struct service *service = calloc(1, sizeof(*service));

	if (service == NULL) {
		perror("control");
		exit(2);
	}
	service->fds[PIPE].fd = control->stop[0];
	service->fds[PIPE].events = POLLIN;
	service->fds[LISTENER].fd = control->listener;
	service->fds[LISTENER].events = POLLIN;
	service->count = FIRST;
	while (service->fds[PIPE].revents == 0) {
		if (poll(service->fds, service->count, -1) < 0 &&
		    errno != EINTR) {
			perror("poll");
			exit(2);
		}
		for (nfds_t at = service->count; at-- > FIRST;) {
			if (service->fds[at].revents != 0 &&
			    !client_serve(&service->clients[at - FIRST],
					  service->fds[at].fd)) {
				service_drop(service, at);
			}
		}
		if (service->fds[LISTENER].revents != 0) {
			service_accept(service);
		}
	}
	while (service->count > FIRST) {
		service_drop(service, service->count - 1);
	}
	free(service);
	return NULL;
}

static bool listen_somewhere(struct control *control)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t size = sizeof(address);

	control->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control->listener < 0 ||
	    bind(control->listener, (struct sockaddr *)&address, size) != 0 ||
	    listen(control->listener, CLIENTS_MAX) != 0 ||
	    getsockname(control->listener, (struct sockaddr *)&address,
			&size) != 0) {
		return false;
	}
	control->port = ntohs(address.sin_port);
	return true;
}

bool control_start(struct control *control)
{
	if (!listen_somewhere(control) || pipe(control->stop) != 0) {
		perror("control");
		return false;
	}
	errno = pthread_create(&control->thread, NULL, control_run, control);
	if (errno != 0) {
		perror("control");
		return false;
	}
	return true;
}

void control_stop(struct control *control)
{
	close(control->stop[1]);
	pthread_join(control->thread, NULL);
	close(control->stop[0]);
	close(control->listener);
}
