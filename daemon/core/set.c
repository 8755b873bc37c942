// SPDX-License-Identifier: MIT
#include "set.h"

#include <errno.h>
#include <stdlib.h>

int set_create(struct registry *registry, struct user *user, uint64_t size, struct set **ret_set)
{
	struct set *set = calloc(1, sizeof(*set));
	if (!set) {
		return -ENOMEM;
	}
	set->id = registry_new_id(registry);
	set->refs = 1;
	int r = page_create(FBK_PAGE_CONTROL, registry_new_id(registry), set->id, size, user,
			    &set->control);
	if (r < 0) {
		free(set);
		return r;
	}
	*ret_set = set;
	return 0;
}

void set_unref(struct set *set)
{
	if (!set || --set->refs > 0) {
		return;
	}
	struct set_payload *payload;
	struct set_payload *next;
	LIST_FOREACH_SAFE(payload, &set->payloads, links, next) {
		page_unref(payload->page);
		free(payload);
	}
	page_unref(set->daemon);
	page_unref(set->control);
	free(set);
}

static int set_daemon_page(struct set *set, struct registry *registry, struct user *user,
			   struct page **ret_page)
{
	if (!set->daemon) {
		int r = page_create(FBK_PAGE_DAEMON, registry_new_id(registry), set->id,
				    set->control->size, user, &set->daemon);
		if (r < 0) {
			return r;
		}
	}
	*ret_page = set->daemon;
	return 0;
}

static int set_payload_make(struct set *set, struct registry *registry, struct user *user,
			    const struct device *device, struct page **ret_page)
{
	uint64_t size = set->control->size;
	if (device->backing == FBK_BACKING_OWN) {
		struct page *page = device_memory_with_room(device);
		if (!page) {
			return -ENOBUFS;
		}
		page->refs++;
		*ret_page = page;
		return 0;
	}
	if (size < device->page_align) {
		size = device->page_align;
	}
	int r = page_create(FBK_PAGE_PAYLOAD, registry_new_id(registry), set->id, size, user,
			    ret_page);
	if (r == 0 && device->backing == FBK_BACKING_DMABUF) {
		r = page_make_twin(*ret_page, registry->udmabuf, user);
		if (r < 0) {
			page_unref(*ret_page);
		}
	}
	return r;
}

static int set_device_page(struct set *set, struct registry *registry, struct user *user,
			   const struct device *device, struct page **ret_page)
{
	struct set_payload *payload;
	LIST_FOREACH(payload, &set->payloads, links) {
		if (payload->device_id == device->id &&
		    payload->page->used < payload->page->slots && !page_lost(payload->page)) {
			*ret_page = payload->page;
			return 0;
		}
	}
	payload = calloc(1, sizeof(*payload));
	if (!payload) {
		return -ENOMEM;
	}
	int r = set_payload_make(set, registry, user, device, &payload->page);
	if (r < 0) {
		free(payload);
		return r;
	}
	payload->device_id = device->id;
	LIST_INSERT_HEAD(&set->payloads, payload, links);
	*ret_page = payload->page;
	return 0;
}

static int set_lane_page(struct set *set, struct registry *registry, struct user *user,
			 uint64_t size, struct page **ret_page)
{
	struct set_payload *payload = calloc(1, sizeof(*payload));
	if (!payload) {
		return -ENOMEM;
	}
	int r = page_create(FBK_PAGE_PAYLOAD, registry_new_id(registry), set->id, size, user,
			    &payload->page);
	if (r < 0) {
		free(payload);
		return r;
	}
	payload->page->slots = 1; /* the table lies behind it */
	LIST_INSERT_HEAD(&set->payloads, payload, links);
	*ret_page = payload->page;
	return 0;
}

static void set_take(struct set *set, struct page *page, struct set_slot *ret_slot)
{
	*ret_slot = (struct set_slot){
		.control = set->control->used++,
		.page = page,
		.payload = page->used++,
	};
	set->refs++;
}

int set_slot_take(struct set *set, struct registry *registry, struct user *user,
		  const struct device *device, struct set_slot *ret_slot)
{
	struct page *page;
	if (set->control->used == set->control->slots) {
		return -ENOSPC;
	}
	int r = device ? set_device_page(set, registry, user, device, &page)
		       : set_daemon_page(set, registry, user, &page);
	if (r == 0) {
		set_take(set, page, ret_slot);
	}
	return r;
}

int set_lane_take(struct set *set, struct registry *registry, struct user *user, uint64_t size,
		  struct set_slot *ret_slot)
{
	struct page *page;
	if (set->control->used == set->control->slots) {
		return -ENOSPC;
	}
	int r = set_lane_page(set, registry, user, size, &page);
	if (r == 0) {
		set_take(set, page, ret_slot);
	}
	return r;
}
