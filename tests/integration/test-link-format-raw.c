// SPDX-License-Identifier: MIT
/* What clients say of formats and buffers on the wire, and may not: an error that names it, and nothing else happens. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-view.h"

#define LIMIT 40000 /* bytes of formats: a list with a few data */

static struct daemon server;
static struct bystander bystander;
static struct client producer, consumer, stranger;
static struct view state, accepted; /* the link's, as the two ends have it */
static uint32_t producer_device, consumer_device;
static int offer;

static void setup(void)
{
	daemon_serve(&server, "version = 1;\nlimits: { format_bytes = 40000; };\n"
			      "rules: ( { user = \"*\"; connect = true; register = true; inspect = "
			      "\"all\"; } );\n");
	bystander_open(&bystander, &server);
	client_open(&producer, &server);
	client_open(&consumer, &server);
	client_open(&stranger, &server);
	producer_device = client_device(&producer, "producer");
	consumer_device = client_device(&consumer, "consumer");
	EXPECT(view_create(&producer, producer_device, 0, "state", FBK_TIMELINE_BROKERED, &state) ==
	       0);
	EXPECT(view_share(&state, FBK_RIGHT_WAIT, &offer) == 0);
	REQUEST(request, LINK_OFFER, link_offer);
	request.link_offer->handle = state.handle;
	request.link_offer->device = producer_device;
	request.link_offer->role = FBK_ROLE_PRODUCER;
	EXPECT(client_call(&producer, &request, NULL, 0, NULL) == 0);
	EXPECT(view_open(&consumer, offer, &accepted) == 0);
}

static void teardown(void)
{
	bystander_round(&bystander);
	close(offer);
	client_close(&producer);
	client_close(&consumer);
	client_close(&stranger);
	bystander_close(&bystander);
	daemon_stop(&server);
}

static int accept_link(uint32_t hold)
{
	REQUEST(request, LINK_ACCEPT, link_accept);
	request.link_accept->handle = accepted.handle;
	request.link_accept->device = consumer_device;
	request.link_accept->hold = hold;
	return client_call(&consumer, &request, NULL, 0, NULL);
}

static void expect(const struct client *client, int result, int error, const char *part)
{
	ck_assert_msg(result == error && strstr(client->detail, part), "%d: %s", result,
		      client->detail);
}

static int give(struct client *client, uint32_t handle, Fbk__Wire__Format *format)
{
	REQUEST(request, LINK_FORMAT, link_format);
	request.link_format->handle = handle;
	request.link_format->format = format;
	return client_call(client, &request, NULL, 0, NULL);
}

static Fbk__Wire__Format format_wire(size_t data)
{
	static uint8_t bytes[FBK_FORMAT_DATA_MAX + 512];
	Fbk__Wire__Format format = FBK__WIRE__FORMAT__INIT;
	format.memory = FBK_MEMORY_MEMFD;
	format.data.data = bytes;
	format.data.len = data;
	return format;
}

static int get(struct client *client, uint32_t handle, uint32_t number, uint64_t epoch)
{
	REQUEST(request, LINK_FORMAT_GET, link_format_get);
	request.link_format_get->handle = handle;
	request.link_format_get->number = number;
	request.link_format_get->epoch = epoch;
	return client_call(client, &request, NULL, 0, NULL);
}

static uint64_t format_bytes(void)
{
	return client_usage(&bystander.waiter, getuid(), "format_bytes");
}

/* ------------------------------------------------------------------------------------------ formats -- */

START_TEST(who_gives_formats)
{
	Fbk__Wire__Format format = format_wire(10);
	struct view plain, third;
	EXPECT(view_create(&producer, producer_device, 0, "plain", 0, &plain) == 0);
	expect(&producer, give(&producer, plain.handle, &format), -EBADF, "no offer of a link");
	expect(&stranger, give(&stranger, state.handle, &format), -ENOENT, "no timeline");
	expect(&producer, give(&producer, state.handle, NULL), -EINVAL, "no format");
	ck_assert_int_eq(give(&producer, state.handle, &format), 0);
	ck_assert_int_eq(give(&consumer, accepted.handle, &format), 0);
	/* A third one has the offer, too: its list waits, and goes with its handle. */
	EXPECT(view_open(&stranger, offer, &third) == 0);
	uint64_t before = format_bytes();
	ck_assert_int_eq(give(&stranger, third.handle, &format), 0);
	ck_assert_uint_gt(format_bytes(), before);
	expect(&stranger, get(&stranger, third.handle, 0, 0), -EPIPE, "has not accepted");
	EXPECT(view_close(&third) == 0);
	ck_assert_uint_eq(format_bytes(), before);
	expect(&producer, get(&producer, state.handle, 0, 0), -EPIPE, "no peer");
	ck_assert_int_eq(accept_link(1), 0);
	expect(&consumer, give(&consumer, accepted.handle, &format), -EBUSY, "before");
	expect(&producer, give(&producer, state.handle, &format), -EBUSY, "before");
	ck_assert_int_eq(get(&producer, state.handle, 0, 1), 0);
	ck_assert_int_eq(get(&consumer, accepted.handle, 0, 0), 0);
	expect(&producer, get(&producer, state.handle, 0, 2), -ESTALE, "has left");
	expect(&producer, get(&producer, state.handle, 1, 1), -ENOENT, "no format 1");
	expect(&producer, get(&producer, state.handle, UINT32_MAX, 1), -ENOENT, "no format");
	/* It goes with its side. */
	EXPECT(view_close(&accepted) == 0);
	ck_assert_uint_lt(format_bytes(), before);
	expect(&producer, give(&producer, state.handle, &format), -EBUSY, "before");
	EXPECT(view_close(&state) == 0);
	ck_assert_uint_eq(format_bytes(), 0);
}
END_TEST

