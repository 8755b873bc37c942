// SPDX-License-Identifier: MIT
#include "link-format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "link.h"
#include "client/lib/struct-size.h"

#define COLORS      6  /* of 8 bits, which come first */
#define COLORS_WIDE 10 /* of 16 bits, which come then */
#define COLORS_ALL  18
#define ALIGNS      5

/* One of the joined list, with its data behind it. */
struct joined_format {
	struct fbk_format format;
	uint8_t data[];
};

static void color_write(const struct fbk_color *color, uint32_t numbers[COLORS_ALL])
{
	const uint32_t all[COLORS_ALL] = {
		color->primaries,    color->transfer,        color->matrix,
		color->range,        color->chroma_location, color->alpha,
		color->max_cll,      color->max_fall,        color->primary_x[0],
		color->primary_x[1], color->primary_x[2],    color->primary_y[0],
		color->primary_y[1], color->primary_y[2],    color->white_x,
		color->white_y,      color->luminance_max,   color->luminance_min,
	};
	memcpy(numbers, all, sizeof(all));
}

static struct fbk_color color_read(const uint32_t *given, size_t count)
{
	uint32_t all[COLORS_ALL] = { 0 };
	uint16_t wide[COLORS_WIDE];
	for (size_t i = 0; i < count && i < COLORS_ALL; i++) {
		all[i] = given[i];
	}
	for (size_t i = 0; i < COLORS_WIDE; i++) {
		wide[i] = (uint16_t)all[COLORS + i];
	}
	return (struct fbk_color){
		.primaries = (uint8_t)all[0],
		.transfer = (uint8_t)all[1],
		.matrix = (uint8_t)all[2],
		.range = (uint8_t)all[3],
		.chroma_location = (uint8_t)all[4],
		.alpha = (uint8_t)all[5],
		.max_cll = wide[0],
		.max_fall = wide[1],
		.primary_x = { wide[2], wide[3], wide[4] },
		.primary_y = { wide[5], wide[6], wide[7] },
		.white_x = wide[8],
		.white_y = wide[9],
		.luminance_max = all[16],
		.luminance_min = all[17],
	};
}

/* ------------------------------------------------------------------------------------ what is given -- */

static int format_send(const struct fbk_link *link, const struct fbk_format *format)
{
	uint32_t aligns[ALIGNS] = { format->stride_align, format->offset_align, format->size_align,
				    format->width_align, format->height_align };
	uint32_t colors[COLORS_ALL];
	Fbk__Wire__Format wire = FBK__WIRE__FORMAT__INIT;
	color_write(&format->color, colors);
	wire.memory = format->memory;
	wire.fourcc = format->fourcc;
	wire.modifier = format->modifier;
	wire.device = format->device;
	wire.width_min = format->width_min;
	wire.width_max = format->width_max;
	wire.height_min = format->height_min;
	wire.height_max = format->height_max;
	wire.size_min = format->size_min;
	wire.size_max = format->size_max;
	wire.n_align = ALIGNS;
	wire.align = aligns;
	wire.rate_num = format->rate_num;
	wire.rate_den = format->rate_den;
	wire.aspect_num = format->aspect_num;
	wire.aspect_den = format->aspect_den;
	wire.n_color = COLORS_ALL;
	wire.color = colors;
	wire.data.len = format->data_size;
	wire.data.data = (uint8_t *)(uintptr_t)format->data; /* only packed */
	REQUEST(request, LINK_FORMAT, link_format, .handle = link->state->handle, .format = &wire);
	return request_do(link->context, &request);
}

static int format_check(size_t number, const struct fbk_format *format)
{
	if (format->data_size > FBK_FORMAT_DATA_MAX) {
		return error_set(-E2BIG, "format %zu: %zu bytes of data: at most %d", number,
				 format->data_size, FBK_FORMAT_DATA_MAX);
	}
	return format->data || format->data_size == 0
		       ? 0
		       : error_set(-EINVAL, "format %zu: its data is NULL", number);
}

