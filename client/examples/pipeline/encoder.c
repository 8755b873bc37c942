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
	struct encoder_job *jobs[ENCODER_WINDOW]; /* under way; frame n at n % count */
	const struct encoder_packet *place;       /* of the next packet */
	size_t wanted;                            /* bytes needed, if that is too small */
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

/* The device reads the picture no longer once libavcodec has dropped it and its packet has come. libx264 has
 * a copy by then; a device in hardware reads it until that moment. */
static void picture_unread(struct encoder_job *job)
{
	if (--job->readers == 0) {
		job_check_stamp(job);
		output_signal(job, &job->released);
	}
}

static void picture_dropped(void *opaque, uint8_t *data)
{
	(void)data;
	picture_unread(opaque);
}

static void place_unused(void *opaque, uint8_t *data)
{
	(void)opaque;
	(void)data; /* the sender owns it now */
}

/* The bitstream goes directly to its place. */
static int place_packet(AVCodecContext *codec, AVPacket *packet, int flags)
{
	(void)flags;
	struct encoder *encoder = codec->opaque;
	const struct encoder_packet *place = encoder->place;
	size_t wanted = (size_t)packet->size + AV_INPUT_BUFFER_PADDING_SIZE;
	if (wanted > place->room) {
		encoder->wanted = wanted;
		return AVERROR(ENOSPC);
	}
	packet->data = place->memory;
	packet->buf = av_buffer_create(packet->data, wanted, place_unused, NULL, 0);
	if (!packet->buf) {
		return AVERROR(ENOMEM);
	}
	memset(packet->data + packet->size, 0, AV_INPUT_BUFFER_PADDING_SIZE);
	return 0;
}

static void codec_configure(AVCodecContext *codec, unsigned int width, unsigned int height,
			    unsigned int fps, unsigned int b_frames)
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
	codec->max_b_frames = (int)b_frames;
	codec->thread_count = 1;
	codec->bit_rate = rate;
	codec->rc_max_rate = rate;
	codec->rc_buffer_size = (int)(rate / VBV_PER_SECOND);
	/* No AV_CODEC_FLAG_GLOBAL_HEADER: the headers repeat before each key frame. Access unit
	 * delimiters, so that the muxer need not copy each frame to add them. */
	av_opt_set(codec->priv_data, "preset", "veryfast", 0);
	av_opt_set(codec->priv_data, "aud", "1", 0);
	if (b_frames == 0) {
		av_opt_set(codec->priv_data, "tune", "zerolatency", 0);
	} else { /* as many as that between two others; none is held to look ahead, or for its time */
		av_opt_set(codec->priv_data, "b_strategy", "0", 0);
		av_opt_set(codec->priv_data, "rc-lookahead", "0", 0);
		av_opt_set(codec->priv_data, "x264-params", "sync-lookahead=0:force-cfr=1", 0);
	}
}

int encoder_create(unsigned int width, unsigned int height, unsigned int fps, unsigned int b_frames,
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
	codec_configure(encoder->codec, width, height, fps, b_frames);
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
	frame->buf[0] = av_buffer_create(job->picture.planes[0], job->picture_size, picture_dropped,
					 job, AV_BUFFER_FLAG_READONLY);
	return frame->buf[0] ? 0 : -ENOMEM;
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

static int failed(const struct encoder *encoder, int av_error, char *error, size_t error_size)
{
	if (encoder->wanted) {
		snprintf(error, error_size, "a packet takes %zu bytes, its buffer holds %zu",
			 encoder->wanted, encoder->place->room);
		return -EMSGSIZE;
	}
	return fail(error, error_size, -EIO, "libx264 failed", av_error);
}

int encoder_put(struct encoder *encoder, struct encoder_job *job, struct encoder_packet *packet,
		char *error, size_t error_size)
{
	encoder->place = packet;
	encoder->wanted = 0;
	if (job) {
		struct encoder_job **place = &encoder->jobs[job->frame % ENCODER_WINDOW];
		if (*place) {
			snprintf(error, error_size, "libx264 has held frame %llu for %d frames",
				 (unsigned long long)(*place)->frame, ENCODER_WINDOW);
			return -EIO;
		}
		job->readers = 2;
		int r = frame_wrap(encoder, job);
		if (r < 0) {
			av_frame_unref(encoder->frame);
			return r;
		}
		*place = job;
		job_check_stamp(job);
		picture_show(job);
	}
	int sent = avcodec_send_frame(encoder->codec, job ? encoder->frame : NULL);
	av_frame_unref(encoder->frame); /* drops the picture, unless libavcodec still reads it */
	if (sent < 0) {
		return failed(encoder, sent, error, error_size);
	}
	return job && job->mismatches > 0 ? job_mismatch(job, error, error_size) : 0;
}

/* The job whose packet came. */
static struct encoder_job *job_of(struct encoder *encoder, const AVPacket *packet)
{
	uint64_t frame = (uint64_t)packet->pts + 1;
	struct encoder_job **place = &encoder->jobs[frame % ENCODER_WINDOW];
	struct encoder_job *job = *place;
	if (!job || job->frame != frame || packet->data != encoder->place->memory) {
		return NULL;
	}
	*place = NULL;
	return job;
}

int encoder_get(struct encoder *encoder, struct encoder_packet *packet, char *error,
		size_t error_size)
{
	AVPacket *from = encoder->packet;
	encoder->place = packet;
	encoder->wanted = 0;
	int r = avcodec_receive_packet(encoder->codec, from);
	if (r == AVERROR(EAGAIN) || r == AVERROR_EOF) {
		return r == AVERROR_EOF ? -ENODATA : -EAGAIN;
	}
	if (r < 0) {
		return failed(encoder, r, error, error_size);
	}
	struct encoder_job *job = packet->job = job_of(encoder, from);
	packet->size = (size_t)from->size;
	packet->key = from->flags & AV_PKT_FLAG_KEY;
	packet->reorder = from->pts - from->dts;
	av_packet_unref(from);
	if (!job) {
		snprintf(error, error_size,
			 "libx264 returned a packet of no picture, or elsewhere");
		return -EIO;
	}
	picture_unread(job);
	if (job->readers > 0) {
		snprintf(error, error_size, "libx264 still reads the picture of frame %llu",
			 (unsigned long long)job->frame);
		return -EIO;
	}
	return job->mismatches > 0 ? job_mismatch(job, error, error_size) : 0;
}
