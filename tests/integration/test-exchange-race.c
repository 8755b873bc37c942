// SPDX-License-Identifier: MIT
/* Peers that die, leave or come at the worst moment of an exchange: just before a request. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-wire.h"

#define FRAMES 1000

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* Runs before a process sends its next request of that kind. */
static struct {
	pid_t pid; /* 0: not any more */
	Fbk__Wire__Request__BodyCase body;
	void (*fn)(void);
} interruption;

static void interrupt_at(Fbk__Wire__Request__BodyCase body, void (*fn)(void))
{
	interruption.body = body;
	interruption.fn = fn;
	interruption.pid = getpid();
}

static void interrupt(const struct msghdr *message)
{
	Fbk__Wire__Request *request = fbk__wire__request__unpack(NULL, message->msg_iov[0].iov_len,
								 message->msg_iov[0].iov_base);
	if (request && request->body_case == interruption.body) {
		interruption.pid = 0;
		interruption.fn();
	}
	if (request) {
		fbk__wire__request__free_unpacked(request, NULL);
	}
}

/* Replaces the C library's function: the library sends by it, so that no thread is cancelled there. As that one, it reads six
 * arguments, however many there are. */
__attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	long given[6];
	va_list list;
	va_start(list, number);
	for (size_t i = 0; i < 6; i++) {
		given[i] = va_arg(list, long);
	}
	va_end(list);
	if (number == SYS_sendmsg && interruption.pid == getpid()) {
		interrupt((const struct msghdr *)given[1]);
	}
	return next(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}

static struct peer before, after;
static int offer_fd;

/* Accepts, says so, and consumes. */
static int comer(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	send_word(socket, 0, -1);
	ck_assert_uint_eq(consume(self.link, wait_point, NULL), FRAMES);
	fbk_disconnect(self.context);
	return 0;
}

/* The peer was started before this process had threads. */
static void offer_to(struct peer *peer)
{
	send_word(peer->socket, 0, offer_fd);
	receive_word(peer->socket, NULL);
}

static void consumer_replace(void)
{
	kill(before.pid, SIGKILL);
	ck_assert_int_eq(peer_wait(&before), 128 + SIGKILL);
	offer_to(&after);
}

/* Accepts on one command, and closes the link on the next. */
static int goer(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	fbk_link_close(self.link);
	send_word(socket, 0, -1);
	fbk_disconnect(self.context);
	return 0;
}

/* Hands over one frame, signalled or (`arg`) not, and ends on command. */
static int giver(int socket, void *arg)
{
	struct producer producer;
	int offer;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	if (arg) {
		struct fbk_point never = { producer.timeline, 1 };
		EXPECT(fbk_exchange_hand(producer.exchange, 0, never, deadline_ms(PATIENCE_MS),
					 NULL, NULL, NULL) > 0);
	} else {
		producer_frame(&producer);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	producer_close(&producer);
	send_word(socket, 0, -1);
	return 0;
}

/* The peer has done what it waited to do. */
static void peer_go_on(void)
{
	send_word(before.socket, 0, -1);
	receive_word(before.socket, NULL);
}

START_TEST(joining_meets_another)
{
	struct producer producer;
	peer_start(&before, comer, NULL);
	peer_start(&after, comer, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer_fd);
	offer_to(&before);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_JOIN, consumer_replace);
	int r = fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "%s", fbk_error_detail());
	ck_assert_int_eq(interruption.pid, 0);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer); /* all of them come: none is lost */
	}
	producer_take_all(&producer);
	close(offer_fd);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&after), 0);
}
END_TEST

/* Releases one frame later, and stays. */
static int marker(int socket, void *arg)
{
	struct fbk_frame *frame;
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	send_word(socket, 0, -1);
	EXPECT(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame) == 0);
	struct fbk_point point;
	EXPECT(frame_release_later(frame, &point) == 0);
	send_word(socket, 0, -1);
	pause();
	return 0;
}

/* A consumer is not blamed for nonsense in the lane of its predecessor. */
START_TEST(last_words_meet_another)
{
	struct producer producer;
	peer_start(&before, marker, NULL);
	peer_start(&after, comer, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer_fd);
	offer_to(&before);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	producer_frame(&producer);
	receive_word(before.socket, NULL);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_POINT_GET, consumer_replace);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(interruption.pid, 0);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	producer_take_all(&producer);
	close(offer_fd);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&after), 0);
}
END_TEST

