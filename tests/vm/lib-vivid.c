// SPDX-License-Identifier: MIT
#include "lib-vivid.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../integration/lib-daemon.h"

int vivid_open(void)
{
	for (int i = 0; i < 16; i++) {
		struct v4l2_capability capability = { 0 };
		char path[32];
		snprintf(path, sizeof(path), "/dev/video%d", i);
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 && ioctl(fd, VIDIOC_QUERYCAP, &capability) == 0 &&
		    strcmp((const char *)capability.driver, "vivid") == 0 &&
		    capability.device_caps & V4L2_CAP_VIDEO_CAPTURE) {
			return fd;
		}
		if (fd >= 0) {
			close(fd);
		}
	}
	return -ENODEV;
}

static void hdmi_choose(int fd)
{
	struct v4l2_input input = { 0 };
	while (strncmp((const char *)input.name, "HDMI", 4) != 0) {
		ck_assert_int_eq(ioctl(fd, VIDIOC_ENUMINPUT, &input), 0);
		input.index++;
	}
	int index = (int)input.index - 1;
	ck_assert_int_eq(ioctl(fd, VIDIOC_S_INPUT, &index), 0);
}

void vivid_set_up(int fd, uint32_t memory, uint32_t buffers)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct v4l2_requestbuffers request = {
		.count = buffers,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = memory,
	};
	hdmi_choose(fd);
	format.fmt.pix.width = VIVID_WIDTH;
	format.fmt.pix.height = VIVID_HEIGHT;
	format.fmt.pix.pixelformat = V4L2_PIX_FMT_YUYV;
	ck_assert_int_eq(ioctl(fd, VIDIOC_S_FMT, &format), 0);
	ck_assert_int_eq(ioctl(fd, VIDIOC_REQBUFS, &request), 0);
	ck_assert_uint_eq(request.count, buffers);
	ck_assert_uint_eq(format.fmt.pix.sizeimage, VIVID_SIZE);
}

void vivid_start(int fd)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	ck_assert_int_eq(ioctl(fd, VIDIOC_STREAMON, &type), 0);
}
