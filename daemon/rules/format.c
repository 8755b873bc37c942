// SPDX-License-Identifier: MIT
#include "format.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/include/fencebroker.h"

/* ------------------------------------------------------------------------------------ checking -- */

static bool range_good(const struct format_range *range)
{
	return range->least <= range->most;
}

static bool ratio_good(const struct format_ratio *ratio)
{
	return (ratio->num == 0) == (ratio->den == 0);
}

int format_check(const struct format *format, char *detail)
{
	if (format->memory != FBK_MEMORY_DMABUF && format->memory != FBK_MEMORY_MEMFD) {
		snprintf(detail, FBK_REASON_SIZE,
			 "a format's memory is 1 (dma-buf) or 2 (memfd), not %u", format->memory);
		return -EINVAL;
	}
	if (!range_good(&format->width) || !range_good(&format->height) ||
	    !range_good(&format->size)) {
		snprintf(detail, FBK_REASON_SIZE, "a range of a format ends before it begins");
		return -EINVAL;
	}
	if (!ratio_good(&format->rate) || !ratio_good(&format->aspect)) {
		snprintf(detail, FBK_REASON_SIZE, "a ratio of a format has one number that is 0");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < FORMAT_ALIGNS; i++) {
		if (format->align[i] > FORMAT_ALIGN_MAX) {
			snprintf(detail, FBK_REASON_SIZE, "an alignment of %u is above %u",
				 format->align[i], FORMAT_ALIGN_MAX);
			return -EINVAL;
		}
	}
	return 0;
}

/* ------------------------------------------------------------------------------------- joining -- */

/* How far two formats go together; the last one that any pair reaches names what is missing. */
enum stage {
	STAGE_MEMORY,
	STAGE_FOURCC,
	STAGE_MODIFIER,
	STAGE_DEVICE,
	STAGE_WIDTH,
	STAGE_HEIGHT,
	STAGE_SIZE,
	STAGE_ALIGN,
	STAGE_RATE,
	STAGE_ASPECT,
	STAGE_COLOR,
	STAGE_ALL,
};

static const char *const stage_names[] = {
	[STAGE_MEMORY] = "kind of memory",
	[STAGE_FOURCC] = "DRM format",
	[STAGE_MODIFIER] = "modifier",
	[STAGE_DEVICE] = "device",
	[STAGE_WIDTH] = "width",
	[STAGE_HEIGHT] = "height",
	[STAGE_SIZE] = "size",
	[STAGE_ALIGN] = "alignment",
	[STAGE_RATE] = "frame rate",
	[STAGE_ASPECT] = "pixel aspect",
	[STAGE_COLOR] = "color",
};

static bool range_join(const struct format_range *one, const struct format_range *other,
		       struct format_range *ret)
{
	if (one->most == 0 || other->most == 0) {
		*ret = one->most == 0 ? *other : *one;
		return true;
	}
	ret->least = one->least > other->least ? one->least : other->least;
	ret->most = one->most < other->most ? one->most : other->most;
	return ret->least <= ret->most;
}

static uint32_t common_divisor(uint32_t one, uint32_t other)
{
	while (other > 0) {
		uint32_t rest = one % other;
		one = other;
		other = rest;
	}
	return one;
}

static bool align_join(uint32_t one, uint32_t other, uint32_t *ret)
{
	one = one ? one : 1;
	other = other ? other : 1;
	uint64_t multiple = (uint64_t)one / common_divisor(one, other) * other;
	*ret = (uint32_t)multiple;
	return multiple <= FORMAT_ALIGN_MAX;
}

static bool aligns_join(const struct format *one, const struct format *other, struct format *ret)
{
	for (unsigned int i = 0; i < FORMAT_ALIGNS; i++) {
		if (!align_join(one->align[i], other->align[i], &ret->align[i])) {
			return false;
		}
	}
	return true;
}

/* The same ratio may have other numbers. */
static bool ratio_join(struct format_ratio one, struct format_ratio other, struct format_ratio *ret)
{
	*ret = one.den ? one : other;
	return !one.den || !other.den ||
	       (uint64_t)one.num * other.den == (uint64_t)other.num * one.den;
}

static bool colors_join(const struct format *one, const struct format *other, struct format *ret)
{
	for (unsigned int i = 0; i < FORMAT_COLORS; i++) {
		ret->color[i] = one->color[i] ? one->color[i] : other->color[i];
		if (other->color[i] && ret->color[i] != other->color[i]) {
			return false;
		}
	}
	return true;
}

/* The producer's, where it states them. */
static void volumes_join(const struct format *one, const struct format *other, struct format *ret)
{
	static const uint32_t none[FORMAT_VOLUMES];
	bool stated = memcmp(one->volume, none, sizeof(none)) != 0;
	memcpy(ret->volume, stated ? one->volume : other->volume, sizeof(none));
}

static enum stage stage_join(const struct format *one, const struct format *other,
			     struct format *ret)
{
	*ret = *one;
	ret->data = 0;
	volumes_join(one, other, ret);
	if (one->memory != other->memory) {
		return STAGE_MEMORY;
	}
	if (one->fourcc != other->fourcc) {
		return STAGE_FOURCC;
	}
	if (one->modifier != other->modifier) {
		return STAGE_MODIFIER;
	}
	if (one->device && other->device && one->device != other->device) {
		return STAGE_DEVICE;
	}
	ret->device = one->device ? one->device : other->device;
	return !range_join(&one->width, &other->width, &ret->width)      ? STAGE_WIDTH
	       : !range_join(&one->height, &other->height, &ret->height) ? STAGE_HEIGHT
	       : !range_join(&one->size, &other->size, &ret->size)       ? STAGE_SIZE
	       : !aligns_join(one, other, ret)                           ? STAGE_ALIGN
	       : !ratio_join(one->rate, other->rate, &ret->rate)         ? STAGE_RATE
	       : !ratio_join(one->aspect, other->aspect, &ret->aspect)   ? STAGE_ASPECT
	       : !colors_join(one, other, ret)                           ? STAGE_COLOR
									 : STAGE_ALL;
}

