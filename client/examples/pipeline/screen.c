// SPDX-License-Identifier: MIT
#include "screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#define CARDS 16 /* to try */
#define DEPTH 24
#define BITS  32

/* libdrm returns -1 and errno from some calls, a negative errno from others. */
static int plain(int r)
{
	return r == -1 ? -errno : r;
}

/* ------------------------------------------------------------------------- what is connected -- */

/* The smallest mode that fits the picture, else the first, which the display prefers. */
static const drmModeModeInfo *mode_choose(const drmModeConnector *connector, unsigned int width,
					  unsigned int height)
{
	const drmModeModeInfo *best = NULL;
	for (int i = 0; i < connector->count_modes; i++) {
		const drmModeModeInfo *mode = &connector->modes[i];
		if (mode->hdisplay >= width && mode->vdisplay >= height &&
		    (!best || mode->hdisplay * mode->vdisplay < best->hdisplay * best->vdisplay)) {
			best = mode;
		}
	}
	return best ? best : &connector->modes[0];
}

/* The index of a CRTC that can drive the connector. */
static int crtc_choose(int card, const drmModeRes *resources, const drmModeConnector *connector)
{
	for (int i = 0; i < connector->count_encoders; i++) {
		drmModeEncoder *encoder = drmModeGetEncoder(card, connector->encoders[i]);
		uint32_t possible = encoder ? encoder->possible_crtcs : 0;
		drmModeFreeEncoder(encoder);
		for (int index = 0; index < resources->count_crtcs; index++) {
			if (possible >> index & 1) {
				return index;
			}
		}
	}
	return -ENODEV;
}

static bool connector_take(struct screen *screen, const drmModeRes *resources, uint32_t id,
			   unsigned int width, unsigned int height, int *ret_crtc)
{
	drmModeConnector *connector = drmModeGetConnector(screen->card, id);
	int index = -ENODEV;
	if (connector && connector->connection == DRM_MODE_CONNECTED &&
	    connector->count_modes > 0) {
		index = crtc_choose(screen->card, resources, connector);
	}
	if (index >= 0) {
		screen->connector = id;
		screen->crtc = resources->crtcs[index];
		screen->mode = *mode_choose(connector, width, height);
		screen->width = screen->mode.hdisplay;
		screen->height = screen->mode.vdisplay;
		*ret_crtc = index;
	}
	drmModeFreeConnector(connector);
	return index >= 0;
}

static int connector_find(struct screen *screen, unsigned int width, unsigned int height,
			  int *ret_crtc)
{
	drmModeRes *resources = drmModeGetResources(screen->card);
	bool found = false;
	for (int i = 0; resources && !found && i < resources->count_connectors; i++) {
		found = connector_take(screen, resources, resources->connectors[i], width, height,
				       ret_crtc);
	}
	drmModeFreeResources(resources);
	return found ? 0 : -ENODEV;
}

/* -------------------------------------------------------------------------------- properties -- */

/* 0: no property has that name. */
static uint32_t property_find(int card, uint32_t object, uint32_t type, const char *name,
			      uint64_t *ret_value)
{
	drmModeObjectProperties *all = drmModeObjectGetProperties(card, object, type);
	uint32_t id = 0;
	for (uint32_t i = 0; all && id == 0 && i < all->count_props; i++) {
		drmModePropertyRes *property = drmModeGetProperty(card, all->props[i]);
		if (property && strcmp(property->name, name) == 0) {
			id = property->prop_id;
			*ret_value = all->prop_values[i];
		}
		drmModeFreeProperty(property);
	}
	drmModeFreeObjectProperties(all);
	return id;
}

static bool plane_take(struct screen *screen, uint32_t id, int crtc)
{
	drmModePlane *plane = drmModeGetPlane(screen->card, id);
	uint64_t type = 0;
	bool good = plane && plane->possible_crtcs >> crtc & 1 &&
		    property_find(screen->card, id, DRM_MODE_OBJECT_PLANE, "type", &type) != 0 &&
		    type == DRM_PLANE_TYPE_PRIMARY;
	drmModeFreePlane(plane);
	if (good) {
		screen->plane = id;
	}
	return good;
}

static int plane_find(struct screen *screen, int crtc)
{
	drmModePlaneRes *planes = drmModeGetPlaneResources(screen->card);
	bool found = false;
	for (uint32_t i = 0; planes && !found && i < planes->count_planes; i++) {
		found = plane_take(screen, planes->planes[i], crtc);
	}
	drmModeFreePlaneResources(planes);
	return found ? 0 : -ENODEV;
}

