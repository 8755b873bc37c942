// SPDX-License-Identifier: MIT
#include "lib-frame.h"

int link_offer(struct fbk_device *device, enum fbk_role role, int *ret_offer_fd,
	       struct fbk_link **ret_link)
{
	const struct fbk_consumer_desc consumer = { sizeof(consumer), FBK_DELIVERY_FIFO,
						    FBK_BUFFERS_MAX };
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc),
					    .role = role,
					    .consumer = &consumer };
	return fbk_link_offer(device, &desc, ret_offer_fd, ret_link);
}

int link_accept_as(struct fbk_device *device, int offer_fd, enum fbk_delivery delivery,
		   uint32_t hold, struct fbk_link **ret_link)
{
	const struct fbk_consumer_desc consumer = { sizeof(consumer), delivery, hold };
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc), .consumer = &consumer };
	return fbk_link_accept(device, offer_fd, &desc, ret_link);
}

int link_accept(struct fbk_device *device, int offer_fd, struct fbk_link **ret_link)
{
	return link_accept_as(device, offer_fd, FBK_DELIVERY_FIFO, FBK_BUFFERS_MAX, ret_link);
}

int frame_fd(const struct fbk_frame *frame)
{
	return fbk_frame_buffer(frame)->fd[0];
}

int frame_release(struct fbk_frame *frame, int result)
{
	int r = fbk_frame_release(frame, result);
	fbk_frame_unref(frame);
	return r;
}

int frame_release_later(struct fbk_frame *frame, struct fbk_point *ret_point)
{
	int r = fbk_frame_release_later(frame, ret_point);
	fbk_frame_unref(frame);
	return r;
}

void ignore_point(void *arg, struct fbk_point point, int result)
{
	(void)arg;
	(void)point;
	(void)result;
}

void ignore_frame(void *arg, struct fbk_link *link)
{
	(void)arg;
	(void)link;
}

void ignore_phase(void *arg, struct fbk_link *link, enum fbk_link_phase phase)
{
	(void)arg;
	(void)link;
	(void)phase;
}

int ignore_buffer(void *arg, struct fbk_link *link, uint32_t index,
		  const struct fbk_buffer_desc *buffer)
{
	(void)arg;
	(void)link;
	(void)index;
	(void)buffer;
	return 0;
}