int format_join(const struct format *producer, const struct format *consumer,
		struct format *ret_joined)
{
	struct format joined;
	if (stage_join(producer, consumer, &joined) != STAGE_ALL) {
		return -ENOENT;
	}
	*ret_joined = joined;
	return 0;
}

/* ------------------------------------------------------------------------------------- a buffer -- */

static bool range_has(const struct format_range *range, uint32_t number)
{
	return range->most == 0 || (number >= range->least && number <= range->most);
}

static bool align_has(uint32_t align, uint64_t number)
{
	return align == 0 || number % align == 0;
}

bool format_fits(const struct format *format, const struct format_buffer *buffer)
{
	bool fits = buffer->memory == format->memory && buffer->fourcc == format->fourcc &&
		    buffer->modifier == format->modifier &&
		    range_has(&format->width, buffer->width) &&
		    range_has(&format->height, buffer->height) &&
		    align_has(format->align[FORMAT_ALIGN_WIDTH], buffer->width) &&
		    align_has(format->align[FORMAT_ALIGN_HEIGHT], buffer->height);
	for (uint32_t i = 0; fits && i < buffer->plane_count; i++) {
		fits = align_has(format->align[FORMAT_ALIGN_STRIDE], buffer->stride[i]) &&
		       align_has(format->align[FORMAT_ALIGN_OFFSET], buffer->offset[i]);
	}
	return fits;
}

/* ---------------------------------------------------------------------------------- two lists -- */

static void fourcc_name(uint32_t fourcc, char ret_name[8])
{
	for (unsigned int i = 0; i < 4; i++) {
		char letter = (char)(fourcc >> (8 * i));
		ret_name[i] = letter >= ' ' && letter <= '~' ? letter : '?';
	}
	ret_name[4] = '\0';
	if (fourcc == 0) {
		strcpy(ret_name, "bytes");
	}
}

void format_name(uint32_t memory, uint32_t fourcc, uint64_t modifier, char *ret_name, size_t size)
{
	char letters[8];
	fourcc_name(fourcc, letters);
	snprintf(ret_name, size, "%s (%s, modifier 0x%llx)", letters,
		 memory == FBK_MEMORY_DMABUF ? "dma-buf" : "memfd", (unsigned long long)modifier);
}

static void reason_write(enum stage stage, const struct format *producer,
			 const struct format *consumer, char *detail)
{
	char one[56], other[56];
	format_name(producer->memory, producer->fourcc, producer->modifier, one, sizeof(one));
	format_name(consumer->memory, consumer->fourcc, consumer->modifier, other, sizeof(other));
	snprintf(detail, FBK_REASON_SIZE, "no common format: the %s differs: %s, and %s",
		 stage_names[stage], one, other);
}

static bool pairs_have(const struct format_pair *pairs, size_t count,
		       const struct format_pair *pair, const struct format *producer,
		       const struct format *consumer)
{
	for (size_t i = 0; i < count; i++) {
		if (memcmp(&pairs[i].joined, &pair->joined, sizeof(pair->joined)) == 0 &&
		    producer[pairs[i].producer].data == producer[pair->producer].data &&
		    consumer[pairs[i].consumer].data == consumer[pair->consumer].data) {
			return true;
		}
	}
	return false;
}

static size_t copy_all(const struct format *formats, size_t count, bool producer,
		       struct format_pair *ret_pairs, size_t size)
{
	size_t found = 0;
	for (; found < count && found < size; found++) {
		ret_pairs[found] = (struct format_pair){
			.joined = formats[found],
			.producer = producer ? (uint32_t)found : UINT32_MAX,
			.consumer = producer ? UINT32_MAX : (uint32_t)found,
		};
		ret_pairs[found].joined.data = 0;
	}
	return found;
}

size_t formats_join(const struct format *producer, size_t producer_count,
		    const struct format *consumer, size_t consumer_count,
		    struct format_pair *ret_pairs, size_t size, char *detail)
{
	enum stage best = STAGE_MEMORY;
	size_t best_one = 0, best_other = 0, count = 0;
	if (producer_count == 0 || consumer_count == 0) {
		return producer_count ? copy_all(producer, producer_count, true, ret_pairs, size)
				      : copy_all(consumer, consumer_count, false, ret_pairs, size);
	}
	for (size_t i = 0; i < producer_count; i++) {
		for (size_t j = 0; j < consumer_count && count < size; j++) {
			struct format_pair pair = { .producer = (uint32_t)i,
						    .consumer = (uint32_t)j };
			enum stage stage = stage_join(&producer[i], &consumer[j], &pair.joined);
			if (stage == STAGE_ALL &&
			    !pairs_have(ret_pairs, count, &pair, producer, consumer)) {
				ret_pairs[count++] = pair;
			} else if (stage > best) {
				best = stage;
				best_one = i;
				best_other = j;
			}
		}
	}
	if (count == 0) {
		reason_write(best, &producer[best_one], &consumer[best_other], detail);
	}
	return count;
}