/* The list ends at its limit, however often one is given. */
START_TEST(lists_end)
{
	Fbk__Wire__Format format = format_wire(0);
	for (int i = 0; i < FBK_FORMATS_MAX; i++) {
		ck_assert_int_eq(give(&producer, state.handle, &format), 0);
	}
	uint64_t full = format_bytes();
	for (int i = FBK_FORMATS_MAX; i < 10000; i++) {
		expect(&producer, give(&producer, state.handle, &format), -E2BIG, "at most 64");
	}
	ck_assert_uint_eq(format_bytes(), full);
	ck_assert_int_eq(accept_link(1), 0);
	ck_assert_int_eq(get(&consumer, accepted.handle, 63, 0), 0);
}
END_TEST

START_TEST(data_is_bounded)
{
	Fbk__Wire__Format most = format_wire(FBK_FORMAT_DATA_MAX);
	Fbk__Wire__Format more = format_wire(FBK_FORMAT_DATA_MAX + 1);
	Fbk__Wire__Format much = format_wire(FBK_FORMAT_DATA_MAX + 512);
	int r, count = 0;
	expect(&producer, give(&producer, state.handle, &more), -E2BIG, "at most 4096");
	expect(&producer, give(&producer, state.handle, &much), -EMSGSIZE, "are taken");
	while ((r = give(&producer, state.handle, &most)) == 0) {
		count++;
	}
	expect(&producer, r, -EDQUOT, "format_bytes");
	ck_assert_int_ge(count, 2);
	ck_assert_uint_le(format_bytes(), LIMIT);
	ck_assert_uint_gt(format_bytes(), LIMIT - FBK_FORMAT_DATA_MAX);
	/* The same user has none left for the other end. */
	Fbk__Wire__Format format = format_wire(0);
	expect(&consumer, give(&consumer, accepted.handle, &format), -EDQUOT, "format_bytes");
	ck_assert_int_eq(accept_link(1), 0);
	ck_assert_int_eq(get(&consumer, accepted.handle, (uint32_t)count - 1, 0), 0);
}
END_TEST

START_TEST(numbers_are_checked)
{
	uint32_t colors[32] = { 0 }, aligns[8] = { 3, 1, 1, 1, 1, UINT32_MAX };
	Fbk__Wire__Format format = format_wire(0);
	format.color = colors;
	format.n_color = 32; /* a later version's: what it has more is not looked at */
	colors[31] = UINT32_MAX;
	format.align = aligns;
	format.n_align = 8;
	ck_assert_int_eq(give(&producer, state.handle, &format), 0);
	colors[5] = 256;
	expect(&producer, give(&producer, state.handle, &format), -EINVAL, "number 5 of a color");
	colors[5] = 255;
	colors[15] = 65536;
	expect(&producer, give(&producer, state.handle, &format), -EINVAL, "number 15");
	colors[15] = 0;
	colors[16] = UINT32_MAX;
	ck_assert_int_eq(give(&producer, state.handle, &format), 0);
	aligns[4] = UINT32_C(1) << 31;
	expect(&producer, give(&producer, state.handle, &format), -EINVAL, "2147483648");
	aligns[4] = 0;
	format.size_min = 2;
	format.size_max = 1;
	expect(&producer, give(&producer, state.handle, &format), -EINVAL, "range");
	format.memory = UINT32_MAX;
	expect(&producer, give(&producer, state.handle, &format), -EINVAL, "memory");
}
END_TEST

/* ------------------------------------------------------------------------------------------ buffers -- */

struct wire_buffer {
	uint64_t offset[8], stride[8];
	uint32_t fd[8];
	Fbk__Wire__Buffer message;
};

