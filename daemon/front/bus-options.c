// SPDX-License-Identifier: MIT
#include "bus-options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/core/device.h"
#include "daemon/rules/kind.h"
#include "daemon/rules/policy-settings.h"
#include "daemon/rules/route.h"
#include "dispatch.h"

/* The name of number `index` of a set of names; NULL: there are no more. */
typedef const char *names_fn(unsigned int index);

static const char *kind_at(unsigned int index)
{
	return index < KIND_COUNT ? kind_name(1U << index) : NULL;
}

static const char *backing_at(unsigned int index)
{
	return (1U << index) <= FBK_BACKING_OWN ? device_backing_name(1U << index) : NULL;
}

static const char *route_at(unsigned int index)
{
	return index < ROUTE_COUNT ? route_name(index) : NULL;
}

static const char *visibility_at(unsigned int index)
{
	return index <= FBK_VISIBILITY_IRQ ? device_visibility_name(index) : NULL;
}

static const char *class_at(unsigned int index)
{
	return index == 0 ? "" : index < POLICY_CLASS_COUNT ? policy_class_names[index] : NULL;
}

/* The index of the name; -EINVAL with all that there are. */
static int name_find(names_fn *names, const char *what, const char *name, char *detail)
{
	const char *found;
	for (unsigned int i = 0; (found = names(i)); i++) {
		if (found[0] && strcmp(found, name) == 0) {
			return (int)i;
		}
	}
	size_t used =
		(size_t)snprintf(detail, FBK_REASON_SIZE, "%.32s is none of the %s:", name, what);
	for (unsigned int i = 0; (found = names(i)) && used < FBK_REASON_SIZE; i++) {
		used += (size_t)snprintf(detail + used, FBK_REASON_SIZE - used, " %s", found);
	}
	return -EINVAL;
}

static int read_names(sd_bus_message *call, names_fn *names, const char *what, uint32_t *ret_mask,
		      char *detail)
{
	const char *name;
	*ret_mask = 0;
	int r = sd_bus_message_enter_container(call, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read_basic(call, 's', &name)) > 0) {
		r = name_find(names, what, name, detail);
		if (r >= 0) {
			*ret_mask |= 1U << r;
		}
	}
	return r < 0 ? r : sd_bus_message_exit_container(call);
}

struct option {
	const char *key;
	const char *type;
	size_t offset; /* in the request: a uint32_t, or a protobuf_c_boolean */
	names_fn *names;
};

#define OPTION(key, type, field, names)                                      \
	{                                                                    \
		key, type, offsetof(Fbk__Wire__DeviceRegister, field), names \
	}

static const struct option options[] = {
	OPTION("waits", "as", waits, kind_at),
	OPTION("signals", "as", signals, kind_at),
	OPTION("silent", "b", silent, NULL),
	OPTION("visibility", "s", visibility, visibility_at),
	OPTION("page-align", "u", page_align, NULL),
	OPTION("backings", "as", backings, backing_at),
	OPTION("routes", "as", routes, route_at),
};

#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

static const struct option *option_find(const char *key, char *detail)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		if (strcmp(options[i].key, key) == 0) {
			return &options[i];
		}
	}
	size_t used =
		(size_t)snprintf(detail, FBK_REASON_SIZE, "%.32s is none of the options:", key);
	for (size_t i = 0; i < OPTION_COUNT && used < FBK_REASON_SIZE; i++) {
		used += (size_t)snprintf(detail + used, FBK_REASON_SIZE - used, " %s",
					 options[i].key);
	}
	return NULL;
}

static int read_value(sd_bus_message *call, const struct option *option,
		      Fbk__Wire__DeviceRegister *request, char *detail)
{
	void *field = (char *)request + option->offset;
	uint32_t *number = field;
	const char *name;
	int flag;
	int r;
	switch (option->type[0]) {
	case 'a':
		return read_names(call, option->names, option->key, number, detail);
	case 's':
		r = sd_bus_message_read_basic(call, 's', &name);
		r = r < 0 ? r : name_find(option->names, option->key, name, detail);
		*number = r < 0 ? 0 : (uint32_t)r;
		return r;
	case 'b':
		r = sd_bus_message_read_basic(call, 'b', &flag);
		*(protobuf_c_boolean *)field = r >= 0 && flag;
		return r;
	default:
		return sd_bus_message_read_basic(call, 'u', number);
	}
}

static int read_option(sd_bus_message *call, Fbk__Wire__DeviceRegister *request, char *detail)
{
	const char *key, *type;
	int r = sd_bus_message_read_basic(call, 's', &key);
	if (r < 0 || (r = sd_bus_message_peek_type(call, NULL, &type)) < 0) {
		return r;
	}
	const struct option *option = option_find(key, detail);
	if (!option) {
		return -EINVAL;
	}
	if (strcmp(type, option->type) != 0) {
		snprintf(detail, FBK_REASON_SIZE, "option %s has the type %.32s, not %s", key, type,
			 option->type);
		return -EINVAL;
	}
	r = sd_bus_message_enter_container(call, 'v', type);
	r = r < 0 ? r : read_value(call, option, request, detail);
	return r < 0 ? r : sd_bus_message_exit_container(call);
}

int bus_options_read(sd_bus_message *call, Fbk__Wire__DeviceRegister *ret_request, char *detail)
{
	const char *name, *class;
	ret_request->waits = ret_request->signals = FBK_FENCE_EVENTFD;
	int r = sd_bus_message_read(call, "ss", &name, &class);
	if (r < 0) {
		return r;
	}
	ret_request->name = text(name);
	r = name_find(class_at, "classes", class, detail);
	if (r < 0) {
		return r;
	}
	ret_request->class_ = (uint32_t)r;
	r = sd_bus_message_enter_container(call, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(call, 'e', "sv")) > 0) {
		r = read_option(call, ret_request, detail);
		if (r >= 0) {
			r = sd_bus_message_exit_container(call);
		}
	}
	return r < 0 ? r : sd_bus_message_exit_container(call);
}
