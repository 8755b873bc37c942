// SPDX-License-Identifier: MIT
/*
 * An end's list of formats, with the application's data of each, in the order of its preference. Charged in bytes to the
 * client whose list it is. Owned by its link. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stddef.h>
#include <stdint.h>

#include "client/include/fencebroker.h"
#include "daemon/rules/account.h"
#include "daemon/rules/format.h"

struct client;

struct format_data {
	uint8_t *bytes;
	size_t size;
};

struct format_list {
	LIST_ENTRY(format_list) links; /* of the link, until its client accepts that */
	const struct client *client;
	uint32_t count;
	struct format formats[FBK_FORMATS_MAX];
	struct format_data data[FBK_FORMATS_MAX];
	struct charge charge;
};

int format_list_create(const struct client *client, struct format_list **ret_list);
void format_list_destroy(struct format_list *list); /* takes NULL */

/* Add one, with a copy of its data. -E2BIG: a limit, which `detail` names. */
int format_list_add(struct format_list *list, const struct format *format, const void *data,
		    size_t size, char *detail);
