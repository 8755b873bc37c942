// SPDX-License-Identifier: MIT
#include "lib-view.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------ requests -- */

static uint32_t object_made(struct client *client, Fbk__Wire__Request *request)
{
	struct reply reply;
	int r = client_call(client, request, NULL, 0, &reply);
	ck_assert_msg(r == 0, "%s", client->detail);
	EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT);
	uint32_t id = reply.message->object->id;
	reply_free(&reply);
	return id;
}

uint32_t client_device(struct client *client, const char *name)
{
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->name = (char *)(uintptr_t)name;
	request.device_register->class_ = FBK_CLASS_CPU;
	request.device_register->waits = FBK_FENCE_MEMORY64;
	request.device_register->signals = FBK_FENCE_MEMORY64;
	return object_made(client, &request);
}

uint32_t client_set(struct client *client)
{
	REQUEST(request, SET_CREATE, set_create);
	return object_made(client, &request);
}

static struct client_page *page_find(struct client *client, uint64_t id)
{
	for (size_t i = 0; i < client->page_count; i++) {
		if (client->pages[i].id == id) {
			return &client->pages[i];
		}
	}
	return NULL;
}

/* Maps a page at its first mention. */
static void *page_map(struct client *client, const Fbk__Wire__Page *page, int fd, bool writable)
{
	struct client_page *known = page_find(client, page->id);
	EXPECT(page->size % 4096 == 0 && page->size <= (1 << 20));
	if (known) {
		EXPECT(!writable || known->writable);
		return known->memory;
	}
	EXPECT(client->page_count < CLIENT_PAGES);
	void *memory =
		mmap(NULL, page->size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	EXPECT(memory != MAP_FAILED);
	client->pages[client->page_count++] =
		(struct client_page){ page->id, page->size, memory, writable };
	return memory;
}

static void view_fill(struct client *client, const struct reply *reply, struct view *ret_view)
{
	EXPECT(reply->message->body_case == FBK__WIRE__MESSAGE__BODY_TIMELINE);
	EXPECT(reply->fd_count == 2);
	const Fbk__Wire__Timeline *timeline = reply->message->timeline;
	EXPECT(timeline->control && timeline->payload);
	EXPECT(timeline->handle > 0 && timeline->handle < FBK_PAIR_CELLS);
	*ret_view = (struct view){
		.client = client,
		.handle = timeline->handle,
		.id = timeline->id,
		.rights = timeline->rights,
		.flags = timeline->flags,
		.writable = timeline->writable,
		.control_page = timeline->control->id,
		.payload_page = timeline->payload->id,
		.control_slot = timeline->control->slot,
		.payload_slot = timeline->payload->slot,
	};
	EXPECT(timeline->control->slot < fbk_page_slots(timeline->control->size));
	EXPECT(timeline->payload->slot < fbk_page_slots(timeline->payload->size));
	void *control = page_map(client, timeline->control, reply->fds[0], false);
	void *payload = page_map(client, timeline->payload, reply->fds[1], timeline->writable);
	ret_view->control = fbk_control_slot_at(control, ret_view->control_slot);
	ret_view->payload = fbk_payload_slot_at(payload, ret_view->payload_slot);
}

/* A request that is answered with a timeline. `ret_fds` NULL: the client maps and closes the
 * fds. */
static int view_call(struct client *client, Fbk__Wire__Request *request, const int *fds,
		     size_t fd_count, struct view *ret_view, struct view_fds *ret_fds)
{
	struct reply reply;
	int r = client_call(client, request, fds, fd_count, &reply);
	if (r < 0) {
		return r;
	}
	view_fill(client, &reply, ret_view);
	if (ret_fds) {
		*ret_fds = (struct view_fds){
			.control = reply.fds[0],
			.payload = reply.fds[1],
			.control_size = reply.message->timeline->control->size,
			.payload_size = reply.message->timeline->payload->size,
		};
		reply.fd_count = 0;
	}
	reply_free(&reply);
	return ret_fds || !ret_view->writable ? 0 : page_mapped(client, ret_view->payload_page);
}

int view_create_fds(struct client *client, uint32_t device, uint32_t set, const char *name,
		    uint32_t flags, struct view *ret_view, struct view_fds *ret_fds)
{
	REQUEST(request, TIMELINE_CREATE, timeline_create);
	request.timeline_create->device = device;
	request.timeline_create->set = set;
	request.timeline_create->name = (char *)(uintptr_t)name;
	request.timeline_create->flags = flags;
	return view_call(client, &request, NULL, 0, ret_view, ret_fds);
}

int view_create(struct client *client, uint32_t device, uint32_t set, const char *name,
		uint32_t flags, struct view *ret_view)
{
	return view_create_fds(client, device, set, name, flags, ret_view, NULL);
}

int view_open_fds(struct client *client, int token, struct view *ret_view, struct view_fds *ret_fds)
{
	REQUEST(request, TIMELINE_OPEN, timeline_open);
	return view_call(client, &request, &token, 1, ret_view, ret_fds);
}

int view_open(struct client *client, int token, struct view *ret_view)
{
	return view_open_fds(client, token, ret_view, NULL);
}

int page_mapped(struct client *client, uint64_t page_id)
{
	REQUEST(request, PAGE_MAPPED, page_mapped);
	request.page_mapped->page_id = page_id;
	return client_call(client, &request, NULL, 0, NULL);
}

int view_join(const struct view *view, struct fbk_peer_page **ret_page, uint32_t *ret_slot)
{
	struct reply reply;
	REQUEST(request, PAIR_JOIN, pair_join);
	request.pair_join->handle = view->handle;
	int r = client_call(view->client, &request, NULL, 0, &reply);
	if (r < 0) {
		return r;
	}
	EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY_PAIR && reply.fd_count == 1);
	const Fbk__Wire__Page *cell = reply.message->pair->cell;
	EXPECT(cell->size == FBK_PEER_SIZE && cell->slot < FBK_PEER_CELLS);
	*ret_page = page_map(view->client, cell, reply.fds[0], true);
	*ret_slot = cell->slot;
	reply_free(&reply);
	return 0;
}

