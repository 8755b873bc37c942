// SPDX-License-Identifier: MIT
#include "encoder.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stamp.h"

#define BIT_RATE_MIN   800000
#define PIXELS_PER_BIT 5 /* a bit rate of 1/5 bit a pixel */
#define VBV_PER_SECOND 4 /* no frame exceeds a quarter second of bit rate */

struct encoder {
	AVCodecContext *codec;
	AVFrame *frame;
	AVPacket *packet;
	struct encoder_job *job; /* the running one */
	size_t wanted;           /* bytes needed, if the slot was too small */
	bool placed;             /* libavcodec got the slot for its bitstream */
};

static int fail(char *error, size_t size, int r, const char *what, int av_error)
{
	char text[AV_ERROR_MAX_STRING_SIZE] = "";
	av_strerror(av_error, text, sizeof(text));
	snprintf(error, size, "%s: %s", what, text);
	return r;
}

static void job_check_stamp(struct encoder_job *job)
{
	uint32_t number = 0;
	int r = stamp_read(&job->picture, &number);
	job->checks++;
	if (r < 0 || number != (uint32_t)job->frame) {
		job->mismatches++;
		job->found = r < 0 ? 0 : number;
	}
}

static void output_signal(const struct encoder_job *job, struct encoder_output *output)
{
	board_note(output->board, job->frame);
	job->fences->signal(&output->fence);
}

static void picture_show(struct encoder_job *job)
{
	if (job->canvas.memory) {
		canvas_draw(&job->canvas, &job->picture);
		output_signal(job, &job->shown);
	}
}

/* libavcodec dropped its last reference: the device no longer reads the picture. */
static void picture_released(void *opaque, uint8_t *data)
{
	(void)data;
	struct encoder_job *job = opaque;
	job_check_stamp(job);
	output_signal(job, &job->released);
}

static void slot_unused(void *opaque, uint8_t *data)
{
	(void)opaque;
	(void)data; /* the sender owns it now */
}

