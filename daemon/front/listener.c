// SPDX-License-Identifier: MIT
#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "broker.h"
#include "connection.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/core/refusal.h"
#include "proto/container.h"
#include "proto/wire.h"

#define LISTEN_BACKLOG       256
#define LOCK_PATIENCE_NS     (2 * NS_PER_S)
#define LOCK_AGAIN_US        10000
#define ACCEPTS_PER_TURN     16
#define LISTENER_STARVING_NS (20 * NS_PER_MS)

static int listener_adopt(struct listener *listener, char *error, size_t error_size)
{
	if (sd_listen_fds(0) > 1) {
		snprintf(error, error_size,
			 "the service manager passed %d sockets, one is wanted: fix "
			 "the socket unit",
			 sd_listen_fds(0));
		return -EINVAL;
	}
	if (sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 1) <= 0) {
		snprintf(error, error_size,
			 "the socket that the service manager passed is not a "
			 "listening unix SOCK_SEQPACKET one: use ListenSequentialPacket=");
		return -EINVAL;
	}
	listener->socket = SD_LISTEN_FDS_START;
	fcntl(listener->socket, F_SETFL, O_NONBLOCK);
	return 0;
}

static int make_directory(const char *path, bool user_mode, char *error, size_t error_size)
{
	char *copy = strdup(path);
	if (!copy) {
		return -ENOMEM;
	}
	const char *directory = dirname(copy);
	int r = 0;
	if (mkdir(directory, user_mode ? 0700 : 0755) < 0 && errno != EEXIST) {
		r = -errno;
		snprintf(error, error_size,
			 "cannot make the directory %s: %s; make it, or choose "
			 "another place with --socket",
			 directory, strerrordesc_np(-r));
	}
	free(copy);
	return r;
}

/* The pid in the lock file: that of the holder, or of the last one. */
static pid_t lock_holder(int fd)
{
	char text[16] = "";
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	text[size > 0 ? size : 0] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static bool process_gone(pid_t pid)
{
	return pid > 0 && kill(pid, 0) < 0 && errno == ESRCH;
}

/* Waits a moment for a dead holder: the closing helper of a killed daemon shares its files and ends later. */
static int lock_take(int fd)
{
	uint64_t patience = clock_now_ns() + LOCK_PATIENCE_NS;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			return -errno;
		}
		if (!process_gone(lock_holder(fd)) || clock_now_ns() > patience) {
			return -EADDRINUSE;
		}
		usleep(LOCK_AGAIN_US);
	}
	return 0;
}

/* The lock shows whether a daemon serves this path; the socket file alone does not. */
static int listener_lock(struct listener *listener, const char *path, char *error,
			 size_t error_size)
{
	char lock_path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int r = -errno;
		snprintf(error, error_size,
			 "cannot write %s: %s; run as a user that may write it, or choose "
			 "another place with --socket",
			 lock_path, strerrordesc_np(-r));
		return r;
	}
	listener->lock = fd;
	int r = lock_take(fd);
	if (r < 0 && r != -EADDRINUSE) {
		snprintf(error, error_size, "cannot flock %s: %s%s", lock_path, strerrordesc_np(-r),
			 call_hint(r));
		return r;
	}
	if (r < 0) {
		snprintf(error, error_size,
			 "another fencebrokerd (pid %d) serves %s; stop it, or "
			 "choose another place with --socket",
			 lock_holder(fd), path);
		return r;
	}
	if (ftruncate(fd, 0) == 0) {
		dprintf(fd, "%d", getpid());
	}
	return 0;
}

/* Only a refusal says that nobody listens there: whoever made the socket may not have taken our lock, as the service manager. */
static int path_ask(const struct sockaddr_un *address, pid_t *ret_pid)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	if (r == 0) {
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
		*ret_pid = peer.pid;
	}
	close(fd);
	return r;
}

/* The lock of a killed daemon may be free a moment before its socket. */
static int path_ask_patiently(const struct sockaddr_un *address, pid_t *ret_pid)
{
	uint64_t patience = clock_now_ns() + LOCK_PATIENCE_NS;
	int r;
	while ((r = path_ask(address, ret_pid)) == 0 && process_gone(*ret_pid) &&
	       clock_now_ns() < patience) {
		usleep(LOCK_AGAIN_US);
	}
	return r;
}

