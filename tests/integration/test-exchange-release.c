// SPDX-License-Identifier: MIT
/* Frames whose consumers release them at a point and read on until then, on each route of the
 * release. */
#include <unistd.h>

#include "lib-exchange.h"

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

static const struct kind {
	const char *name;
	uint32_t waits; /* the producer's */
	enum fbk_route release;
	release_fn *wait;
} kinds[] = {
	{ "native", FBK_FENCE_MEMORY64, FBK_ROUTE_NATIVE, release_by_point },
	{ "eventfd", FBK_FENCE_EVENTFD, FBK_ROUTE_EVENTFD, release_by_fd },
	{ "gate", 0, FBK_ROUTE_GATE, release_by_point },
	{ "cpu-wait", FBK_FENCE_SYNC_FILE, FBK_ROUTE_CPU_WAIT, release_by_point },
};

static int consumer(int socket, void *arg)
{
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	ck_assert_uint_eq(consume_later(self.link), FRAMES);
	consumer_close(&self);
	return 0;
}

START_TEST(each_route)
{
	const struct kind *kind = &kinds[_i];
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct producer producer;
	struct peer peer;
	int offer;
	peer_start(&peer, consumer, NULL);
	producer_open(&producer, &server, kind->waits, FBK_FENCE_MEMORY64, &offer);
	send_word(peer.socket, 0, offer);
	close(offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_link_info(producer.link, &info), 0);
	ck_assert_msg(info.release == kind->release, "%s: %s", kind->name, info.release_why);
	for (int i = 0; i < FRAMES; i++) {
		producer_frame_early(&producer, kind->wait, NULL);
	}
	producer_take_all(&producer);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, each_route, kinds);
}

int main(void)
{
	return suite_main("exchange-release", add);
}
