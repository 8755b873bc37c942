// SPDX-License-Identifier: MIT
#include "hardware.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "daemon/base/job.h"
#include "daemon/base/log.h"
#include "daemon/base/udmabuf.h"
#include "proto/container.h"
#include "provider.h"
#include "syncobj-follow.h"
#include "translator.h"

#define FIRST_MS    3000 /* for the first look */
#define PATIENCE_MS 1000 /* for a look to end when the daemon ends */

/* IN_ATTRIB: a node is made for root, and udev gives it to others a moment later. */
#define CHANGES (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)

struct look {
	struct job job;
	struct hardware *hardware; /* the loop's */
	struct drm before;
	bool has_udmabuf;

	/* The thread's until it has ended. */
	struct drm found;
	int udmabuf;
};

/* ---------------------------------------------------------------------------------- the thread -- */

static void look_work(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	drm_open(&look->found, &look->before);
	if (!look->has_udmabuf) {
		look->udmabuf = udmabuf_open();
	}
}

static void look_free(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	drm_finish(&look->found);
	drm_finish(&look->before);
	if (look->udmabuf >= 0) {
		close(look->udmabuf);
	}
	free(look);
}

/* ------------------------------------------------------------------------------------ the loop -- */

static void hardware_take_drm(struct translator *translator, struct drm *found)
{
	struct drm old = translator->drm;
	bool gone = old.file && old.file != found->file;
	translator->drm = *found;
	*found = DRM_NONE;
	if (strcmp(old.vgem, translator->drm.vgem) != 0) {
		vgem_let_go(translator);
	}
	if (gone) {
		submit_arms_gone(translator, old.file);
	}
	translator->registry->base_fds += drm_fds(&translator->drm);
	translator->registry->base_fds -= drm_fds(&old);
	drm_finish(&old);
}

static void hardware_take(struct look *look)
{
	struct translator *translator = look->hardware->translator;
	struct registry *registry = translator->registry;
	hardware_take_drm(translator, &look->found);
	if (!look->has_udmabuf) {
		registry->udmabuf = look->udmabuf;
		registry->base_fds += look->udmabuf >= 0;
		look->udmabuf = -1;
	}
	look->hardware->look = NULL;
}

static void look_done(struct job *job)
{
	struct look *look = container_of(job, struct look, job);
	struct hardware *hardware = look->hardware;
	hardware_take(look);
	hardware->changed(hardware);
	if (hardware->again) {
		hardware_look(hardware);
	}
}

static const struct job_ops look_ops = {
	.name = "fbk-hardware",
	.work = look_work,
	.done = look_done,
	.free = look_free,
};

static struct look *look_create(struct hardware *hardware)
{
	const struct translator *translator = hardware->translator;
	struct look *look = calloc(1, sizeof(*look));
	if (!look) {
		return NULL;
	}
	look->hardware = hardware;
	look->found = DRM_NONE;
	look->before = DRM_NONE;
	look->before.file = drm_file_ref(translator->drm.file);
	if (translator->drm.own_sync_file >= 0) {
		look->before.own_sync_file =
			fcntl(translator->drm.own_sync_file, F_DUPFD_CLOEXEC, 0);
	}
	look->has_udmabuf = translator->registry->udmabuf >= 0;
	look->udmabuf = -1;
	return look;
}

/* What is made after the watch began is reported, so watch first. */
static void hardware_watch(struct hardware *hardware)
{
	if (hardware->watch >= 0) {
		hardware->nodes = inotify_add_watch(hardware->watch, "/dev/dri", CHANGES);
		hardware->devices = inotify_add_watch(hardware->watch, "/dev", CHANGES);
	}
}

void hardware_look(struct hardware *hardware)
{
	hardware->again = hardware->look;
	if (hardware->again) {
		return;
	}
	hardware_watch(hardware);
	struct look *look = look_create(hardware);
	int r = look ? job_start(&look->job, &look_ops, &hardware->translator->registry->loop)
		     : -ENOMEM;
	if (r < 0) {
		log_warning("devices can't be looked at: %s", strerrordesc_np(-r));
	} else {
		hardware->look = look;
	}
}

static bool event_matters(const struct hardware *hardware, const struct inotify_event *event)
{
	const char *name = event->len > 0 ? event->name : "";
	if (event->mask & IN_Q_OVERFLOW) {
		return true;
	}
	if (event->wd == hardware->nodes) {
		return strncmp(name, "renderD", 7) == 0 || strncmp(name, "card", 4) == 0;
	}
	return event->wd == hardware->devices &&
	       (strcmp(name, "dri") == 0 || strcmp(name, "udmabuf") == 0);
}

static void hardware_changed(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	struct hardware *hardware = arg;
	_Alignas(struct inotify_event) char buffer[4096];
	bool matters = false;
	ssize_t size = read(fd, buffer, sizeof(buffer));
	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const void *)(buffer + at);
		matters = matters || event_matters(hardware, event);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	if (matters) {
		hardware_look(hardware);
	}
}

/* --------------------------------------------------------------------------- birth and death --- */

static void hardware_listen(struct hardware *hardware)
{
	hardware->devices = hardware->nodes = -1;
	hardware->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int error = hardware->watch < 0 ? errno : 0;
	hardware_watch(hardware);
	if (hardware->watch >= 0 && hardware->devices < 0) {
		error = errno;
	}
	if (error == 0) {
		hardware->event = loop_listen(&hardware->translator->registry->loop,
					      hardware->watch, EV_READ | EV_PERSIST,
					      PRIORITY_REQUEST, hardware_changed, hardware);
		error = hardware->event ? 0 : ENOMEM;
	}
	if (error != 0) {
		log_warning("inotify: %s: devices that come or go are seen when the policy is read "
			    "anew",
			    strerrordesc_np(error));
	}
}

void hardware_start(struct hardware *hardware)
{
	hardware_listen(hardware);
	hardware_look(hardware);
	struct look *look = hardware->look;
	if (!look) { /* no thread: then here */
		look = look_create(hardware);
		if (look) {
			look_work(&look->job);
			hardware_take(look);
			look_free(&look->job);
		}
	} else if (job_join(&look->job, FIRST_MS)) {
		hardware_take(look);
		job_let_go(&look->job);
	} else {
		log_warning("a device does not open: what it is needed for comes when it does");
	}
}

void hardware_finish(struct hardware *hardware)
{
	if (hardware->look) {
		if (!job_join(&hardware->look->job, PATIENCE_MS)) {
			log_warning("a device does not open: not waiting for it");
		}
		job_let_go(&hardware->look->job);
		hardware->look = NULL;
	}
	event_drop(hardware->event);
	hardware->event = NULL;
	if (hardware->watch >= 0) {
		close(hardware->watch);
		hardware->watch = -1;
	}
}
