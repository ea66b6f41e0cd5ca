/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The start of a server, in an order with reasons:
 *
 *  1. all options are read, and what they name is looked up, before anything
 *     is opened: a mistake never listens;
 *  2. limits and sockets come while the process still has its first rights;
 *     the sockets have their addresses, but nobody can connect yet;
 *  3. the process goes into the background, then to its user: threads start
 *     later, since neither step takes threads along;
 *  4. the pid file carries the id and the owner that the server has by then;
 *  5. the node is made, which may mean to recover data for a while, and its
 *     memory locked if that is wanted; were it locked before, a limit would
 *     stop the node instead of the lock;
 *  6. now the sockets listen: until here a client was refused, which is an
 *     answer, and did not wait for one;
 *  7. the port file follows, since scripts take it for the sign to go on;
 *  8. only now does the process that started it learn of success.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/check.h"
#include "base/diag.h"
#include "base/limits.h"
#include "cmd/licence.h"
#include "cmd/options.h"
#include "cmd/process.h"
#include "cmd/server.h"
#include "cmd/sockets.h"
#include "io/sock.h"
#include "node/auth.h"
#include "node/node.h"

/*
 * Descriptors beside connections: for each thread a poll set and a wake-up,
 * the listeners, and 32 for standard streams, files that are read while the
 * server runs, and what libraries open.
 */
enum { FDS_PER_THREAD = 2, FDS_SPARE = 32 };

struct server {
	struct options options;
	struct sockets sockets;
	struct process_user user;
	bool root; /* started by it */
	bool become_user;
	bool pid_written;
	char *pid_path;
	char *auth_path;
	int ready_fd;
	struct node *node;
};

/* One line for people about a start that fails; always returns `status`. */
static int complain(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int complain(int status, const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "dozo: %s\n", line);
	return status;
}

/* The file of -Y is read here once, so that a bad one never listens. */
static int check_auth_file(const char *file)
{
	const char *why = "";
	struct auth auth;
	bool ok = auth_init(&auth, file, &why);

	auth_release(&auth);
	return ok ? EX_OK : complain(EX_DATAERR, "-Y: %s: %s", file, why);
}

/* What the options name in the system. */
static int look_up(struct server *sv)
{
	struct settings *s = &sv->options.settings;
	int status;

	if (s->auth_file != NULL) {
		sv->auth_path = process_absolute_path(s->auth_file);
		if (sv->auth_path == NULL || access(sv->auth_path, R_OK) < 0) {
			return complain(EX_NOINPUT, "-Y: cannot read %s: %s",
					s->auth_file, strerror(errno));
		}
		s->auth_file = sv->auth_path;
		status = check_auth_file(s->auth_file);
		if (status != EX_OK) {
			return status;
		}
	}
	if (s->pid_file != NULL) {
		sv->pid_path = process_absolute_path(s->pid_file);
		if (sv->pid_path == NULL) {
			return complain(EX_OSERR, "-P: %s", strerror(errno));
		}
		s->pid_file = sv->pid_path;
	}
	sv->root = geteuid() == 0;
	if (sv->root && s->user != NULL) {
		if (!process_find_user(s->user, &sv->user)) {
			return complain(EX_NOUSER, "-u: there is no user %s",
					s->user);
		}
		sv->become_user = true;
	}
	return EX_OK;
}

/*
 * Room for as many descriptors as -c needs.  If the system does not allow
 * it, -c is refused, but its default only gives way: nobody asked for it.
 */
