// SPDX-License-Identifier: MIT
#include "format-list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

int format_list_create(const struct client *client, struct format_list **ret_list)
{
	struct format_list *list = calloc(1, sizeof(*list));
	if (!list) {
		return -ENOMEM;
	}
	int r = charge_take(&list->charge, client->user, ACCOUNT_FORMAT_BYTES, sizeof(*list));
	if (r < 0) {
		free(list);
		return r;
	}
	list->client = client;
	*ret_list = list;
	return 0;
}

void format_list_destroy(struct format_list *list)
{
	if (!list) {
		return;
	}
	for (uint32_t i = 0; i < list->count; i++) {
		free(list->data[i].bytes);
	}
	charge_release(&list->charge);
	free(list);
}

/* Formats with the same data have the same number for it. */
static uint32_t data_number(const struct format_list *list, const void *data, size_t size)
{
	for (uint32_t i = 0; size > 0 && i < list->count; i++) {
		if (list->data[i].size == size && memcmp(list->data[i].bytes, data, size) == 0) {
			return list->formats[i].data;
		}
	}
	return size > 0 ? list->count + 1 : 0;
}

static int data_copy(struct format_list *list, struct format_data *copy, const void *data,
		     size_t size)
{
	if (size == 0) {
		return 0;
	}
	int r = charge_grow(&list->charge, list->client->user, ACCOUNT_FORMAT_BYTES, size);
	if (r < 0) {
		return r;
	}
	copy->bytes = malloc(size);
	if (!copy->bytes) {
		charge_shrink(&list->charge, size);
		return -ENOMEM;
	}
	memcpy(copy->bytes, data, size);
	copy->size = size;
	return 0;
}

int format_list_add(struct format_list *list, const struct format *format, const void *data,
		    size_t size, char *detail)
{
	if (list->count == FBK_FORMATS_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "an end of a link gives at most %d formats",
			 FBK_FORMATS_MAX);
		return -E2BIG;
	}
	if (size > FBK_FORMAT_DATA_MAX) {
		snprintf(detail, FBK_REASON_SIZE,
			 "%zu bytes of data of the application's own: a format has at most %d",
			 size, FBK_FORMAT_DATA_MAX);
		return -E2BIG;
	}
	int r = data_copy(list, &list->data[list->count], data, size);
	if (r == 0) {
		list->formats[list->count] = *format;
		list->formats[list->count].data = data_number(list, data, size);
		list->count++;
	}
	return r;
}
