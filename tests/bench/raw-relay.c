// SPDX-License-Identifier: MIT
/* Raw primitives with a relay process between signaler and waiter: system calls and atomics only. */
#include "raw.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host.h"
#include "member.h"
#include "round.h"

#define PATIENCE_S 20
#define PACKET_MAX 64

struct relay_board {
	struct meeting meeting;
	_Alignas(128) _Atomic uint32_t word; /* stored by the leader or the relay */
	_Alignas(128) _Atomic uint32_t back; /* stored by the relay on the way back */
};

struct raw_relay {
	struct relay_board *board;
	struct member relay;
	struct member partner;
	struct half half;
	struct half partner_half;
	int bell;   /* written by the leader, polled by the relay */
	int answer; /* written by the partner, in rows with a way back */
	int notify; /* raised by the relay, polled by the partner */
	int epoll;  /* of the partner, in rows where it has one */
	int sockets[2];
	int partner_sockets[2];
	unsigned int batch;
};

static void fd_close(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
	*fd = -1;
}

static void relay_close(void *state)
{
	struct raw_relay *relay = state;
	member_stop(&relay->partner);
	member_stop(&relay->relay);
	host_unshare(relay->board, sizeof(*relay->board));
	fd_close(&relay->bell);
	fd_close(&relay->notify);
	fd_close(&relay->sockets[0]);
	fd_close(&relay->sockets[1]);
	fd_close(&relay->answer);
	fd_close(&relay->partner_sockets[0]);
	fd_close(&relay->partner_sockets[1]);
	free(relay);
}

static int relay_create(const struct row *row, struct raw_relay **ret_relay)
{
	struct raw_relay *relay = calloc(1, sizeof(*relay));
	if (!relay) {
		return bench_fail("no memory");
	}
	relay->batch = row->batch ? row->batch : 1;
	relay->sockets[0] = relay->sockets[1] = -1;
	relay->partner_sockets[0] = relay->partner_sockets[1] = -1;
	relay->epoll = -1;
	relay->answer = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	relay->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	relay->notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	relay->board = host_share(sizeof(*relay->board));
	if (!relay->board || relay->bell < 0 || relay->answer < 0 || relay->notify < 0) {
		int r = bench_fail("eventfd or shared memory: %s", strerror(errno));
		relay_close(relay);
		return r;
	}
	*ret_relay = relay;
	return 0;
}

static int epoll_on(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		return bench_fail("epoll: %s", strerror(errno));
	}
	return epoll;
}

static int fd_ring(int fd)
{
	uint64_t one = 1;
	return write(fd, &one, sizeof(one)) == sizeof(one)
		       ? 0
		       : bench_fail("eventfd: %s", strerror(errno));
}

static int post_partner(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	return post_follow(socket, &relay->board->meeting, &relay->partner_half);
}

static int post_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_relay *relay = state;
	return post_lead(relay->partner.socket, &relay->board->meeting, &relay->half, count,
			 POST_WOKEN, samples);
}

static int relay_open_with(const struct row *row, const struct half *half,
			   const struct half *partner, member_fn *fn, member_fn *partner_fn,
			   void **ret_state)
{
	struct raw_relay *relay;
	int r = relay_create(row, &relay);
	if (r < 0) {
		return r;
	}
	relay->half = *half;
	relay->partner_half = *partner;
	relay->half.arg = relay->partner_half.arg = relay;
	r = member_start(&relay->relay, PLACE_RELAY, 0, fn, relay);
	if (r == 0) {
		r = member_start(&relay->partner, PLACE_PARTNER, 0, partner_fn, relay);
	}
	if (r < 0) {
		relay_close(relay);
		return r;
	}
	*ret_state = relay;
	return 0;
}

static int relay_open(const struct row *row, const struct half *half, const struct half *partner,
		      member_fn *fn, void **ret_state)
{
	return relay_open_with(row, half, partner, fn, post_partner, ret_state);
}

