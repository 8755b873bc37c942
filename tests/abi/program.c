// SPDX-License-Identifier: MIT
/*
 * A program of the first version: built against the header beside it, with the structs as long as they were then, it runs
 * with the newest library. It hands one frame over a link to itself, by two contexts, and looks at every struct that it
 * gives or gets. Prints each thing that is not as it was; exit status 0 if there is none.
 */
#include <fcntl.h>
#include <fencebroker.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GUARD 0xa5

static int faults;

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((uint64_t)now.tv_sec + 30) * 1000000000;
}

#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			printf("line %d: %s (%s)\n", __LINE__, #condition, fbk_error_detail()); \
			faults++;                                                               \
		}                                                                               \
	} while (0)

/* What the library fills in: nothing behind it is written. */
#define FILLED(type)                      \
	struct {                          \
		struct type is;           \
		unsigned char guard[256]; \
	}

static int is_guarded(const unsigned char guard[256])
{
	for (int i = 0; i < 256; i++) {
		if (guard[i] != GUARD) {
			return 0;
		}
	}
	return 1;
}

struct end {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
	struct fbk_exchange *exchange; /* of a producer */
};

static void end_open(struct end *end, const char *name)
{
	const struct fbk_device_desc desc = { .struct_size = sizeof(desc),
					      .name = name,
					      .device_class = FBK_CLASS_CPU,
					      .waits = FBK_FENCE_MEMORY64,
					      .signals = FBK_FENCE_MEMORY64 };
	CHECK(fbk_connect(NULL, &end->context) == 0);
	CHECK(fbk_device_register(end->context, &desc, &end->device) == 0);
}

static void meet(struct end *producer, struct end *consumer)
{
	const struct fbk_format format = { .struct_size = sizeof(format),
					   .memory = FBK_MEMORY_MEMFD,
					   .size_max = 1 << 20 };
	const struct fbk_format *const formats[] = { &format };
	const struct fbk_consumer_desc wants = { .struct_size = sizeof(wants), .hold = 2 };
	const struct fbk_link_desc offered = { .struct_size = sizeof(offered),
					       .role = FBK_ROLE_PRODUCER,
					       .formats = formats,
					       .format_count = 1 };
	const struct fbk_link_desc accepted = { .struct_size = sizeof(accepted),
						.consumer = &wants };
	const struct fbk_format *joined = NULL;
	int offer = -1;
	CHECK(fbk_link_offer(producer->device, &offered, &offer, &producer->link) == 0);
	CHECK(fbk_exchange_create(producer->link, &producer->exchange) == 0);
	CHECK(fbk_link_accept(consumer->device, offer, &accepted, &consumer->link) == 0);
	close(offer);
	CHECK(fbk_link_wait(producer->link, deadline()) == 0);
	CHECK(fbk_link_format(consumer->link, 0, &joined) == 0);
	CHECK(joined && joined->memory == FBK_MEMORY_MEMFD && joined->size_max == 1 << 20);

	FILLED(fbk_link_info) info;
	memset(&info, GUARD, sizeof(info));
	info.is.struct_size = sizeof(info.is);
	CHECK(fbk_link_info(producer->link, &info.is) == 0);
	CHECK(info.is.phase == FBK_PHASE_ESTABLISHED && info.is.hold == 2);
	CHECK(strcmp(info.is.peer, "old-consumer") == 0 && info.is.unfit[0] == '\0');
	CHECK(is_guarded(info.guard));
}