/* Removes a socket that is stale. */
static int path_clear(const struct sockaddr_un *address, char *error, size_t error_size)
{
	const char *path = address->sun_path;
	struct stat status;
	char who[32] = "";
	pid_t pid = 0;
	if (lstat(path, &status) < 0) {
		return 0; /* if that is not because nothing is there, bind() says so */
	}
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(error, error_size,
			 "%s exists and is not a socket: remove it, or choose "
			 "another place with --socket",
			 path);
		return -EEXIST;
	}
	int r = path_ask_patiently(address, &pid);
	if (r == -ECONNREFUSED && unlink(path) == 0) {
		return 0;
	}
	if (r == -ECONNREFUSED || r == -ENOENT) {
		return 0; /* bind() says what is wrong */
	}
	bool busy = r == 0 || r == -EAGAIN;
	if (pid > 0) {
		snprintf(who, sizeof(who), " (pid %d)", pid);
	}
	snprintf(error, error_size,
		 "another program%s has the socket %s%s%s; stop it, or choose another place with "
		 "--socket",
		 who, path, busy ? "" : ": ", busy ? "" : strerrordesc_np(-r));
	return -EADDRINUSE;
}

/* What is at the path is the socket that this daemon made: it holds that inode, whose number nobody else gets. */
static bool listener_owns_path(const struct listener *listener)
{
	struct stat status;
	return listener->path && lstat(listener->path, &status) == 0 &&
	       status.st_dev == listener->device && status.st_ino == listener->inode;
}

static int listener_bind(struct listener *listener, const char *path, bool user_mode, char *error,
			 size_t error_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status = { 0 };
	strcpy(address.sun_path, path); /* listener_open checked its length */
	int r = path_clear(&address, error, error_size);
	if (r < 0) {
		return r;
	}
	listener->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->socket < 0 ||
	    bind(listener->socket, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		snprintf(error, error_size,
			 "cannot %s %s: %s%s; choose another place with --socket",
			 listener->socket < 0 ? "make a socket for" : "bind", path,
			 strerrordesc_np(-r), call_hint(r));
		return r;
	}
	listener->path = strdup(path);
	lstat(path, &status);
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	/* Open to every user: the policy decides, and gives a reason; the file's mode could not. */
	if (!listener->path || chmod(path, user_mode ? 0600 : 0666) < 0 ||
	    listen(listener->socket, LISTEN_BACKLOG) < 0) {
		r = -errno;
		snprintf(error, error_size,
			 "cannot listen on %s: %s%s; choose another place with --socket", path,
			 strerrordesc_np(-r), call_hint(r));
		return r;
	}
	return 0;
}