static void buffer_init(struct wire_buffer *buffer, uint32_t index, uint32_t generation)
{
	*buffer = (struct wire_buffer){ .message = FBK__WIRE__BUFFER__INIT };
	buffer->message.index = index;
	buffer->message.generation = generation;
	buffer->message.memory = FBK_MEMORY_MEMFD;
	buffer->message.offset = buffer->offset;
	buffer->message.stride = buffer->stride;
	buffer->message.fd = buffer->fd;
	buffer->message.n_offset = buffer->message.n_stride = buffer->message.n_fd = 1;
}

static int set_buffer(struct client *client, uint32_t handle, struct wire_buffer *buffer,
		      size_t fd_count)
{
	struct buffer memory;
	int fds[FBK_PLANES_MAX + 1];
	buffer_create(&memory);
	for (size_t i = 0; i < fd_count; i++) {
		fds[i] = memory.fd;
	}
	REQUEST(request, LINK_BUFFER, link_buffer);
	request.link_buffer->handle = handle;
	request.link_buffer->buffer = &buffer->message;
	int r = client_call(client, &request, fds, fd_count, NULL);
	buffer_destroy(&memory);
	return r;
}

static int add_buffer(uint32_t index, uint32_t generation)
{
	struct wire_buffer buffer;
	buffer_init(&buffer, index, generation);
	return set_buffer(&producer, state.handle, &buffer, 1);
}

START_TEST(planes_are_checked)
{
	struct wire_buffer buffer;
	buffer_init(&buffer, 0, 1);
	buffer.message.n_stride = 2; /* arrays that differ */
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -EINVAL,
	       "1 to 4 planes");
	buffer.message.n_stride = 1;
	buffer.fd[0] = 1; /* an fd that did not come */
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -EINVAL,
	       "1 to 4 planes");
	buffer.fd[0] = UINT32_MAX;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -EINVAL,
	       "1 to 4 planes");
	buffer.fd[0] = 0;
	buffer.message.n_offset = buffer.message.n_stride = buffer.message.n_fd = 5;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 4), -EINVAL,
	       "1 to 4 planes");
	buffer.message.n_offset = buffer.message.n_stride = buffer.message.n_fd = 1;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 2), -EINVAL, "2 fds");
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 5), -EINVAL,
	       "5 file descriptors");
	buffer.message.memory = FBK_MEMORY_DMABUF;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -EINVAL, "is a memfd");
	buffer.message.memory = FBK_MEMORY_MEMFD;
	buffer.message.visibility = 3;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -EINVAL, "visibility");
	ck_assert_int_eq(add_buffer(0, 1), 0);
}
END_TEST

static int say(struct client *client, uint32_t handle, uint32_t index, uint32_t generation,
	       int error)
{
	REQUEST(request, LINK_BUFFER_ACCEPT, link_buffer_accept);
	request.link_buffer_accept->handle = handle;
	request.link_buffer_accept->index = index;
	request.link_buffer_accept->generation = generation;
	request.link_buffer_accept->error = error;
	return client_call(client, &request, NULL, 0, NULL);
}

static uint64_t state_value(void)
{
	return view_payload(&state);
}

START_TEST(who_accepts_buffers)
{
	const uint32_t handle = accepted.handle;
	ck_assert_int_eq(add_buffer(0, 7), 0);
	ck_assert_int_eq(add_buffer(63, 1), 0);
	expect(&consumer, say(&consumer, handle, 0, 7, 0), -EPIPE, "has not accepted");
	ck_assert_int_eq(accept_link(2), 0);
	expect(&producer, say(&producer, state.handle, 0, 7, 0), -EPERM, "only the consumer");
	expect(&consumer, say(&consumer, handle, 1, 7, 0), -ENOENT, "no buffer 1");
	expect(&consumer, say(&consumer, handle, 64, 7, 0), -ENOENT, "no buffer 64");
	expect(&consumer, say(&consumer, handle, UINT32_MAX, 7, 0), -ENOENT, "no buffer");
	expect(&consumer, say(&consumer, handle, 0, 6, 0), -ESTALE, "generation 7");
	expect(&consumer, say(&consumer, handle, 0, 7, 1), -EINVAL, "not 0 or a negative errno");
	expect(&consumer, say(&consumer, handle, 0, 7, -4096), -EINVAL, "errno");
	expect(&consumer, say(&consumer, handle, 0, 7, INT32_MIN), -EINVAL, "errno");
	uint64_t before = state_value();
	ck_assert_int_eq(say(&consumer, handle, 0, 7, 0), 0);
	ck_assert_uint_eq(state_value(), before + 1);
	for (int i = 0; i < 100; i++) { /* the same again is no news */
		ck_assert_int_eq(say(&consumer, handle, 0, 7, 0), 0);
	}
	ck_assert_uint_eq(state_value(), before + 1);
	ck_assert_int_eq(say(&consumer, handle, 0, 7, -4095), 0);
	expect(&consumer, say(&consumer, handle, 0, 7, 0), -EALREADY, "was refused");
	expect(&producer, add_buffer(5, 1), -ENOTSUP, "consumer (pid");
	/* All is as before for the next one. */
	EXPECT(view_close(&accepted) == 0);
	ck_assert_int_eq(add_buffer(5, 1), 0);
}
END_TEST