/* ------------------------------------------------------------------- memory -> pollable fd --- */

/* Raises an eventfd as the daemon does: by the completion of an AIO read, which never blocks, even if the
 * client filled the eventfd or made it blocking. */
static int aio_notify(aio_context_t context, int source, int fd, unsigned int *in_flight)
{
	uint8_t byte;
	struct iocb block = { .aio_lio_opcode = IOCB_CMD_PREAD,
			      .aio_fildes = (uint32_t)source,
			      .aio_buf = (uint64_t)(uintptr_t)&byte,
			      .aio_nbytes = 1,
			      .aio_flags = IOCB_FLAG_RESFD,
			      .aio_resfd = (uint32_t)fd };
	struct iocb *blocks[] = { &block };
	struct io_event events[64];
	struct timespec none = { 0, 0 };
	if (++*in_flight == 64) {
		syscall(SYS_io_getevents, context, 0L, 64L, events, &none);
		*in_flight = 0;
	}
	return syscall(SYS_io_submit, context, 1L, blocks) == 1
		       ? 0
		       : bench_fail("io_submit: %s", strerror(errno));
}

static int to_fd_relay(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	aio_context_t context = 0;
	struct epoll_event event;
	unsigned int in_flight = 0;
	uint32_t told = 0;
	(void)socket;
	int epoll = epoll_on(relay->bell);
	int source = memfd_create("fence-bench", MFD_CLOEXEC);
	if (epoll < 0 || source < 0 || ftruncate(source, 1) < 0 ||
	    syscall(SYS_io_setup, 128, &context) < 0) {
		return bench_fail("io_setup: %s", strerror(errno));
	}
	while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
		/* acquire: pairs with the leader's store */
		uint32_t value = atomic_load_explicit(&relay->board->word, memory_order_acquire);
		if (value != told && aio_notify(context, source, relay->notify, &in_flight) < 0) {
			return -EIO;
		}
		told = value;
	}
	return bench_fail("epoll_wait: %s", strerror(errno));
}

static int to_fd_signal(void *arg, uint64_t value)
{
	struct raw_relay *relay = arg;
	/* release: pairs with the relay's acquire; earlier writes are visible */
	atomic_store_explicit(&relay->board->word, (uint32_t)value, memory_order_release);
	return fd_ring(relay->bell);
}

static int to_fd_wait(void *arg, uint64_t value)
{
	struct raw_relay *relay = arg;
	struct pollfd entry = { .fd = relay->notify, .events = POLLIN };
	(void)value;
	return poll(&entry, 1, PATIENCE_S * 1000) == 1 ? 0 : bench_fail("the relay is silent");
}

static int to_fd_settle(void *arg, uint64_t value)
{
	struct raw_relay *relay = arg;
	eventfd_t count;
	(void)value;
	eventfd_read(relay->notify, &count);
	return 0;
}

static int to_fd_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = to_fd_signal };
	static const struct half partner = { .wait = to_fd_wait, .settle = to_fd_settle };
	return relay_open(row, &half, &partner, to_fd_relay, ret_state);
}

const struct side raw_relay_to_fd = { "doorbell, epoll, notify", to_fd_open, post_round,
				      relay_close };

/* -------------------------------------------------------------------- fd -> event loop, direct --- */

static int no_relay(int socket, void *arg)
{
	(void)socket;
	(void)arg;
	pause(); /* until it is killed */
	return 0;
}

static int loop_signal(void *arg, uint64_t value)
{
	(void)value;
	return fd_ring(((struct raw_relay *)arg)->notify);
}

static int loop_wait(void *arg, uint64_t value)
{
	struct raw_relay *relay = arg;
	struct epoll_event event;
	eventfd_t count;
	(void)value;
	if (relay->epoll < 0) {
		relay->epoll = epoll_on(relay->notify);
	}
	int r = epoll_wait(relay->epoll, &event, 1, PATIENCE_S * 1000);
	return r == 1 && eventfd_read(relay->notify, &count) == 0 ? 0 : bench_fail("nobody rings");
}