static int raise_limits(struct server *sv)
{
	struct settings *s = &sv->options.settings;
	uint64_t spare = (uint64_t)FDS_PER_THREAD * (s->threads + 2) +
			 LISTENERS_MAX + FDS_SPARE;
	uint64_t wanted = spare + s->max_connections;
	uint64_t have = 0;

	if (!sock_raise_descriptor_limit(wanted, &have)) {
		if (sv->options.conn_limit_given || have <= spare) {
			return complain(
				EX_OSERR,
				"-c: %u connections need %llu descriptors, and "
				"the system allows %llu; see ulimit -n",
				s->max_connections, (unsigned long long)wanted,
				(unsigned long long)have);
		}
		s->max_connections = (uint32_t)(have - spare);
		diag(DIAG_WARN,
		     "only %u connections at the same time: the system allows "
		     "%llu descriptors (ulimit -n)",
		     s->max_connections, (unsigned long long)have);
	}
	if (s->core_dumps && !process_allow_cores()) {
		return complain(EX_OSERR,
				"-r: the limit of core files is not raised: %s",
				strerror(errno));
	}
	if (s->lock_memory) {
		process_unlimit_locked();
	}
	return EX_OK;
}

static int open_sockets(struct server *sv)
{
	if (!sockets_open(&sv->sockets, &sv->options)) {
		return complain(EX_OSERR, "%s", sv->sockets.why);
	}
	return EX_OK;
}

/* Scripts take the port file for the sign that the server is its user's. */
static int write_port_file(struct server *sv)
{
	const char *port_file = getenv("MEMCACHED_PORT_FILENAME");

	if (port_file != NULL && port_file[0] != '\0' &&
	    sv->options.settings.unix_path == NULL &&
	    !sockets_write_ports(&sv->sockets, port_file)) {
		return complain(EX_CANTCREAT, "%s", sv->sockets.why);
	}
	return EX_OK;
}

/* Into the background, to the user, into the pid file. */
static int settle(struct server *sv)
{
	struct settings *s = &sv->options.settings;

	if (s->daemonize && !process_split(&sv->ready_fd)) {
		return complain(EX_OSERR, "-d: %s", strerror(errno));
	}
	if (sv->become_user) {
		/* Or its own user could not connect to it. */
		if (s->unix_path != NULL &&
		    lchown(s->unix_path, sv->user.uid, sv->user.gid) < 0) {
			return complain(EX_OSERR,
					"-s: cannot give %s to %s: "
					"%s",
					s->unix_path, s->user, strerror(errno));
		}
		if (!process_become(&sv->user, s->core_dumps)) {
			return complain(EX_OSERR, "-u: cannot become %s: %s",
					s->user, strerror(errno));
		}
	}
	if (s->pid_file != NULL) {
		sv->pid_written = process_write_pid(s->pid_file);
		if (!sv->pid_written) {
			diag(DIAG_WARN, "-P: cannot write %s: %s", s->pid_file,
			     strerror(errno));
		}
	}
	return EX_OK;
}

static int make_node(struct server *sv)
{
	char why[NODE_WHY_SIZE];

	sv->node = node_new(&sv->options.settings, why);
	if (sv->node == NULL) {
		return complain(EX_OSERR, "cannot start: %s", why);
	}
	if (!sockets_listen(&sv->sockets, sv->options.settings.backlog)) {
		return complain(EX_OSERR, "%s", sv->sockets.why);
	}
	return write_port_file(sv);
}

/* The sockets are the node's from here on. */
static int hand_over(struct server *sv)
{
	struct sockets *sockets = &sv->sockets;

	for (int i = 0; i < sockets->count; i++) {
		int fd = sockets->fds[i];

		/* It is the node's from here on, whatever comes of it. */
		sockets->fds[i] = -1;
		if (!node_add_listener(sv->node, fd)) {
			return complain(EX_OSERR, "cannot start a listener: %s",
					strerror(errno));
		}
	}
	return EX_OK;
}

