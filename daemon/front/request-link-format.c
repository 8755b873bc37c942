// SPDX-License-Identifier: MIT
/* Requests about the formats of a link: what an end allows, and what both do. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/core/link.h"
#include "dispatch.h"
#include "request-link.h"

_Static_assert(ANSWER_COLORS == FORMAT_COLORS + FORMAT_VOLUMES, "all numbers of a color");

#define WIDE_VOLUMES 2 /* the last ones have 32 bits, the others 16 */

/* Numbers that are not there are 0; those that a later version has more are not looked at. */
static int color_read(const Fbk__Wire__Format *message, struct format *format, char *detail)
{
	for (size_t i = 0; i < message->n_color && i < ANSWER_COLORS; i++) {
		uint32_t number = message->color[i];
		uint32_t most = i < FORMAT_COLORS                  ? UINT8_MAX
				: i < ANSWER_COLORS - WIDE_VOLUMES ? UINT16_MAX
								   : UINT32_MAX;
		if (number > most) {
			snprintf(detail, FBK_REASON_SIZE, "number %zu of a color is %u, above %u",
				 i, number, most);
			return -EINVAL;
		}
		if (i < FORMAT_COLORS) {
			format->color[i] = (uint8_t)number;
		} else {
			format->volume[i - FORMAT_COLORS] = number;
		}
	}
	return 0;
}

static int format_read(const Fbk__Wire__Format *message, struct format *format, char *detail)
{
	*format = (struct format){
		.memory = message->memory,
		.fourcc = message->fourcc,
		.modifier = message->modifier,
		.device = message->device,
		.width = { message->width_min, message->width_max },
		.height = { message->height_min, message->height_max },
		.size = { message->size_min, message->size_max },
		.rate = { message->rate_num, message->rate_den },
		.aspect = { message->aspect_num, message->aspect_den },
	};
	for (size_t i = 0; i < message->n_align && i < FORMAT_ALIGNS; i++) {
		format->align[i] = message->align[i];
	}
	return color_read(message, format, detail);
}

int request_link_format(struct client *client, struct handle *handle, const void *body, int *fds,
			struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkFormat *request = body;
	struct link *link = link_of(handle);
	struct format format;
	if (!link) {
		return answer_no_link(answer, handle);
	}
	if (!request->format) {
		snprintf(answer->detail, FBK_REASON_SIZE, "the request names no format");
		return -EINVAL;
	}
	int r = format_read(request->format, &format, answer->detail);
	return r < 0 ? r
		     : link_add_format(link, client, &format, request->format->data.data,
				       request->format->data.len, answer->detail);
}

static void answer_format(struct answer *answer, const struct format *format,
			  const struct format_data *data)
{
	Fbk__Wire__Format *message = &answer->format;
	fbk__wire__format__init(message);
	message->memory = format->memory;
	message->fourcc = format->fourcc;
	message->modifier = format->modifier;
	message->device = format->device;
	message->width_min = (uint32_t)format->width.least;
	message->width_max = (uint32_t)format->width.most;
	message->height_min = (uint32_t)format->height.least;
	message->height_max = (uint32_t)format->height.most;
	message->size_min = format->size.least;
	message->size_max = format->size.most;
	message->rate_num = format->rate.num;
	message->rate_den = format->rate.den;
	message->aspect_num = format->aspect.num;
	message->aspect_den = format->aspect.den;
	memcpy(answer->aligns, format->align, sizeof(answer->aligns));
	message->align = answer->aligns;
	message->n_align = FORMAT_ALIGNS;
	for (size_t i = 0; i < ANSWER_COLORS; i++) {
		answer->colors[i] =
			i < FORMAT_COLORS ? format->color[i] : format->volume[i - FORMAT_COLORS];
	}
	message->color = answer->colors;
	message->n_color = ANSWER_COLORS;
	message->data.data = data->bytes; /* the link's: it is packed before anything else */
	message->data.len = data->size;
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_FORMAT;
	answer->message.format = message;
}

int request_link_format_get(struct client *client, struct handle *handle, const void *body,
			    int *fds, struct answer *answer)
{
	(void)fds;
	const Fbk__Wire__LinkFormatGet *request = body;
	struct format_data data;
	struct format format;
	struct link *link;
	int side;
	int r = request_find_peer(client, handle, request->epoch, &link, &side, answer);
	if (r == 0 && !link_has_peer(link)) {
		snprintf(answer->detail, FBK_REASON_SIZE, "no peer has accepted the link yet");
		r = -EPIPE;
	}
	if (r == 0) {
		r = link_format_get(link, side, request->number, &format, &data, answer->detail);
	}
	if (r == 0) {
		answer_format(answer, &format, &data);
	}
	return r;
}
