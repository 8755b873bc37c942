// SPDX-License-Identifier: MIT
/* A client that closes what it opens has, after any number of rounds, as many fds and as much memory as before, here and at the
 * daemon. Each function of the header is in a round, here or in test-constant-link.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fence-v4l2.h"
#include "lib-constant.h"
#include "lib-frame.h"
#include "lib-header.h"
#include "lib-peer.h"

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
	EXPECT(fbk_point_watch((struct fbk_point){ line, ++value }, FBK_DEADLINE_MAX, ignore_point,
			       NULL, &watch) == 0);
	if (value % 2) {
		EXPECT(fbk_timeline_signal(line, value) == 0);
		EXPECT(fbk_dispatch(context) >= 0);
	}
	fbk_watch_cancel(watch);
}

static void round_connect(void)
{
	struct fbk_context *third;
	EXPECT(fbk_connect(server.socket, &third) == 0);
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

/* Points that are asked for in all ways. */
static void round_points(void)
{
	struct fbk_point reached = { line, ++value }, next = { line, value + 1 };
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	char text[256];
	size_t which;
	EXPECT(fbk_point_signal(reached) == 0);
	EXPECT(fbk_point_check(reached) == 0);
	EXPECT(fbk_point_check(next) == -EAGAIN);
	EXPECT(fbk_point_wait_any((struct fbk_point[]){ next, reached }, 2, deadline_ms(100),
				  &which) == 0);
	EXPECT(fbk_point_wait_all((struct fbk_point[]){ next, reached }, 2, deadline_ms(1), NULL) ==
	       -ETIMEDOUT);
	EXPECT(fbk_point_blame(next, text, sizeof(text)) == 0);
	EXPECT(fbk_point_flush(reached, text, sizeof(text)) == 0);
	EXPECT(fbk_timeline_info(line, &info) == 0);
	EXPECT(fbk_timeline_value(line) == value);
	EXPECT(fbk_timeline_visibility(line) == 0);
	EXPECT(fbk_timeline_memory(line, &memory, NULL) == 0);
	EXPECT(fbk_device_backing(device) == FBK_BACKING_HOST);
}

static void round_depends(void)
{
	struct fbk_timeline *first = peer_timeline(device, "first", 0);
	struct fbk_timeline *second = peer_timeline(device, "second", 0);
	EXPECT(fbk_point_depends((struct fbk_point){ first, 1 }, (struct fbk_point){ second, 1 }) ==
	       0);
	EXPECT(fbk_point_depends((struct fbk_point){ second, 1 }, (struct fbk_point){ first, 1 }) ==
	       -EDEADLK);
	EXPECT(fbk_error_detail()[0] != '\0');
	EXPECT(fbk_timeline_fail(second, -EIO, "tried") == 0);
	fbk_timeline_close(first);
	fbk_timeline_close(second);
}

static void round_signal_on_all(void)
{
	int fds[] = { raised_eventfd(), raised_eventfd() };
	EXPECT(fbk_fence_classify(context, fds[0]) == FBK_FENCE_EVENTFD);
	EXPECT(fbk_point_signal_on_all((struct fbk_point){ brokered, ++value }, fds, 2) == 0);
	EXPECT(fbk_point_wait((struct fbk_point){ brokered, value }, deadline_ms(PATIENCE_MS)) ==
	       0);
}

static void round_flushing(void)
{
	EXPECT(fbk_context_set_flushing(other, true) == 0);
	EXPECT(fbk_context_set_flushing(other, false) == 0);
	fbk_context_set_timeout(other, PATIENCE_MS * UINT64_C(1000000));
	EXPECT(!fbk_context_stopping(other));
	EXPECT(fbk_context_fd(other) >= 0);
	EXPECT(fbk_feature(other, FBK_FEATURE_TIMELINES, NULL) == 1);
}

