// SPDX-License-Identifier: MIT
/* Buffers of consumers that are gone: each is free once nobody can read it, and not before; nor is one of a consumer that
 * is late. And what a producer abandons. The consumers are processes of their own. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-stuck.h"
#include "lib-wire.h"
#include "tests/proc-stat.h"

static struct daemon server;
static struct producer producer;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* ---------------------------------------------------------------------------------- consumers --- */

/* Ends its sessions with the daemon without a word, and lives on. */
static void drop_sessions(void)
{
	for (int fd = 3; fd < 256; fd++) {
		struct sockaddr_un peer;
		socklen_t size = sizeof(peer);
		if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0 &&
		    size > sizeof(sa_family_t) && strcmp(peer.sun_path, server.socket) == 0) {
			shutdown(fd, SHUT_RDWR);
		}
	}
}

/* What a consumer does with the frame that it takes. */
enum deed {
	HOLD,         /* keeps it */
	LATER,        /* gives it back at a point in memory that it never reaches */
	FENCE,        /* gives it back with the eventfd that came with the offer */
	DROP = 1 << 4 /* and its session ends */
};

static void consumer_act(const struct consumer *self, enum deed deed, int fence, int socket)
{
	struct fbk_frame *frame;
	struct fbk_point point;
	EXPECT(fbk_link_next(self->link, deadline_ms(PATIENCE_MS), &frame) == 0);
	switch (deed & (DROP - 1)) {
	case LATER:
		EXPECT(fbk_frame_release_later(frame, &point) == 0);
		break;
	case FENCE:
		EXPECT(fbk_frame_release_on(frame, fence) == 0);
		break;
	default:
		break;
	}
	if (deed & DROP) {
		drop_sessions();
	}
	send_word(socket, 0, -1);
}

static int actor(int socket, void *arg)
{
	struct consumer self;
	int fence;
	enum deed deed = (enum deed)receive_word(socket, &fence);
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	consumer_act(&self, deed, fence, socket);
	pause();
	return 0;
}

/* Takes a frame, then leaves in good order. */
static int leaver(int socket, void *arg)
{
	struct consumer self;
	struct fbk_frame *frame;
	bool closes = arg != NULL;
	consumer_open(&self, &server, NULL, socket);
	EXPECT(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frame) == 0);
	if (closes) {
		fbk_link_close(self.link);
		EXPECT(fbk_frame_release(frame, 0) == -ESTALE);
		fbk_frame_unref(frame);
		send_word(socket, 0, -1);
		receive_word(socket, NULL); /* it lives until its producer has looked */
	}
	fbk_disconnect(self.context);
	return 0;
}

/* Uses all frames that come. */
static int user(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	consume(self.link, wait_point, NULL);
	fbk_disconnect(self.context);
	return 0;
}

/* ---------------------------------------------------------------------------------- the producer -- */

static struct fbk_link_info info_now(void)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	return info;
}

static void await_phase(enum fbk_link_phase phase)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (info_now().phase != phase) {
		ck_assert_uint_lt(now_ms(), give_up);
		yield_briefly();
	}
}

static void await_held(uint32_t count)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (info_now().held != count) {
		ck_assert_uint_lt(now_ms(), give_up);
		yield_briefly();
	}
}

static int take_now(uint32_t *ret_index)
{
	return fbk_exchange_take(producer.exchange, deadline_ms(0), ret_index, NULL);
}

static int take(uint32_t *ret_index)
{
	return fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), ret_index, NULL);
}

static void hand(uint32_t index)
{
	int r = fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, 1, NULL, NULL,
				  NULL);
	ck_assert_msg(r == 1, "handing over: %d, %s", r, fbk_error_detail());
}

/* Takes all but one, which it hands over; that one's index. */
static uint32_t hand_one(void)
{
	uint32_t index[PRODUCER_BUFFERS];
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(take(&index[i]), 0);
	}
	hand(index[0]);
	return index[0];
}

static void expect_held(uint32_t count)
{
	uint32_t index;
	ck_assert_uint_eq(info_now().held, count);
	ck_assert_int_eq(take_now(&index), count ? -ETIMEDOUT : 0);
}