static int properties_find(struct screen *screen, const char **ret_missing)
{
	const struct {
		const char *name;
		uint32_t object, type;
		uint32_t *id;
	} wanted[] = {
#define CONNECTOR screen->connector, DRM_MODE_OBJECT_CONNECTOR
#define CRTC      screen->crtc, DRM_MODE_OBJECT_CRTC
#define PLANE     screen->plane, DRM_MODE_OBJECT_PLANE
		{ "CRTC_ID", CONNECTOR, &screen->properties.connector_crtc },
		{ "MODE_ID", CRTC, &screen->properties.mode },
		{ "ACTIVE", CRTC, &screen->properties.active },
		{ "OUT_FENCE_PTR", CRTC, &screen->properties.out_fence },
		{ "FB_ID", PLANE, &screen->properties.framebuffer },
		{ "CRTC_ID", PLANE, &screen->properties.plane_crtc },
		{ "IN_FENCE_FD", PLANE, &screen->properties.in_fence },
		{ "SRC_X", PLANE, &screen->properties.from_x },
		{ "SRC_Y", PLANE, &screen->properties.from_y },
		{ "SRC_W", PLANE, &screen->properties.from_width },
		{ "SRC_H", PLANE, &screen->properties.from_height },
		{ "CRTC_X", PLANE, &screen->properties.x },
		{ "CRTC_Y", PLANE, &screen->properties.y },
		{ "CRTC_W", PLANE, &screen->properties.width },
		{ "CRTC_H", PLANE, &screen->properties.height },
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		uint64_t value;
		*wanted[i].id = property_find(screen->card, wanted[i].object, wanted[i].type,
					      wanted[i].name, &value);
		if (*wanted[i].id == 0) {
			*ret_missing = wanted[i].name;
			return -ENODEV;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------------------------ buffers -- */

static int buffer_map(const struct screen *screen, struct screen_buffer *buffer)
{
	uint64_t offset;
	int r = plain(drmModeMapDumbBuffer(screen->card, buffer->handle, &offset));
	if (r < 0) {
		return r;
	}
	void *memory = mmap(NULL, buffer->size, PROT_READ | PROT_WRITE, MAP_SHARED, screen->card,
			    (off_t)offset);
	if (memory == MAP_FAILED) {
		return -errno;
	}
	buffer->memory = memory;
	memset(memory, 0, buffer->size);
	return 0;
}

static int buffer_create(struct screen *screen, struct screen_buffer *buffer)
{
	uint64_t size;
	int r = plain(drmModeCreateDumbBuffer(screen->card, screen->width, screen->height, BITS, 0,
					      &buffer->handle, &buffer->stride, &size));
	if (r < 0) {
		return r;
	}
	screen->buffer_count++; /* from here on screen_close() frees it */
	buffer->size = (size_t)size;
	buffer->dmabuf = -1;
	r = plain(drmModeAddFB(screen->card, screen->width, screen->height, DEPTH, BITS,
			       buffer->stride, buffer->handle, &buffer->framebuffer));
	if (r == 0) {
		r = plain(drmPrimeHandleToFD(screen->card, buffer->handle, DRM_CLOEXEC | DRM_RDWR,
					     &buffer->dmabuf));
	}
	return r < 0 ? r : buffer_map(screen, buffer);
}

static void buffer_finish(const struct screen *screen, struct screen_buffer *buffer)
{
	if (buffer->memory) {
		munmap(buffer->memory, buffer->size);
	}
	if (buffer->dmabuf >= 0) {
		close(buffer->dmabuf);
	}
	if (buffer->framebuffer) {
		drmModeRmFB(screen->card, buffer->framebuffer);
	}
	drmModeDestroyDumbBuffer(screen->card, buffer->handle);
}

/* --------------------------------------------------------------------------------------- open -- */

static int card_use(struct screen *screen, unsigned int width, unsigned int height,
		    unsigned int buffers, const char **ret_missing)
{
	int crtc;
	*ret_missing = "atomic modesetting";
	if (drmSetClientCap(screen->card, DRM_CLIENT_CAP_ATOMIC, 1) < 0) {
		return -ENODEV;
	}
	*ret_missing = "a connected display";
	int r = connector_find(screen, width, height, &crtc);
	if (r == 0) {
		*ret_missing = "a primary plane";
		r = plane_find(screen, crtc);
	}
	if (r == 0) {
		r = properties_find(screen, ret_missing);
	}
	for (unsigned int i = 0; r == 0 && i < buffers; i++) {
		*ret_missing = "a buffer in plain memory";
		r = buffer_create(screen, &screen->buffers[i]);
	}
	if (r == 0) {
		*ret_missing = "a mode";
		r = plain(drmModeCreatePropertyBlob(screen->card, &screen->mode,
						    sizeof(screen->mode), &screen->mode_blob));
	}
	return r;
}

static int mode_set(const struct screen *screen)
{
	drmModeAtomicReq *request = screen_request(screen, screen->buffer_count - 1, -1, NULL);
	if (!request) {
		return -ENOMEM;
	}
	drmModeAtomicAddProperty(request, screen->connector, screen->properties.connector_crtc,
				 screen->crtc);
	drmModeAtomicAddProperty(request, screen->crtc, screen->properties.mode, screen->mode_blob);
	drmModeAtomicAddProperty(request, screen->crtc, screen->properties.active, 1);
	int r = plain(
		drmModeAtomicCommit(screen->card, request, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL));
	drmModeAtomicFree(request);
	return r;
}

static int card_try(struct screen *screen, const char *path, unsigned int width,
		    unsigned int height, unsigned int buffers, char *error, size_t error_size)
{
	const char *missing = "";
	*screen = (struct screen){ .card = open(path, O_RDWR | O_CLOEXEC) };
	if (screen->card < 0) {
		int r = -errno;
		snprintf(error, error_size, "%s can't be opened: %s", path, strerror(-r));
		return r;
	}
	int r = card_use(screen, width, height, buffers, &missing);
	if (r < 0) {
		snprintf(error, error_size, "%s lacks %s", path, missing);
	} else {
		r = mode_set(screen);
		if (r < 0) {
			snprintf(error, error_size, "%s rejects mode %s: %s", path,
				 screen->mode.name,
				 r == -EACCES ? "another process drives the display"
					      : strerror(-r));
		}
	}
	if (r < 0) {
		screen_close(screen);
	}
	return r;
}

int screen_open(struct screen *screen, const char *card, unsigned int width, unsigned int height,
		unsigned int buffers, char *error, size_t error_size)
{
	if (buffers < 1 || buffers > SCREEN_BUFFERS_MAX) {
		snprintf(error, error_size, "1 to %d buffers, not %u", SCREEN_BUFFERS_MAX, buffers);
		return -EINVAL;
	}
	if (card) {
		return card_try(screen, card, width, height, buffers, error, error_size);
	}
	snprintf(error, error_size, "there is no /dev/dri/card*: this machine has no display");
	int result = -ENODEV;
	for (int i = 0; i < CARDS; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		if (access(path, F_OK) < 0) {
			continue;
		}
		result = card_try(screen, path, width, height, buffers, error, error_size);
		if (result == 0) {
			break;
		}
	}
	return result;
}

void screen_close(struct screen *screen)
{
	if (screen->card < 0) {
		return;
	}
	for (unsigned int i = 0; i < screen->buffer_count; i++) {
		buffer_finish(screen, &screen->buffers[i]);
	}
	close(screen->card); /* this frees the mode's blob too */
	screen->card = -1;
}

/* -------------------------------------------------------------------------------------- flips -- */

drmModeAtomicReq *screen_request(const struct screen *screen, unsigned int index, int in_fence,
				 int32_t *ret_out_fence)
{
	const struct {
		uint32_t property;
		uint64_t value;
	} plane[] = {
		{ screen->properties.framebuffer, screen->buffers[index].framebuffer },
		{ screen->properties.plane_crtc, screen->crtc },
		{ screen->properties.from_x, 0 },
		{ screen->properties.from_y, 0 },
		{ screen->properties.from_width, (uint64_t)screen->width << 16 },
		{ screen->properties.from_height, (uint64_t)screen->height << 16 },
		{ screen->properties.x, 0 },
		{ screen->properties.y, 0 },
		{ screen->properties.width, screen->width },
		{ screen->properties.height, screen->height },
		{ screen->properties.in_fence, (uint64_t)(int64_t)in_fence },
	};
	drmModeAtomicReq *request = drmModeAtomicAlloc();
	int r = request ? 0 : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < sizeof(plane) / sizeof(plane[0]); i++) {
		r = drmModeAtomicAddProperty(request, screen->plane, plane[i].property,
					     plane[i].value);
	}
	if (r >= 0 && ret_out_fence) {
		*ret_out_fence = -1;
		r = drmModeAtomicAddProperty(request, screen->crtc, screen->properties.out_fence,
					     (uintptr_t)ret_out_fence);
	}
	if (r < 0) {
		drmModeAtomicFree(request);
		return NULL;
	}
	return request;
}

int screen_flip(const struct screen *screen, unsigned int index, int in_fence,
		int32_t *ret_out_fence, uint64_t frame)
{
	drmModeAtomicReq *request = screen_request(screen, index, in_fence, ret_out_fence);
	if (!request) {
		return -ENOMEM;
	}
	int r = plain(
		drmModeAtomicCommit(screen->card, request, SCREEN_FLIP, (void *)(uintptr_t)frame));
	drmModeAtomicFree(request);
	return r;
}

int screen_event(const struct screen *screen, unsigned int timeout_ms,
		 struct screen_event *ret_event)
{
	struct pollfd readable = { .fd = screen->card, .events = POLLIN };
	struct drm_event_vblank event; /* room for one event: the next one stays in the kernel */
	int r;
	do {
		r = poll(&readable, 1, (int)timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r <= 0) {
		return r < 0 ? -errno : -ETIMEDOUT;
	}
	ssize_t size = read(screen->card, &event, sizeof(event));
	if (size < 0) {
		return -errno;
	}
	if (size != (ssize_t)sizeof(event) || event.base.type != DRM_EVENT_FLIP_COMPLETE) {
		return -EPROTO;
	}
	*ret_event = (struct screen_event){
		.frame = event.user_data,
		.time_us = event.tv_sec * UINT64_C(1000000) + event.tv_usec,
		.sequence = event.sequence,
	};
	return 0;
}