static void hand_over(struct end *producer, struct end *consumer)
{
	struct fbk_exchange *exchange = producer->exchange;
	struct fbk_frame *frame = NULL;
	struct fbk_buffer_desc buffer = {
		.struct_size = sizeof(buffer),
		.memory = FBK_MEMORY_MEMFD,
		.plane_count = 1,
		.fd = { memfd_create("old", MFD_CLOEXEC | MFD_ALLOW_SEALING), -1, -1, -1 },
		.stride = { 4096 }
	};
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	uint32_t index = 99;
	CHECK(ftruncate(buffer.fd[0], 4096) == 0);
	CHECK(fcntl(buffer.fd[0], F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	CHECK(fbk_exchange_add(exchange, 0, &buffer) == 0);
	CHECK(fbk_exchange_take(exchange, deadline(), &index, NULL) == 0 && index == 0);
	meta.pts_ns = 40;
	meta.user_size = sizeof(meta.user);
	memset(meta.user, 7, sizeof(meta.user));
	CHECK(fbk_exchange_hand(exchange, index, FBK_POINT_SIGNALLED, deadline(), &meta, NULL,
				NULL) == 1);
	CHECK(faults || fbk_link_next(consumer->link, deadline(), &frame) == 0);
	if (frame) {
		const struct fbk_frame_meta *got = fbk_frame_meta(frame);
		CHECK(got->pts_ns == 40 && got->dts_ns == FBK_TIME_NONE && got->user_size == 64 &&
		      got->user[63] == 7);
		CHECK(fbk_frame_buffer(frame)->plane_count == 1 &&
		      fbk_frame_buffer(frame)->stride[0] == 4096);
		CHECK(fbk_frame_release(frame, 0) == 0);
		fbk_frame_unref(frame);
	}
	CHECK(faults || fbk_exchange_take(exchange, deadline(), &index, NULL) == 0);
	fbk_exchange_destroy(exchange);
}

static void timelines(struct end *end)
{
	struct fbk_timeline *timeline = NULL;
	FILLED(fbk_timeline_info) info;
	FILLED(fbk_memory) memory;
	CHECK(fbk_timeline_create(end->device, NULL, "old", 0, &timeline) == 0);
	CHECK(fbk_timeline_signal(timeline, 3) == 0);
	memset(&info, GUARD, sizeof(info));
	info.is.struct_size = sizeof(info.is);
	CHECK(fbk_timeline_info(timeline, &info.is) == 0);
	CHECK(info.is.value == 3 && info.is.pid == getpid() && info.is.uid == getuid());
	CHECK(is_guarded(info.guard));
	memset(&memory, GUARD, sizeof(memory));
	memory.is.struct_size = sizeof(memory.is);
	CHECK(fbk_timeline_memory(timeline, &memory.is, NULL) == 0);
	CHECK(memory.is.size == 8 && *(const uint64_t *)memory.is.address == 3);
	CHECK(is_guarded(memory.guard));
	CHECK(fbk_point_wait((struct fbk_point){ timeline, 3 }, 0) == 0);
	fbk_timeline_close(timeline);
}

/* With room that a newer version had something in: today's library says that it does not know it. */
static void newer(struct end *end)
{
	struct {
		struct fbk_device_desc is;
		uint64_t later;
	} desc = { { .struct_size = sizeof(desc),
		     .name = "newer",
		     .device_class = FBK_CLASS_CPU,
		     .waits = FBK_FENCE_MEMORY64,
		     .signals = FBK_FENCE_MEMORY64 },
		   0 };
	struct fbk_device *device = NULL;
	CHECK(fbk_device_register(end->context, &desc.is, &device) == 0);
	fbk_device_unregister(device);
}

int main(void)
{
	struct end producer = { 0 }, consumer = { 0 };
	setvbuf(stdout, NULL, _IOLBF, 0);
	end_open(&producer, "old-producer");
	end_open(&consumer, "old-consumer");
	if (faults == 0) {
		timelines(&producer);
		newer(&producer);
		meet(&producer, &consumer);
	}
	if (faults == 0) {
		hand_over(&producer, &consumer);
	}
	fbk_link_close(consumer.link);
	fbk_link_close(producer.link);
	fbk_disconnect(consumer.context);
	fbk_disconnect(producer.context);
	return faults ? EXIT_FAILURE : EXIT_SUCCESS;
}