/* A request whose reply carries one fd and nothing else. */
static int fd_call(struct client *client, Fbk__Wire__Request *request, int *ret_fd)
{
	struct reply reply;
	int r = client_call(client, request, NULL, 0, &reply);
	if (r == 0) {
		EXPECT(reply.fd_count == 1);
		*ret_fd = reply.fds[0];
		reply.fd_count = 0;
		reply_free(&reply);
	}
	return r;
}

int view_share(const struct view *view, uint32_t rights, int *ret_token)
{
	REQUEST(request, TIMELINE_SHARE, timeline_share);
	request.timeline_share->handle = view->handle;
	request.timeline_share->rights = rights;
	return fd_call(view->client, &request, ret_token);
}

int view_export(const struct view *view, uint64_t value, uint32_t kind, uint64_t deadline_ns,
		int *ret_fd)
{
	REQUEST(request, POINT_EXPORT, point_export);
	request.point_export->handle = view->handle;
	request.point_export->value = value;
	request.point_export->kind = kind;
	request.point_export->deadline_ns = deadline_ns;
	return fd_call(view->client, &request, ret_fd);
}

int view_import(const struct view *view, uint64_t value, int fd)
{
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on);
	request.point_signal_on->handle = view->handle;
	request.point_signal_on->value = value;
	return client_call(view->client, &request, &fd, 1, NULL);
}

int view_close(const struct view *view)
{
	REQUEST(request, TIMELINE_CLOSE, timeline_close);
	request.timeline_close->handle = view->handle;
	return client_call(view->client, &request, NULL, 0, NULL);
}

int view_fail(const struct view *view, int error, const char *reason)
{
	REQUEST(request, TIMELINE_FAIL, timeline_fail);
	request.timeline_fail->handle = view->handle;
	request.timeline_fail->error = error;
	request.timeline_fail->reason = (char *)(uintptr_t)reason;
	return client_call(view->client, &request, NULL, 0, NULL);
}

