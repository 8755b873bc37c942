// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "painter.h"
#include "picture.h"
#include "scene.h"
#include "stamp.h"

struct painter {
	const struct options *options;
	const struct shared *pictures;
	struct scene *scene;
	struct stage *stage;
	struct lane *drawn;
};

static void cpu_close(struct painter *painter)
{
	if (painter) {
		scene_destroy(painter->scene);
		free(painter);
	}
}

static int cpu_open(const struct options *options, const struct shared *pictures, size_t count,
		    struct painter **ret_painter, char *error, size_t error_size)
{
	struct painter *painter = calloc(1, sizeof(*painter));
	if (!painter || scene_create(options->width, options->height, &painter->scene) < 0) {
		cpu_close(painter);
		strncpy(error, strerror(ENOMEM), error_size - 1);
		return -ENOMEM;
	}
	painter->options = options;
	painter->pictures = pictures;
	(void)count;
	*ret_painter = painter;
	return 0;
}

static const char *cpu_name(const struct painter *painter)
{
	(void)painter;
	return "the CPU";
}

static bool cpu_software(const struct painter *painter)
{
	(void)painter;
	return true;
}

static void cpu_describe(const struct painter *painter, struct fbk_device_desc *ret_desc)
{
	(void)painter;
	*ret_desc = (struct fbk_device_desc){
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
}

static int cpu_meet(struct painter *painter, struct stage *stage, struct lane *drawn)
{
	painter->stage = stage;
	painter->drawn = drawn;
	return 0;
}

static struct picture picture_of(const struct painter *painter, size_t index)
{
	return picture_at(painter->pictures[index].memory, painter->options->width,
			  painter->options->height);
}

static int cpu_begin(struct painter *painter, size_t index, uint64_t frame)
{
	struct picture picture = picture_of(painter, index);
	(void)frame;
	stamp_write(&picture, NOT_DRAWN);
	return 0;
}

static int cpu_signal(struct painter *painter, size_t index, uint64_t frame)
{
	(void)index;
	return stage_signal(painter->stage, painter->drawn, frame);
}

static int cpu_draw(struct painter *painter, size_t index, uint64_t frame, bool signal)
{
	struct picture picture = picture_of(painter, index);
	scene_draw(painter->scene, &picture, (uint32_t)frame);
	stamp_write(&picture, (uint32_t)frame);
	return signal ? cpu_signal(painter, index, frame) : 0;
}

const struct painter_kind painter_cpu = {
	.open = cpu_open,
	.close = cpu_close,
	.name = cpu_name,
	.software = cpu_software,
	.describe = cpu_describe,
	.meet = cpu_meet,
	.begin = cpu_begin,
	.draw = cpu_draw,
	.signal = cpu_signal,
};