/* The bitstream goes directly into the slot. */
static int place_packet(AVCodecContext *codec, AVPacket *packet, int flags)
{
	(void)flags;
	struct encoder *encoder = codec->opaque;
	struct slot slot = encoder->job->slot;
	size_t wanted = (size_t)packet->size + AV_INPUT_BUFFER_PADDING_SIZE;
	if (wanted > slot_capacity(slot)) {
		encoder->wanted = wanted;
		return AVERROR(ENOSPC);
	}
	packet->data = slot_data(slot);
	packet->buf = av_buffer_create(packet->data, wanted, slot_unused, NULL, 0);
	if (!packet->buf) {
		return AVERROR(ENOMEM);
	}
	memset(packet->data + packet->size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	encoder->placed = true;
	return 0;
}

static void codec_configure(AVCodecContext *codec, unsigned int width, unsigned int height,
			    unsigned int fps)
{
	int64_t rate = (int64_t)width * height * fps / PIXELS_PER_BIT;
	rate = rate < BIT_RATE_MIN ? BIT_RATE_MIN : rate;
	codec->width = (int)width;
	codec->height = (int)height;
	codec->pix_fmt = AV_PIX_FMT_YUV420P;
	codec->color_range = AVCOL_RANGE_MPEG;
	codec->time_base = (AVRational){ 1, (int)fps };
	codec->framerate = (AVRational){ (int)fps, 1 };
	codec->gop_size = (int)fps;
	codec->max_b_frames = 0;
	codec->thread_count = 1;
	codec->bit_rate = rate;
	codec->rc_max_rate = rate;
	codec->rc_buffer_size = (int)(rate / VBV_PER_SECOND);
	/* No AV_CODEC_FLAG_GLOBAL_HEADER: the headers repeat before each key frame. Access unit
	 * delimiters, so that the muxer need not copy each frame to add them. */
	av_opt_set(codec->priv_data, "preset", "veryfast", 0);
	av_opt_set(codec->priv_data, "tune", "zerolatency", 0);
	av_opt_set(codec->priv_data, "aud", "1", 0);
}

int encoder_create(unsigned int width, unsigned int height, unsigned int fps,
		   struct encoder **ret_encoder, char *error, size_t error_size)
{
	av_log_set_level(AV_LOG_ERROR);
	const AVCodec *x264 = avcodec_find_encoder_by_name("libx264");
	if (!x264 || !(x264->capabilities & AV_CODEC_CAP_DR1)) {
		snprintf(error, error_size,
			 "this libavcodec has no libx264 that writes to given buffers");
		return -ENOSYS;
	}
	struct encoder *encoder = calloc(1, sizeof(*encoder));
	if (!encoder) {
		return -ENOMEM;
	}
	encoder->codec = avcodec_alloc_context3(x264);
	encoder->frame = av_frame_alloc();
	encoder->packet = av_packet_alloc();
	if (!encoder->codec || !encoder->frame || !encoder->packet) {
		encoder_destroy(encoder);
		return -ENOMEM;
	}
	codec_configure(encoder->codec, width, height, fps);
	encoder->codec->opaque = encoder;
	encoder->codec->get_encode_buffer = place_packet;
	int r = avcodec_open2(encoder->codec, x264, NULL);
	if (r < 0) {
		encoder_destroy(encoder);
		return fail(error, error_size, -EIO, "libx264 can't be opened", r);
	}
	*ret_encoder = encoder;
	return 0;
}

void encoder_destroy(struct encoder *encoder)
{
	if (!encoder) {
		return;
	}
	avcodec_free_context(&encoder->codec);
	av_frame_free(&encoder->frame);
	av_packet_free(&encoder->packet);
	free(encoder);
}

static int frame_wrap(struct encoder *encoder, struct encoder_job *job)
{
	AVFrame *frame = encoder->frame;
	frame->format = AV_PIX_FMT_YUV420P;
	frame->width = (int)job->picture.width;
	frame->height = (int)job->picture.height;
	frame->color_range = AVCOL_RANGE_MPEG;
	frame->pts = (int64_t)job->frame - 1;
	for (int i = 0; i < PICTURE_PLANES; i++) {
		frame->data[i] = job->picture.planes[i];
		frame->linesize[i] = (int)job->picture.strides[i];
	}
	frame->buf[0] = av_buffer_create(job->picture.planes[0], job->picture_size,
					 picture_released, job, AV_BUFFER_FLAG_READONLY);
	return frame->buf[0] ? 0 : -ENOMEM;
}

static int slot_fill(struct encoder *encoder, struct encoder_job *job, char *error,
		     size_t error_size)
{
	AVPacket *packet = encoder->packet;
	int r = avcodec_receive_packet(encoder->codec, packet);
	if (r < 0) {
		return fail(error, error_size, -EIO, "libx264 returned no packet", r);
	}
	if (!encoder->placed || packet->data != slot_data(job->slot) ||
	    packet->pts != (int64_t)job->frame - 1) {
		snprintf(error, error_size, "libx264 did not return frame %llu in its slot",
			 (unsigned long long)job->frame);
		av_packet_unref(packet);
		return -EIO;
	}
	job->size = (size_t)packet->size;
	slot_end(job->slot, job->frame, job->size, packet->flags & AV_PKT_FLAG_KEY);
	av_packet_unref(packet);
	output_signal(job, &job->done);
	return 0;
}

static int job_mismatch(const struct encoder_job *job, char *error, size_t error_size)
{
	if (job->found) {
		snprintf(error, error_size, "the picture of frame %llu holds frame %u",
			 (unsigned long long)job->frame, job->found);
	} else {
		snprintf(error, error_size, "the picture of frame %llu holds no frame number",
			 (unsigned long long)job->frame);
	}
	return -EBADMSG;
}

int encoder_run(struct encoder *encoder, struct encoder_job *job, char *error, size_t error_size)
{
	encoder->job = job;
	encoder->placed = false;
	encoder->wanted = 0;
	slot_begin(job->slot);
	int r = frame_wrap(encoder, job);
	if (r < 0) {
		av_frame_unref(encoder->frame);
		output_signal(job, &job->released);
		return r;
	}
	job_check_stamp(job);
	picture_show(job);
	int sent = avcodec_send_frame(encoder->codec, encoder->frame);
	av_frame_unref(encoder->frame); /* releases the picture, unless libavcodec still reads it */
	if (encoder->wanted) {
		snprintf(error, error_size, "frame %llu takes %zu bytes, a slot holds %zu",
			 (unsigned long long)job->frame, encoder->wanted, slot_capacity(job->slot));
		return -EMSGSIZE;
	}
	if (sent < 0) {
		return fail(error, error_size, -EIO, "libx264 rejects a frame", sent);
	}
	if (job->mismatches == 0) {
		r = slot_fill(encoder, job, error, error_size);
	}
	return job->mismatches > 0 ? job_mismatch(job, error, error_size) : r;
}
