// SPDX-License-Identifier: MIT
/*
 * A registered engine. Owned by the client that registered it. Its timelines keep a reference, also when the client
 * is gone: their blame names the device. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client.h"
#include "client/include/fencebroker.h"
#include "daemon/rules/account.h"
#include "daemon/rules/route.h"
#include "page.h"

/* A client's description of a device that it registers; not checked yet. */
struct device_spec {
	uint32_t id; /* the client's number for it */
	const char *name;
	uint32_t class;
	uint32_t waits, signals; /* masks of enum fbk_fence_kind */
	bool silent;
	uint32_t visibility;
	uint32_t page_align; /* 0: the default of the class */
	uint32_t backings;   /* mask of enum fbk_backing; 0: host memory */
	uint32_t routes;     /* mask of 1 << enum fbk_route; 0: all */
};

struct device {
	LIST_ENTRY(device) links;        /* of the registry, newest first */
	LIST_ENTRY(device) client_links; /* of its client */
	struct registry *registry;
	struct client *client; /* NULL: unregistered */
	pid_t pid;
	uid_t uid;
	unsigned int refs; /* the client's and one for each timeline */
	uint64_t id;
	uint32_t handle; /* the client's number for it */
	char name[FBK_NAME_SIZE];
	enum fbk_device_class class;
	uint32_t waits;
	uint32_t signals;
	bool silent;
	enum fbk_visibility visibility;
	uint32_t routes; /* mask of 1 << enum fbk_route that it accepts; 0: all */
	uint32_t page_align;
	uint32_t backings;        /* as the client asked for */
	enum fbk_backing backing; /* of its fence pages: one bit */
	LIST_HEAD(, page) memory; /* registered for them */
	bool may_promise;         /* policy allows promises of its points */
	bool promise_broken;      /* its last promise: no new one until it reaches a point */
	uint32_t timelines;       /* made for it and alive */
	uint32_t link_ends;       /* how many ends of links it is */
	struct charge charge;
};

/* One of that id and of the same description is found again. On an error `detail`, of FBK_REASON_SIZE, says why. */
int device_register(struct client *client, const struct device_spec *spec,
		    struct device **ret_device, char *detail);

/* All its timelines must have failed. */
void device_unregister(struct device *device);
void device_unref(struct device *device); /* takes NULL */

/* More memory for its fence pages; the fd stays the caller's. */
int device_add_memory(struct device *device, int dmabuf, uint64_t offset, uint64_t size,
		      struct page **ret_page, char *detail);

/* Registered memory with a free slot, or NULL. */
struct page *device_memory_with_room(const struct device *device);

struct device *device_find(const struct client *client, uint32_t handle);

/* The route of a fence from one to the other, and why: route_choose() for these two, this policy and this machine.
 * `visibility` is that of the signaler's data. */
void device_choose_route(const struct device *signaler, const struct device *waiter,
			 enum route_way way, enum fbk_visibility visibility,
			 struct route_choice *ret_choice);

/* Does it write payloads of 32 bits? A device that can write 64 bits does not, nor one whose process signals for
 * it. */
static inline bool device_signals_narrow(const struct device *device)
{
	return device->visibility != FBK_VISIBILITY_IRQ &&
	       (device->signals & (FBK_FENCE_MEMORY32 | FBK_FENCE_MEMORY64)) == FBK_FENCE_MEMORY32;
}

/* The client's process is known now: it has the client's credentials. */
void devices_adopt_process(struct client *client);

const char *device_class_name(enum fbk_device_class class);
const char *device_visibility_name(enum fbk_visibility visibility);
const char *device_backing_name(enum fbk_backing backing);

/* 1 to FBK_NAME_SIZE - 1 printable ASCII characters, no space. */
bool device_name_valid(const char *name);

extern const struct observer device_observer;
