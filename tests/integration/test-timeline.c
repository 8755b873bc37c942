// SPDX-License-Identifier: MIT
/* Creating, sharing, opening and closing timelines; rights; which values are points. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-view.h"

#define SET_SLOTS   511 /* of a page of 64 KiB */
#define HANDLES_MAX 4095

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client signaler, waiter;
static uint32_t device;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&signaler, "cpu0");
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&signaler);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static int token_of(const struct view *view, uint32_t rights)
{
	int token;
	int r = view_share(view, rights, &token);
	ck_assert_msg(r == 0, "%s", view->client->detail);
	return token;
}

/* -------------------------------------------------------------------------------- making them -- */

static const struct fbk_page_header *page_header(const struct client *client, uint64_t id)
{
	for (size_t i = 0; i < client->page_count; i++) {
		if (client->pages[i].id == id) {
			return client->pages[i].memory;
		}
	}
	ck_abort_msg("a page that was never mapped");
}

static void expect_header(const struct view *view, uint64_t page, uint16_t kind)
{
	const struct fbk_page_header *header = page_header(view->client, page);
	ck_assert_uint_eq(header->magic, FBK_PAGE_MAGIC);
	ck_assert_uint_eq(header->version, FBK_PAGE_VERSION);
	ck_assert_uint_eq(header->kind, kind);
	ck_assert_uint_eq(header->header_size, sizeof(*header));
	ck_assert_uint_eq(header->stride, FBK_SLOT_STRIDE);
	ck_assert_uint_eq(header->page_id, page);
	ck_assert_uint_eq(header->slot_count, fbk_page_slots(header->size));
}

/* _i: the flags; 0 is a timeline in memory, 1 a brokered one. */
START_TEST(created)
{
	struct view view, opened;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	uint32_t flags = (uint32_t)_i;
	view_pair(&signaler, device, "fresh", flags, &waiter, &view, &opened);
	ck_assert(view.writable == (flags == 0));
	ck_assert(!opened.writable);
	ck_assert_uint_eq(view.rights, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL | FBK_RIGHT_PROMISE);
	ck_assert_uint_eq(opened.rights, FBK_RIGHT_WAIT);
	ck_assert_uint_eq(opened.id, view.id);
	ck_assert_uint_eq(opened.flags, flags);
	expect_header(&opened, opened.control_page, FBK_PAGE_CONTROL);
	expect_header(&opened, opened.payload_page, flags ? FBK_PAGE_DAEMON : FBK_PAGE_PAYLOAD);

	ck_assert_uint_eq(view_payload(&opened), 0);
	ck_assert_uint_eq(view_monitored(&opened), FBK_MONITORED_NONE);
	ck_assert_uint_eq(view_status(&opened), FBK_STATUS_OK);
	ck_assert_uint_eq(opened.control->failed_from, FBK_FAILED_FROM_NONE);
	ck_assert_uint_eq(opened.control->timeline_id, view.id);
	ck_assert_uint_eq(cell_minimum(&opened), FBK_MONITORED_NONE);

	ck_assert_int_eq(view_info(&opened, &info), 0);
	ck_assert_str_eq(info.name, "fresh");
	ck_assert_str_eq(info.device, "cpu0");
	ck_assert_int_eq(info.device_class, FBK_CLASS_CPU);
	ck_assert_int_eq(info.pid, getpid());
	ck_assert_uint_eq(info.uid, getuid());
	ck_assert_uint_eq(info.value, 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_NONE);
	ck_assert_uint_eq(info.failed_from, UINT64_MAX);
}
END_TEST

