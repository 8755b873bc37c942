// SPDX-License-Identifier: MIT
/*
 * Pictures that go to a display and to an encoder at once. KMS waits for nothing, and gives a
 * sync_file as the release; the encoder waits for eventfds and signals them. A buffer is drawn to
 * again when both have released it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "client/examples/pipeline/clock.h"
#include "client/examples/pipeline/screen.h"
#include "client/include/fence-kms.h"
#include "lib-link.h"

#define BUFFERS 2       /* two: one is shown and encoded, one is drawn */
#define BLACK   BUFFERS /* the picture shown before and after */
#define PENDING 1       /* a value that no gate's result has */

static struct daemon server;
static struct screen screen;

/* In memory that all processes of a test share. */
static struct shared {
	_Atomic uint64_t encoded;          /* the last frame that the encoder has released */
	uint64_t gone_us[LINK_FRAMES + 1]; /* when a frame left the screen */
} * shared;

static void setup(void)
{
	char error[160] = "";
	daemon_serve(&server, lab_policy(60000));
	int r = screen_open(&screen, NULL, 640, 480, BUFFERS + 1, error, sizeof(error));
	ck_assert_msg(r == 0, "%s", error);
	shared = shared_memory(sizeof(*shared));
}

static void teardown(void)
{
	munmap(shared, sizeof(*shared));
	screen_close(&screen);
	daemon_stop(&server);
}

/* --------------------------------------------------------------------------------- the display -- */

struct display {
	struct consumer consumer;
	struct fbk_frame *on_screen;
	uint64_t number; /* of that frame; 0: none */
	int result;      /* of the commit at the gate */
};

static void note_result(void *arg, struct fbk_point point, int result)
{
	struct display *display = arg;
	(void)point;
	display->result = result;
}

/* That dma-buf is one of the screen's pictures. */
static void expect_same_buffer(const struct fbk_frame *frame)
{
	uint32_t handle;
	EXPECT(drmPrimeFDToHandle(screen.card, frame_fd(frame), &handle) == 0);
	EXPECT(handle == screen.buffers[fbk_frame_index(frame)].handle);
}

/* Commits when the picture is drawn. Gives the fence that signals when it is shown. */
static int32_t display_commit(struct display *display, struct fbk_frame *frame, int producer)
{
	struct fbk_context *context = display->consumer.context;
	struct fbk_point acquire = fbk_frame_acquire(frame);
	int32_t out_fence = -1;
	drmModeAtomicReq *request = screen_request(&screen, fbk_frame_index(frame), -1, &out_fence);
	ck_assert_ptr_nonnull(request);
	display->result = PENDING;
	int r = fbk_gate_atomic_commit(acquire, deadline_ms(PATIENCE_MS), screen.card, request,
				       SCREEN_FLIP, (void *)(uintptr_t)(display->number + 1),
				       note_result, display, NULL);
	ck_assert_msg(r == 0, "fbk_gate_atomic_commit: %s", fbk_error_detail());
	drmModeAtomicFree(request);
	EXPECT(fbk_point_check(acquire) == -EAGAIN);
	send_word(producer, 1, -1); /* it may be drawn */
	while (display->result == PENDING) {
		loop_turn(context);
	}
	ck_assert_int_eq(display->result, 0);
	return out_fence;
}

/* That fence releases the picture shown until then. */
static void display_replace(struct display *display, int32_t out_fence)
{
	struct screen_event event;
	if (display->on_screen) {
		int r = fbk_frame_release_on(display->on_screen, out_fence);
		ck_assert_msg(r == 0, "fbk_frame_release_on: %s", fbk_error_detail());
		fbk_frame_unref(display->on_screen);
		display->on_screen = NULL;
	} else {
		close(out_fence);
	}
	ck_assert_int_eq(screen_event(&screen, PATIENCE_MS, &event), 0);
	ck_assert_uint_eq(event.frame, display->number + 1);
	shared->gone_us[display->number] = event.time_us;
}

static void display_frame(struct display *display, struct fbk_frame *frame, int producer)
{
	expect_same_buffer(frame);
	display_replace(display, display_commit(display, frame, producer));
	display->on_screen = frame;
	display->number++;
	EXPECT(buffer_holds(frame_words(frame, PROT_READ), display->number));
	if (display->number == LINK_FRAMES) {
		int32_t out_fence;
		EXPECT(screen_flip(&screen, BLACK, -1, &out_fence, LINK_FRAMES + 1) == 0);
		display_replace(display, out_fence);
	}
}

static int display_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "kms",
		.device_class = FBK_CLASS_DISPLAY,
		.signals = FBK_FENCE_SYNC_FILE,
	};
	static struct display display;
	struct fbk_frame *frame;
	(void)arg;
	consumer_open(&display.consumer, &server, &desc, socket);
	expect_routes(display.consumer.link, FBK_ROUTE_GATE, FBK_ROUTE_CPU_WAIT);
	while ((frame = consumer_next(&display.consumer))) {
		display_frame(&display, frame, socket);
	}
	ck_assert_uint_eq(display.number, LINK_FRAMES);
	consumer_close(&display.consumer);
	return 0;
}

/* --------------------------------------------------------------------------------- the encoder -- */

/* The frame that the encoder refers to while it encodes the next one, and the fence that releases
 * it. */
struct reference {
	const uint64_t *words;
	uint64_t number; /* 0: none */
	int done;
};

