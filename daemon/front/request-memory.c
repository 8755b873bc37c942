// SPDX-License-Identifier: MIT
/* Requests about fence memory: register a device's own, or get a page as a dma-buf. */
#include <errno.h>
#include <stdio.h>

#include "daemon/core/device.h"
#include "daemon/core/handle.h"
#include "daemon/core/received.h"
#include "dispatch.h"

int request_device_memory(struct client *client, struct handle *none, const void *body, int *fds,
			  struct answer *answer)
{
	(void)none;
	const Fbk__Wire__DeviceMemory *request = body;
	struct device *device = device_find(client, request->device);
	struct page *page;
	int kind;
	if (!device) {
		return answer_no_device(answer, request->device);
	}
	int r = received_fence(client->registry, fds[0], FBK_FENCE_DMA_BUF_IMPLICIT, "a dma-buf",
			       -EBADF, &kind, answer->detail);
	if (r == 0) {
		r = device_add_memory(device, fds[0], request->offset, request->size, &page,
				      answer->detail);
	}
	if (r < 0) {
		return r;
	}
	page_describe(&answer->payload, page, 0);
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_PAGE;
	answer->message.page = &answer->payload;
	return 0;
}

int request_timeline_memory(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)body;
	(void)fds;
	const struct timeline *timeline = handle->timeline;
	if (timeline_signaler(timeline) != client || timeline->brokered) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "this client does not signal %s in memory", timeline->name);
		return -EPERM;
	}
	if (timeline->slot.page->twin < 0) {
		snprintf(answer->detail, FBK_REASON_SIZE,
			 "the fence pages of %s are of backing %s: register it with a backing of "
			 "dma-buf%s",
			 timeline->device->name, device_backing_name(timeline->device->backing),
			 client->registry->udmabuf < 0
				 ? "; the daemon has no /dev/udmabuf to make them"
				 : "");
		return -EOPNOTSUPP;
	}
	return answer_duplicate(answer, timeline->slot.page->twin);
}
