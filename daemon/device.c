// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "handle.h"
#include "link.h"
#include "kind.h"
#include "page.h"
#include "route.h"
#include "client.h"

#define PAGE_ALIGN_GPU 65536

/* What a device may put up with: all but [FBK_ROUTE_NONE]. */
#define ROUTES_ALL (((1U << ROUTE_COUNT) - 1) & ~(1U << FBK_ROUTE_NONE))

static const char *const visibility_names[] = {
	[FBK_VISIBLE_ORDERED] = "ordered",
	[FBK_VISIBLE_FLUSH] = "flush",
	[FBK_VISIBLE_IRQ] = "irq",
};

static const char *const backing_names[] = {
	[FBK_BACKING_HOST] = "host",
	[FBK_BACKING_DMABUF] = "dma-buf",
	[FBK_BACKING_OWN] = "registered",
};

#define BACKINGS_ALL (uint32_t)(FBK_BACKING_HOST | FBK_BACKING_DMABUF | FBK_BACKING_OWN)

const char *device_class_name(enum fbk_device_class class)
{
	return policy_class_names[class];
}

const char *device_visibility_name(enum fbk_visibility visibility)
{
	return visibility_names[visibility];
}

const char *device_backing_name(enum fbk_backing backing)
{
	return backing_names[backing];
}

bool device_name_valid(const char *name)
{
	size_t length = 0;
	for (; name[length]; length++) {
		if (name[length] <= ' ' || name[length] > '~') {
			return false;
		}
	}
	return length > 0 && length < FBK_NAME_SIZE;
}

static int device_check(const struct client *client, const Fbk__Wire__DeviceRegister *request,
			char *detail)
{
	const struct device *device;
	const char *rule = "";
	if (!device_name_valid(request->name)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "a device's name has 1 to %d printable characters and no space",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	if (request->class_ < FBK_GPU || request->class_ > FBK_CPU) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a device class; they are 1 to %d",
			 request->class_, FBK_CPU);
		return -EINVAL;
	}
	if ((request->waits | request->signals) & ~KINDS_ALL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "waits 0x%x or signals 0x%x has unknown fence kinds", request->waits,
			 request->signals);
		return -EINVAL;
	}
	if (request->visibility > FBK_VISIBLE_IRQ) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a visibility", request->visibility);
		return -EINVAL;
	}
	if (request->visibility == FBK_VISIBLE_IRQ && request->silent) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s has its data visible by an interrupt, so it is not silent: its "
			 "process signals",
			 request->name);
		return -EINVAL;
	}
	if (request->page_align & (request->page_align - 1) ||
	    request->page_align > FBK_PAGE_SIZE_MAX) {
		snprintf(detail, FBK_REASON_SIZE,
			 "page_align %u is not a power of two up to %d bytes", request->page_align,
			 FBK_PAGE_SIZE_MAX);
		return -EINVAL;
	}
	if (request->backings & ~BACKINGS_ALL) {
		snprintf(detail, FBK_REASON_SIZE, "backings 0x%x has unknown ones",
			 request->backings);
		return -EINVAL;
	}
	if (request->routes & ~ROUTES_ALL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "routes 0x%x has unknown ones: they are 1 << 1 (%s) to 1 << %d (%s)",
			 request->routes, route_name(FBK_ROUTE_NATIVE), ROUTE_COUNT - 1,
			 route_name(ROUTE_COUNT - 1));
		return -EINVAL;
	}
	LIST_FOREACH(device, &client->devices, client_links) {
		if (strcmp(device->name, request->name) == 0) {
			snprintf(detail, FBK_REASON_SIZE, "this client has a device %s already",
				 device->name);
			return -EEXIST;
		}
	}
	if (!policy_may_register(client->broker->policy, &client->subject, request->class_,
				 &rule)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "uid %u may not register a device of class %s (%s): ask the administrator "
			 "to "
			 "add a rule",
			 client->subject.uid, policy_class_names[request->class_], rule);
		return -EPERM;
	}
	return 0;
}

static uint32_t device_page_align(const Fbk__Wire__DeviceRegister *request)
{
	if (request->page_align > FBK_PAGE_SIZE_MIN) {
		return request->page_align;
	}
	return request->page_align == 0 && request->class_ == FBK_GPU ? PAGE_ALIGN_GPU
								      : FBK_PAGE_SIZE_MIN;
}