static void reference_drop(struct reference *reference)
{
	if (reference->number > 0) {
		yield_briefly(); /* encoding takes time */
		EXPECT(buffer_holds(reference->words, reference->number));
		/* release: before the producer may see the frame free */
		atomic_store_explicit(&shared->encoded, reference->number, memory_order_release);
		EXPECT(eventfd_write(reference->done, 1) == 0);
		close(reference->done);
	}
	reference->number = 0;
}

static void encoder_frame(struct reference *reference, struct fbk_frame *frame, uint64_t number,
			  int producer)
{
	const struct reference next = {
		.words = frame_words(frame, PROT_READ),
		.number = number,
		.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	int acquire = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
	EXPECT(readable_within(acquire, 0) == 0);
	send_word(producer, 1, -1); /* it may be drawn */
	EXPECT(readable_within(acquire, PATIENCE_MS) == 1);
	EXPECT(buffer_holds(next.words, number));
	int r = fbk_frame_release_on(frame, fcntl(next.done, F_DUPFD_CLOEXEC, 0));
	ck_assert_msg(r == 0, "fbk_frame_release_on: %s", fbk_error_detail());
	fbk_frame_unref(frame);
	reference_drop(reference);
	*reference = next;
	if (number == LINK_FRAMES) {
		reference_drop(reference);
	}
}

static int encoder_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "x264",
		.device_class = FBK_CLASS_ENCODER,
		.waits = FBK_FENCE_EVENTFD,
		.signals = FBK_FENCE_EVENTFD,
	};
	static struct consumer consumer;
	struct reference reference = { .number = 0 };
	struct fbk_frame *frame;
	uint64_t number = 0;
	(void)arg;
	consumer_open(&consumer, &server, &desc, socket);
	expect_routes(consumer.link, FBK_ROUTE_EVENTFD, FBK_ROUTE_CPU_WAIT);
	while ((frame = consumer_next(&consumer))) {
		encoder_frame(&reference, frame, ++number, socket);
	}
	ck_assert_uint_eq(number, LINK_FRAMES);
	consumer_close(&consumer);
	return 0;
}

/* -------------------------------------------------------------------------------- the renderer -- */

/* The screen's pictures, and the memory that tells their frames apart. */
static void renderer_fill(struct producer *producer)
{
	for (size_t i = BUFFERS; i < PRODUCER_BUFFERS; i++) {
		producer->buffers[i].fd = -1; /* there is none */
	}
	for (uint32_t i = 0; i < BUFFERS; i++) {
		const struct screen_buffer *picture = &screen.buffers[i];
		struct buffer *buffer = &producer->buffers[i];
		const struct fbk_buffer_desc desc = {
			.struct_size = sizeof(struct fbk_buffer_desc),
			.memory = FBK_MEMORY_DMABUF,
			.fd = { fcntl(picture->dmabuf, F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
			.width = screen.width,
			.height = screen.height,
			.fourcc = 0x34325258, /* XR24 */
			.plane_count = 1,
			.stride = { picture->stride },
		};
		buffer->fd = fcntl(picture->dmabuf, F_DUPFD_CLOEXEC, 0);
		buffer->words =
			mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
		EXPECT(buffer->words != MAP_FAILED);
		EXPECT(fbk_exchange_add(producer->exchange, i, &desc) == 0);
	}
}

/* A free buffer: its previous frame is encoded, and not on screen any more. */
struct taking {
	uint64_t before, time_us;
};

/* Drawn once both wait for it. */
static void render(struct producer *producer, const int *consumers, struct taking *ret_taking)
{
	static uint64_t held[BUFFERS];
	uint32_t index = producer_hand(producer);
	/* acquire: pairs with the encoder's release */
	uint64_t encoded = atomic_load_explicit(&shared->encoded, memory_order_acquire);
	EXPECT(held[index] <= encoded);
	*ret_taking = (struct taking){ held[index], clock_now() / 1000 };
	held[index] = producer->frame;
	for (size_t i = 0; i < 2; i++) {
		patient_word(consumers[i]);
	}
	producer_draw(producer, index);
}

START_TEST(display_and_encoder)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "gpu",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	static struct taking takings[LINK_FRAMES];
	struct producer producer;
	struct fbk_link *second;
	struct peer display, encoder;
	int offers[2];
	peer_start(&display, display_run, NULL);
	peer_start(&encoder, encoder_run, NULL);
	const int consumers[] = { display.socket, encoder.socket };
	producer_offer(&producer, &server, &desc, &offers[0]);
	renderer_fill(&producer);
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &offers[1], &second) == 0);
	EXPECT(fbk_exchange_attach(producer.exchange, second) == 0);
	for (size_t i = 0; i < 2; i++) {
		send_word(consumers[i], 0, offers[i]);
		close(offers[i]);
	}
	producer_meet(&producer);
	EXPECT(fbk_link_wait(second, deadline_ms(PATIENCE_MS)) == 0);
	uint64_t began = now_ms();
	for (size_t i = 0; i < LINK_FRAMES; i++) {
		render(&producer, consumers, &takings[i]);
	}
	exchange_drain(producer.exchange, BUFFERS);
	print_frames("shown and encoded", LINK_FRAMES, began);
	fbk_link_close(second);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&display), 0);
	ck_assert_int_eq(patient_wait(&encoder), 0);
	for (size_t i = 0; i < LINK_FRAMES; i++) {
		EXPECT(takings[i].before == 0 ||
		       shared->gone_us[takings[i].before] <= takings[i].time_us);
	}
	ck_assert_uint_eq(lab_counter(&server, "imports_done"), 2 * LINK_FRAMES);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, display_and_encoder);
}

int main(void)
{
	return lab_main("link display", "virtio_gpu", add);
}
