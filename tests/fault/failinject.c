/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library to preload into a server that makes chosen calls of the system
 * fail: the n-th allocation, accept, receive and so on. A test arms it, runs
 * a workload, and raises n until a run passes without a failure: then every
 * place was tried.
 *
 * Control is a file that the test creates with FAIL_CONTROL_BYTES zeros and
 * maps; the environment FAIL_CONTROL names it, and its layout is struct
 * fail_control. The library fills in the names of the calls. So one server
 * process can be taken through many n. A failure at start is armed by the
 * environment instead: FAIL_CALL (a name), FAIL_NTH (from 1), FAIL_ERRNO (a
 * number), FAIL_REPEAT (how many in a row), FAIL_DELAY_US.
 *
 * A call on a file can be chosen by a part of the file's name, too (`only`),
 * and delay_us makes the chosen calls slow, but not longer than they are armed:
 * before they fail or, with an error of 0, before they are made.
 *
 * stuck_port makes one descriptor misbehave: once a socket whose peer has
 * that port joins an epoll set, waiting on the set reports EPOLLERR for it
 * at once, for ever, until the descriptor is closed.
 *
 * Calls count from the library's constructor on. Only failures that a kernel
 * really gives are worth arming: a made-up EAGAIN or short send would leave
 * an edge-triggered loop waiting for an edge that cannot come.
 */

/* Both names of mmap are defined here; this would make them the same. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum fail_call {
	FAIL_NONE,
	FAIL_ALLOC,
	FAIL_MMAP,
	FAIL_SOCKET,
	FAIL_BIND,
	FAIL_LISTEN,
	FAIL_ACCEPT,
	FAIL_RECV,
	FAIL_SEND,
	FAIL_EPOLL_CREATE,
	FAIL_EPOLL_CTL,
	FAIL_EPOLL_WAIT,
	FAIL_EVENTFD,
	FAIL_TIMERFD,
	FAIL_THREAD,
	FAIL_SIGNALFD,
	FAIL_RANDOM,
	/* Of files in a directory that is kept. */
	FAIL_OPENAT,
	FAIL_PREAD,
	FAIL_PWRITE,
	FAIL_FDATASYNC,
	FAIL_FSYNC,
	FAIL_RENAME,
	FAIL_UNLINK,
	FAIL_CALLS,
};

#define FAIL_NAME_BYTES 16
#define FAIL_CALLS_MAX 32
#define FAIL_ONLY_BYTES 32
#define HOLD_STEP_US 5000U

static const char fail_names[FAIL_CALLS][FAIL_NAME_BYTES] = {
	[FAIL_NONE] = "none",           [FAIL_ALLOC] = "alloc",
	[FAIL_MMAP] = "mmap",           [FAIL_SOCKET] = "socket",
	[FAIL_BIND] = "bind",           [FAIL_LISTEN] = "listen",
	[FAIL_ACCEPT] = "accept",       [FAIL_RECV] = "recv",
	[FAIL_SEND] = "send",           [FAIL_EPOLL_CREATE] = "epoll_create",
	[FAIL_EPOLL_CTL] = "epoll_ctl", [FAIL_EPOLL_WAIT] = "epoll_wait",
	[FAIL_EVENTFD] = "eventfd",     [FAIL_TIMERFD] = "timerfd",
	[FAIL_THREAD] = "thread",       [FAIL_SIGNALFD] = "signalfd",
	[FAIL_RANDOM] = "getrandom",    [FAIL_OPENAT] = "openat",
	[FAIL_PREAD] = "pread",         [FAIL_PWRITE] = "pwrite",
	[FAIL_FDATASYNC] = "fdatasync", [FAIL_FSYNC] = "fsync",
	[FAIL_RENAME] = "rename",       [FAIL_UNLINK] = "unlink",
};

