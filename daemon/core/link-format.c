// SPDX-License-Identifier: MIT
/* The formats of a link: a list of each end, which it gives before there is a peer, and what both allow, joined when a
 * peer accepts. What the present consumer refused is dropped from that until it leaves. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "link.h"

/* ----------------------------------------------------------------------------------- one list --- */

static struct format_list *formats_waiting(const struct link *link, const struct client *client)
{
	struct format_list *formats;
	LIST_FOREACH(formats, &link->waiting, links) {
		if (formats->client == client) {
			return formats;
		}
	}
	return NULL;
}

void link_drop_formats(struct link *link, const struct client *client)
{
	struct format_list *formats = formats_waiting(link, client);
	if (formats) {
		LIST_REMOVE(formats, links);
		format_list_destroy(formats);
	}
}

/* The list that the client adds to. */
static int formats_find(struct link *link, const struct client *client,
			struct format_list **ret_formats)
{
	struct link_side *side = link_offers(link, client) ? &link->sides[0] : NULL;
	struct format_list *formats = side ? side->formats : formats_waiting(link, client);
	if (!formats) {
		int r = format_list_create(client, &formats);
		if (r < 0) {
			return r;
		}
		if (side) {
			side->formats = formats;
		} else {
			LIST_INSERT_HEAD(&link->waiting, formats, links);
		}
	}
	*ret_formats = formats;
	return 0;
}

int link_add_format(struct link *link, const struct client *client, const struct format *format,
		    const void *data, size_t size, char *detail)
{
	struct format_list *formats = NULL;
	if (link->over || link->state->cause != FBK_CAUSE_NONE) {
		snprintf(detail, FBK_REASON_SIZE, "that link is over");
		return -EPIPE;
	}
	if (link_offers(link, client) ? link->epoch > 0 : link_side_of(link, client) >= 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "formats are given before the link has a peer, and stay as they are");
		return -EBUSY;
	}
	int r = format_check(format, detail);
	if (r == 0) {
		r = formats_find(link, client, &formats);
	}
	return r < 0 ? r : format_list_add(formats, format, data, size, detail);
}

/* --------------------------------------------------------------------------------- the joined ones -- */

/* A list as the rules take it. */
struct list {
	const struct format *formats;
	size_t count;
};

static struct list list_of(const struct format_list *formats)
{
	return formats ? (struct list){ formats->formats, formats->count } : (struct list){ 0 };
}

static const struct format_list *formats_of_role(const struct link *link, bool producer)
{
	return link->sides[producer ? link->producer : !link->producer].formats;
}

static void joined_get(const struct link *link, const struct link_pair *pair,
		       struct format *ret_format)
{
	struct list producer = list_of(formats_of_role(link, true));
	struct list consumer = list_of(formats_of_role(link, false));
	if (producer.count == 0 || consumer.count == 0) {
		*ret_format = producer.count ? producer.formats[pair->producer]
					     : consumer.formats[pair->consumer];
		return;
	}
	/* they went together when a peer accepted, and stay as they are */
	format_join(&producer.formats[pair->producer], &consumer.formats[pair->consumer],
		    ret_format);
}

static int formats_join_all(struct link *link, char *detail)
{
	static struct format_pair pairs[FBK_FORMATS_MAX];
	struct list producer = list_of(formats_of_role(link, true));
	struct list consumer = list_of(formats_of_role(link, false));
	struct link_joined *joined = &link->joined;
	size_t count = formats_join(producer.formats, producer.count, consumer.formats,
				    consumer.count, pairs, FBK_FORMATS_MAX, detail);
	if (count == 0 && producer.count + consumer.count > 0) {
		return -EOPNOTSUPP;
	}
	*joined = (struct link_joined){ .count = (uint32_t)count,
					.generation = joined->generation + 1 };
	for (size_t i = 0; i < count; i++) {
		joined->pairs[i].producer = (uint8_t)pairs[i].producer; /* none: not looked at */
		joined->pairs[i].consumer = (uint8_t)pairs[i].consumer;
	}
	return 0;
}

int link_join_formats(struct link *link, char *detail)
{
	struct link_side *side = &link->sides[1];
	side->formats = formats_waiting(link, side->client);
	if (side->formats) {
		LIST_REMOVE(side->formats, links);
	}
	int r = formats_join_all(link, detail);
	for (uint32_t i = 0; r == 0 && i < FBK_BUFFERS_MAX; i++) {
		struct link_buffer *buffer = &link->buffers[i];
		buffer->imported = LINK_BUFFER_NEW;
		r = buffer->fd_count > 0 ? link_match_format(link, buffer, i, detail) : 0;
	}
	return r < 0 ? -EOPNOTSUPP : 0;
}