/* One is cancelled, one opens, and its ioctl fails. */
static void round_gate(void)
{
	const struct fbk_point next = { line, ++value };
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct fbk_gate *gate, *opened;
	EXPECT(fbk_gate_v4l2_queue(next, FBK_DEADLINE_MAX, -1, &buffer, ignore_point, NULL,
				   &gate) == 0);
	EXPECT(fbk_gate_v4l2_queue(next, FBK_DEADLINE_MAX, -1, &buffer, ignore_point, NULL,
				   &opened) == 0);
	fbk_gate_cancel(gate);
	EXPECT(fbk_timeline_signal(line, value) == 0);
	EXPECT(fbk_dispatch(context) >= 0);
	fbk_gate_cancel(opened);
}

/* Of a socket that another process gave. */
static void round_connect_fd(void)
{
	struct fbk_context *third;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", server.socket);
	EXPECT(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	EXPECT(fbk_connect_fd(fd, &third) == 0);
	EXPECT(fbk_context_device(third) == NULL);
	fbk_disconnect(third);
}

static void (*const rounds[])(void) = {
	round_import_export, round_import_early, round_export_read, round_signal_on, round_timeline,
	round_watch,         round_connect,      round_device,      round_points,    round_depends,
	round_signal_on_all, round_flushing,     round_connect_fd,  round_gate,
};

static void settle(void)
{
	struct fbk_timeline *seen = peer_open(other, line, FBK_RIGHT_WAIT);
	struct fbk_point next = { line, value + 1 };
	char text[256];
	EXPECT(fbk_point_blame(next, text, sizeof(text)) == 0);
	next.timeline = seen;
	EXPECT(fbk_point_blame(next, text, sizeof(text)) == 0);
	fbk_timeline_close(seen);
}

START_TEST(nothing_piles_up)
{
	expect_constant(&server, rounds[_i], settle);
}
END_TEST

/* ------------------------------------------------------------------------------------- the header -- */

/* These need a kernel's device: they are counted in a guest. */
static const char *const of_devices[] = {
	"fbk_mirror_to_syncobj",   "fbk_mirror_from_syncobj",     "fbk_mirror_destroy",
	"fbk_syncobj_create",      "fbk_point_export_to_syncobj", "fbk_point_signal_on_syncobj",
	"fbk_point_attach_dmabuf", "fbk_point_signal_on_dmabuf",  "fbk_point_flush_dmabuf",
	"fbk_device_add_memory",   "fbk_point_promise",
};

/* The text of a file of the source tree; free() it. */
static char *file_text(const char *name)
{
	char path[512], *text = NULL;
	size_t size = 0;
	snprintf(path, sizeof(path), "%s/%s", getenv("FBK_SOURCE_DIR"), name);
	FILE *file = fopen(path, "re");
	ck_assert_msg(file != NULL, "%s", path);
	EXPECT(getdelim(&text, &size, '\0', file) > 0);
	fclose(file);
	return text;
}

static bool is_of_a_device(const char *function)
{
	for (size_t i = 0; i < sizeof(of_devices) / sizeof(*of_devices); i++) {
		if (strcmp(of_devices[i], function) == 0) {
			return true;
		}
	}
	return false;
}

static bool calls(const char *text, const char *function)
{
	char call[160];
	snprintf(call, sizeof(call), "%s(", function);
	return strstr(text, call);
}

static char *here, *links; /* the texts of the tests */

static void function_check(const char *function, bool returns_int)
{
	(void)returns_int;
	ck_assert_msg(is_of_a_device(function) || calls(here, function) || calls(links, function),
		      "%s is in no round", function);
}

START_TEST(all_functions_are_here)
{
	here = file_text("tests/integration/test-constant.c");
	links = file_text("tests/integration/test-constant-link.c");
	header_functions("fencebroker.h", function_check);
	free(links);
	free(here);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, getenv("FBK_SOAK") ? 3600 : 300);
	tcase_add_test(tcase, all_functions_are_here);
	ADD_LOOP(tcase, nothing_piles_up, rounds);
}

int main(void)
{
	return suite_main("constant", add);
}
