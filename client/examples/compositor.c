// SPDX-License-Identifier: MIT
/*
 * A compositor and one surface: commit when the acquire point is reached, tie the release point to
 * the display's out-fence. An eventfd stands for that fence, and this program plays the client's side
 * too.
 */
#include <errno.h>
#include <fcntl.h>
#include <fencebroker.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

struct surface {
	struct fbk_point acquire; /* -> the client has drawn the picture */
	struct fbk_point release; /* <- the picture is off the screen */
	bool waiting;             /* for the acquire point */
	int display;              /* the display's end of the out-fence */
};

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + UINT64_C(1000000000);
}

/* Stands for an atomic commit: gives the out-fence, signalled when the picture is off the screen. */
static int commit(struct surface *surface, int *ret_out_fence)
{
	surface->display = eventfd(0, EFD_CLOEXEC);
	*ret_out_fence = fcntl(surface->display, F_DUPFD_CLOEXEC, 0);
	return *ret_out_fence < 0 ? -errno : 0;
}

static void surface_ready(void *arg, struct fbk_point acquire, int result)
{
	struct surface *surface = arg;
	int out_fence_fd = -1;
	surface->waiting = false;
	if (result == 0) {
		result = commit(surface, &out_fence_fd);
	}
	if (result < 0) {
		fprintf(stderr, "the commit failed: %s\n", strerror(-result));
		fbk_timeline_fail(surface->release.timeline, -ECANCELED,
				  NULL); /* ends the client's wait */
		return;
	}
	printf("acquire point %llu is reached: committed\n", (unsigned long long)acquire.value);
	/* import: the point follows the fence; takes the fd */
	fbk_point_signal_on(surface->release, out_fence_fd);
}

static int frame(struct fbk_context *ctx, struct surface *surface)
{
	struct pollfd entry = { .fd = fbk_context_fd(ctx), .events = POLLIN };
	int r = 0;
	surface->waiting = fbk_point_check(surface->acquire) == -EAGAIN;
	if (surface->waiting) {
		r = fbk_point_watch(surface->acquire, deadline(), surface_ready, surface, NULL);
	}
	if (r == 0) {
		r = fbk_point_signal(surface->acquire); /* the client has drawn */
	}
	while (r >= 0 && surface->waiting) {
		poll(&entry, 1, 1000);
		r = fbk_dispatch(ctx);
	}
	if (r < 0) {
		return r;
	}
	eventfd_write(surface->display, 1); /* the next picture is on the screen */
	r = fbk_point_wait(surface->release, deadline());
	printf("release point %llu: %s\n", (unsigned long long)surface->release.value,
	       r == 0 ? "the client may draw again" : strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "compositor0",
					.device_class = FBK_CLASS_COMPOSITOR,
					.waits = FBK_FENCE_MEMORY64,
					.signals = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD };
	struct surface surface = { .acquire.value = 1, .release.value = 1, .display = -1 };
	struct fbk_device *device;
	struct fbk_context *ctx;
	if (argc > 1) {
		printf("Usage: %s\nShows one frame of one surface.\n", argv[0]);
		return strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	int r = fbk_connect(NULL, &ctx);
	if (r == 0) {
		r = fbk_device_register(ctx, &desc, &device);
	}
	if (r == 0) {
		r = fbk_timeline_create(device, NULL, "surface.acquire", 0,
					&surface.acquire.timeline);
	}
	if (r == 0) {
		r = fbk_timeline_create(device, NULL, "surface.release", FBK_TIMELINE_BROKERED,
					&surface.release.timeline);
	}
	if (r == 0) {
		r = frame(ctx, &surface);
	}
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], fbk_error_detail());
		return EXIT_FAILURE;
	}
	fbk_disconnect(ctx);
	return EXIT_SUCCESS;
}