static int loop_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = loop_signal };
	static const struct half partner = { .wait = loop_wait };
	return relay_open(row, &half, &partner, no_relay, ret_state);
}

const struct side raw_loop = { "eventfd, epoll", loop_open, post_round, relay_close };

/* ------------------------------------------------------------------- fd -> sleeping waiter --- */

static int to_word_relay(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	struct epoll_event event;
	uint32_t value = 0;
	(void)socket;
	int epoll = epoll_on(relay->bell);
	if (epoll < 0) {
		return epoll;
	}
	while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
		/* release: as above */
		atomic_store_explicit(&relay->board->word, ++value, memory_order_release);
		syscall(SYS_futex, &relay->board->word, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	return bench_fail("epoll_wait: %s", strerror(errno));
}

static int to_word_signal(void *arg, uint64_t value)
{
	(void)value;
	return fd_ring(((struct raw_relay *)arg)->bell);
}

static int word_wait(_Atomic uint32_t *word, uint64_t value)
{
	struct timespec patience = { .tv_sec = PATIENCE_S };
	uint32_t seen;
	/* acquire: pairs with the relay's store */
	while ((seen = atomic_load_explicit(word, memory_order_acquire)) != (uint32_t)value) {
		if (syscall(SYS_futex, word, FUTEX_WAIT, seen, &patience, NULL, 0) < 0 &&
		    errno == ETIMEDOUT) {
			return bench_fail("the relay is silent");
		}
	}
	return 0;
}

static int to_word_wait(void *arg, uint64_t value)
{
	return word_wait(&((struct raw_relay *)arg)->board->word, value);
}

static int to_word_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = to_word_signal };
	static const struct half partner = { .wait = to_word_wait };
	return relay_open(row, &half, &partner, to_word_relay, ret_state);
}

const struct side raw_relay_to_word = { "epoll, store, futex", to_word_open, post_round,
					relay_close };

/* ------------------------------------------------------------- there, and back another way ---- */

enum bell { BELL_THERE, BELL_BACK };

static int bells_await(const struct raw_relay *relay)
{
	struct epoll_event there = { .events = EPOLLIN | EPOLLET, .data.u32 = BELL_THERE };
	struct epoll_event back = { .events = EPOLLIN | EPOLLET, .data.u32 = BELL_BACK };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, relay->bell, &there) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, relay->answer, &back) < 0) {
		return bench_fail("epoll: %s", strerror(errno));
	}
	return epoll;
}

static int both_relay(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	aio_context_t context = 0;
	struct epoll_event event;
	unsigned int in_flight = 0;
	uint32_t value = 0;
	(void)socket;
	int epoll = bells_await(relay);
	int source = memfd_create("fence-bench", MFD_CLOEXEC);
	if (epoll < 0 || source < 0 || ftruncate(source, 1) < 0 ||
	    syscall(SYS_io_setup, 128, &context) < 0) {
		return bench_fail("io_setup: %s", strerror(errno));
	}
	for (;;) {
		int r = epoll_wait(epoll, &event, 1, -1);
		if (r < 0 && errno != EINTR) {
			return bench_fail("epoll_wait: %s", strerror(errno));
		}
		if (r == 1 && event.data.u32 == BELL_BACK) {
			/* release: as above */
			atomic_store_explicit(&relay->board->back, ++value, memory_order_release);
			syscall(SYS_futex, &relay->board->back, FUTEX_WAKE, 1, NULL, NULL, 0);
		} else if (r == 1 && aio_notify(context, source, relay->notify, &in_flight) < 0) {
			return -EIO;
		}
	}
}

static int both_wait(void *arg, uint64_t value)
{
	return word_wait(&((struct raw_relay *)arg)->board->back, value);
}