/* Shared with the test, which writes `call` last to arm. */
struct fail_control {
	_Atomic uint32_t call;   /* enum fail_call; FAIL_NONE disarms */
	_Atomic uint32_t error;  /* errno to give */
	_Atomic uint64_t nth;    /* first one to fail, from 1 */
	_Atomic uint64_t repeat; /* how many in a row fail */
	_Atomic uint64_t seen;   /* calls of the kind since armed */
	_Atomic uint64_t fired;  /* failures given since armed */
	_Atomic uint32_t stuck_port;
	_Atomic uint32_t stuck_closed;           /* the descriptor was closed */
	_Atomic uint64_t stuck_reports;          /* errors reported for it */
	_Atomic uint64_t counts[FAIL_CALLS_MAX]; /* all calls of each kind */
	char names[FAIL_CALLS_MAX][FAIL_NAME_BYTES];
	_Atomic uint32_t delay_us;  /* of the calls that are chosen */
	char only[FAIL_ONLY_BYTES]; /* part of a file's name; "": any file */
	_Atomic uint32_t arms;      /* how often it was armed */
};

#define FAIL_CONTROL_BYTES 4096
_Static_assert(sizeof(struct fail_control) <= FAIL_CONTROL_BYTES,
	       "the control file is one page");
_Static_assert(FAIL_CALLS <= FAIL_CALLS_MAX, "each call has its place");

/* File-level state is what a preloaded library has: its host knows nothing
 * of it. */
static struct fail_control private_control;
static struct fail_control *control = &private_control;

/* Looking up the real allocator may allocate and free; those few bytes come
 * from here and are never freed. (The flag is volatile because dlsym() is
 * declared as a function that never calls back.) */
static char early[16384];
static _Atomic size_t early_used;
static __thread volatile bool resolving
	__attribute__((tls_model("initial-exec")));

/* The descriptor that is stuck: one for the whole process is enough. */
static struct {
	_Atomic int fd; /* -1: none */
	_Atomic int epoll_fd;
	epoll_data_t data;
} stuck = { .fd = -1, .epoll_fd = -1 };

static void *early_alloc(size_t size)
{
	size_t rounded = (size + 31) & ~(size_t)15;
	size_t at = atomic_fetch_add(&early_used, rounded);

	if (at + rounded > sizeof(early)) {
		abort();
	}
	return early + ((16 - ((uintptr_t)early & 15)) & 15) + at;
}

static bool early_owns(const void *pointer)
{
	uintptr_t at = (uintptr_t)pointer;

	return at >= (uintptr_t)early && at < (uintptr_t)early + sizeof(early);
}

/* The function that would have been called without this library. */
static void *real_find(const char *name, void *_Atomic *slot)
{
	void *found = atomic_load_explicit(slot, memory_order_relaxed);

	if (found == NULL) {
		resolving = true;
		found = dlsym(RTLD_NEXT, name);
		resolving = false;
		if (found == NULL) {
			abort();
		}
		atomic_store_explicit(slot, found, memory_order_relaxed);
	}
	return found;
}

/* A pointer to the real function `name`, of that function's type: only a
 * macro can make the type from the name. */
#define REAL(name)                                                             \
	__extension__({                                                        \
		static void *_Atomic slot;                                     \
		((__typeof__(&name))real_find(#name, &slot));                  \
	})

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static void control_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0) {
		abort();
	}
	page = REAL(mmap)(NULL, FAIL_CONTROL_BYTES, PROT_READ | PROT_WRITE,
			  MAP_SHARED, fd, 0);
	if (page == MAP_FAILED) {
		abort();
	}
	REAL(close)(fd);
	memcpy(((struct fail_control *)page)->names, fail_names,
	       sizeof(fail_names));
	control = page;
}