int link_formats_send(const struct fbk_link *link, const struct fbk_link_desc *desc)
{
	int r = 0;
	if (desc->format_count > FBK_FORMATS_MAX) {
		return error_set(-E2BIG, "%zu formats: an end of a link gives at most %d",
				 desc->format_count, FBK_FORMATS_MAX);
	}
	for (size_t i = 0; r == 0 && desc->formats && i < desc->format_count; i++) {
		struct fbk_format format;
		if (!desc->formats[i]) {
			return error_set(-EINVAL, "format %zu is NULL", i);
		}
		r = STRUCT_READ(&format, desc->formats[i]);
		if (r == 0) {
			r = format_check(i, &format);
		}
		if (r == 0) {
			r = format_send(link, &format);
		}
	}
	return r;
}

/* ---------------------------------------------------------------------------------- what both allow -- */

void link_formats_free(struct link_formats *formats)
{
	for (uint32_t i = 0; i < FBK_FORMATS_MAX; i++) {
		free(formats->formats[i]);
		formats->formats[i] = NULL;
	}
}

static int joined_create(const Fbk__Wire__Format *wire, struct joined_format **ret_joined)
{
	uint32_t aligns[ALIGNS] = { 0 };
	size_t count = wire->n_align < ALIGNS ? wire->n_align : ALIGNS;
	struct joined_format *joined = malloc(sizeof(*joined) + wire->data.len);
	if (!joined) {
		return error_plain(-ENOMEM);
	}
	for (size_t i = 0; i < count; i++) {
		aligns[i] = wire->align[i];
	}
	if (wire->data.len > 0) {
		memcpy(joined->data, wire->data.data, wire->data.len);
	}
	joined->format = (struct fbk_format){
		.struct_size = sizeof(joined->format),
		.memory = wire->memory,
		.fourcc = wire->fourcc,
		.modifier = wire->modifier,
		.device = wire->device,
		.width_min = wire->width_min,
		.width_max = wire->width_max,
		.height_min = wire->height_min,
		.height_max = wire->height_max,
		.size_min = wire->size_min,
		.size_max = wire->size_max,
		.stride_align = aligns[0],
		.offset_align = aligns[1],
		.size_align = aligns[2],
		.width_align = aligns[3],
		.height_align = aligns[4],
		.rate_num = wire->rate_num,
		.rate_den = wire->rate_den,
		.aspect_num = wire->aspect_num,
		.aspect_den = wire->aspect_den,
		.color = color_read(wire->color, wire->n_color),
		.data = wire->data.len > 0 ? joined->data : NULL,
		.data_size = wire->data.len,
	};
	*ret_joined = joined;
	return 0;
}

static int joined_ask(struct fbk_link *link, uint32_t number)
{
	struct reply reply;
	REQUEST(request, LINK_FORMAT_GET, link_format_get, .handle = link->state->handle,
		.number = number, .epoch = link->epoch);
	int r = request_call(link->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	r = reply.message->body_case == FBK__WIRE__MESSAGE__BODY_FORMAT
		    ? joined_create(reply.message->format, &link->formats.formats[number])
		    : error_set(-EPROTO, "the daemon describes no format");
	reply_finish(&reply);
	return r;
}

static int joined_get(struct fbk_link *link, uint32_t number, const struct fbk_format **ret_format)
{
	struct link_formats *kept = &link->formats;
	int r = link->ops->refresh(link);
	if (r == 0 && !link->peer.self) {
		return link_over(link);
	}
	if (r < 0) {
		return r;
	}
	if (kept->epoch != link->epoch || kept->generation != link->format_generation) {
		link_formats_free(kept);
		kept->epoch = link->epoch;
		kept->generation = link->format_generation;
	}
	if (number >= FBK_FORMATS_MAX) {
		return error_set(-ENOENT, "there is no format %u", number);
	}
	r = kept->formats[number] ? 0 : joined_ask(link, number);
	if (r == -ESTALE) {
		return link_over(link); /* that peer has left meanwhile */
	}
	if (r == 0) {
		*ret_format = &kept->formats[number]->format;
	}
	return r;
}

int fbk_link_format(struct fbk_link *link, uint32_t number, const struct fbk_format **ret_format)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	link_lock(link);
	int r = joined_get(link, number, ret_format);
	link_unlock(link);
	return r;
}
