// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "handle.h"
#include "session.h"

#define PAGE_ALIGN_MIN 4096
#define PAGE_ALIGN_GPU 65536
#define PAGE_ALIGN_MAX (2 << 20)

#define FENCE_KINDS_ALL ((1U << DEVICE_FENCE_KINDS) - 1)

static const char *const visibility_names[] = {
	[FBK_VISIBLE_ORDERED] = "ordered",
	[FBK_VISIBLE_FLUSH] = "flush",
	[FBK_VISIBLE_IRQ] = "irq",
};

static const char *const fence_names[DEVICE_FENCE_KINDS] = {
	"memory64", "memory32", "sync_file", "syncobj-timeline", "dma-buf-implicit", "eventfd",
};

const char *device_class_name(enum fbk_device_class class)
{
	return policy_class_names[class];
}

const char *device_visibility_name(enum fbk_visibility visibility)
{
	return visibility_names[visibility];
}

size_t device_fence_names(uint32_t mask, const char *ret_names[DEVICE_FENCE_KINDS])
{
	size_t count = 0;
	for (unsigned int bit = 0; bit < DEVICE_FENCE_KINDS; bit++) {
		if (mask & (1U << bit)) {
			ret_names[count++] = fence_names[bit];
		}
	}
	return count;
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

static int device_check(const struct session *session, const Fbk__Wire__DeviceRegister *request,
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
	if ((request->waits | request->signals) & ~FENCE_KINDS_ALL) {
		snprintf(detail, FBK_REASON_SIZE,
			 "waits 0x%x or signals 0x%x has unknown fence kinds", request->waits,
			 request->signals);
		return -EINVAL;
	}
	if (request->visibility > FBK_VISIBLE_IRQ) {
		snprintf(detail, FBK_REASON_SIZE, "%u is not a visibility", request->visibility);
		return -EINVAL;
	}
	if (request->page_align & (request->page_align - 1) ||
	    request->page_align > PAGE_ALIGN_MAX) {
		snprintf(detail, FBK_REASON_SIZE,
			 "page_align %u is not a power of two up to %d bytes", request->page_align,
			 PAGE_ALIGN_MAX);
		return -EINVAL;
	}
	LIST_FOREACH(device, &session->devices, session_links) {
		if (strcmp(device->name, request->name) == 0) {
			snprintf(detail, FBK_REASON_SIZE, "this client has a device %s already",
				 device->name);
			return -EEXIST;
		}
	}
	if (!policy_may_register(session->broker->policy, &session->subject, request->class_,
				 &rule)) {
		snprintf(detail, FBK_REASON_SIZE,
			 "uid %u may not register a device of class %s (%s): ask the administrator "
			 "to "
			 "add a rule",
			 session->subject.uid, policy_class_names[request->class_], rule);
		return -EPERM;
	}
	return 0;
}

static uint32_t device_page_align(const Fbk__Wire__DeviceRegister *request)
{
	if (request->page_align > PAGE_ALIGN_MIN) {
		return request->page_align;
	}
	return request->page_align == 0 && request->class_ == FBK_GPU ? PAGE_ALIGN_GPU
								      : PAGE_ALIGN_MIN;
}

int device_register(struct session *session, const Fbk__Wire__DeviceRegister *request,
		    struct device **ret_device, char *detail)
{
	struct broker *broker = session->broker;
	int r = device_check(session, request, detail);
	if (r < 0) {
		return r;
	}
	struct device *device = calloc(1, sizeof(*device));
	if (!device) {
		return -ENOMEM;
	}
	r = charge_take(&device->charge, session->user, ACCOUNT_DEVICES, 1);
	if (r < 0) {
		free(device);
		return r;
	}
	device->broker = broker;
	device->session = session;
	device->pid = session->pid;
	device->uid = session->subject.uid;
	device->refs = 1;
	device->id = broker_new_id(broker);
	device->handle = ++session->next_object;
	memccpy(device->name, request->name, '\0', sizeof(device->name) - 1);
	device->class = request->class_;
	device->waits = request->waits;
	device->signals = request->signals;
	device->silent = request->silent;
	device->visibility = request->visibility;
	device->page_align = device_page_align(request);
	device->may_promise =
		policy_may_promise(broker->policy, &session->subject, device->class, NULL);
	LIST_INSERT_HEAD(&session->devices, device, session_links);
	LIST_INSERT_HEAD(&broker->devices, device, links);
	broker->device_count++;
	*ret_device = device;
	return 0;
}

void device_unregister(struct device *device)
{
	struct session *session = device->session;
	for (uint32_t number = 1; number < session->handles_size; number++) {
		struct handle *handle = session->handles[number];
		if (handle && handle->timeline->device == device) {
			timeline_orphan(handle->timeline, FBK_CAUSE_OWNER_LEFT);
		}
	}
	LIST_REMOVE(device, session_links);
	LIST_REMOVE(device, links);
	session->broker->device_count--;
	charge_release(&device->charge);
	device->session = NULL;
	device_unref(device);
}

void device_unref(struct device *device)
{
	if (device && --device->refs == 0) {
		free(device);
	}
}

struct device *device_find(const struct session *session, uint32_t handle)
{
	struct device *device;
	LIST_FOREACH(device, &session->devices, session_links) {
		if (device->handle == handle) {
			return device;
		}
	}
	return NULL;
}