int listener_open(struct listener *listener, const char *path, bool user_mode, char *error,
		  size_t error_size)
{
	*listener = (struct listener){ .socket = -1, .lock = -1, .reserve = -1 };
	int r;
	if (sd_listen_fds(0) > 0) {
		r = listener_adopt(listener, error, error_size);
	} else if (strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		snprintf(error, error_size,
			 "%s is longer than a socket's path may be (%zu bytes): choose "
			 "another place with --socket",
			 path, sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		r = -ENAMETOOLONG;
	} else {
		r = make_directory(path, user_mode, error, error_size);
		if (r == 0) {
			r = listener_lock(listener, path, error, error_size);
		}
		if (r == 0) {
			r = listener_bind(listener, path, user_mode, error, error_size);
		}
	}
	if (r == 0) {
		listener->reserve = eventfd(0, EFD_CLOEXEC);
	} else {
		listener_close(listener);
	}
	return r;
}

static bool listener_reserve(struct listener *listener)
{
	if (listener->reserve < 0) {
		listener->reserve = eventfd(0, EFD_CLOEXEC);
	}
	return listener->reserve >= 0;
}

static void listener_fed(struct wheel_timer *timer)
{
	struct listener *listener = container_of(timer, struct listener, starving);
	if (listener_reserve(listener)) {
		event_add(listener->event, NULL);
	} else {
		loop_arm(&listener->broker->registry.loop, timer,
			 clock_now_ns() + LISTENER_STARVING_NS);
	}
}

static void listener_pause(struct listener *listener)
{
	event_del(listener->event);
	loop_arm(&listener->broker->registry.loop, &listener->starving,
		 clock_now_ns() + LISTENER_STARVING_NS);
}

static int listener_try(struct listener *listener, int socket, struct credentials *credentials,
			char *detail)
{
	struct connection *connection;
	int r = connection_credentials(socket, credentials);
	if (r < 0) {
		snprintf(detail, FBK_REASON_SIZE, "the process can't be watched: %s",
			 strerrordesc_np(-r));
		return r;
	}
	return connection_create(listener->broker, socket, credentials, &connection, detail);
}

static int listener_admit(struct listener *listener, int socket)
{
	struct broker *broker = listener->broker;
	struct credentials credentials;
	char detail[FBK_REASON_SIZE];
	int r = listener_try(listener, socket, &credentials, detail);
	if (r == -EDQUOT && credentials.inspects &&
	    connection_may_administer(broker, credentials.uid) && connection_displace(broker)) {
		r = listener_try(listener, socket, &credentials, detail);
	}
	if (r < 0) {
		refusal_log(&broker->registry, &credentials, detail);
		connection_refuse(socket, r, detail);
		closer_close(&broker->registry.closer, socket);
	}
	return r;
}

static void listener_serve(struct listener *listener, int socket)
{
	struct counters *counters = &listener->broker->registry.counters;
	if (listener_admit(listener, socket) < 0) {
		counters->refused++;
	} else {
		counters->connections++;
	}
}

/* An administrator gets in by the spare fds, and looks why there are no others. False: it is none. */
static bool listener_serve_by_spare(struct listener *listener, int socket)
{
	struct broker *broker = listener->broker;
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
	    !connection_may_administer(broker, peer.uid) || !connection_socket_inspects(socket)) {
		return false;
	}
	spare_lend(&broker->spare);
	listener_serve(listener, socket);
	listener_reserve(listener);
	spare_fill(&broker->spare);
	return true;
}

/* Out of fds: accept with the reserve and drop the connection, else it would wake the loop for ever. The closer closes
 * the dropped socket a little later; only then can the reserve be opened again. */
static void listener_refuse(struct listener *listener)
{
	struct registry *registry = &listener->broker->registry;
	close(listener->reserve);
	listener->reserve = -1;
	int socket = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket >= 0 && !listener_serve_by_spare(listener, socket)) {
		log_starved("a new client is refused");
		closer_close(&registry->closer, socket);
		registry->counters.refused++;
	}
	if (!listener_reserve(listener)) {
		listener_pause(listener);
	}
}

/* The system call fails, and will: a pause, else the loop would turn for ever. */
static void listener_refused(struct listener *listener, int error)
{
	static uint64_t quiet_until_ns;
	if (log_seldom(&quiet_until_ns)) {
		log_call("accept4", error);
	}
	listener_pause(listener);
}

static void listener_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct listener *listener = arg;
	spare_fill(&listener->broker->spare); /* what an administrator had may be free again */
	for (int i = 0; i < ACCEPTS_PER_TURN && listener->reserve >= 0; i++) {
		int socket = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (socket < 0 && (errno == EMFILE || errno == ENFILE)) {
			listener_refuse(listener);
			continue;
		}
		if (socket < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)) {
			return; /* nobody is there any more */
		}
		if (socket < 0) {
			listener_refused(listener, -errno);
			return;
		}
		listener_serve(listener, socket);
	}
}

int listener_start(struct listener *listener, struct broker *broker)
{
	listener->broker = broker;
	listener->starving.fire = listener_fed;
	listener->event =
		loop_listen(&broker->registry.loop, listener->socket, EV_READ | EV_PERSIST,
			    PRIORITY_REQUEST, listener_accept, listener);
	return listener->event ? 0 : -ENOMEM;
}

void listener_close(struct listener *listener)
{
	if (listener->broker) {
		loop_disarm(&listener->broker->registry.loop, &listener->starving);
	}
	event_drop(listener->event);
	if (listener_owns_path(listener)) {
		unlink(listener->path);
	}
	free(listener->path);
	if (listener->socket >= 0) {
		close(listener->socket);
	}
	if (listener->reserve >= 0) {
		close(listener->reserve);
	}
	if (listener->lock >= 0) {
		close(listener->lock); /* the file stays: without it two daemons could hold locks */
	}
	*listener = (struct listener){ .socket = -1, .lock = -1, .reserve = -1 };
}