int view_request_signal(const struct view *view, uint64_t value)
{
	REQUEST(request, TIMELINE_SIGNAL, timeline_signal);
	request.timeline_signal->handle = view->handle;
	request.timeline_signal->value = value;
	return client_call(view->client, &request, NULL, 0, NULL);
}

int view_watch(const struct view *view, uint64_t value, uint64_t deadline_ns, uint64_t number)
{
	REQUEST(request, POINT_WATCH, point_watch);
	request.point_watch->handle = view->handle;
	request.point_watch->value = value;
	request.point_watch->deadline_ns = deadline_ns;
	request.point_watch->watch = number;
	return client_call(view->client, &request, NULL, 0, NULL);
}

int view_info(const struct view *view, struct fbk_timeline_info *ret_info)
{
	struct reply reply;
	REQUEST(request, TIMELINE_INFO, timeline_info);
	request.timeline_info->handle = view->handle;
	int r = client_call(view->client, &request, NULL, 0, &reply);
	if (r < 0) {
		return r;
	}
	EXPECT(reply.message->body_case == FBK__WIRE__MESSAGE__BODY_STATE);
	const Fbk__Wire__TimelineState *state = reply.message->state;
	*ret_info = (struct fbk_timeline_info){
		.struct_size = sizeof(*ret_info),
		.id = state->id,
		.rights = state->rights,
		.flags = state->flags,
		.value = state->value,
		.cause = state->cause,
		.error = state->error,
		.failed_from = state->failed_from ? state->failed_from : FBK_FAILED_FROM_NONE,
		.device_class = state->class_,
		.pid = state->pid,
		.uid = state->uid,
	};
	wire_text_copy(ret_info->name, sizeof(ret_info->name), state->name);
	wire_text_copy(ret_info->reason, sizeof(ret_info->reason), state->reason);
	wire_text_copy(ret_info->device, sizeof(ret_info->device), state->device);
	reply_free(&reply);
	return 0;
}

void view_pair(struct client *signaler, uint32_t device, const char *name, uint32_t flags,
	       struct client *waiter, struct view *ret_signals, struct view *ret_waits)
{
	int token;
	int r = view_create(signaler, device, 0, name, flags, ret_signals);
	ck_assert_msg(r == 0, "creating %s: %s", name, signaler->detail);
	r = view_share(ret_signals, FBK_RIGHT_WAIT, &token);
	ck_assert_msg(r == 0, "sharing %s: %s", name, signaler->detail);
	r = view_open(waiter, token, ret_waits);
	ck_assert_msg(r == 0, "opening %s: %s", name, waiter->detail);
	close(token);
}

/* --------------------------------------------------------------------------- the shared memory -- */

