// SPDX-License-Identifier: MIT
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "page-map.h"
#include "proto/container.h"
#include "request.h"
#include "struct-size.h"

static void device_drop(struct child *child)
{
	struct fbk_device *device = container_of(child, struct fbk_device, child);
	if (device->context->device == device) {
		device->context->device = NULL;
	}
	page_maps_release(device->context, device);
	free(device);
}

static const struct child_ops device_child = { .drop = device_drop };

static void device_begin(struct fbk_context *context, struct fbk_device *device, uint32_t backing)
{
	device->backing = backing ? (enum fbk_backing)backing : FBK_BACKING_HOST;
	device->context = context;
	pthread_mutex_lock(&context->mutex);
	child_add(&context->children, &device->child, &device_child);
	pthread_mutex_unlock(&context->mutex);
}

/* The daemon may have it. */
static void device_forget(struct fbk_context *context, uint32_t number)
{
	REQUEST(request, DEVICE_UNREGISTER, device_unregister, .device = number);
	request_quiet_end(context, &request);
}

static int device_create(struct fbk_context *context, const struct fbk_device_desc *desc,
			 struct fbk_device **ret_device)
{
	uint32_t number = id_take(&context->ids);
	REQUEST(request, DEVICE_REGISTER, device_register, .device = number,
		.name = request_text(desc->name), .class_ = desc->device_class,
		.waits = desc->waits, .signals = desc->signals, .silent = desc->silent,
		.visibility = desc->visibility, .page_align = desc->page_align,
		.backings = desc->backings, .routes = desc->routes);

	struct fbk_device *device = calloc(1, sizeof(*device));
	if (!device) {
		return error_plain(-ENOMEM);
	}
	uint32_t backing = 0;
	int r = request_object(context, &request, &device->number, &backing);
	if (id_uncertain(r)) {
		device_forget(context, number);
	}
	if (r < 0) {
		free(device);
		return r;
	}
	device->signals = desc->signals;
	device_begin(context, device, backing);
	*ret_device = device;
	return 0;
}

int fbk_device_register(struct fbk_context *context, const struct fbk_device_desc *desc,
			struct fbk_device **ret_device)
{
	struct fbk_device_desc known;
	int r = STRUCT_READ(&known, desc);
	if (r == 0) {
		r = error_of_name("a device", known.name);
	}
	return r < 0 ? r : device_create(context, &known, ret_device);
}

int device_adopt(struct fbk_context *context, const Fbk__Wire__Object *object)
{
	struct fbk_device *device = calloc(1, sizeof(*device));
	if (!device) {
		return error_plain(-ENOMEM);
	}
	device->number = object->id;
	id_skip(&context->ids, object->id);
	device_begin(context, device, object->backing);
	context->device = device;
	return 0;
}

struct fbk_device *fbk_context_device(struct fbk_context *context)
{
	return context->device;
}

enum fbk_backing fbk_device_backing(const struct fbk_device *device)
{
	return device->backing;
}

int fbk_device_add_memory(struct fbk_device *device, int dmabuf_fd, uint64_t offset, uint64_t size)
{
	struct fbk_context *context = device->context;
	struct reply reply;
	if (fcntl(dmabuf_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", dmabuf_fd);
	}
	REQUEST(request, DEVICE_MEMORY, device_memory, .device = device->number, .offset = offset,
		.size = size);
	int r = request_call(context, &request, &dmabuf_fd, 1, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_PAGE) {
		pthread_mutex_lock(&context->mutex);
		r = page_map_adopt(context, reply.message->page->id, dmabuf_fd, offset, size,
				   device);
		pthread_mutex_unlock(&context->mutex);
	} else {
		r = error_set(-EPROTO, "the daemon's reply names no page");
	}
	reply_finish(&reply);
	return r;
}

void fbk_device_unregister(struct fbk_device *device)
{
	if (!device || context_check(device->context) < 0) {
		return;
	}
	ERRORS_KEPT();
	struct fbk_context *context = device->context;
	REQUEST(request, DEVICE_UNREGISTER, device_unregister, .device = device->number);
	request_part(context, &request);
	pthread_mutex_lock(&context->mutex);
	child_remove(&device->child);
	device_drop(&device->child);
	pthread_mutex_unlock(&context->mutex);
}

static void set_drop(struct child *child)
{
	struct fbk_set *set = container_of(child, struct fbk_set, child);
	page_maps_release(set->context, set);
	free(set);
}

static const struct child_ops set_child = { .drop = set_drop };

static void set_forget(struct fbk_context *context, uint32_t number)
{
	REQUEST(request, SET_DESTROY, set_destroy, .set = number);
	request_quiet_end(context, &request);
}

int fbk_set_create(struct fbk_context *context, struct fbk_set **ret_set)
{
	uint32_t number = id_take(&context->ids);
	REQUEST(request, SET_CREATE, set_create, .set = number);
	struct fbk_set *set = calloc(1, sizeof(*set));
	if (!set) {
		return error_plain(-ENOMEM);
	}
	int r = request_object(context, &request, &set->number, NULL);
	if (id_uncertain(r)) {
		set_forget(context, number);
	}
	if (r < 0) {
		free(set);
		return r;
	}
	set->context = context;
	pthread_mutex_lock(&context->mutex);
	child_add(&context->children, &set->child, &set_child);
	pthread_mutex_unlock(&context->mutex);
	*ret_set = set;
	return 0;
}

void fbk_set_destroy(struct fbk_set *set)
{
	if (!set || context_check(set->context) < 0) {
		return;
	}
	ERRORS_KEPT();
	struct fbk_context *context = set->context;
	REQUEST(request, SET_DESTROY, set_destroy, .set = set->number);
	request_part(context, &request);
	pthread_mutex_lock(&context->mutex);
	child_remove(&set->child);
	set_drop(&set->child);
	pthread_mutex_unlock(&context->mutex);
}
