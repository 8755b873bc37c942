// SPDX-License-Identifier: MIT
/*
 * Decodes a stream and reads the frame numbers from its pictures. Prints a JSON object; fails unless the
 * numbers are 1, 2, 3, ... without a gap.
 */
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "stamp.h"

struct verify {
	AVFormatContext *format;
	AVCodecContext *codec;
	AVPacket *packet;
	AVFrame *frame;
	int stream;
	uint64_t decoded, wrong;
	uint32_t last;
};

static int verify_open(struct verify *verify, const char *path)
{
	const AVCodec *codec;
	int r = avformat_open_input(&verify->format, path, NULL, NULL);
	if (r >= 0) {
		r = avformat_find_stream_info(verify->format, NULL);
	}
	if (r >= 0) {
		r = av_find_best_stream(verify->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
	}
	if (r < 0) {
		return r;
	}
	verify->stream = r;
	verify->codec = avcodec_alloc_context3(codec);
	verify->packet = av_packet_alloc();
	verify->frame = av_frame_alloc();
	if (!verify->codec || !verify->packet || !verify->frame) {
		return AVERROR(ENOMEM);
	}
	r = avcodec_parameters_to_context(verify->codec,
					  verify->format->streams[verify->stream]->codecpar);
	return r < 0 ? r : avcodec_open2(verify->codec, codec, NULL);
}

static void frame_check(struct verify *verify)
{
	AVFrame *frame = verify->frame;
	struct picture picture = { .width = (unsigned int)frame->width,
				   .height = (unsigned int)frame->height };
	uint32_t number = 0;
	for (int i = 0; i < PICTURE_PLANES; i++) {
		picture.planes[i] = frame->data[i];
		picture.strides[i] = (size_t)frame->linesize[i];
	}
	verify->decoded++;
	if (frame->format != AV_PIX_FMT_YUV420P || stamp_read(&picture, &number) < 0) {
		fprintf(stderr, "verify: picture %" PRIu64 " holds no frame number\n",
			verify->decoded);
		verify->wrong++;
	} else if (number != verify->last + 1) {
		fprintf(stderr, "verify: frame %u comes after frame %u\n", number, verify->last);
		verify->wrong++;
	}
	verify->last = number;
}

static int frames_take(struct verify *verify)
{
	int r;
	while ((r = avcodec_receive_frame(verify->codec, verify->frame)) >= 0) {
		frame_check(verify);
	}
	return r == AVERROR(EAGAIN) || r == AVERROR_EOF ? 0 : r;
}

static int verify_run(struct verify *verify)
{
	int r = 0;
	while (r >= 0 && av_read_frame(verify->format, verify->packet) >= 0) {
		if (verify->packet->stream_index == verify->stream) {
			r = avcodec_send_packet(verify->codec, verify->packet);
			r = r < 0 ? r : frames_take(verify);
		}
		av_packet_unref(verify->packet);
	}
	if (r >= 0) {
		r = avcodec_send_packet(verify->codec, NULL);
	}
	return r < 0 ? r : frames_take(verify);
}

static void verify_finish(struct verify *verify)
{
	avcodec_free_context(&verify->codec);
	avformat_close_input(&verify->format);
	av_packet_free(&verify->packet);
	av_frame_free(&verify->frame);
}

int main(int argc, char **argv)
{
	char text[AV_ERROR_MAX_STRING_SIZE];
	struct verify verify = { .stream = -1 };
	if (argc != 2 || argv[1][0] == '-') {
		printf("Usage: %s FILE\n", argv[0]);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? EXIT_SUCCESS : 2;
	}
	av_log_set_level(AV_LOG_ERROR);
	int r = verify_open(&verify, argv[1]);
	if (r >= 0) {
		r = verify_run(&verify);
	}
	verify_finish(&verify);
	if (r < 0) {
		av_strerror(r, text, sizeof(text));
		fprintf(stderr, "verify: %s: %s\n", argv[1], text);
		return EXIT_FAILURE;
	}
	printf("{ \"frames_decoded\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"last\": %u }\n",
	       verify.decoded, verify.wrong, verify.last);
	return verify.wrong > 0 || verify.decoded == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