START_TEST(bad_descriptions)
{
	struct view view;
	char longest[FBK_NAME_SIZE];
	char too_long[FBK_NAME_SIZE + 1];
	memset(longest, 'x', sizeof(longest));
	longest[FBK_NAME_SIZE - 1] = '\0';
	memset(too_long, 'x', sizeof(too_long));
	too_long[FBK_NAME_SIZE] = '\0';
	ck_assert_int_eq(view_create(&signaler, device, 0, longest, 0, &view), 0);
	ck_assert_int_eq(view_create(&signaler, device, 0, too_long, 0, &view), -EINVAL);
	client_expect_detail(&signaler, "1 to 31");
	ck_assert_int_eq(view_create(&signaler, device, 0, "", 0, &view), -EINVAL);
	ck_assert_int_eq(view_create(&signaler, device, 0, "a b", 0, &view), -EINVAL);
	ck_assert_int_eq(view_create(&signaler, device, 0, "a\nb", 0, &view), -EINVAL);
	ck_assert_int_eq(view_create(&signaler, device, 0, "a", 4, &view), -EINVAL);
	client_expect_detail(&signaler, "flags 0x4 of a timeline has unknown ones");
}
END_TEST

/* ------------------------------------------------------------------------- opening and closing -- */

/* A page is not shared while its writer could still map it writable for others. */
START_TEST(open_before_mapped)
{
	struct view view, opened;
	struct view_fds fds;
	ck_assert_int_eq(view_create_fds(&signaler, device, 0, "unmapped", 0, &view, &fds), 0);
	close(fds.control);
	close(fds.payload);
	int token = token_of(&view, FBK_RIGHT_WAIT);
	ck_assert_int_eq(view_open(&waiter, token, &opened), -EAGAIN);
	client_expect_detail(&waiter, "the signaler of unmapped has not mapped it yet");
	ck_assert_int_eq(page_mapped(&signaler, view.payload_page), 0);
	ck_assert_int_eq(page_mapped(&signaler, view.payload_page), 0); /* once more is nothing */
	ck_assert_int_eq(view_open(&waiter, token, &opened), 0);
	ck_assert_int_eq(page_mapped(&waiter, view.payload_page), -ENOENT);
	close(token);
}
END_TEST

START_TEST(open_twice)
{
	struct view view, first, again;
	ck_assert_int_eq(view_create(&signaler, device, 0, "twice", FBK_TIMELINE_BROKERED, &view),
			 0);
	int token = token_of(&view, FBK_RIGHT_WAIT);
	int signal_token = token_of(&view, FBK_RIGHT_SIGNAL);
	ck_assert_int_eq(view_open(&waiter, token, &first), 0);
	ck_assert_int_eq(view_open(&waiter, token, &again), 0);
	ck_assert_uint_eq(again.handle, first.handle);
	ck_assert_int_eq(view_open(&signaler, token, &again), 0);
	ck_assert_uint_eq(again.handle, view.handle); /* also for one's own */
	ck_assert_uint_eq(again.rights, view.rights);

	ck_assert_int_eq(view_request_signal(&first, 1), -EPERM);
	ck_assert_int_eq(view_open(&waiter, signal_token, &again), 0);
	ck_assert_uint_eq(again.handle, first.handle);
	ck_assert_uint_eq(again.rights, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL); /* rights add up */
	ck_assert_int_eq(view_request_signal(&first, 1), 0);

	ck_assert_int_eq(view_close(&first), 0); /* however often it was opened */
	ck_assert_int_eq(view_close(&first), -ENOENT);
	close(token);
	close(signal_token);
}
END_TEST

