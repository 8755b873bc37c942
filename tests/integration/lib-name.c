// SPDX-License-Identifier: MIT
#include "lib-name.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib-exchange.h"

static const char policy[] =
	"version = 1;\n"
	"limits: { links = 3; };\n"
	"rules: (\n"
	" { user = 65534; publish = [ \"camera\", \"encoder.*\" ]; find = \"encoder.*\"; },\n"
	" { user = 65533; publish = \"own.*\"; find = false; },\n"
	" { user = 65533; publish = false; },\n"
	" { user = 65532; publish = true; limits: { tokens = 1; }; },\n"
	" { user = 0; publish = true; find = true; },\n"
	" { user = \"*\"; connect = true; register = true; inspect = \"all\"; } );\n";

struct names names;

void names_open(void)
{
	daemon_serve(&names.server, policy);
	client_open(&names.observer, &names.server);
	names.finder = peer_connect(&names.server);
}

void names_close(void)
{
	fbk_disconnect(names.finder);
	client_close(&names.observer);
	daemon_stop(&names.server);
}

void expect_error(int result, int error, const char *part)
{
	ck_assert_msg(result == error && strstr(fbk_error_detail(), part), "%d: %s", result,
		      fbk_error_detail());
}

void expect_ok(int result)
{
	ck_assert_msg(result == 0, "%d: %s", result, fbk_error_detail());
}

void service_offer(struct service *service)
{
	int offer;
	expect_ok(link_offer(service->device, FBK_ROLE_PRODUCER, &offer, &service->link));
	close(offer); /* no other process gets it from this test */
}

void service_open(struct service *service)
{
	service->context = peer_connect(&names.server);
	service->device = exchange_device(service->context, "service", FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY64);
	service_offer(service);
}

enum fbk_link_phase phase_of(struct fbk_link *link)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	expect_ok(fbk_link_info(link, &info));
	return info.phase;
}

int find(const char *name)
{
	int offer = -1;
	int r = fbk_link_find(names.finder, name, &offer);
	ck_assert_int_eq(offer >= 0, r == 0);
	if (r == 0) {
		close(offer);
	}
	return r;
}

void await_none(const char *name)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	int r;
	while ((r = find(name)) != -ENOENT) {
		ck_assert_msg(now_ms() < deadline, "%s is still there: %d", name, r);
		yield_briefly();
	}
}

void guest_connect(struct guest *guest)
{
	*guest = (struct guest){ .context = peer_connect(&names.server) };
	guest->device =
		exchange_device(guest->context, "guest", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
}

int guest_accept(struct guest *guest, const char *name)
{
	int offer;
	int r = fbk_link_find(guest->context, name, &offer);
	if (r == 0) {
		r = link_accept(guest->device, offer, &guest->link);
		close(offer);
	}
	return r;
}

void guest_open(struct guest *guest, const char *name)
{
	guest_connect(guest);
	expect_ok(guest_accept(guest, name));
}

void become(uid_t uid)
{
	EXPECT(setgid(uid) == 0 && setuid(uid) == 0);
}
