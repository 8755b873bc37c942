// SPDX-License-Identifier: MIT
#include "notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "clock.h"
#include "outlet.h"
#include "proto/container.h"

#define PATIENCE_NS (1 * NS_PER_S)
#define TEXT_SIZE   512

struct notification {
	struct outlet_entry entry;
	char text[TEXT_SIZE];
};

static void notification_write(const struct outlet_entry *entry)
{
	sd_notify(0, container_of(entry, const struct notification, entry)->text);
}

static struct notification notifications[4];
static struct outlet outlet = {
	.thread_name = "fbk-notify",
	.ring = notifications,
	.entry_size = sizeof(*notifications),
	.capacity = sizeof(notifications) / sizeof(*notifications),
	.write = notification_write,
	OUTLET_INIT,
};

void notify_manager(const char *format, ...)
{
	struct notification *notification = outlet_begin(&outlet);
	va_list args;
	if (!notification) {
		return;
	}
	va_start(args, format);
	vsnprintf(notification->text, TEXT_SIZE, format, args);
	va_end(args);
	outlet_commit(&outlet);
	outlet_finish(&outlet, PATIENCE_NS);
}