/* A duplicate of a token is as good; a token is worthless once its creator closed the timeline. */
START_TEST(token_lifetime)
{
	struct view view, opened, third;
	ck_assert_int_eq(view_create(&signaler, device, 0, "token", 0, &view), 0);
	int token = token_of(&view, FBK_RIGHT_WAIT);
	int duplicate = dup(token);
	close(token);
	ck_assert_int_eq(view_open(&waiter, duplicate, &opened), 0);
	int passed_on = token_of(&opened, FBK_RIGHT_WAIT);
	ck_assert_int_eq(view_open(&bystander.waiter, passed_on, &third), 0);
	ck_assert_int_eq(view_close(&third), 0);

	ck_assert_int_eq(view_close(&opened), 0);
	ck_assert_int_eq(view_open(&bystander.waiter, passed_on, &third), -EBADF);
	ck_assert_int_eq(view_open(&waiter, duplicate, &opened), 0); /* the maker's is another */
	ck_assert_int_eq(view_close(&view), 0);
	ck_assert_int_eq(view_open(&bystander.waiter, duplicate, &third), -EBADF);
	close(duplicate);
	close(passed_on);
}
END_TEST

/* The next timeline with the same handle starts with a cell that is not armed. */
START_TEST(handle_reused)
{
	struct view view, other;
	ck_assert_int_eq(view_create(&signaler, device, 0, "first", 0, &view), 0);
	cell_arm(&view, 5);
	view_await_monitored(&view, 5);
	ck_assert_uint_eq(cell_minimum(&view), 5);
	ck_assert_int_eq(view_close(&view), 0);
	ck_assert_int_eq(view_create(&signaler, device, 0, "second", 0, &other), 0);
	ck_assert_uint_eq(other.handle, view.handle);
	ck_assert_uint_eq(cell_minimum(&other), FBK_MONITORED_NONE);
	ck_assert_uint_eq(view_monitored(&other), FBK_MONITORED_NONE);
}
END_TEST

/* -------------------------------------------------------------------------------------- rights -- */

START_TEST(sharing_rights)
{
	struct view view, brokered, opened;
	int token = -1;
	ck_assert_int_eq(view_create(&signaler, device, 0, "memory", 0, &view), 0);
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_SIGNAL, &token), -EPERM);
	client_expect_detail(&signaler, "memory");
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL, &token), -EPERM);
	ck_assert_int_eq(view_share(&view, 0, &token), -EINVAL);
	ck_assert_int_eq(view_share(&view, 8, &token), -EINVAL);

	view_pair(&signaler, device, "brokered", FBK_TIMELINE_BROKERED, &waiter, &brokered,
		  &opened);
	ck_assert_int_eq(view_share(&opened, FBK_RIGHT_SIGNAL, &token), -EPERM);
	ck_assert_int_eq(view_share(&opened, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL, &token), -EPERM);
	client_expect_detail(&waiter, "timeline brokered");
	close(token_of(&brokered, FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL));
}
END_TEST

START_TEST(wait_only)
{
	struct view view, opened;
	int fence = eventfd(1, EFD_CLOEXEC);
	view_pair(&signaler, device, "guarded", FBK_TIMELINE_BROKERED, &waiter, &view, &opened);
	ck_assert_int_eq(view_request_signal(&opened, 1), -EPERM);
	client_expect_detail(&waiter, "no right to signal timeline guarded");
	ck_assert_int_eq(view_fail(&opened, -EIO, "because"), -EPERM);
	client_expect_detail(&waiter, "no right to signal timeline guarded");
	ck_assert_int_eq(view_import(&opened, 1, fence), -EPERM);
	client_expect_detail(&waiter, "no right to signal timeline guarded");
	ck_assert_uint_eq(view_payload(&view), 0);
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK);
	close(fence);
}
END_TEST

START_TEST(signal_only)
{
	struct view view, opened;
	int fd = -1;
	ck_assert_int_eq(view_create(&signaler, device, 0, "oneway", FBK_TIMELINE_BROKERED, &view),
			 0);
	int token = token_of(&view, FBK_RIGHT_SIGNAL);
	ck_assert_int_eq(view_open(&waiter, token, &opened), 0);
	ck_assert_int_eq(view_export(&opened, 1, FBK_FENCE_EVENTFD, UINT64_MAX, &fd), -EPERM);
	client_expect_detail(&waiter, "no right to wait timeline oneway");
	ck_assert_int_eq(view_watch(&opened, 1, UINT64_MAX, 1), -EPERM);
	ck_assert_int_eq(view_request_signal(&opened, 1), 0);
	ck_assert_uint_eq(view_payload(&view), 1);
	close(token);
}
END_TEST