/* The bounded list of what was refused loses the oldest: its buffers can be added again, and are refused again. */
START_TEST(many_refusals)
{
	struct wire_buffer buffer;
	ck_assert_int_eq(accept_link(1), 0);
	for (uint32_t i = 0; i <= FBK_FORMATS_MAX; i++) {
		buffer_init(&buffer, 0, i);
		buffer.message.modifier = i;
		ck_assert_int_eq(set_buffer(&producer, state.handle, &buffer, 1), 0);
		ck_assert_int_eq(say(&consumer, accepted.handle, 0, i, -ENODEV), 0);
		ck_assert_int_eq(set_buffer(&producer, state.handle, &buffer, 0), 0);
	}
	buffer.message.modifier = 1;
	expect(&producer, set_buffer(&producer, state.handle, &buffer, 1), -ENOTSUP, "0x1)");
	buffer.message.modifier = 0;
	ck_assert_int_eq(set_buffer(&producer, state.handle, &buffer, 1), 0);
}
END_TEST

static int set_depth(struct client *client, uint32_t handle, uint32_t depth)
{
	REQUEST(request, LINK_DEPTH, link_depth);
	request.link_depth->handle = handle;
	request.link_depth->depth = depth;
	return client_call(client, &request, NULL, 0, NULL);
}

START_TEST(counts_are_checked)
{
	ck_assert_int_eq(add_buffer(0, 1), 0);
	ck_assert_int_eq(set_depth(&producer, state.handle, 1), 0);
	expect(&consumer, accept_link(UINT32_MAX), -ENOBUFS, "4294967295");
	expect(&consumer, accept_link(1), -ENOBUFS, "1 buffers");
	ck_assert_int_eq(set_depth(&producer, state.handle, 0), 0);
	expect(&consumer, set_depth(&consumer, accepted.handle, 1), -EPIPE, "has not accepted");
	ck_assert_int_eq(accept_link(1), 0);
	expect(&consumer, set_depth(&consumer, accepted.handle, 1), -EPERM, "producer's");
	expect(&producer, set_depth(&producer, state.handle, 65), -EINVAL, "at most 64");
	expect(&producer, set_depth(&producer, state.handle, UINT32_MAX), -EINVAL, "at most 64");
	expect(&producer, set_depth(&producer, state.handle, 1), -ENOBUFS, "1 buffers");
	ck_assert_int_eq(add_buffer(1, 1), 0);
	ck_assert_int_eq(set_depth(&producer, state.handle, 1), 0);
}
END_TEST

/* Its producer is about to add another in its place. */
START_TEST(what_is_replaced_counts)
{
	Fbk__Wire__Buffer none = FBK__WIRE__BUFFER__INIT;
	REQUEST(remove, LINK_BUFFER, link_buffer);
	remove.link_buffer->handle = state.handle;
	remove.link_buffer->buffer = &none;
	none.index = 1;
	ck_assert_int_eq(add_buffer(0, 1), 0);
	ck_assert_int_eq(add_buffer(1, 1), 0);
	ck_assert_int_eq(set_depth(&producer, state.handle, 1), 0);
	expect(&consumer, accept_link(2), -ENOBUFS, "2 buffers");
	ck_assert_int_eq(client_call(&producer, &remove, NULL, 0, NULL), 0);
	ck_assert_int_eq(accept_link(1), 0);
	/* said again, it is what is there now */
	expect(&producer, set_depth(&producer, state.handle, 1), -ENOBUFS, "1 buffers");
	ck_assert_int_eq(add_buffer(1, 1), 0);
	ck_assert_int_eq(set_depth(&producer, state.handle, 1), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, who_gives_formats);
	tcase_add_test(tcase, lists_end);
	tcase_add_test(tcase, data_is_bounded);
	tcase_add_test(tcase, numbers_are_checked);
	tcase_add_test(tcase, planes_are_checked);
	tcase_add_test(tcase, who_accepts_buffers);
	tcase_add_test(tcase, many_refusals);
	tcase_add_test(tcase, counts_are_checked);
	tcase_add_test(tcase, what_is_replaced_counts);
}

int main(void)
{
	return suite_main("link-format-raw", add);
}