void doorbell_ring(struct client *client, uint32_t handle)
{
	const uint64_t one = 1;
	uint32_t word = handle / 64;
	atomic_fetch_or(&client->pair->bell[word], UINT64_C(1) << handle % 64);
	atomic_fetch_or(&client->pair->bell_summary, UINT64_C(1) << word);
	EXPECT(write(client->doorbell, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

bool view_signal(const struct view *view, uint64_t from, uint64_t value)
{
	if (!atomic_compare_exchange_strong(&view->payload->payload, &from, value)) {
		return false;
	}
	if (view_monitored(view) <= value) {
		doorbell_ring(view->client, view->handle);
	}
	return true;
}

uint64_t view_payload(const struct view *view)
{
	return atomic_load(&view->payload->payload);
}

uint64_t view_monitored(const struct view *view)
{
	return atomic_load(&view->control->monitored);
}

void view_await_monitored(const struct view *view, uint64_t value)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	uint64_t monitored;
	while ((monitored = view_monitored(view)) != value) {
		ck_assert_msg(now_ms() < deadline, "monitored is 0x%llx and not 0x%llx",
			      (unsigned long long)monitored, (unsigned long long)value);
		yield_briefly();
	}
}

uint32_t view_status(const struct view *view)
{
	return atomic_load(&view->control->status);
}

static struct fbk_pair_cell *view_cell(const struct view *view)
{
	return &view->client->pair->cells[view->handle];
}

uint32_t cell_sequence(const struct view *view)
{
	return atomic_load(&view_cell(view)->sequence);
}

uint64_t cell_minimum(const struct view *view)
{
	return atomic_load(&view_cell(view)->minimum);
}

uint32_t cell_arm(const struct view *view, uint64_t value)
{
	struct fbk_pair_cell *cell = view_cell(view);
	uint32_t sequence = atomic_load(&cell->sequence);
	uint64_t minimum = atomic_load(&cell->minimum);
	while (value < minimum && !atomic_compare_exchange_weak(&cell->minimum, &minimum, value)) {
	}
	doorbell_ring(view->client, view->handle);
	return sequence;
}

int cell_sleep(struct fbk_pair_cell *cell, uint32_t sequence, unsigned int timeout_ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (atomic_load(&cell->sequence) == sequence) {
		if (syscall(SYS_futex, &cell->sequence, FUTEX_WAIT_BITSET, sequence, &until, NULL,
			    FUTEX_BITSET_MATCH_ANY) < 0 &&
		    errno == ETIMEDOUT) {
			return atomic_load(&cell->sequence) == sequence ? -ETIMEDOUT : 0;
		}
	}
	return 0;
}

int cell_wait(const struct view *view, uint32_t sequence, unsigned int timeout_ms)
{
	return cell_sleep(view_cell(view), sequence, timeout_ms);
}

int point_check(const struct view *view, uint64_t value)
{
	uint64_t payload = view_payload(view);
	uint32_t status = view_status(view);
	if (status == FBK_STATUS_OK) {
		return payload >= value && payload < FBK_POISON ? 0 : -EAGAIN;
	}
	if (value < atomic_load(&view->control->failed_from)) {
		return 0;
	}
	return status == FBK_STATUS_FAILED ? atomic_load(&view->control->error) : -EAGAIN;
}

int point_wait(const struct view *view, uint64_t value, unsigned int timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms;
	for (;;) {
		uint32_t sequence = cell_arm(view, value);
		int r = point_check(view, value);
		uint64_t now = now_ms();
		if (r != -EAGAIN) {
			return r;
		}
		if (now >= deadline) {
			return -ETIMEDOUT;
		}
		cell_wait(view, sequence, (unsigned int)(deadline - now));
	}
}

/* ------------------------------------------------------------------------------- the bystander -- */

void bystander_open(struct bystander *bystander, const struct daemon *daemon)
{
	int token;
	*bystander = (struct bystander){ .daemon = daemon };
	client_open(&bystander->signaler, daemon);
	client_open(&bystander->waiter, daemon);
	uint32_t device = client_device(&bystander->signaler, "bystander");
	EXPECT(view_create(&bystander->signaler, device, 0, "bystander", 0, &bystander->signals) ==
	       0);
	EXPECT(view_share(&bystander->signals, FBK_RIGHT_WAIT, &token) == 0);
	bystander->fds = daemon_fd_count(daemon);
	EXPECT(view_open(&bystander->waiter, token, &bystander->waits) == 0);
	close(token);
	bystander_round(bystander);
}

void bystander_round(struct bystander *bystander)
{
	uint64_t started = now_ms();
	uint64_t value = bystander->value + 1;
	uint32_t sequence = cell_arm(&bystander->waits, value);
	view_await_monitored(&bystander->signals, value); /* armed, not just about to be */
	EXPECT(view_signal(&bystander->signals, value - 1, value));
	EXPECT(cell_wait(&bystander->waits, sequence, PATIENCE_MS) == 0);
	EXPECT(point_check(&bystander->waits, value) == 0);
	bystander->value = value;
	ck_assert_msg(now_ms() - started < BYSTANDER_BOUND_MS, "a bystander had to wait %llu ms",
		      (unsigned long long)(now_ms() - started));
}

void bystander_close(struct bystander *bystander)
{
	daemon_await_fds(bystander->daemon, bystander->fds);
	bystander_round(bystander);
	client_close(&bystander->waiter);
	client_close(&bystander->signaler);
}
