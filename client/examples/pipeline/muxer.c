// SPDX-License-Identifier: MIT
#include "muxer.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(MUXER_PADDING >= AV_INPUT_BUFFER_PADDING_SIZE, "libavcodec reads on");

struct muxer {
	AVFormatContext *format;
	AVStream *stream;
	AVPacket *packet;
	AVRational frame_time;
};

static int fail(char *error, size_t size, const char *what, int av_error)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";
	av_strerror(av_error, text, sizeof(text));
	snprintf(error, size, "%s: %s", what, text);
	return av_error == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
}

static int stream_add(struct muxer *muxer, unsigned int width, unsigned int height)
{
	muxer->stream = avformat_new_stream(muxer->format, NULL);
	if (!muxer->stream) {
		return AVERROR(ENOMEM);
	}
	muxer->stream->codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
	muxer->stream->codecpar->codec_id = AV_CODEC_ID_H264;
	muxer->stream->codecpar->width = (int)width;
	muxer->stream->codecpar->height = (int)height;
	muxer->stream->time_base = muxer->frame_time;
	muxer->stream->avg_frame_rate = av_inv_q(muxer->frame_time);
	return 0;
}

static int muxer_open(struct muxer *muxer, const char *url, unsigned int width, unsigned int height)
{
	int r = avformat_alloc_output_context2(&muxer->format, NULL, "mpegts", url);
	if (r < 0) {
		return r;
	}
	muxer->format->flags |= AVFMT_FLAG_FLUSH_PACKETS; /* each write sends the frame at once */
	muxer->packet = av_packet_alloc();
	r = muxer->packet ? stream_add(muxer, width, height) : AVERROR(ENOMEM);
	if (r >= 0) {
		r = avio_open(&muxer->format->pb, url, AVIO_FLAG_WRITE);
	}
	return r < 0 ? r : avformat_write_header(muxer->format, NULL);
}

int muxer_create(const char *url, unsigned int width, unsigned int height, unsigned int fps,
		 struct muxer **ret_muxer, char *error, size_t error_size)
{
	av_log_set_level(AV_LOG_ERROR);
	int r = avformat_network_init();
	if (r < 0) {
		return fail(error, error_size, "libavformat has no network", r);
	}
	struct muxer *muxer = calloc(1, sizeof(*muxer));
	if (!muxer) {
		return -ENOMEM;
	}
	muxer->frame_time = (AVRational){ 1, (int)fps };
	r = muxer_open(muxer, url, width, height);
	if (r < 0) {
		muxer_destroy(muxer);
		return fail(error, error_size, url, r);
	}
	*ret_muxer = muxer;
	return 0;
}

static void data_unused(void *opaque, uint8_t *data)
{
	(void)opaque;
	(void)data; /* the frame's release gives it back */
}

static int64_t time_of(const struct muxer *muxer, int64_t ns)
{
	return av_rescale_q(ns, (AVRational){ 1, 1000000000 }, muxer->stream->time_base);
}

int muxer_write(struct muxer *muxer, const struct muxer_packet *from, char *error,
		size_t error_size)
{
	AVPacket *packet = muxer->packet;
	/* libavformat lacks const here, but only reads; the mapping is read-only anyway. */
	packet->data = (uint8_t *)(uintptr_t)from->data;
	packet->size = (int)from->size;
	packet->buf = av_buffer_create(packet->data, from->size + MUXER_PADDING, data_unused, NULL,
				       AV_BUFFER_FLAG_READONLY);
	if (!packet->buf) {
		av_packet_unref(packet);
		return -ENOMEM;
	}
	packet->stream_index = muxer->stream->index;
	packet->flags = from->key ? AV_PKT_FLAG_KEY : 0;
	packet->pts = time_of(muxer, from->pts_ns);
	packet->dts = time_of(muxer, from->dts_ns);
	packet->duration = time_of(muxer, from->duration_ns);
	int r = av_write_frame(muxer->format, packet);
	av_packet_unref(packet);
	if (r >= 0) {
		avio_flush(muxer->format->pb);
		r = muxer->format->pb->error;
	}
	return r < 0 ? fail(error, error_size, "the stream can't be written", r) : 0;
}

int muxer_end(struct muxer *muxer, char *error, size_t error_size)
{
	int r = av_write_trailer(muxer->format);
	if (r >= 0) {
		avio_flush(muxer->format->pb);
		r = muxer->format->pb->error;
	}
	return r < 0 ? fail(error, error_size, "the stream can't be ended", r) : 0;
}

void muxer_destroy(struct muxer *muxer)
{
	if (!muxer) {
		return;
	}
	if (muxer->format) {
		avio_closep(&muxer->format->pb);
		avformat_free_context(muxer->format);
	}
	av_packet_free(&muxer->packet);
	free(muxer);
}
