// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rules/kind.h"

#define PAGE_ALIGN_GPU 65536

/* The routes that a device may accept: all but FBK_ROUTE_NONE. */
#define ROUTES_ALL (((1U << ROUTE_COUNT) - 1) & ~(1U << FBK_ROUTE_NONE))

static const char *const visibility_names[] = {
	[FBK_VISIBILITY_ORDERED] = "ordered",
	[FBK_VISIBILITY_FLUSH] = "flush",
	[FBK_VISIBILITY_IRQ] = "irq",
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

/* Checks each number by itself. */
static int spec_check_ranges(const struct device_spec *spec, char *detail)
{
	if (spec->class < FBK_CLASS_GPU || spec->class > FBK_CLASS_CPU) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a device class; they are 1 to %d",
			 spec->class, FBK_CLASS_CPU);
		return -EINVAL;
	}
	if ((spec->waits | spec->signals) & ~KINDS_ALL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "waits 0x%x or signals 0x%x has unknown fence kinds", spec->waits,
			 spec->signals);
		return -EINVAL;
	}
	if (spec->visibility > FBK_VISIBILITY_IRQ) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a visibility", spec->visibility);
		return -EINVAL;
	}
	if (spec->page_align & (spec->page_align - 1) || spec->page_align > FBK_PAGE_SIZE_MAX) {
		snprintf(detail, FBK_REASON_SIZE,
			 "page_align %u is not a power of two up to %d bytes", spec->page_align,
			 FBK_PAGE_SIZE_MAX);
		return -EINVAL;
	}
	if (spec->backings & ~BACKINGS_ALL) {
		snprintf(detail, FBK_REASON_SIZE, "backings 0x%x has unknown ones", spec->backings);
		return -EINVAL;
	}
	if (spec->routes & ~ROUTES_ALL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "routes 0x%x has unknown ones: they are 1 << 1 (%s) to 1 << %d (%s)",
			 spec->routes, route_name(FBK_ROUTE_NATIVE), ROUTE_COUNT - 1,
			 route_name(ROUTE_COUNT - 1));
		return -EINVAL;
	}
	return 0;
}

static int spec_check(const struct device_spec *spec, char *detail)
{
	if (!device_name_valid(spec->name)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "a device's name has 1 to %d printable characters and no space",
			 FBK_NAME_SIZE - 1);
		return -EINVAL;
	}
	int r = spec_check_ranges(spec, detail);
	if (r == 0 && spec->visibility == FBK_VISIBILITY_IRQ && spec->silent) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%s is FBK_VISIBILITY_IRQ, so it cannot be silent: its process signals",
			 spec->name);
		return -EINVAL;
	}
	return r;
}

/* May this client register that device? */
static int device_check(const struct client *client, const struct device_spec *spec, char *detail)
{
	const struct device *device;
	const char *rule = "";
	LIST_FOREACH(device, &client->devices, client_links) {
		if (strcmp(device->name, spec->name) == 0) {
			snprintf(detail, FBK_REASON_SIZE, "this client has a device %s already",
				 device->name);
			return -EEXIST;
		}
	}
	if (!policy_may_register(client->registry->policy, &client->subject, spec->class, &rule)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "uid %u may not register a device of class %s (%s): ask the administrator "
			 "to add a rule",
			 client->subject.uid, policy_class_names[spec->class], rule);
		return -EPERM;
	}
	return 0;
}

static uint32_t device_page_align(const struct device_spec *spec)
{
	if (spec->page_align > FBK_PAGE_SIZE_MIN) {
		return spec->page_align;
	}
	return spec->page_align == 0 && spec->class == FBK_CLASS_GPU ? PAGE_ALIGN_GPU
								     : FBK_PAGE_SIZE_MIN;
}