static void start(struct peer *peer, enum deed deed, int fence, int offer)
{
	send_word(peer->socket, deed, fence);
	send_word(peer->socket, 0, offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
}

/* It is stopped: nothing in it runs. It is alive. */
static void freeze(const struct peer *peer)
{
	kill(peer->pid, SIGSTOP);
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (proc_state(peer->pid) != 'T') {
		ck_assert_uint_lt(now_ms(), give_up);
		yield_briefly();
	}
}

static void end(struct peer *peer)
{
	kill(peer->pid, SIGKILL);
	ck_assert_int_eq(peer_wait(peer), 128 + SIGKILL);
}

/* ----------------------------------------------------------------------------------- that are gone -- */

static const enum deed deeds[] = { HOLD, LATER };

/* Its session ended: it still reads, or its device. Once it is gone, nobody does. */
START_TEST(session_ends)
{
	struct peer peer;
	int offer;
	uint32_t index;
	peer_start(&peer, actor, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&peer, deeds[_i] | DROP, offer, offer);
	uint32_t out = hand_one();
	receive_word(peer.socket, NULL);
	await_phase(FBK_PHASE_OFFERED);
	expect_held(1);
	char *text, held[32];
	ck_assert_int_eq(fencectl(&server, "links", &text), 0);
	snprintf(held, sizeof(held), "held %u", out);
	ck_assert_ptr_nonnull(strstr(text, held));
	free(text);
	freeze(&peer);
	expect_held(1);
	end(&peer);
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	ck_assert_uint_eq(info_now().held, 0);
	ck_assert_int_eq(info_now().error, -EOWNERDEAD);
	close(offer);
	producer_close(&producer);
}
END_TEST

START_TEST(killed)
{
	struct peer peer;
	int offer;
	uint32_t index;
	peer_start(&peer, actor, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&peer, deeds[_i], offer, offer);
	uint32_t out = hand_one();
	receive_word(peer.socket, NULL);
	ck_assert_int_eq(take_now(&index), -ETIMEDOUT);
	end(&peer);
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	close(offer);
	producer_close(&producer);
}
END_TEST

/* A fence that it attached decides, also when it is dead. */
START_TEST(fence_outlives_its_consumer)
{
	struct peer peer;
	int offer;
	uint32_t index;
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	peer_start(&peer, actor, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&peer, FENCE, fence, offer);
	uint32_t out = hand_one();
	receive_word(peer.socket, NULL);
	if (_i == 1) {
		ck_assert_int_eq(take_now(&index), -ETIMEDOUT); /* its return is seen */
	}
	end(&peer);
	await_phase(FBK_PHASE_OFFERED);
	expect_held(1);
	ck_assert_int_eq(eventfd_write(fence, 1), 0);
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	await_held(0); /* the buffer is free with the fence, before the daemon has tidied up */
	close(fence);
	close(offer);
	producer_close(&producer);
}
END_TEST

static int told_result;

static void on_released(void *arg, int result)
{
	*(int *)arg += 1;
	told_result = result;
}

START_TEST(callback_is_told)
{
	struct peer peer;
	int offer, told = 0;
	peer_start(&peer, actor, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&peer, HOLD | DROP, offer, offer);
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, 0, FBK_POINT_SIGNALLED,
					   deadline_ms(PATIENCE_MS), NULL, on_released, &told),
			 1);
	receive_word(peer.socket, NULL);
	while (info_now().phase != FBK_PHASE_OFFERED) {
		loop_turn(producer.context);
	}
	ck_assert_int_eq(told, 0);
	end(&peer);
	while (told == 0) {
		loop_turn(producer.context);
	}
	ck_assert_int_eq(told, 1);
	ck_assert_int_eq(told_result, -EOWNERDEAD);
	close(offer);
	producer_close(&producer);
}
END_TEST

/* The next consumer gets all frames in the other buffers; then that one too. */
START_TEST(heir_goes_on)
{
	struct peer first, second;
	int offer;
	uint32_t index;
	peer_start(&first, actor, NULL);
	peer_start(&second, user, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&first, HOLD | DROP, offer, offer);
	uint32_t out = producer_hand(&producer);
	producer_draw(&producer, out);
	receive_word(first.socket, NULL);
	await_phase(FBK_PHASE_OFFERED);
	ck_assert_uint_eq(info_now().held, 1);
	send_word(second.socket, 0, offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	for (int i = 0; i < 1000; i++) {
		index = producer_hand(&producer);
		ck_assert_uint_ne(index, out);
		producer_draw(&producer, index);
	}
	ck_assert_uint_eq(info_now().held, 1);
	end(&first);
	producer_take_all(&producer);
	ck_assert_uint_eq(info_now().held, 0);
	ck_assert_int_eq(info_now().phase, FBK_PHASE_ESTABLISHED);
	close(offer);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&second), 0);
}
END_TEST

