// SPDX-License-Identifier: MIT
/* Buffers that go from a producer to consumers and back, in processes of their own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
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

/* --------------------------------------------------------------------------------- every route --- */

struct kind {
	const char *name;
	uint32_t waits; /* the consumer's */
	enum fbk_route acquire;
	consumer_fn *wait;
};

static const struct kind kinds[] = {
	{ "native", FBK_MEMORY64, FBK_ROUTE_NATIVE, wait_point },
	{ "eventfd", FBK_EVENTFD, FBK_ROUTE_EVENTFD, wait_fd },
	{ "gate", 0, FBK_ROUTE_GATE, wait_point },
	{ "cpu-wait", FBK_SYNC_FILE, FBK_ROUTE_CPU_WAIT, NULL },
};

static int consumer(int socket, void *arg)
{
	const struct kind *kind = arg;
	struct fbk_link_info info;
	struct fbk_link *link;
	int offer;
	receive_word(socket, &offer);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = exchange_device(context, "consumer", kind->waits, FBK_MEMORY64);
	int r = fbk_link_accept(device, offer, &link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	close(offer);
	EXPECT(fbk_link_info(link, &info) == 0);
	ck_assert_int_eq(info.acquire, kind->acquire);
	ck_assert_int_eq(info.role, FBK_CONSUMER);
	ck_assert_str_eq(info.peer, "producer");
	uint64_t count = consume(link, kind->wait, NULL);
	ck_assert_uint_eq(count, FRAMES);
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(link), "producer"));
	fbk_link_close(link);
	fbk_disconnect(context);
	return 0;
}

static void consumer_start(struct peer *peer, const struct kind *kind, int offer)
{
	peer_start(peer, consumer, (void *)(uintptr_t)kind);
	send_word(peer->socket, 0, offer);
}

/* All of them come back. */
static void all_taken(struct producer *producer)
{
	uint32_t index;
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(
			fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index), 0);
	}
}

START_TEST(each_route)
{
	struct producer producer;
	struct peer peer;
	int offer;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer);
	consumer_start(&peer, &kinds[_i], offer);
	int r = fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "%s: %s", kinds[_i].name, fbk_error_detail());
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	all_taken(&producer);
	close(offer);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* ------------------------------------------------------------------ the consumer made the offer --- */

/* Takes that offer and hands over frames, numbered on from where it is told; stays until it is killed. */
static int accepter(int socket, void *arg)
{
	struct producer producer = { .context = peer_connect(&server) };
	int offer;
	(void)arg;
	producer.frame = receive_word(socket, &offer);
	producer.device = exchange_device(producer.context, "producer", FBK_MEMORY64, FBK_MEMORY64);
	producer.timeline = peer_timeline(producer.device, "drawn", 0);
	EXPECT(fbk_timeline_signal(producer.timeline, producer.frame) == 0);
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (fbk_link_accept(producer.device, offer, &producer.link) == -EBUSY &&
	       now_ms() < give_up) {
		yield_briefly();
	}
	EXPECT(fbk_exchange_create(producer.link, &producer.exchange) == 0);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_create(&producer.buffers[i]);
		struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[i]);
		EXPECT(fbk_exchange_add(producer.exchange, i, &desc) == 0);
	}
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	all_taken(&producer);
	send_word(socket, producer.frame, -1);
	pause();
	return 0;
}

/* Each is killed, and the next one goes on with the same offer. */
START_TEST(producers_come_and_go)
{
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", kinds[_i].waits, FBK_MEMORY64);
	struct fbk_link *link;
	struct peer peer;
	int offer;
	uint64_t number = 1;
	ck_assert_int_eq(fbk_link_offer(device, FBK_CONSUMER, &offer, &link), 0);
	for (int round = 0; round < 3; round++) {
		peer_start(&peer, accepter, NULL);
		send_word(peer.socket, number, offer);
		for (int i = 0; i < FRAMES; i++) {
			struct fbk_frame *frame;
			int r = fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame);
			ck_assert_msg(r == 0, "round %d, frame %d: %d, %s", round, i, r,
				      fbk_error_detail());
			number++;
			ck_assert(!kinds[_i].wait || kinds[_i].wait(frame, number, NULL) == 0);
			ck_assert_uint_eq(fbk_frame_acquire(frame).value, number);
			uint64_t *words = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED,
					       fbk_frame_dmabuf(frame), 0);
			ck_assert(words != MAP_FAILED && buffer_holds(words, number));
			munmap(words, BUFFER_SIZE);
			ck_assert_int_eq(fbk_frame_release(frame, 0), 0);
		}
		ck_assert_uint_eq(receive_word(peer.socket, NULL), number);
		kill(peer.pid, SIGKILL);
		ck_assert_int_eq(peer_wait(&peer), 128 + SIGKILL);
	}
	close(offer);
	fbk_link_close(link);
	fbk_disconnect(context);
}
END_TEST

