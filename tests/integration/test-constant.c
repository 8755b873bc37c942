// SPDX-License-Identifier: MIT
/* A client that closes what it opens has, after any number of rounds, as many fds and as much memory as before, here and at the
 * daemon. $FBK_ROUNDS: how often each is done. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-peer.h"

#define ROUNDS      300
#define WARM_ROUNDS 40         /* for what is kept to be used again */
#define HEAP_SLACK  (16 << 10) /* bytes: less than 64 a round */

static struct daemon server;
static struct fbk_context *context, *other;
static struct fbk_device *device;
static struct fbk_timeline *line, *brokered;
static uint64_t value;

static void setup(void)
{
	daemon_serve(&server, NULL);
	struct fbk_device_desc desc = {
		.struct_size = sizeof(desc),
		.name = "round",
		.device_class = FBK_CLASS_CPU,
		.waits = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD,
		.signals = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD,
	};
	context = peer_connect(&server);
	other = peer_connect(&server);
	EXPECT(fbk_device_register(context, &desc, &device) == 0);
	line = peer_timeline(device, "line", 0);
	brokered = peer_timeline(device, "brokered", FBK_TIMELINE_BROKERED);
	value = 0;
}

static void teardown(void)
{
	fbk_disconnect(other);
	fbk_disconnect(context);
	daemon_end(&server);
}

static void ignore(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
}

static int raised_eventfd(void)
{
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	EXPECT(fd >= 0);
	return fd;
}

/* ------------------------------------------------------------------------------------------ rounds -- */

static void round_import_export(void)
{
	struct fbk_point point;
	int in = raised_eventfd(), out;
	EXPECT(fbk_import(device, in, &point) == 0);
	EXPECT(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &out) == 0);
	EXPECT(readable_within(out, PATIENCE_MS) == 1);
	close(out);
	fbk_timeline_close(point.timeline);
}

/* The fence is closed, and the timeline too, before it signals. */
static void round_import_early(void)
{
	struct fbk_point point;
	int in = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), out;
	EXPECT(fbk_import(device, in, &point) == 0);
	EXPECT(fbk_point_export(point, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &out) == 0);
	fbk_timeline_close(point.timeline);
	EXPECT(readable_within(out, PATIENCE_MS) == 1);
	close(out);
}

static void round_export_read(void)
{
	eventfd_t count;
	int out;
	EXPECT(fbk_point_export((struct fbk_point){ line, ++value }, FBK_FENCE_EVENTFD,
				FBK_DEADLINE_MAX, &out) == 0);
	EXPECT(fbk_timeline_signal(line, value) == 0);
	EXPECT(readable_within(out, PATIENCE_MS) == 1);
	EXPECT(eventfd_read(out, &count) == 0);
	close(out);
}

static void round_signal_on(void)
{
	int fd = raised_eventfd();
	EXPECT(fbk_point_signal_on((struct fbk_point){ brokered, ++value }, fd) == 0);
	EXPECT(fbk_point_wait((struct fbk_point){ brokered, value }, deadline_ms(PATIENCE_MS)) ==
	       0);
}

static void round_timeline(void)
{
	struct fbk_timeline *made, *seen;
	struct fbk_set *set;
	int token;
	EXPECT(fbk_set_create(context, &set) == 0);
	EXPECT(fbk_timeline_create(device, set, "made", 0, &made) == 0);
	EXPECT(fbk_timeline_share(made, FBK_RIGHT_WAIT, &token) == 0);
	EXPECT(fbk_timeline_open(other, token, &seen) == 0);
	close(token);
	EXPECT(fbk_point_wait((struct fbk_point){ seen, 1 }, deadline_ms(0)) == -ETIMEDOUT);
	fbk_timeline_close(seen);
	fbk_timeline_close(made);
	fbk_set_destroy(set);
}

static void round_watch(void)
{
	struct fbk_watch *watch;
	EXPECT(fbk_point_watch((struct fbk_point){ line, ++value }, FBK_DEADLINE_MAX, ignore, NULL,
			       &watch) == 0);
	if (value % 2) {
		EXPECT(fbk_timeline_signal(line, value) == 0);
		EXPECT(fbk_dispatch(context) >= 0);
	}
	fbk_watch_cancel(watch);
}

static void round_connect(void)
{
	struct fbk_context *third = peer_connect(&server);
	struct fbk_timeline *waited = peer_timeline(peer_device(third, "third"), "waited", 0);
	EXPECT(fbk_point_wait((struct fbk_point){ waited, 1 }, deadline_ms(1)) == -ETIMEDOUT);
	fbk_disconnect(third);
}

static void round_device(void)
{
	struct fbk_device *made = peer_device(context, "made");
	struct fbk_timeline *left = peer_timeline(made, "of-it", 0);
	fbk_device_unregister(made);
	fbk_timeline_close(left);
}

static void round_link(void)
{
	struct fbk_link_desc desc = { .struct_size = sizeof(desc), .role = FBK_ROLE_PRODUCER };
	struct fbk_exchange *exchange;
	struct fbk_link *link;
	int offer;
	EXPECT(fbk_link_offer(device, &desc, &offer, &link) == 0);
	EXPECT(fbk_exchange_create(link, &exchange) == 0);
	fbk_exchange_destroy(exchange);
	fbk_link_close(link);
	close(offer);
}

static void (*const rounds[])(void) = {
	round_import_export, round_import_early, round_export_read, round_signal_on, round_timeline,
	round_watch,         round_connect,      round_device,      round_link,
};

/* ---------------------------------------------------------------------------------------- counting -- */

static unsigned int fds_here(void)
{
	unsigned int count = 0;
	for (int fd = 0; fd < 4096; fd++) {
		count += fcntl(fd, F_GETFD) >= 0;
	}
	return count;
}

START_TEST(nothing_piles_up)
{
	const char *wanted = getenv("FBK_ROUNDS");
	int count = wanted ? atoi(wanted) : ROUNDS;
	for (int i = 0; i < WARM_ROUNDS; i++) {
		rounds[_i]();
	}
	unsigned int fds = fds_here(), theirs = daemon_fd_count(&server);
	size_t heap = mallinfo2().uordblks;
	for (int i = 0; i < count; i++) {
		rounds[_i]();
	}
	/* what is swept in groups may be at another place of its group */
	ck_assert_uint_le(fds_here(), fds + 17);
	ck_assert_uint_le(daemon_fd_count(&server), theirs + 17);
	ck_assert_uint_le(mallinfo2().uordblks, heap + HEAP_SLACK);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, nothing_piles_up, rounds);
}

int main(void)
{
	return suite_main("constant", add);
}