/* The other way out: new memory for that index, while the old one stays with the holder. */
START_TEST(held_is_abandoned)
{
	struct peer first, second;
	int offer;
	uint32_t index;
	peer_start(&first, actor, NULL);
	peer_start(&second, user, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&first, deeds[_i] | DROP, offer, offer);
	uint32_t out = hand_one();
	receive_word(first.socket, NULL);
	await_phase(FBK_PHASE_OFFERED);
	expect_held(1);
	ck_assert_int_eq(fbk_exchange_abandon(producer.exchange, out), 0);
	struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[out]);
	ck_assert_int_eq(fbk_exchange_add(producer.exchange, out, &desc), 0);
	ck_assert_uint_eq(info_now().held, 0);
	send_word(second.socket, 0, offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	for (int i = 0; i < 100; i++) {
		index = producer_hand(&producer);
		ck_assert_uint_eq(index, out);
		producer_draw(&producer, index);
	}
	end(&first);
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	close(offer);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&second), 0);
}
END_TEST

/* One that leaves in good order gives back what it holds: a memfd has no fences. */
START_TEST(leaves)
{
	struct peer peer;
	int offer;
	uint32_t index;
	bool closes = _i == 1;
	peer_start(&peer, leaver, closes ? &offer : NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	send_word(peer.socket, 0, offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	uint32_t out = hand_one();
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	ck_assert_int_eq(info_now().error, -EPIPE);
	ck_assert_uint_eq(info_now().held, 0);
	if (closes) {
		receive_word(peer.socket, NULL);
		send_word(peer.socket, 0, -1);
	}
	ck_assert_int_eq(peer_wait(&peer), 0);
	close(offer);
	producer_close(&producer);
}
END_TEST

/* ------------------------------------------------------------------------- a consumer that offers -- */

static int offering(int socket, void *arg)
{
	struct consumer self = { .context = peer_connect(&server) };
	enum deed deed = *(enum deed *)arg;
	int offer;
	self.device =
		exchange_device(self.context, "consumer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	EXPECT(link_offer(self.device, FBK_ROLE_CONSUMER, &offer, &self.link) == 0);
	send_word(socket, 0, offer);
	consumer_act(&self, deed, -1, socket);
	pause();
	return 0;
}

/* The link ends with it; the buffers come back as with any. */
START_TEST(offerer_is_gone)
{
	static enum deed deed;
	struct peer peer;
	int offer;
	uint32_t index;
	deed = deeds[_i] | DROP;
	peer_start(&peer, offering, &deed);
	producer = (struct producer){ .context = peer_connect(&server) };
	producer.device = exchange_device(producer.context, "producer", FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY64);
	receive_word(peer.socket, &offer);
	ck_assert_int_eq(link_accept(producer.device, offer, &producer.link), 0);
	close(offer);
	ck_assert_int_eq(fbk_exchange_create(producer.link, &producer.exchange), 0);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_create(&producer.buffers[i]);
	}
	producer_add(&producer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	uint32_t out = hand_one();
	receive_word(peer.socket, NULL);
	await_phase(FBK_PHASE_ENDED);
	expect_held(1);
	end(&peer);
	ck_assert_int_eq(take(&index), 0);
	ck_assert_uint_eq(index, out);
	ck_assert_uint_eq(info_now().held, 0);
	ck_assert_int_eq(info_now().error, -EOWNERDEAD);
	producer_close(&producer);
}
END_TEST

/* ---------------------------------------------------------------------------------- that are late -- */

START_TEST(late_is_not_free)
{
	struct peer peer;
	int offer;
	char text[FBK_REASON_SIZE];
	peer_start(&peer, actor, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	start(&peer, HOLD, offer, offer);
	hand_one(); /* its deadline is long past */
	receive_word(peer.socket, NULL);
	freeze(&peer);
	uint32_t index;
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(50), &index, NULL),
			 -ETIMEDOUT);
	struct json_object *list = stuck(&server, 60000);
	struct json_object *entry = entry_of(list, "waiter_pid", getpid());
	ck_assert_ptr_nonnull(entry);
	ck_assert_int_eq(number_of(entry, "pid"), peer.pid);
	json_object_put(list);
	ck_assert_int_eq(fbk_link_blame(producer.link, text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "stopped"));
	ck_assert_int_eq(info_now().phase, FBK_PHASE_ESTABLISHED);
	ck_assert_int_eq(take_now(&index), -ETIMEDOUT);
	end(&peer);
	close(offer);
	producer_close(&producer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, session_ends, deeds);
	ADD_LOOP(tcase, killed, deeds);
	tcase_add_loop_test(tcase, fence_outlives_its_consumer, 0, 2);
	tcase_add_test(tcase, callback_is_told);
	tcase_add_test(tcase, heir_goes_on);
	ADD_LOOP(tcase, held_is_abandoned, deeds);
	tcase_add_loop_test(tcase, leaves, 0, 2);
	ADD_LOOP(tcase, offerer_is_gone, deeds);
	tcase_add_test(tcase, late_is_not_free);
}

int main(void)
{
	return suite_main("link-hold", add);
}