static int both_answer(void *arg, uint64_t value)
{
	(void)value;
	return fd_ring(((struct raw_relay *)arg)->answer);
}

static int both_partner(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	return turn_follow(socket, &relay->board->meeting, &relay->partner_half, 0);
}

static int both_open(const struct row *row, void **ret_state)
{
	static const struct half half = { .signal = to_fd_signal, .wait = both_wait };
	static const struct half partner = { .wait = to_fd_wait,
					     .signal = both_answer,
					     .settle = to_fd_settle };
	return relay_open_with(row, &half, &partner, both_relay, both_partner, ret_state);
}

static int both_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_relay *relay = state;
	return turn_lead(relay->partner.socket, &relay->board->meeting, &relay->half, count,
			 samples);
}

const struct side raw_relay_both = { "both relays", both_open, both_round, relay_close };

/* ------------------------------------------------------------------------ request and reply --- */

static int echo_serve(int socket, void *arg)
{
	struct raw_relay *relay = arg;
	struct epoll_event event = { .events = EPOLLIN };
	char bytes[PACKET_MAX] = { 0 };
	(void)socket;
	int fd = relay->sockets[1];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		return bench_fail("epoll: %s", strerror(errno));
	}
	while (epoll_wait(epoll, &event, 1, -1) >= 0 || errno == EINTR) {
		ssize_t size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (size > 0 && send(fd, bytes, REPLY_SIZE, MSG_NOSIGNAL) != REPLY_SIZE) {
			return bench_fail("send: %s", strerror(errno));
		}
	}
	return bench_fail("epoll_wait: %s", strerror(errno));
}

static int echo_open(const struct row *row, void **ret_state)
{
	struct raw_relay *relay;
	int r = relay_create(row, &relay);
	if (r < 0) {
		return r;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, relay->sockets) < 0) {
		r = bench_fail("socketpair: %s", strerror(errno));
	}
	if (r == 0) {
		r = member_start(&relay->relay, PLACE_RELAY, 0, echo_serve, relay);
	}
	if (r < 0) {
		relay_close(relay);
		return r;
	}
	*ret_state = relay;
	return 0;
}

static int echo_send(const struct raw_relay *relay)
{
	static const char bytes[REQUEST_SIZE];
	return send(relay->sockets[0], bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes)
		       ? 0
		       : bench_fail("send: %s", strerror(errno));
}

static int echo_receive(const struct raw_relay *relay)
{
	char bytes[PACKET_MAX];
	return recv(relay->sockets[0], bytes, sizeof(bytes), 0) == REPLY_SIZE
		       ? 0
		       : bench_fail("recv: %s", strerror(errno));
}

static int request_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_relay *relay = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		r = echo_send(relay);
		if (r == 0) {
			r = echo_receive(relay);
		}
		if (r == 0) {
			r = samples_add(samples, (double)(host_now() - start));
		}
	}
	return r;
}

const struct side raw_request = { "SEQPACKET ping-pong", echo_open, request_round, relay_close };

/* A sample is the rate of `batch` requests with 32 of them under way. */
static int requests_round(void *state, unsigned int count, struct samples *samples)
{
	struct raw_relay *relay = state;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		unsigned int sent = 0;
		uint64_t start = host_now();
		for (; r == 0 && sent < PIPELINE_DEPTH; sent++) {
			r = echo_send(relay);
		}
		for (unsigned int done = 0; r == 0 && done < relay->batch; done++) {
			r = echo_receive(relay);
			if (r == 0 && sent < relay->batch) {
				r = echo_send(relay);
				sent++;
			}
		}
		if (r == 0) {
			double seconds = (double)(host_now() - start) / 1e9;
			r = samples_add(samples, relay->batch / seconds);
		}
	}
	return r;
}

const struct side raw_requests = { "SEQPACKET echo, depth 32", echo_open, requests_round,
				   relay_close };
