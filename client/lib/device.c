// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "internal.h"
#include "request.h"

/* Strings go into messages that are only packed. */
static char *text(const char *string)
{
	return (char *)(uintptr_t)(string ? string : "");
}

static int request_object(struct fbk_context *context, Fbk__Wire__Request *request,
			  uint32_t *ret_number, uint32_t *ret_backing)
{
	struct reply reply;
	int r = request_call(context, request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT) {
		*ret_number = reply.message->object->id;
		if (ret_backing) {
			*ret_backing = reply.message->object->backing;
		}
	} else {
		r = error_set(-EPROTO, "the daemon's reply names no object");
	}
	reply_finish(&reply);
	return r;
}

int fbk_device_register(struct fbk_context *context, const struct fbk_device_desc *desc,
			struct fbk_device **ret_device)
{
	Fbk__Wire__DeviceRegister body = FBK__WIRE__DEVICE_REGISTER__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.name = text(desc->name);
	body.class_ = desc->class;
	body.waits = desc->waits;
	body.signals = desc->signals;
	body.silent = desc->silent;
	body.visibility = desc->visibility;
	body.page_align = desc->page_align;
	body.backings = desc->backings;
	body.routes = desc->routes;
	request.body_case = FBK__WIRE__REQUEST__BODY_DEVICE_REGISTER;
	request.device_register = &body;

	struct fbk_device *device = calloc(1, sizeof(*device));
	if (!device) {
		return error_plain(-ENOMEM);
	}
	uint32_t backing = 0;
	int r = request_object(context, &request, &device->number, &backing);
	if (r < 0) {
		free(device);
		return r;
	}
	device->backing = backing ? (enum fbk_backing)backing : FBK_BACKING_HOST;
	device->context = context;
	pthread_mutex_lock(&context->mutex);
	LIST_INSERT_HEAD(&context->devices, device, links);
	pthread_mutex_unlock(&context->mutex);
	*ret_device = device;
	return 0;
}

enum fbk_backing fbk_device_backing(const struct fbk_device *device)
{
	return device->backing;
}

int fbk_device_add_memory(struct fbk_device *device, int dmabuf_fd, uint64_t offset, uint64_t size)
{
	struct fbk_context *context = device->context;
	Fbk__Wire__DeviceMemory body = FBK__WIRE__DEVICE_MEMORY__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	if (fcntl(dmabuf_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", dmabuf_fd);
	}
	body.device = device->number;
	body.offset = offset;
	body.size = size;
	request.body_case = FBK__WIRE__REQUEST__BODY_DEVICE_MEMORY;
	request.device_memory = &body;
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
	if (!device) {
		return;
	}
	struct fbk_context *context = device->context;
	Fbk__Wire__DeviceUnregister body = FBK__WIRE__DEVICE_UNREGISTER__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.device = device->number;
	request.body_case = FBK__WIRE__REQUEST__BODY_DEVICE_UNREGISTER;
	request.device_unregister = &body;
	request_do(context, &request); /* it is gone at the daemon when the daemon is gone */
	pthread_mutex_lock(&context->mutex);
	LIST_REMOVE(device, links);
	page_maps_release(context, device);
	pthread_mutex_unlock(&context->mutex);
	free(device);
}

int fbk_set_create(struct fbk_context *context, struct fbk_set **ret_set)
{
	Fbk__Wire__SetCreate body = FBK__WIRE__SET_CREATE__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	request.body_case = FBK__WIRE__REQUEST__BODY_SET_CREATE;
	request.set_create = &body;
	struct fbk_set *set = calloc(1, sizeof(*set));
	if (!set) {
		return error_plain(-ENOMEM);
	}
	int r = request_object(context, &request, &set->number, NULL);
	if (r < 0) {
		free(set);
		return r;
	}
	set->context = context;
	pthread_mutex_lock(&context->mutex);
	LIST_INSERT_HEAD(&context->sets, set, links);
	pthread_mutex_unlock(&context->mutex);
	*ret_set = set;
	return 0;
}

void fbk_set_destroy(struct fbk_set *set)
{
	if (!set) {
		return;
	}
	struct fbk_context *context = set->context;
	Fbk__Wire__SetDestroy body = FBK__WIRE__SET_DESTROY__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	body.set = set->number;
	request.body_case = FBK__WIRE__REQUEST__BODY_SET_DESTROY;
	request.set_destroy = &body;
	request_do(context, &request);
	pthread_mutex_lock(&context->mutex);
	page_maps_release(context, set);
	LIST_REMOVE(set, links);
	pthread_mutex_unlock(&context->mutex);
	free(set);
}