int link_format_get(const struct link *link, int side, uint32_t number, struct format *ret_format,
		    struct format_data *ret_data, char *detail)
{
	if (number >= link->joined.count) {
		snprintf(detail, FBK_REASON_SIZE, "the link has %u formats: there is no format %u",
			 link->joined.count, number);
		return -ENOENT;
	}
	const struct link_pair *pair = &link->joined.pairs[number];
	if (pair->refused) {
		snprintf(detail, FBK_REASON_SIZE, "the consumer refused buffers of format %u",
			 number);
		return -ENOTSUP;
	}
	bool produces = side == (int)link->producer;
	const struct format_list *theirs = formats_of_role(link, !produces);
	joined_get(link, pair, ret_format);
	*ret_data = theirs ? theirs->data[produces ? pair->consumer : pair->producer]
			   : (struct format_data){ 0 };
	return 0;
}

/* ---------------------------------------------------------------------------------------- buffers -- */

static const char *error_text(int error)
{
	const char *text = strerrordesc_np(-error);
	return text ? text : "unknown error";
}

static bool refusal_is(const struct link_refusal *refusal, const struct link_buffer *buffer)
{
	return refusal->memory == buffer->memory && refusal->fourcc == buffer->fourcc &&
	       refusal->modifier == buffer->modifier;
}

static int match_refusals(const struct link *link, const struct link_buffer *buffer, uint32_t index,
			  char *detail)
{
	const struct link_side *consumer = &link->sides[!link->producer];
	for (uint32_t i = 0; i < link->joined.refusal_count; i++) {
		const struct link_refusal *refusal = &link->joined.refusals[i];
		if (refusal_is(refusal, buffer) && consumer->client) {
			char name[56];
			format_name(buffer->memory, buffer->fourcc, buffer->modifier, name,
				    sizeof(name));
			snprintf(detail, FBK_REASON_SIZE,
				 "buffer %u: %s (pid %d) has refused %s: %s", index,
				 consumer->device->name, consumer->client->credentials.pid, name,
				 error_text(refusal->error));
			return -ENOTSUP;
		}
	}
	return 0;
}

/* The format of that number of the list that counts: the joined one, or before there is a peer the producer's own. */
static bool match_number(const struct link *link, const struct format_buffer *buffer,
			 uint32_t number)
{
	const struct format_list *own = formats_of_role(link, true);
	struct format format;
	if (!link_has_peer(link)) {
		return own && number < own->count && format_fits(&own->formats[number], buffer);
	}
	if (number >= link->joined.count || link->joined.pairs[number].refused) {
		return false;
	}
	joined_get(link, &link->joined.pairs[number], &format);
	return format_fits(&format, buffer);
}

static uint32_t match_count(const struct link *link)
{
	const struct format_list *own = formats_of_role(link, true);
	return link_has_peer(link) ? link->joined.count : own ? own->count : 0;
}

int link_match_format(const struct link *link, struct link_buffer *buffer, uint32_t index,
		      char *detail)
{
	const struct format_buffer asked = {
		.memory = buffer->memory,
		.fourcc = buffer->fourcc,
		.modifier = buffer->modifier,
		.width = buffer->width,
		.height = buffer->height,
		.plane_count = buffer->plane_count,
		.offset = buffer->offset,
		.stride = buffer->stride,
	};
	uint32_t count = match_count(link), number = buffer->format;
	int r = match_refusals(link, buffer, index, detail);
	if (r < 0) {
		return r;
	}
	if (count > 0 && !match_number(link, &asked, number)) {
		for (number = 0; number < count && !match_number(link, &asked, number); number++) {
		}
	}
	if (count > 0 && number == count) {
		char name[56];
		format_name(buffer->memory, buffer->fourcc, buffer->modifier, name, sizeof(name));
		snprintf(detail, FBK_REASON_SIZE,
			 "buffer %u: %s, %u x %u, is of none of the link's %u formats", index, name,
			 buffer->width, buffer->height, count);
		return -EINVAL;
	}
	buffer->number = number;
	return 0;
}

void link_refuse_format(struct link *link, const struct link_buffer *buffer, int error)
{
	struct link_joined *joined = &link->joined;
	struct format format;
	for (uint32_t i = 0; i < joined->count; i++) {
		joined_get(link, &joined->pairs[i], &format);
		joined->pairs[i].refused |= format.memory == buffer->memory &&
					    format.fourcc == buffer->fourcc &&
					    format.modifier == buffer->modifier;
	}
	if (joined->refusal_count == FBK_FORMATS_MAX) {
		joined->refusal_count--;
		memmove(joined->refusals, joined->refusals + 1,
			joined->refusal_count * sizeof(joined->refusals[0]));
	}
	joined->refusals[joined->refusal_count++] =
		(struct link_refusal){ buffer->memory, buffer->fourcc, buffer->modifier, error };
	joined->generation++;
}
