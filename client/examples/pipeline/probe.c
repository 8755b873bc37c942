// SPDX-License-Identifier: MIT
/*
 * A second consumer: a device with memory fences that reads the number in each picture, when it is drawn and
 * again at the end, and releases it at its own pace.
 */
#include "intake.h"
#include "stage.h"

static int probe_frame(struct intake *intake)
{
	int r = intake_next(intake);
	if (r == 0) {
		r = intake_picture(intake);
	}
	if (r == 0) {
		r = intake_wait(intake);
	}
	if (r == 0) {
		r = intake_check(intake, "before it is read");
	}
	if (r == 0) {
		r = intake_check(intake, "after it was read");
	}
	if (r == 0) {
		r = intake_release(intake);
	}
	if (r == 0) {
		stats_frame(&intake->stage->stats);
	}
	return r;
}

static int run(struct intake *intake, struct stage *stage)
{
	int r = intake_meet(intake, stage);
	if (r == 0) {
		r = intake_open(intake, 1, &stage->stats.handovers[0]);
	}
	while (r == 0 && !intake->last) {
		r = probe_frame(intake);
	}
	return r == 0 ? intake_end(intake) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "probe" };
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_CPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct intake intake = { .channel.fd = -1 };
	struct stage stage = { 0 };
	int status = 2;
	if (options_parse(&options, argc, argv, "l", &status) < 0) {
		return status;
	}
	if (stage_start(&stage, &options, &desc) == 0) {
		run(&intake, &stage);
	}
	status = stage_finish(&stage);
	intake_finish(&intake);
	return status;
}