/* ---------------------------------------------------------------------------------- callbacks -- */

/* Holds as many as there are, then gives them back. */
static int holder(int socket, void *arg)
{
	struct fbk_frame *frames[PRODUCER_BUFFERS];
	struct fbk_link *link;
	int offer;
	(void)arg;
	receive_word(socket, &offer);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	EXPECT(fbk_link_accept(device, offer, &link) == 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_link_next(link, deadline_ms(PATIENCE_MS), &frames[i]) == 0);
	}
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_frame_release(frames[i], 0) == 0);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* until the producer has looked */
	fbk_disconnect(context);
	return 0;
}

static uint32_t told[PRODUCER_BUFFERS];
static int told_count;

static void note_released(void *arg, int result)
{
	ck_assert_int_eq(result, 0);
	ck_assert_int_lt(told_count, PRODUCER_BUFFERS);
	told[told_count++] = *(uint32_t *)arg;
}

START_TEST(callbacks_come_in_order)
{
	static uint32_t order[PRODUCER_BUFFERS] = { 2, 0, 1 };
	struct producer producer;
	struct peer peer;
	int offer;
	told_count = 0;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer);
	peer_start(&peer, holder, NULL);
	send_word(peer.socket, 0, offer);
	close(offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		int r = fbk_exchange_hand(producer.exchange, order[i], FBK_POINT_SIGNALLED,
					  deadline_ms(PATIENCE_MS), note_released, &order[i]);
		ck_assert_msg(r == 0, "handing over: %s", fbk_error_detail());
	}
	receive_word(peer.socket, NULL);
	while (told_count < PRODUCER_BUFFERS) {
		ck_assert_int_eq(readable_within(fbk_context_fd(producer.context), PATIENCE_MS), 1);
		ck_assert_int_ge(fbk_dispatch(producer.context), 0);
	}
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_uint_eq(told[i], order[i]);
	}
	send_word(peer.socket, 0, -1);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

/* ------------------------------------------------------------ another one, at the worst moment --- */

/* Comes before a process sends its next request of that kind. */
static struct {
	pid_t pid; /* 0: no more */
	Fbk__Wire__Request__BodyCase body;
	void (*fn)(void);
} interruption;

static void interrupt_at(Fbk__Wire__Request__BodyCase body, void (*fn)(void))
{
	interruption.body = body;
	interruption.fn = fn;
	interruption.pid = getpid();
}

/* In place of the C library's. */
ssize_t sendmsg(int socket, const struct msghdr *message, int flags)
{
	if (interruption.pid == getpid()) {
		Fbk__Wire__Request *request = fbk__wire__request__unpack(
			NULL, message->msg_iov[0].iov_len, message->msg_iov[0].iov_base);
		if (request && request->body_case == interruption.body) {
			interruption.pid = 0;
			interruption.fn();
		}
		if (request) {
			fbk__wire__request__free_unpacked(request, NULL);
		}
	}
	return syscall(SYS_sendmsg, socket, message, flags);
}

static struct peer before, after;
static int offer_fd;

/* Says when it has accepted, and consumes. */
static int comer(int socket, void *arg)
{
	struct fbk_link *link;
	int offer;
	(void)arg;
	receive_word(socket, &offer);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (fbk_link_accept(device, offer, &link) == -EBUSY && now_ms() < give_up) {
		yield_briefly(); /* the one before is not known to be dead */
	}
	send_word(socket, 0, -1);
	ck_assert_uint_eq(consume(link, wait_point, NULL), FRAMES);
	fbk_disconnect(context);
	return 0;
}

static void comer_start(struct peer *peer)
{
	peer_start(peer, comer, NULL);
	send_word(peer->socket, 0, offer_fd);
	receive_word(peer->socket, NULL);
}

static void consumer_replace(void)
{
	kill(before.pid, SIGKILL);
	ck_assert_int_eq(peer_wait(&before), 128 + SIGKILL);
	comer_start(&after);
}

/* Accepts when it is told to, and closes the link when it is told to. */
static int goer(int socket, void *arg)
{
	struct fbk_link *link;
	int offer;
	(void)arg;
	receive_word(socket, &offer);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	EXPECT(fbk_link_accept(device, offer, &link) == 0);
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	fbk_link_close(link);
	send_word(socket, 0, -1);
	fbk_disconnect(context);
	return 0;
}

