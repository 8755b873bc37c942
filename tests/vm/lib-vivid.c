// SPDX-License-Identifier: MIT
#include "lib-vivid.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
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

static bool is_vivid_thread(const char *pid)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	FILE *file = fopen(path, "re");
	bool is = file && fgets(name, sizeof(name), file) &&
		  strncmp(name, "vivid-000-vid-c", 15) == 0;
	if (file) {
		fclose(file);
	}
	return is;
}

void vivid_start(int fd)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE, found = 0;
	ck_assert_int_eq(ioctl(fd, VIDIOC_STREAMON, &type), 0);
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	EXPECT(processes);
	while ((entry = readdir(processes))) {
		if (is_vivid_thread(entry->d_name)) {
			id_t pid = (id_t)strtoul(entry->d_name, NULL, 10);
			EXPECT(setpriority(PRIO_PROCESS, pid, -20) == 0);
			found++;
		}
	}
	closedir(processes);
	ck_assert_int_eq(found, 1);
}
