// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"

#define NAME_LENGTH 20

static const struct option long_options[] = {
	{ "name", required_argument, NULL, 'N' },
	{ "socket", required_argument, NULL, 'S' },
	{ "listen", required_argument, NULL, 'l' },
	{ "connect", required_argument, NULL, 'c' },
	{ "display", required_argument, NULL, 'D' },
	{ "device", required_argument, NULL, 'V' },
	{ "card", required_argument, NULL, 'C' },
	{ "fences", required_argument, NULL, 'F' },
	{ "promise", no_argument, NULL, 'p' },
	{ "stats", required_argument, NULL, 'o' },
	{ "url", required_argument, NULL, 'u' },
	{ "size", required_argument, NULL, 's' },
	{ "fps", required_argument, NULL, 'f' },
	{ "seconds", required_argument, NULL, 'n' },
	{ "b-frames", required_argument, NULL, 'b' },
	{ "delay-ms", required_argument, NULL, 'd' },
	{ "deadline-ms", required_argument, NULL, 't' },
	{ "renderer", required_argument, NULL, 'r' },
	{ "stop-at", required_argument, NULL, 'x' },
	{ "early", no_argument, NULL, 'e' },
	{ "check", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char help_text[] =
	"  --name NAME        of this process (default: its kind)\n"
	"  --socket PATH      the daemon's socket\n"
	"  --listen PATH      where the process before this one connects (all but render, "
	"capture)\n"
	"  --connect PATH     where the process after this one listens (all but show, send, "
	"probe);\n"
	"                     repeat it for several that read the same pictures\n"
	"  --device PATH      a V4L2 device (capture; default: generated pictures)\n"
	"  --display PATH     where the display listens (encode; default: no display)\n"
	"  --card PATH        the card that drives the display (show; default: the first that "
	"can)\n"
	"  --fences KIND      of devices without memory fences: eventfd (default) or sync_file,\n"
	"                     which the kernel's vgem driver makes\n"
	"  --promise          ask for sync_files before their points are reached (encode, show)\n"
	"  --url URL          where the stream goes (send)\n"
	"  --size WxH         of the picture (render, capture; default 640x360)\n"
	"  --fps N            frames a second (render, capture; default 30)\n"
	"  --seconds N        how long to draw (render, capture; default 5)\n"
	"  --b-frames N       encode that many pictures between two others that come later "
	"(encode;\n"
	"                     default 0, at most 3)\n"
	"  --delay-ms N       draw that much slower (render; default 0)\n"
	"  --deadline-ms N    how long any wait may take (default 2000)\n"
	"  --stats FILE       write counts and latencies there\n"
	"  --renderer KIND    vulkan, cpu, or auto (default): Vulkan where there is a device "
	"(render)\n"
	"  --stop-at N        submit frame N, then stop until SIGCONT (render)\n"
	"  --early            signal each frame before it is drawn, which is wrong (render)\n"
	"  --check            check the arguments, and do nothing else\n"
	"  --help             show this\n";

static int number_parse(const char *text, unsigned int min, unsigned int max,
			unsigned int *ret_number)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (errno || end == text || *end != '\0' || text[0] == '-' || number < min ||
	    number > max) {
		fprintf(stderr, "not a number from %u to %u: %s\n", min, max, text);
		return -EINVAL;
	}
	*ret_number = (unsigned int)number;
	return 0;
}

static int size_parse(const char *text, struct options *options)
{
	const char *why = "expected WIDTHxHEIGHT, like 640x360";
	char rest;
	unsigned int width, height;
	if (strlen(text) > 9 || sscanf(text, "%ux%u%c", &width, &height, &rest) != 2 ||
	    picture_check_size(width, height, &why) < 0) {
		fprintf(stderr, "not a picture size: %s: %s\n", text, why);
		return -EINVAL;
	}
	options->width = width;
	options->height = height;
	return 0;
}

static int fences_parse(const char *text, struct options *options)
{
	options->sync_files = strcmp(text, "sync_file") == 0;
	if (!options->sync_files && strcmp(text, "eventfd") != 0) {
		fprintf(stderr, "unknown kind of fences: %s (eventfd or sync_file)\n", text);
		return -EINVAL;
	}
	return 0;
}

static int renderer_parse(const char *text, struct options *options)
{
	static const char *const names[] = { "auto", "vulkan", "cpu" };
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			options->renderer = i;
			return 0;
		}
	}
	fprintf(stderr, "unknown renderer: %s (vulkan, cpu or auto)\n", text);
	return -EINVAL;
}

