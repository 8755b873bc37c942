// SPDX-License-Identifier: MIT
#include "lane.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "client/lib/error.h"
#include "client/lib/timeline.h"

static void *lane_page(const struct lane *lane)
{
	return lane->timeline->payload_map->memory;
}

int lane_send(const struct lane *lane, const struct lane_entry *entry)
{
	lane_entry_write(lane_page(lane), entry);
	return fbk_timeline_signal(lane->timeline, entry->sequence);
}

int lane_receive(const struct lane *lane, uint64_t sequence, struct lane_entry *ret_entry)
{
	struct lane_entry entry;
	if (!lane_entry_read(lane_page(lane), sequence, &entry) || entry.index >= FBK_BUFFERS_MAX ||
	    entry.timeline > FBK_LANE_POINTS || entry.result > 0 || entry.result < -4095 ||
	    (entry.timeline > 0 && (entry.value == 0 || entry.value > FBK_POINT_MAX))) {
		return error_set(-EPROTO, "the peer's frame %llu is invalid",
				 (unsigned long long)sequence);
	}
	*ret_entry = entry;
	return 0;
}

void lane_close_syncobjs(struct lane *lane)
{
	for (uint32_t i = 0; i <= FBK_LANE_POINTS; i++) {
		if (lane->syncobjs[i] > 0) {
			close(lane->syncobjs[i]);
		}
	}
}

void lane_drop(struct lane *lane)
{
	lane_close_syncobjs(lane);
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		fbk_timeline_close(lane->points[i]);
	}
	fbk_timeline_close(lane->timeline);
	*lane = (struct lane){ 0 };
}

/* Made when it is first asked for. */
int lane_syncobj(struct lane *lane, struct fbk_timeline *timeline, int *ret_fd)
{
	struct fbk_mirror *mirror;
	uint32_t number = FBK_LANE_POINTS;
	while (number > 0 && lane->points[number] != timeline) {
		number--; /* to 0: the lane's own */
	}
	if (lane->syncobjs[number] == 0) {
		int fd;
		int r = fbk_syncobj_create(timeline->context, &fd);
		if (r < 0) {
			return r;
		}
		r = fbk_mirror_to_syncobj(timeline, fd, &mirror);
		if (r < 0) {
			close(fd);
			return r;
		}
		lane->syncobjs[number] = fd;
	}
	int fd = fcntl(lane->syncobjs[number], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return error_plain(-errno);
	}
	*ret_fd = fd;
	return 0;
}
