// SPDX-License-Identifier: MIT
#include "lib-format.h"

#include <string.h>
#include <unistd.h>

struct stage stage;

void stage_setup(void)
{
	daemon_serve(&stage.server, NULL);
	stage.context = peer_connect(&stage.server);
	stage.device =
		exchange_device(stage.context, "renderer", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
}

void stage_teardown(void)
{
	fbk_disconnect(stage.context);
	daemon_stop(&stage.server);
}

void expect_refused(int result, int error, const char *part)
{
	ck_assert_msg(result == error && strstr(fbk_error_detail(), part), "%d: %s", result,
		      fbk_error_detail());
}

struct fbk_format format_of(uint32_t fourcc, uint64_t modifier)
{
	return (struct fbk_format){ .struct_size = sizeof(struct fbk_format),
				    .memory = FBK_MEMORY_MEMFD,
				    .fourcc = fourcc,
				    .modifier = modifier };
}

int source_try(struct source *source, const struct fbk_format *const *formats, size_t count)
{
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc),
					    .role = FBK_ROLE_PRODUCER,
					    .formats = formats,
					    .format_count = count };
	return fbk_link_offer(stage.device, &desc, &source->offer, &source->link);
}

void source_open(struct source *source, const struct fbk_format *const *formats, size_t count)
{
	int r = source_try(source, formats, count);
	ck_assert_msg(r == 0, "offering: %s", fbk_error_detail());
	EXPECT(fbk_exchange_create(source->link, &source->exchange) == 0);
}

void source_close(struct source *source)
{
	fbk_exchange_destroy(source->exchange);
	fbk_link_close(source->link);
	close(source->offer);
}

int source_add(const struct source *source, uint32_t index, uint32_t fourcc, uint64_t modifier)
{
	struct buffer buffer;
	buffer_create(&buffer);
	struct fbk_buffer_desc desc = buffer_desc(&buffer);
	buffer_destroy(&buffer);
	desc.fourcc = fourcc;
	desc.modifier = modifier;
	return fbk_exchange_add(source->exchange, index, &desc);
}

void source_fill(const struct source *source, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		int r = source_add(source, i, XR24, 0);
		ck_assert_msg(r == 0, "adding: %s", fbk_error_detail());
	}
}

int source_hand(const struct source *source, uint32_t index)
{
	return fbk_exchange_hand(source->exchange, index, FBK_POINT_SIGNALLED,
				 deadline_ms(PATIENCE_MS), NULL, NULL, NULL);
}

struct fbk_link_info info_of(struct fbk_link *link)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_link_info(link, &info) == 0);
	return info;
}

void sink_connect(struct sink *sink, const char *name)
{
	*sink = (struct sink){ .context = peer_connect(&stage.server) };
	sink->device = exchange_device(sink->context, name, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
}

int sink_accept(struct sink *sink, const struct source *source, uint32_t hold,
		const struct fbk_format *const *formats, size_t count)
{
	const struct fbk_consumer_desc consumer = { sizeof(consumer), FBK_DELIVERY_FIFO, hold };
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc),
					    .formats = formats,
					    .format_count = count,
					    .consumer = &consumer };
	return fbk_link_accept(sink->device, source->offer, &desc, &sink->link);
}

void sink_open(struct sink *sink, const struct source *source,
	       const struct fbk_format *const *formats, size_t count)
{
	sink_connect(sink, "encoder");
	int r = sink_accept(sink, source, 1, formats, count);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	EXPECT(fbk_link_wait(source->link, deadline_ms(PATIENCE_MS)) == 0);
}

void sink_close(struct sink *sink)
{
	fbk_link_close(sink->link);
	fbk_disconnect(sink->context);
}

uint32_t sink_next(struct sink *sink, int result)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(sink->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	uint32_t index = fbk_frame_index(frame);
	EXPECT(frame_release(frame, result) == 0);
	return index;
}

int sink_try(struct sink *sink)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(sink->link, 0, &frame);
	fbk_frame_unref(frame);
	return r;
}

const struct fbk_format *joined_get(struct fbk_link *link, uint32_t number)
{
	const struct fbk_format *format = NULL;
	int r = fbk_link_format(link, number, &format);
	ck_assert_msg(r == 0, "format %u: %s", number, fbk_error_detail());
	return format;
}