/* A page that is both costs an fd and serves every driver that takes either. */
static int device_choose_backing(struct device *device, const Fbk__Wire__DeviceRegister *request,
				 char *detail)
{
	uint32_t backings = request->backings ? request->backings : FBK_BACKING_HOST;
	int udmabuf = device->broker->udmabuf;
	if (backings & FBK_BACKING_DMABUF && udmabuf >= 0) {
		device->backing = FBK_BACKING_DMABUF;
	} else if (backings & FBK_BACKING_HOST) {
		device->backing = FBK_BACKING_HOST;
	} else if (backings & FBK_BACKING_OWN) {
		device->backing = FBK_BACKING_OWN;
	} else {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s needs fence memory as dma-bufs, and there is no /dev/udmabuf (%s): "
			 "load it, or let its driver allocate",
			 device->name, strerrordesc_np(-udmabuf));
		return -EOPNOTSUPP;
	}
	return 0;
}

int device_register(struct client *client, const Fbk__Wire__DeviceRegister *request,
		    struct device **ret_device, char *detail)
{
	struct broker *broker = client->broker;
	int r = device_check(client, request, detail);
	if (r < 0) {
		return r;
	}
	struct device *device = calloc(1, sizeof(*device));
	if (!device) {
		return -ENOMEM;
	}
	device->broker = broker;
	memccpy(device->name, request->name, '\0', sizeof(device->name) - 1);
	r = device_choose_backing(device, request, detail);
	if (r == 0) {
		r = charge_take(&device->charge, client->user, ACCOUNT_DEVICES, 1);
	}
	if (r < 0) {
		free(device);
		return r;
	}
	device->client = client;
	device->pid = client->pid;
	device->uid = client->subject.uid;
	device->refs = 1;
	device->id = broker_new_id(broker);
	device->handle = ++client->next_object;
	device->class = request->class_;
	device->waits = request->waits;
	device->signals = request->signals;
	device->silent = request->silent;
	device->visibility = request->visibility;
	device->routes = request->routes;
	device->page_align = device_page_align(request);
	device->may_promise =
		policy_may_promise(broker->policy, &client->subject, device->class, NULL);
	LIST_INSERT_HEAD(&client->devices, device, client_links);
	LIST_INSERT_HEAD(&broker->devices, device, links);
	broker->device_count++;
	*ret_device = device;
	return 0;
}

void device_unregister(struct device *device)
{
	struct client *client = device->client;
	for (uint32_t number = 1; number < client->handles_size; number++) {
		struct handle *handle = client->handles[number];
		if (handle && handle->timeline->device == device) {
			timeline_orphan(handle->timeline, FBK_CAUSE_OWNER_LEFT);
		}
	}
	link_device_gone(device);
	LIST_REMOVE(device, client_links);
	LIST_REMOVE(device, links);
	client->broker->device_count--;
	charge_release(&device->charge);
	device->client = NULL;
	while (!LIST_EMPTY(&device->memory)) { /* sets may keep it */
		struct page *page = LIST_FIRST(&device->memory);
		LIST_REMOVE(page, links);
		page_unref(page);
	}
	device_unref(device);
}

int device_add_memory(struct device *device, int dmabuf, uint64_t offset, uint64_t size,
		      struct page **ret_page, char *detail)
{
	struct page *page;
	if (device->backing != FBK_BACKING_OWN) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the fence pages of %s are of backing %s: it needs no memory of its own",
			 device->name, backing_names[device->backing]);
		return -EOPNOTSUPP;
	}
	int r = page_adopt(dmabuf, broker_new_id(device->broker), offset, size,
			   device->client->user, &page, detail);
	if (r < 0) {
		return r;
	}
	LIST_INSERT_HEAD(&device->memory, page, links);
	*ret_page = page;
	return 0;
}

struct page *device_memory_with_room(const struct device *device)
{
	struct page *page;
	LIST_FOREACH(page, &device->memory, links) {
		if (page->used < page->slots && !page_lost(page)) {
			return page;
		}
	}
	return NULL;
}

void device_unref(struct device *device)
{
	if (device && --device->refs == 0) {
		free(device);
	}
}

struct device *device_find(const struct client *client, uint32_t handle)
{
	struct device *device;
	LIST_FOREACH(device, &client->devices, client_links) {
		if (device->handle == handle) {
			return device;
		}
	}
	return NULL;
}

void device_route(const struct device *device, struct route_device *ret)
{
	*ret = (struct route_device){
		.name = device->name,
		.waits = device->waits,
		.signals = device->signals,
		.routes = device->routes,
		.visibility = device->visibility,
		.backing = device->backing,
	};
}

void device_route_world(const struct device *signaler, struct route_world *ret)
{
	const struct broker *broker = signaler->broker;
	*ret = (struct route_world){
		.features = broker->probe.features,
		.may_promise = signaler->may_promise,
		.may_promise_implicitly = policy_settings(broker->policy)->implicit_promises,
	};
}