/* Prefers dma-bufs: such a page is a memfd too, for one more fd, and serves drivers that import either. */
static int device_choose_backing(struct device *device, const struct device_spec *spec,
				 char *detail)
{
	uint32_t backings = spec->backings ? spec->backings : FBK_BACKING_HOST;
	int udmabuf = device->registry->udmabuf;
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

static bool device_is(const struct device *device, const struct device_spec *spec)
{
	return strcmp(device->name, spec->name) == 0 && device->class == spec->class &&
	       device->waits == spec->waits && device->signals == spec->signals &&
	       device->silent == spec->silent && device->visibility == spec->visibility &&
	       device->page_align == device_page_align(spec) &&
	       device->backings == spec->backings && device->routes == spec->routes;
}

void devices_adopt_process(struct client *client)
{
	struct device *device;
	LIST_FOREACH(device, &client->devices, client_links) {
		device->pid = client->credentials.pid;
	}
}

int device_register(struct client *client, const struct device_spec *spec,
		    struct device **ret_device, char *detail)
{
	struct registry *registry = client->registry;
	struct device *device = device_find(client, spec->id);
	int r = spec_check(spec, detail);
	if (r == 0 && device) {
		if (device_is(device, spec)) {
			*ret_device = device;
			return 0;
		}
		snprintf(detail, FBK_REASON_SIZE, "device %u of this client is another, %s",
			 spec->id, device->name);
		return -EEXIST;
	}
	if (r == 0) {
		r = device_check(client, spec, detail);
	}
	if (r < 0) {
		return r;
	}
	device = calloc(1, sizeof(*device));
	if (!device) {
		return -ENOMEM;
	}
	device->registry = registry;
	memccpy(device->name, spec->name, '\0', sizeof(device->name) - 1);
	r = device_choose_backing(device, spec, detail);
	if (r == 0) {
		r = charge_take(&device->charge, client->user, ACCOUNT_DEVICES, 1);
	}
	if (r < 0) {
		free(device);
		return r;
	}
	device->client = client;
	device->pid = client->credentials.pid;
	device->uid = client->subject.uid;
	device->refs = 1;
	device->id = registry_new_id(registry);
	device->handle = spec->id;
	device->backings = spec->backings;
	device->class = spec->class;
	device->waits = spec->waits;
	device->signals = spec->signals;
	device->silent = spec->silent;
	device->visibility = spec->visibility;
	device->routes = spec->routes;
	device->page_align = device_page_align(spec);
	device->may_promise =
		policy_may_promise(registry->policy, &client->subject, device->class, NULL);
	LIST_INSERT_HEAD(&client->devices, device, client_links);
	LIST_INSERT_HEAD(&registry->devices, device, links);
	registry->device_count++;
	registry_device_registered(registry, device);
	*ret_device = device;
	return 0;
}

void device_unregister(struct device *device)
{
	struct client *client = device->client;
	registry_device_unregistered(client->registry, device);
	LIST_REMOVE(device, client_links);
	LIST_REMOVE(device, links);
	client->registry->device_count--;
	charge_release(&device->charge);
	device->client = NULL;
	while (!LIST_EMPTY(&device->memory)) { /* sets may still hold references */
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
			 "the fence pages of %s have backing %s: fbk_device_add_memory() needs "
			 "FBK_BACKING_OWN",
			 device->name, backing_names[device->backing]);
		return -EOPNOTSUPP;
	}
	int r = page_adopt(dmabuf, registry_new_id(device->registry), offset, size,
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

static void device_route(const struct device *device, struct route_device *ret)
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

static void device_route_world(const struct device *signaler, struct route_world *ret)
{
	const struct registry *registry = signaler->registry;
	*ret = (struct route_world){
		.features = registry->features,
		.may_promise = signaler->may_promise,
		.may_promise_implicitly = policy_settings(registry->policy)->implicit_promises,
	};
}

void device_choose_route(const struct device *signaler, const struct device *waiter,
			 enum route_way way, enum fbk_visibility visibility,
			 struct route_choice *ret_choice)
{
	struct route_device from, to;
	struct route_world world;
	device_route(signaler, &from);
	from.visibility = visibility;
	device_route(waiter, &to);
	device_route_world(signaler, &world);
	route_choose(&from, &to, way, &world, ret_choice);
}

static void device_client_ended(struct client *client, enum fbk_cause cause)
{
	(void)cause;
	while (!LIST_EMPTY(&client->devices)) {
		device_unregister(LIST_FIRST(&client->devices));
	}
}

const struct observer device_observer = {
	.client_ended = device_client_ended,
};