/* -------------------------------------------------------------------------------------- values -- */

START_TEST(values)
{
	struct view view;
	int fd = -1;
	ck_assert_int_eq(view_create(&signaler, device, 0, "values", FBK_TIMELINE_BROKERED, &view),
			 0);
	static const uint64_t no_points[] = { 0, FBK_POISON, FBK_POISON + 1, UINT64_MAX };
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(view_request_signal(&view, no_points[i]), -ERANGE);
		client_expect_detail(&signaler, "is not a point");
		ck_assert_int_eq(view_watch(&view, no_points[i], UINT64_MAX, 1), -ERANGE);
		ck_assert_int_eq(
			view_export(&view, no_points[i], FBK_FENCE_EVENTFD, UINT64_MAX, &fd),
			-ERANGE);
	}
	ck_assert_int_eq(view_watch(&view, FBK_POINT_MAX, UINT64_MAX, 1), 0);
	ck_assert_int_eq(view_request_signal(&view, 5), 0);
	ck_assert_int_eq(view_request_signal(&view, 5), -EALREADY);
	client_expect_detail(&signaler, "5 is not above 5, the last point of values");
	ck_assert_int_eq(view_request_signal(&view, 4), -EALREADY);
	ck_assert_uint_eq(view_payload(&view), 5);
	ck_assert_int_eq(view_request_signal(&view, 6), 0);
	ck_assert_uint_eq(view_payload(&view), 6);
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK);
}
END_TEST

START_TEST(memory_is_not_signalled_by_request)
{
	struct view view;
	int fence = eventfd(1, EFD_CLOEXEC);
	ck_assert_int_eq(view_create(&signaler, device, 0, "memory", 0, &view), 0);
	ck_assert_int_eq(view_request_signal(&view, 1), -EINVAL);
	client_expect_detail(&signaler, "timeline memory is signalled in memory");
	ck_assert_int_eq(view_import(&view, 1, fence), -EINVAL);
	ck_assert_uint_eq(view_payload(&view), 0);
	close(fence);
}
END_TEST

/* ---------------------------------------------------------------------------------------- sets -- */

START_TEST(set_shares_pages)
{
	struct view a, b, other_device, brokered, alone, opened;
	uint32_t set = client_set(&signaler);
	uint32_t second = client_device(&signaler, "cpu1");
	ck_assert_int_eq(view_create(&signaler, device, set, "a", 0, &a), 0);
	ck_assert_int_eq(view_create(&signaler, device, set, "b", 0, &b), 0);
	ck_assert_int_eq(view_create(&signaler, second, set, "c", 0, &other_device), 0);
	ck_assert_int_eq(view_create(&signaler, second, set, "d", FBK_TIMELINE_BROKERED, &brokered),
			 0);
	ck_assert_int_eq(view_create(&signaler, device, 0, "e", 0, &alone), 0);
	ck_assert(a.writable && other_device.writable);
	ck_assert(!b.writable); /* that page is already mapped */
	ck_assert_uint_eq(a.control_page, b.control_page);
	ck_assert_uint_eq(a.control_page, other_device.control_page);
	ck_assert_uint_eq(a.control_page, brokered.control_page);
	ck_assert_uint_ne(a.control_page, alone.control_page);
	ck_assert_uint_ne(a.control_slot, b.control_slot);
	ck_assert_uint_eq(a.payload_page, b.payload_page);
	ck_assert_uint_ne(a.payload_slot, b.payload_slot);
	ck_assert_uint_ne(a.payload_page, other_device.payload_page); /* one writer each */
	ck_assert_uint_ne(a.payload_page, brokered.payload_page);

	ck_assert(view_signal(&b, 0, 9)); /* through a's mapping */
	ck_assert_uint_eq(view_payload(&a), 0);
	int token = token_of(&b, FBK_RIGHT_WAIT);
	ck_assert_int_eq(view_open(&waiter, token, &opened), 0);
	ck_assert_uint_eq(opened.control_page, a.control_page);
	ck_assert_uint_eq(view_payload(&opened), 9);
	close(token);
}
END_TEST

