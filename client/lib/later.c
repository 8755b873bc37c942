// SPDX-License-Identifier: MIT
/*
 * The provisional part of the API: each call says that it is not there, and takes what it takes.
 * fbk_feature() lists the same. Filling one in moves it to a file of its own.
 */
#include <errno.h>
#include <unistd.h>

#include "internal.h"

#define UNUSED __attribute__((unused))

static int missing(const char *what)
{
	return error_set(-EOPNOTSUPP, "this version has no %s: see fbk_feature()", what);
}

int fbk_link_offer(UNUSED struct fbk_device *device, UNUSED int *ret_offer_fd,
		   UNUSED struct fbk_link **ret_link)
{
	return missing("links (FBK_FEATURE_LINKS)");
}

int fbk_link_accept(UNUSED struct fbk_device *device, UNUSED int offer_fd,
		    UNUSED struct fbk_link **ret_link)
{
	return missing("links (FBK_FEATURE_LINKS)");
}

void fbk_link_close(UNUSED struct fbk_link *link)
{
}

int fbk_link_listen(UNUSED struct fbk_link *link, UNUSED fbk_link_fn *fn, UNUSED void *arg)
{
	return missing("links (FBK_FEATURE_LINKS)");
}

const char *fbk_link_cause(UNUSED struct fbk_link *link)
{
	return "this version has no links";
}

const char *fbk_link_route(UNUSED struct fbk_link *link, UNUSED bool release_side)
{
	return "none: this version has no links";
}

int fbk_link_next(UNUSED struct fbk_link *link, UNUSED uint64_t deadline_ns,
		  UNUSED struct fbk_frame **ret_frame)
{
	return missing("links (FBK_FEATURE_LINKS)");
}

int fbk_exchange_create(UNUSED struct fbk_link *link, UNUSED struct fbk_exchange **ret_exchange)
{
	return missing("exchanges (FBK_FEATURE_EXCHANGES)");
}

void fbk_exchange_destroy(UNUSED struct fbk_exchange *exchange)
{
}

int fbk_exchange_add(UNUSED struct fbk_exchange *exchange, UNUSED uint32_t index,
		     const struct fbk_buffer_desc *buffer)
{
	if (buffer->fd >= 0) {
		close(buffer->fd);
	}
	return missing("exchanges (FBK_FEATURE_EXCHANGES)");
}

int fbk_exchange_remove(UNUSED struct fbk_exchange *exchange, UNUSED uint32_t index)
{
	return missing("exchanges (FBK_FEATURE_EXCHANGES)");
}

int fbk_exchange_hand(UNUSED struct fbk_exchange *exchange, UNUSED uint32_t index,
		      UNUSED struct fbk_point acquire, UNUSED uint64_t deadline_ns,
		      UNUSED fbk_released_fn *on_released, UNUSED void *arg)
{
	return missing("exchanges (FBK_FEATURE_EXCHANGES)");
}

int fbk_frame_dmabuf(UNUSED const struct fbk_frame *frame)
{
	return missing("frames (FBK_FEATURE_EXCHANGES)");
}

int fbk_frame_acquire_fd(UNUSED struct fbk_frame *frame)
{
	return missing("frames (FBK_FEATURE_EXCHANGES)");
}

struct fbk_point fbk_frame_acquire(UNUSED const struct fbk_frame *frame)
{
	missing("frames (FBK_FEATURE_EXCHANGES)");
	return (struct fbk_point){ NULL, 0 };
}

struct fbk_point fbk_frame_release_point(UNUSED const struct fbk_frame *frame)
{
	missing("frames (FBK_FEATURE_EXCHANGES)");
	return (struct fbk_point){ NULL, 0 };
}

uint32_t fbk_frame_index(UNUSED const struct fbk_frame *frame)
{
	missing("frames (FBK_FEATURE_EXCHANGES)");
	return UINT32_MAX;
}

int fbk_frame_release(UNUSED struct fbk_frame *frame, UNUSED int result)
{
	return missing("frames (FBK_FEATURE_EXCHANGES)");
}