START_TEST(joining_meets_nobody)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct producer producer;
	peer_start(&before, goer, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer_fd);
	offer_to(&before);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_JOIN, peer_go_on);
	int r = fbk_link_info(producer.link, &info);
	ck_assert_msg(r == 0, "%d: %s", r, fbk_error_detail());
	ck_assert_int_eq(interruption.pid, 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
	close(offer_fd);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&before), 0);
}
END_TEST

START_TEST(producer_is_gone_before_its_buffer_is_got)
{
	struct fbk_link *link;
	struct fbk_frame *frame = NULL;
	peer_start(&before, giver, NULL);
	receive_word(before.socket, &offer_fd);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(device, offer_fd, &link), 0);
	close(offer_fd);
	receive_word(before.socket, NULL);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_BUFFER_GET, peer_go_on);
	int r = fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == -EPIPE, "%d: %s", r, fbk_error_detail());
	ck_assert_ptr_null(frame);
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(link), "producer"));
	ck_assert_int_eq(interruption.pid, 0);
	fbk_link_close(link);
	fbk_disconnect(context);
	ck_assert_int_eq(peer_wait(&before), 0);
}
END_TEST

/* Questions about a held frame are allowed; the answer is that it is closed. */
START_TEST(producer_is_gone_while_its_frame_is_held)
{
	struct fbk_link *link;
	struct fbk_frame *frame;
	peer_start(&before, giver, NULL);
	receive_word(before.socket, &offer_fd);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_FENCE_EVENTFD, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(device, offer_fd, &link), 0);
	close(offer_fd);
	ck_assert_int_eq(fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame), 0);
	receive_word(before.socket, NULL);
	peer_go_on();
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(link), "producer"));
	ck_assert_int_ge(fcntl(frame_fd(frame), F_GETFD), 0); /* it is open */
	ck_assert_uint_eq(fbk_frame_buffer(frame)->plane_count, 1);
	ck_assert_int_eq(fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)), -ESTALE);
	ck_assert_int_eq(frame_release(frame, 0), -ESTALE);
	fbk_link_close(link);
	fbk_disconnect(context);
	ck_assert_int_eq(peer_wait(&before), 0);
}
END_TEST

/* One thread waits while another one sees that the producer is gone. */
struct sleeper {
	pthread_t thread;
	_Atomic pid_t tid;
	struct fbk_link *link;  /* for its next frame, or */
	struct fbk_point point; /* for this */
	int result;
};

static void *sleeper_run(void *arg)
{
	struct sleeper *sleeper = arg;
	struct fbk_frame *frame;
	atomic_store(&sleeper->tid, gettid());
	sleeper->result = sleeper->link
				  ? fbk_link_next(sleeper->link, deadline_ms(PATIENCE_MS), &frame)
				  : fbk_point_wait(sleeper->point, deadline_ms(PATIENCE_MS));
	return NULL;
}

static void sleeper_start(struct sleeper *sleeper)
{
	EXPECT(pthread_create(&sleeper->thread, NULL, sleeper_run, sleeper) == 0);
	while (!atomic_load(&sleeper->tid)) {
		yield_briefly();
	}
	await_asleep(sleeper->tid);
}

START_TEST(producer_is_gone_while_threads_wait)
{
	struct sleeper sleepers[2] = { 0 };
	struct fbk_link *link;
	struct fbk_frame *frame;
	peer_start(&before, giver, &server);
	receive_word(before.socket, &offer_fd);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(device, offer_fd, &link), 0);
	close(offer_fd);
	ck_assert_int_eq(fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame), 0);
	receive_word(before.socket, NULL);
	sleepers[0].point = fbk_frame_acquire(frame);
	sleepers[1].link = link;
	for (int i = 0; i < 2; i++) {
		sleeper_start(&sleepers[i]);
	}
	send_word(before.socket, 0, -1);
	while (fbk_link_cause(link)[0] == '\0') {
		yield_briefly();
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(sleepers[i].thread, NULL);
		ck_assert_int_eq(sleepers[i].result, -EPIPE);
	}
	fbk_frame_unref(frame);
	receive_word(before.socket, NULL);
	fbk_link_close(link);
	fbk_disconnect(context);
	ck_assert_int_eq(peer_wait(&before), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, joining_meets_another);
	tcase_add_test(tcase, last_words_meet_another);
	tcase_add_test(tcase, joining_meets_nobody);
	tcase_add_test(tcase, producer_is_gone_before_its_buffer_is_got);
	tcase_add_test(tcase, producer_is_gone_while_its_frame_is_held);
	tcase_add_test(tcase, producer_is_gone_while_threads_wait);
}

int main(void)
{
	return suite_main("exchange-race", add);
}