START_TEST(set_full)
{
	struct view view;
	uint32_t set = client_set(&signaler);
	for (int i = 0; i < SET_SLOTS; i++) {
		EXPECT(view_create(&signaler, device, set, "member", 0, &view) == 0);
	}
	ck_assert_uint_eq(view.control_slot, SET_SLOTS - 1);
	ck_assert(view_signal(&view, 0, 1)); /* the last slot works */
	ck_assert_int_eq(view_create(&signaler, device, set, "member", 0, &view), -ENOSPC);
	client_expect_detail(&signaler, "is full (511 timelines");
	ck_assert_int_eq(view_create(&signaler, device, client_set(&signaler), "member", 0, &view),
			 0);

	REQUEST(request, SET_DESTROY, set_destroy);
	request.set_destroy->set = set;
	ck_assert_int_eq(client_call(&signaler, &request, NULL, 0, NULL), 0);
	ck_assert_int_eq(client_call(&signaler, &request, NULL, 0, NULL), -ENOENT);
	ck_assert_uint_eq(view_status(&view), FBK_STATUS_OK); /* its timelines stay */
}
END_TEST

START_TEST(handles_used_up)
{
	struct view view, opened, last;
	struct client other;
	client_open(&other, &fencebrokerd);
	ck_assert_int_eq(view_create(&other, client_device(&other, "cpu2"), 0, "more", 0, &view),
			 0);
	int token = token_of(&view, FBK_RIGHT_WAIT);
	uint32_t set = 0;
	for (int i = 0; i < HANDLES_MAX; i++) {
		if (i % SET_SLOTS == 0) {
			set = client_set(&signaler);
		}
		EXPECT(view_create(&signaler, device, set, "one", FBK_TIMELINE_BROKERED, &last) ==
		       0);
	}
	ck_assert_uint_eq(last.handle, HANDLES_MAX);
	set = client_set(&signaler);
	ck_assert_int_eq(view_create(&signaler, device, set, "two", 0, &opened), -EEXIST);
	client_expect_detail(&signaler, "timeline one open by handle 4095");
	ck_assert_int_eq(view_open(&signaler, token, &opened), -EEXIST);
	client_expect_detail(&signaler, "timeline one open by handle 4095");
	cell_arm(&last, 1); /* the last cell and bell work */
	view_await_monitored(&last, 1);
	ck_assert_int_eq(view_close(&last), 0);
	ck_assert_int_eq(view_open(&signaler, token, &opened), 0);
	ck_assert_uint_eq(opened.handle, HANDLES_MAX);
	ck_assert_int_eq(view_create(&signaler, device, set, "one", 0, &last), -EEXIST);
	client_close(&other);
	close(token);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, created, 0, 2);
	tcase_add_test(tcase, bad_descriptions);
	tcase_add_test(tcase, open_before_mapped);
	tcase_add_test(tcase, open_twice);
	tcase_add_test(tcase, token_lifetime);
	tcase_add_test(tcase, handle_reused);
	tcase_add_test(tcase, sharing_rights);
	tcase_add_test(tcase, wait_only);
	tcase_add_test(tcase, signal_only);
	tcase_add_test(tcase, values);
	tcase_add_test(tcase, memory_is_not_signalled_by_request);
	tcase_add_test(tcase, set_shares_pages);
	tcase_add_test(tcase, set_full);
	tcase_add_test(tcase, handles_used_up);
}

int main(void)
{
	return suite_main("timeline", add);
}
