// SPDX-License-Identifier: MIT
#include "link-table.h"

/* The lane of an end, as a table. */
static struct timeline *side_lane(const struct link *link, uint32_t side,
				  struct lane_page *ret_page)
{
	struct timeline *lane = link->from ? link_lane(&link->sides[side]) : NULL;
	if (!lane) {
		return NULL;
	}
	const struct page *page = lane->slot.page;
	struct lane_geometry geometry = timeline_geometry(lane);
	return lane_page_init(ret_page, page->memory, page->size, &geometry) == 0 ? lane : NULL;
}

static struct timeline *frames_of(const struct link *link, struct lane_page *ret_page)
{
	return side_lane(link, link->producer, ret_page);
}

static struct timeline *returns_of(const struct link *link, struct lane_page *ret_page)
{
	return side_lane(link, !link->producer, ret_page);
}

static enum link_place place_of(const struct link *link, uint32_t index, uint64_t handed,
				uint64_t returned)
{
	if (handed <= returned || handed < link->from) {
		return LINK_AT_PRODUCER;
	}
	struct claim_page claims = link_claims(link);
	switch (claim_of(&claims, index, handed)) {
	case FBK_CLAIM_TAKEN:
		return LINK_AT_CONSUMER;
	case FBK_CLAIM_RETRACTED:
		return LINK_AT_PRODUCER;
	default: /* either end may write what it likes, and is not hidden by it */
		return LINK_OFFERED;
	}
}

bool link_place(const struct link *link, uint32_t index, struct link_place_of *ret_place)
{
	struct lane_page frames, returns;
	struct lane_frame frame;
	*ret_place = (struct link_place_of){ .place = LINK_AT_PRODUCER };
	if (!frames_of(link, &frames) || !returns_of(link, &returns) || !link->claims) {
		return false;
	}
	uint64_t handed = lane_frame_sequence(&frames, index);
	ret_place->sequence = handed;
	ret_place->place = place_of(link, index, handed, lane_returned(&returns, index));
	if (lane_frame_read(&frames, index, handed, &frame)) {
		ret_place->deadline_ns = frame.deadline_ns;
	}
	return true;
}

struct timeline *link_frame(const struct link *link, uint64_t *ret_sequence,
			    uint64_t *ret_deadline_ns)
{
	struct lane_page returns;
	struct timeline *back = returns_of(link, &returns);
	bool any = false;
	for (uint32_t index = 0; back && index < FBK_BUFFERS_MAX; index++) {
		struct link_place_of place;
		if (link->buffers[index].fd_count == 0 || !link_place(link, index, &place) ||
		    place.place == LINK_AT_PRODUCER) {
			continue;
		}
		if (!any || place.deadline_ns < *ret_deadline_ns) {
			any = true;
			*ret_sequence = place.sequence;
			*ret_deadline_ns = place.deadline_ns;
		}
	}
	return any ? back : NULL;
}

bool link_last_frame(const struct link *link, uint32_t index, struct lane_frame *ret_frame)
{
	struct lane_page frames;
	return frames_of(link, &frames) &&
	       lane_frame_read(&frames, index, lane_frame_sequence(&frames, index), ret_frame);
}

bool link_last_return(const struct link *link, uint32_t index, struct lane_return *ret_back)
{
	struct lane_page returns;
	return returns_of(link, &returns) &&
	       lane_return_read(&returns, index, lane_returned(&returns, index), ret_back);
}

uint64_t link_handed(const struct link *link)
{
	struct lane_page page;
	struct timeline *lane = frames_of(link, &page);
	return lane ? lane_value(lane) : 0;
}

uint64_t link_returned(const struct link *link)
{
	struct lane_page page;
	struct timeline *lane = returns_of(link, &page);
	return lane ? lane_value(lane) : 0;
}

uint32_t link_dropped(const struct link *link)
{
	struct lane_page frames;
	uint32_t dropped = 0;
	if (!link->claims || !frames_of(link, &frames)) {
		return 0;
	}
	struct claim_page claims = link_claims(link);
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		uint64_t handed = lane_frame_sequence(&frames, index);
		dropped += handed > 0 && handed >= link->from &&
			   claim_of(&claims, index, handed) == FBK_CLAIM_RETRACTED;
	}
	return dropped;
}

static const struct link_side *side_of_lane(const struct link *link, const struct timeline *lane)
{
	for (int i = 0; i < 2; i++) {
		if (link->sides[i].client && link->sides[i].lane.id == lane->id) {
			return &link->sides[i];
		}
	}
	return NULL;
}

const struct link *link_of_lane(const struct timeline *lane)
{
	const struct link *link;
	if (lane->lane) {
		LIST_FOREACH(link, &timeline_registry(lane)->links, links) {
			if (side_of_lane(link, lane)) {
				return link;
			}
		}
	}
	return NULL;
}

bool link_wants_frames(const struct link *link)
{
	struct lane_page frames, returns;
	return frames_of(link, &frames) && returns_of(link, &returns) && !lane_stopped(&frames) &&
	       !(lane_wishes_read(&returns).pauses & 1);
}