/* Hands over one frame, and is gone when it is told to. */
static int giver(int socket, void *arg)
{
	struct producer producer;
	int offer;
	(void)arg;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer);
	send_word(socket, 0, offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	producer_frame(&producer);
	send_word(socket, 0, -1);
	receive_word(socket, NULL);
	producer_close(&producer);
	send_word(socket, 0, -1);
	return 0;
}

static void peer_dismiss(void)
{
	send_word(before.socket, 0, -1);
	receive_word(before.socket, NULL); /* it has closed the link */
}

START_TEST(joining_meets_another)
{
	struct producer producer;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer_fd);
	comer_start(&before);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_JOIN, consumer_replace);
	int r = fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "%s", fbk_error_detail());
	ck_assert_int_eq(interruption.pid, 0);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer); /* all of them come, none of them is lost */
	}
	all_taken(&producer);
	close(offer_fd);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&after), 0);
}
END_TEST

/* Gives one frame back at a point of its own, and stays. */
static int marker(int socket, void *arg)
{
	struct fbk_frame *frame;
	struct fbk_link *link;
	int offer;
	(void)arg;
	receive_word(socket, &offer);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	struct fbk_point point = { peer_timeline(device, "read", 0), 1 };
	EXPECT(fbk_link_accept(device, offer, &link) == 0);
	send_word(socket, 0, -1);
	EXPECT(fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame) == 0);
	EXPECT(fbk_frame_release_at(frame, point) == 0);
	send_word(socket, 0, -1);
	pause();
	return 0;
}

/* Whoever came is not to blame for what cannot be understood of the one before. */
START_TEST(last_words_meet_another)
{
	struct producer producer;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer_fd);
	peer_start(&before, marker, NULL);
	send_word(before.socket, 0, offer_fd);
	receive_word(before.socket, NULL);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	producer_frame(&producer);
	receive_word(before.socket, NULL);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_POINT_GET, consumer_replace);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(interruption.pid, 0);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	all_taken(&producer);
	close(offer_fd);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&after), 0);
}
END_TEST

START_TEST(joining_meets_nobody)
{
	struct fbk_link_info info;
	struct producer producer;
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer_fd);
	peer_start(&before, goer, NULL);
	send_word(before.socket, 0, offer_fd);
	receive_word(before.socket, NULL);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_JOIN, peer_dismiss);
	int r = fbk_link_info(producer.link, &info);
	ck_assert_msg(r == 0, "%d: %s", r, fbk_error_detail());
	ck_assert_int_eq(interruption.pid, 0);
	ck_assert_int_eq(info.phase, FBK_LINK_OFFERED);
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
		exchange_device(context, "consumer", FBK_MEMORY64, FBK_MEMORY64);
	ck_assert_int_eq(fbk_link_accept(device, offer_fd, &link), 0);
	close(offer_fd);
	receive_word(before.socket, NULL);
	interrupt_at(FBK__WIRE__REQUEST__BODY_LINK_BUFFER_GET, peer_dismiss);
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

/* What is held still may be asked about, and says that it is not any more. */
START_TEST(producer_is_gone_while_its_frame_is_held)
{
	struct fbk_link *link;
	struct fbk_frame *frame;
	peer_start(&before, giver, NULL);
	receive_word(before.socket, &offer_fd);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device = exchange_device(context, "consumer", FBK_EVENTFD, FBK_MEMORY64);
	ck_assert_int_eq(fbk_link_accept(device, offer_fd, &link), 0);
	close(offer_fd);
	ck_assert_int_eq(fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame), 0);
	receive_word(before.socket, NULL);
	peer_dismiss();
	ck_assert_ptr_nonnull(strstr(fbk_link_cause(link), "producer"));
	ck_assert_int_eq(fbk_frame_dmabuf(frame), -1);
	ck_assert_uint_eq(fbk_frame_buffer(frame)->plane_count, 0);
	ck_assert_int_eq(fbk_frame_acquire_fd(frame), -ESTALE);
	ck_assert_int_eq(fbk_frame_release(frame, 0), -ESTALE);
	fbk_link_close(link);
	fbk_disconnect(context);
	ck_assert_int_eq(peer_wait(&before), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, each_route, kinds);
	ADD_LOOP(tcase, producers_come_and_go, kinds);
	tcase_add_test(tcase, callbacks_come_in_order);
	tcase_add_test(tcase, joining_meets_another);
	tcase_add_test(tcase, last_words_meet_another);
	tcase_add_test(tcase, joining_meets_nobody);
	tcase_add_test(tcase, producer_is_gone_before_its_buffer_is_got);
	tcase_add_test(tcase, producer_is_gone_while_its_frame_is_held);
}

int main(void)
{
	return suite_main("exchange", add);
}