__attribute__((constructor)) static void failinject_start(void)
{
	const char *path = getenv("FAIL_CONTROL");
	const char *name = getenv("FAIL_CALL");

	if (path != NULL) {
		control_map(path);
	}
	if (name == NULL) {
		return;
	}
	control->nth = env_number("FAIL_NTH", 1);
	control->repeat = env_number("FAIL_REPEAT", 1);
	control->error = (uint32_t)env_number("FAIL_ERRNO", ENOMEM);
	control->delay_us = (uint32_t)env_number("FAIL_DELAY_US", 0);
	for (uint32_t i = 0; i < FAIL_CALLS; i++) {
		if (strcmp(name, fail_names[i]) == 0) {
			control->call = i;
			return;
		}
	}
	abort();
}

static void wait_us(uint32_t us)
{
	struct timespec left = { .tv_sec = us / 1000000,
				 .tv_nsec = us % 1000000 * 1000 };

	while (us > 0 && nanosleep(&left, &left) < 0 && errno == EINTR) {
	}
}

/* Makes a chosen call slow: for delay_us, or until it is not armed any more,
 * so that a test can hold a call up and let it go. */
static void hold_up(enum fail_call call)
{
	uint32_t left_us = atomic_load(&control->delay_us);
	uint32_t arms = atomic_load(&control->arms);

	while (left_us > 0 && atomic_load(&control->call) == call &&
	       atomic_load(&control->arms) == arms) {
		uint32_t part_us = left_us < HOLD_STEP_US ? left_us :
							    HOLD_STEP_US;

		wait_us(part_us);
		left_us -= part_us;
	}
}

/* Counts a call; true when it has to fail, with errno set. */
static bool fails(enum fail_call call)
{
	uint64_t seen;

	atomic_fetch_add(&control->counts[call], 1);
	if (atomic_load(&control->call) != call) {
		return false;
	}
	seen = atomic_fetch_add(&control->seen, 1) + 1;
	if (seen < control->nth || seen - control->nth >= control->repeat) {
		return false;
	}
	atomic_fetch_add(&control->fired, 1);
	hold_up(call);
	if (control->error == 0) {
		return false;
	}
	errno = (int)control->error;
	return true;
}

/* Is a call on this file one of those that are chosen? */
static bool name_chosen(const char *name)
{
	return control->only[0] == '\0' || strstr(name, control->only) != NULL;
}

static bool name_fails(const char *name, enum fail_call call)
{
	return name_chosen(name) && fails(call);
}

static bool file_fails(int fd, enum fail_call call)
{
	char link[64];
	char name[4096] = "";
	int saved = errno;

	if (control->only[0] != '\0') {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, name, sizeof(name) - 1) < 0) {
			name[0] = '\0';
		}
		errno = saved;
	}
	return name_fails(name, call);
}

static bool socket_fails(int fd, enum fail_call call)
{
	struct stat st;
	int saved = errno;
	bool is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);

	errno = saved;
	return is_socket && fails(call);
}

/* ---- memory ------------------------------------------------------------ */

void *malloc(size_t size)
{
	if (resolving) {
		return early_alloc(size);
	}
	return fails(FAIL_ALLOC) ? NULL : REAL(malloc)(size);
}

void *calloc(size_t count, size_t size)
{
	if (resolving) {
		return early_alloc(count * size);
	}
	return fails(FAIL_ALLOC) ? NULL : REAL(calloc)(count, size);
}

void *realloc(void *old, size_t size)
{
	if (resolving || early_owns(old)) {
		abort();
	}
	return fails(FAIL_ALLOC) ? NULL : REAL(realloc)(old, size);
}

void free(void *pointer)
{
	if (!resolving && !early_owns(pointer)) {
		REAL(free)(pointer);
	}
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails(FAIL_ALLOC) ? NULL : REAL(aligned_alloc)(alignment, size);
}

int posix_memalign(void **pointer, size_t alignment, size_t size)
{
	int saved = errno;

	if (fails(FAIL_ALLOC)) {
		errno = saved;
		return ENOMEM;
	}
	return REAL(posix_memalign)(pointer, alignment, size);
}