static int connect_add(struct options *options, const char *path)
{
	if (options->connect_count == OPTIONS_CONNECTS) {
		fprintf(stderr, "%s: more than %d times --connect\n", options->name,
			OPTIONS_CONNECTS);
		return -EINVAL;
	}
	options->connects[options->connect_count++] = path;
	return 0;
}

static int option_take(struct options *options, int option, const char *value)
{
	switch (option) {
	case 'N':
		options->name = value;
		return strlen(value) > NAME_LENGTH ? -EINVAL : 0;
	case 'V':
		options->device = value;
		return 0;
	case 'S':
		options->socket = value;
		return 0;
	case 'l':
		options->listen = value;
		return 0;
	case 'c':
		return connect_add(options, value);
	case 'D':
		options->display = value;
		return 0;
	case 'C':
		options->card = value;
		return 0;
	case 'F':
		return fences_parse(value, options);
	case 'p':
		options->promise = true;
		return 0;
	case 'o':
		options->stats = value;
		return 0;
	case 'u':
		options->url = value;
		return 0;
	case 's':
		return size_parse(value, options);
	case 'f':
		return number_parse(value, 1, 240, &options->fps);
	case 'n':
		return number_parse(value, 1, 86400, &options->seconds);
	case 'd':
		return number_parse(value, 0, 60000, &options->delay_ms);
	case 'b':
		return number_parse(value, 0, OPTIONS_B_FRAMES, &options->b_frames);
	case 't':
		return number_parse(value, 10, 60000, &options->deadline_ms);
	case 'r':
		return renderer_parse(value, options);
	case 'x':
		return number_parse(value, 1, UINT_MAX, &options->stop_at);
	case 'k':
		options->check = true;
		return 0;
	case 'e':
		options->early = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static bool options_complete(const struct options *options, const char *needed)
{
	if (options->promise && !options->sync_files) {
		fprintf(stderr,
			"only sync_files can be promised: --promise needs --fences sync_file\n");
		return false;
	}
	const struct {
		char letter;
		const char *name, *value;
	} paths[] = {
		{ 'l', "--listen", options->listen },
		{ 'c', "--connect", options->connects[0] },
		{ 'u', "--url", options->url },
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (strchr(needed, paths[i].letter) && !paths[i].value) {
			fprintf(stderr, "%s: %s is missing\n", options->name, paths[i].name);
			return false;
		}
	}
	return true;
}

int options_parse(struct options *options, int argc, char **argv, const char *needed, int *ret_exit)
{
	int option;
	*ret_exit = 2;
	*options = (struct options){ .name = options->name,
				     .width = 640,
				     .height = 360,
				     .fps = 30,
				     .seconds = 5,
				     .deadline_ms = 2000 };
	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
		if (option == 'h') {
			printf("Usage: %s [OPTION]...\n%s", argv[0], help_text);
			*ret_exit = 0;
			return -1;
		}
		if (option_take(options, option, optarg) < 0) {
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: unexpected argument: %s\n", options->name, argv[optind]);
		return -1;
	}
	if (!options_complete(options, needed)) {
		return -1;
	}
	*ret_exit = options->check ? 0 : *ret_exit;
	return options->check ? -1 : 0;
}
