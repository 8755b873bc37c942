// SPDX-License-Identifier: MIT
/*
 * From a packet to its handler. One table decides for each request how large it may be, how many fds it
 * carries and which right it needs. Loop's thread only.
 */
#pragma once

#include "client/include/fencebroker.h"
#include "daemon/core/client.h"
#include "daemon/core/pair.h"
#include "proto/fencebroker.pb-c.h"
#include "proto/wire.h"

struct handle;

#define ANSWER_FDS_MAX 4
#define ANSWER_COLORS  18 /* numbers of struct fbk_color */

/* What happens to the connection once the answer is sent. */
enum answer_then {
	ANSWER_THEN_GO_ON,
	ANSWER_THEN_HANG_UP,
	ANSWER_THEN_LEAVE, /* after Goodbye: the client left, and did not die */
};

/* A handler's answer: the message, fds that are closed once it is sent, and room for the bodies that the
 * message points to. */
struct answer {
	Fbk__Wire__Message message;
	int fds[ANSWER_FDS_MAX];
	size_t fd_count;
	char detail[FBK_REASON_SIZE];
	bool quiet;  /* the request is: nobody waits for an answer */
	bool silent; /* send no answer */
	enum answer_then then;
	Fbk__Wire__Object object;
	Fbk__Wire__Timeline timeline;
	Fbk__Wire__Page control, payload, pair_page, life_page;
	Fbk__Wire__TimelineState state;
	Fbk__Wire__Pair pair;
	Fbk__Wire__PairCells pair_cells;
	Fbk__Wire__Page cells[TIMELINE_PAIRS_MAX], *cell_list[TIMELINE_PAIRS_MAX];
	Fbk__Wire__Welcome welcome;
	Fbk__Wire__LinkState link;
	Fbk__Wire__Lane lane_table, peer_table;
	Fbk__Wire__Page claims;
	Fbk__Wire__Buffer buffer;
	uint32_t generations[FBK_BUFFERS_MAX];
	Fbk__Wire__Format format;
	uint32_t aligns[5], colors[ANSWER_COLORS];
	Fbk__Wire__Text text;
	char text_buffer[512];
};

/* A string for a message: protobuf-c has them without const, and packing does not write to them. */
static inline char *text(const char *string)
{
	return (char *)(uintptr_t)string;
}

void answer_fd(struct answer *answer, int fd); /* takes it */
int answer_duplicate(struct answer *answer, int fd);
int answer_readonly(struct answer *answer, const struct page *page);
int answer_object(struct answer *answer, uint32_t id);

/* An id that a client chose. -EINVAL: 0 is none. */
int id_check(uint32_t id, char *detail);
int answer_no_device(struct answer *answer, uint32_t number); /* returns the error */

/* The handle that a request names, checked for all of these rights. The table does so for a request's first
 * handle. -ENOENT, -EPERM. */
int handle_check(const struct client *client, uint32_t number, uint32_t right,
		 struct handle **ret_handle, char *detail);

int point_check(uint64_t value, struct answer *answer); /* -ERANGE: not a point */

/* The flags that a client gives to `what`: a mask of `known`. */
int flags_check(uint32_t flags, uint32_t known, const char *what, char *detail);

/* May the client use this daemon? -EPERM with a detail. */
int client_may_connect(const struct client *client, char *detail);

/* The pages of a timeline: control read-only, then the payload. The body is answer->timeline. */
int answer_timeline(struct answer *answer, const struct handle *handle);

/* Describe a slot for the wire. */
void page_describe(Fbk__Wire__Page *ret, const struct page *page, uint32_t slot);

/* Close the fds of an answer that was sent. */
void answer_finish(struct answer *answer);

/* A sentence for an error without a detail. `text` has FBK_REASON_SIZE bytes. */
void error_explain(const struct client *client, int error, char *text);

/*
 * Check and serve one request; the caller sends the answer and finishes it. Uses the packet's size and fds. The caller
 * closes the fds; a handler that keeps one sets it to -1.
 */
enum answer_then dispatch_run(struct client *client, const Fbk__Wire__Request *request,
			      struct wire_packet *packet, struct answer *ret_answer);

/* `body` is the message inside the request; `handle` the one that the table checked, or NULL; `fds` are as
 * many as the table allows, then -1. */
typedef int request_fn(struct client *client, struct handle *handle, const void *body, int *fds,
		       struct answer *answer);

request_fn request_hello, request_goodbye, request_device_register, request_device_unregister,
	request_set_create, request_set_destroy, request_timeline_create, request_page_mapped,
	request_timeline_share, request_token_cancel, request_timeline_open, request_timeline_close,
	request_timeline_signal, request_timeline_fail, request_timeline_info, request_point_blame,
	request_point_watch, request_watch_cancel, request_point_export, request_point_signal_on,
	request_point_export_to, request_export_cancel, request_point_promise,
	request_syncobj_create, request_mirror_to, request_mirror_from, request_device_memory,
	request_timeline_memory, request_mirror_destroy, request_pair_join, request_pair_list,
	request_point_depends, request_inspect_status, request_inspect_devices,
	request_inspect_timelines, request_inspect_clients, request_inspect_route,
	request_inspect_stuck, request_inspect_policy, request_link_offer, request_link_accept,
	request_link_info, request_link_join, request_link_end, request_link_point,
	request_link_point_get, request_link_buffer, request_link_buffer_get, request_link_format,
	request_link_format_get, request_link_buffer_accept, request_link_depth,
	request_link_publish, request_link_find, request_inspect_links, request_admin_fail,
	request_admin_evict, request_admin_reload;