void *mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	if (fails(FAIL_MMAP)) {
		return MAP_FAILED;
	}
	return REAL(mmap)(at, size, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	return mmap(at, size, prot, flags, fd, offset);
}

/* ---- sockets ----------------------------------------------------------- */

int socket(int domain, int type, int protocol)
{
	return fails(FAIL_SOCKET) ? -1 : REAL(socket)(domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
	return fails(FAIL_BIND) ? -1 : REAL(bind)(fd, address, size);
}

int listen(int fd, int backlog)
{
	return fails(FAIL_LISTEN) ? -1 : REAL(listen)(fd, backlog);
}

int accept(int fd, struct sockaddr *address, socklen_t *size)
{
	return fails(FAIL_ACCEPT) ? -1 : REAL(accept)(fd, address, size);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	return fails(FAIL_ACCEPT) ? -1 :
				    REAL(accept4)(fd, address, size, flags);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
	return fails(FAIL_RECV) ? -1 : REAL(recv)(fd, data, size, flags);
}

/* What a fortified build calls instead of recv and read. */
ssize_t __recv_chk(int fd, void *data, size_t size, size_t room, int flags);
ssize_t __read_chk(int fd, void *data, size_t size, size_t room);

ssize_t __recv_chk(int fd, void *data, size_t size, size_t room, int flags)
{
	return fails(FAIL_RECV) ? -1 :
				  REAL(__recv_chk)(fd, data, size, room, flags);
}

ssize_t __read_chk(int fd, void *data, size_t size, size_t room)
{
	return socket_fails(fd, FAIL_RECV) ?
		       -1 :
		       REAL(__read_chk)(fd, data, size, room);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return fails(FAIL_RECV) ? -1 : REAL(recvmsg)(fd, message, flags);
}

ssize_t read(int fd, void *data, size_t size)
{
	return socket_fails(fd, FAIL_RECV) ? -1 : REAL(read)(fd, data, size);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
	return socket_fails(fd, FAIL_RECV) ? -1 : REAL(readv)(fd, parts, count);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
	return fails(FAIL_SEND) ? -1 : REAL(send)(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return fails(FAIL_SEND) ? -1 : REAL(sendmsg)(fd, message, flags);
}

ssize_t write(int fd, const void *data, size_t size)
{
	return socket_fails(fd, FAIL_SEND) ? -1 : REAL(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return socket_fails(fd, FAIL_SEND) ? -1 :
					     REAL(writev)(fd, parts, count);
}

int close(int fd)
{
	if (fd >= 0 && fd == atomic_load(&stuck.fd)) {
		atomic_store(&stuck.fd, -1);
		atomic_store(&control->stuck_closed, 1);
	}
	return REAL(close)(fd);
}

/* ---- files -------------------------------------------------------------- */

int openat64(int dir_fd, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (name_fails(name, FAIL_OPENAT)) {
		return -1;
	}
	return REAL(openat64)(dir_fd, name, flags, mode);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
	return file_fails(fd, FAIL_PREAD) ?
		       -1 :
		       REAL(pread64)(fd, data, size, offset);
}

/* What a fortified build calls instead of pread. */
ssize_t __pread64_chk(int fd, void *data, size_t size, off64_t offset,
		      size_t room);

ssize_t __pread64_chk(int fd, void *data, size_t size, off64_t offset,
		      size_t room)
{
	return file_fails(fd, FAIL_PREAD) ?
		       -1 :
		       REAL(__pread64_chk)(fd, data, size, offset, room);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
	return file_fails(fd, FAIL_PWRITE) ?
		       -1 :
		       REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return file_fails(fd, FAIL_PWRITE) ?
		       -1 :
		       REAL(pwrite64)(fd, data, size, offset);
}

int fdatasync(int fd)
{
	return file_fails(fd, FAIL_FDATASYNC) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
	return file_fails(fd, FAIL_FSYNC) ? -1 : REAL(fsync)(fd);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return name_fails(from, FAIL_RENAME) ?
		       -1 :
		       REAL(renameat)(from_fd, from, to_fd, to);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
	return name_fails(name, FAIL_UNLINK) ?
		       -1 :
		       REAL(unlinkat)(dir_fd, name, flags);
}

/* ---- loops and threads ------------------------------------------------- */

int epoll_create1(int flags)
{
	return fails(FAIL_EPOLL_CREATE) ? -1 : REAL(epoll_create1)(flags);
}

static bool peer_has_port(int fd, uint32_t port)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int saved = errno;
	bool has;

	has = getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
	      peer.sin_family == AF_INET && ntohs(peer.sin_port) == port;
	errno = saved;
	return has;
}

int epoll_ctl(int epoll_fd, int what, int fd, struct epoll_event *event)
{
	uint32_t port = atomic_load(&control->stuck_port);

	if (fails(FAIL_EPOLL_CTL)) {
		return -1;
	}
	if (what == EPOLL_CTL_ADD && port != 0 && peer_has_port(fd, port)) {
		stuck.data = event->data;
		atomic_store(&stuck.epoll_fd, epoll_fd);
		atomic_store(&stuck.fd, fd);
	}
	return REAL(epoll_ctl)(epoll_fd, what, fd, event);
}

/* Is the stuck descriptor in this set? Then the wait must not sleep. */
static bool stuck_in(int epoll_fd)
{
	return atomic_load(&stuck.fd) >= 0 &&
	       atomic_load(&stuck.epoll_fd) == epoll_fd;
}

/* Adds the error of the stuck descriptor to what the kernel reported. */
static int stuck_add(struct epoll_event *events, int room, int count)
{
	int at = count < room ? count : room - 1;

	if (count < 0) {
		return count;
	}
	events[at].events = EPOLLERR;
	events[at].data = stuck.data;
	atomic_fetch_add(&control->stuck_reports, 1);
	return at + 1;
}

int epoll_pwait(int epoll_fd, struct epoll_event *events, int room,
		int timeout_ms, const sigset_t *mask)
{
	if (fails(FAIL_EPOLL_WAIT)) {
		return -1;
	}
	if (stuck_in(epoll_fd)) {
		return stuck_add(events, room,
				 REAL(epoll_pwait)(epoll_fd, events, room, 0,
						   mask));
	}
	return REAL(epoll_pwait)(epoll_fd, events, room, timeout_ms, mask);
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int room,
	       int timeout_ms)
{
	return epoll_pwait(epoll_fd, events, room, timeout_ms, NULL);
}

int epoll_pwait2(int epoll_fd, struct epoll_event *events, int room,
		 const struct timespec *timeout, const sigset_t *mask)
{
	if (fails(FAIL_EPOLL_WAIT)) {
		return -1;
	}
	if (stuck_in(epoll_fd)) {
		return stuck_add(events, room,
				 REAL(epoll_pwait)(epoll_fd, events, room, 0,
						   mask));
	}
	return REAL(epoll_pwait2)(epoll_fd, events, room, timeout, mask);
}

int eventfd(unsigned int count, int flags)
{
	return fails(FAIL_EVENTFD) ? -1 : REAL(eventfd)(count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
	return fails(FAIL_TIMERFD) ? -1 : REAL(timerfd_create)(clock, flags);
}

int signalfd(int fd, const sigset_t *mask, int flags)
{
	return fails(FAIL_SIGNALFD) ? -1 : REAL(signalfd)(fd, mask, flags);
}

ssize_t getrandom(void *data, size_t size, unsigned int flags)
{
	return fails(FAIL_RANDOM) ? -1 : REAL(getrandom)(data, size, flags);
}

/* Gives its error as the result, not in errno. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
		   void *(*run)(void *), void *argument)
{
	int saved = errno;

	if (fails(FAIL_THREAD)) {
		errno = saved;
		return (int)control->error;
	}
	return REAL(pthread_create)(thread, attributes, run, argument);
}
