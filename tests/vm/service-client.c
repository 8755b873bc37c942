// SPDX-License-Identifier: MIT
/*
 * A client of the installed service. For guest-service.sh it provokes one of the daemon's log entries: its device is
 * "gpu0", its timeline "frame"; it signals nothing, and exits with 0 when the daemon did what it logs. For guest-bus.sh
 * it hands points over until its standard input ends.
 */
#include <errno.h>
#include <fencebroker.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define DEADLINE_NS UINT64_C(1200000000) /* the daemon logs waits of a second and more */

static void require(bool condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "service-client: %s: %s\n", what, fbk_error_detail());
		exit(EXIT_FAILURE);
	}
}

static uint64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool readable(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };
	return poll(&entry, 1, PATIENCE_MS) == 1;
}

/* A packet that is no request: the daemon hangs up. */
static void send_malformed(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX,
				       .sun_path = "/run/fencebroker/socket" };
	char byte;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	require(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	require(send(fd, "\xff", 1, MSG_NOSIGNAL) == 1, "send");
	require(readable(fd) && recv(fd, &byte, 1, 0) <= 0, "the daemon did not hang up");
	close(fd);
}

static struct fbk_context *connect_service(void)
{
	struct fbk_context *context;
	require(fbk_connect("/run/fencebroker/socket", &context) == 0, "connect");
	return context;
}

static struct fbk_point point_create(struct fbk_context *context)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "gpu0",
					.device_class = FBK_CLASS_GPU,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64 };
	struct fbk_device *device;
	struct fbk_timeline *timeline;
	require(fbk_device_register(context, &desc, &device) == 0, "register");
	require(fbk_timeline_create(device, NULL, "frame", 0, &timeline) == 0, "timeline");
	return (struct fbk_point){ timeline, 1 };
}

static void watch_fired(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

/* A watch that expires. */
static void watch_expire(void)
{
	struct fbk_context *context = connect_service();
	struct fbk_point point = point_create(context);
	int result = 1;
	require(fbk_point_watch(point, clock_ns() + DEADLINE_NS, watch_fired, &result, NULL) == 0,
		"watch");
	while (result == 1) {
		require(readable(fbk_context_fd(context)), "the watch never fired");
		require(fbk_dispatch(context) >= 0, "dispatch");
	}
	require(result == -ETIMEDOUT, "the watch did not expire");
	fbk_disconnect(context);
}

/* A promise that is not kept: the kernel fence signals nevertheless. */
static void promise_break(void)
{
	struct fbk_context *context = connect_service();
	int fence;
	require(fbk_point_promise(point_create(context), &fence) == 0, "promise");
	require(readable(fence), "the promised fence never signalled");
	close(fence);
	fbk_disconnect(context);
}

/* Each point is signalled by one client and exported by another, which takes the daemon. Prints the points, and the
 * longest hand-over in milliseconds. */
static void hand_over(void)
{
	struct fbk_context *consumer = connect_service();
	struct fbk_point point = point_create(connect_service());
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
	struct fbk_timeline *opened;
	uint64_t longest_ns = 0;
	int token, fence;
	require(fbk_timeline_share(point.timeline, FBK_RIGHT_WAIT, &token) == 0, "share");
	require(fbk_timeline_open(consumer, token, &opened) == 0, "open");
	printf("started\n");
	fflush(stdout);
	for (; poll(&end, 1, 5) == 0; point.value++) {
		uint64_t start_ns = clock_ns();
		struct fbk_point awaited = { opened, point.value };
		require(fbk_point_export(awaited, FBK_FENCE_EVENTFD,
					 start_ns + UINT64_C(30000000000), &fence) == 0,
			"export");
		require(fbk_timeline_signal(point.timeline, point.value) == 0, "signal");
		require(readable(fence) && fbk_point_check(awaited) == 0, "not reached");
		close(fence);
		uint64_t took_ns = clock_ns() - start_ns;
		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
	}
	printf("%llu %llu\n", (unsigned long long)point.value - 1,
	       (unsigned long long)longest_ns / 1000000);
}

int main(int argc, char *argv[])
{
	static const struct {
		const char *name;
		void (*run)(void);
	} verbs[] = {
		{ "malformed", send_malformed },
		{ "expire", watch_expire },
		{ "break-promise", promise_break },
		{ "hand-over", hand_over },
	};
	for (size_t i = 0; argc == 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0) {
			verbs[i].run();
			return EXIT_SUCCESS;
		}
	}
	fprintf(stderr, "usage: service-client malformed | expire | break-promise | hand-over\n");
	return EXIT_FAILURE;
}