/* Said once the start has gone well, so that a failed one says one line. */
static void warn_of_options(const struct server *sv)
{
	const struct options *o = &sv->options;
	const struct settings *s = &o->settings;

	if (o->idle[0] != '\0') {
		diag(DIAG_WARN,
		     "accepted without effect, nothing here is tuned by it: %s",
		     o->idle);
	}
	if (s->udp_port != 0) {
		diag(DIAG_WARN,
		     "-U %d: datagrams are not served, only connections",
		     s->udp_port);
	}
	if (s->unix_path != NULL && (s->inter != NULL || o->tcp_port_given) &&
	    s->tcp_port != 0) {
		diag(DIAG_WARN, "-s: only the unix socket is listened on, "
				"-l and -p have no effect");
	}
	if (sv->root && s->user == NULL) {
		diag(DIAG_WARN, "runs as root; -u names a user with fewer "
				"rights");
	}
	if (!sv->root && s->user != NULL) {
		diag(DIAG_WARN,
		     "-u %s: only root becomes another user, so this has no "
		     "effect",
		     s->user);
	}
}

static void announce(const struct settings *s, const char *addresses)
{
	diag(DIAG_NOTE,
	     "dozo %s as memcached %s: %s; memory %llu MiB, %u threads, "
	     "%u connections",
	     DOZO_VERSION, s->version, addresses,
	     (unsigned long long)(s->memory_limit / MIB), s->threads,
	     s->max_connections);
}

static int serve(struct server *sv)
{
	struct settings *s = &sv->options.settings;
	char addresses[1024];
	int status;

	sockets_format(&sv->sockets, addresses, sizeof(addresses));
	status = make_node(sv);
	if (status != EX_OK) {
		return status;
	}
	status = hand_over(sv);
	if (status != EX_OK) {
		return status;
	}
	status = node_start(sv->node);
	if (status != 0) {
		return complain(EX_OSERR, "cannot start a thread: %s",
				strerror(status));
	}
	if (s->lock_memory && !process_lock_memory()) {
		diag(DIAG_WARN, "-k: memory is not locked: %s",
		     strerror(errno));
	}
	warn_of_options(sv);
	announce(s, addresses);
	diag(DIAG_NOTE, "dozo: ready");
	if (s->daemonize) {
		process_in_background(sv->ready_fd, s->verbosity > 0,
				      !s->core_dumps);
	}
	status = node_run(sv->node);
	if (s->daemonize && sv->pid_written && unlink(s->pid_file) < 0) {
		diag(DIAG_WARN, "-P: cannot remove %s: %s", s->pid_file,
		     strerror(errno));
	}
	return status;
}

static int start(struct server *sv)
{
	int (*const steps[])(struct server *) = {
		look_up, raise_limits, open_sockets, settle, serve,
	};

	diag_set_verbosity(sv->options.settings.verbosity);
	panic_prepare();
	signal(SIGPIPE, SIG_IGN);
	node_block_signals();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int status = steps[i](sv);

		if (status != EX_OK) {
			return status;
		}
	}
	return EX_OK;
}

static int answer(enum option_action action)
{
	switch (action) {
	case OPTIONS_HELP:
		options_print_help(stdout);
		break;
	case OPTIONS_VERSION:
		printf("dozo %s (memcached %s compatible)\n", DOZO_VERSION,
		       SETTINGS_VERSION);
		break;
	case OPTIONS_LICENCE:
		fputs(licence_text, stdout);
		break;
	case OPTIONS_RUN:
		break;
	}
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

int server_main(int argc, char *const *argv)
{
	struct server *sv = calloc(1, sizeof(*sv));
	int status;

	if (sv == NULL) {
		return complain(EX_OSERR, "out of memory");
	}
	if (!options_parse(&sv->options, argc, argv)) {
		status = complain(EX_USAGE, "%s", sv->options.problem);
	} else if (sv->options.action != OPTIONS_RUN) {
		status = answer(sv->options.action);
	} else {
		status = start(sv);
	}
	if (sv->node != NULL) {
		node_free(sv->node);
	}
	sockets_close(&sv->sockets);
	options_release(&sv->options);
	free(sv->pid_path);
	free(sv->auth_path);
	free(sv);
	return status;
}
