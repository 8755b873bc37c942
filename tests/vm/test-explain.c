// SPDX-License-Identifier: MIT
/* The routes on a kernel with fences and a policy that allows promises, as the daemon explains
 * them. */
#include "lib-lab.h"

#include <stdio.h>
#include <string.h>

#include "../integration/lib-wire.h"

#define R(name) (1U << FBK_ROUTE_##name)

static struct daemon server;
static struct fbk_context *context;
static struct client client;

static void device_add(const char *name, enum fbk_device_class class, uint32_t waits,
		       uint32_t signals, uint32_t routes)
{
	struct fbk_device *device;
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = name,
					.device_class = class,
					.waits = waits,
					.signals = signals,
					.routes = routes };
	int r = fbk_device_register(context, &desc, &device);
	ck_assert_msg(r == 0, "%s: %s", name, fbk_error_detail());
}

/* Points of GPUs may be promised, those of other devices not. */
static void serve(bool implicit)
{
	char policy[512];
	snprintf(policy, sizeof(policy),
		 "version = 1;\n"
		 "settings: { promises = true; implicit_promises = %s; };\n"
		 "rules: ( { user = \"*\"; promise = true; class = \"gpu\"; },\n"
		 "         { user = \"*\"; connect = true; register = true; inspect = \"all\"; } "
		 ");\n",
		 implicit ? "true" : "false");
	daemon_serve(&server, policy);
	client_open(&client, &server);
	context = peer_connect(&server);
	device_add("gpu0", FBK_CLASS_GPU, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("cpu0", FBK_CLASS_CPU, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, 0);
	device_add("vcn0", FBK_CLASS_ENCODER, FBK_FENCE_SYNC_FILE, FBK_FENCE_SYNC_FILE, 0);
	device_add("eager", FBK_CLASS_ENCODER, FBK_FENCE_SYNC_FILE, FBK_FENCE_SYNC_FILE,
		   R(SYNC_FILE_PROMISE) | R(CPU_WAIT));
	device_add("screen", FBK_CLASS_DISPLAY, FBK_FENCE_DMA_BUF_IMPLICIT,
		   FBK_FENCE_DMA_BUF_IMPLICIT, 0);
	device_add("wl0", FBK_CLASS_COMPOSITOR, FBK_FENCE_SYNCOBJ_TIMELINE,
		   FBK_FENCE_SYNCOBJ_TIMELINE, 0);
}

static void setup(void)
{
	serve(true);
}

static void setup_explicit(void)
{
	serve(false);
}

static void teardown(void)
{
	fbk_disconnect(context);
	client_close(&client);
	daemon_stop(&server);
}

/* The route chosen in each direction, and the text about `of` in one of them. */
static void expect(const char *from, const char *to, const char *acquire, const char *release,
		   const char *way, const char *of, const char *why)
{
	struct reply reply;
	bool found = false;
	REQUEST(request, INSPECT_ROUTE, inspect_route);
	request.inspect_route->from = (char *)(uintptr_t)from;
	request.inspect_route->to = (char *)(uintptr_t)to;
	ck_assert_int_eq(client_call(&client, &request, NULL, 0, &reply), 0);
	const Fbk__Wire__RouteList *list = reply.message->routes;
	for (size_t i = 0; i < list->n_routes; i++) {
		const Fbk__Wire__RouteEntry *entry = list->routes[i];
		bool forward = strcmp(entry->way, "acquire") == 0;
		if (entry->taken) {
			ck_assert_str_eq(entry->route, forward ? acquire : release);
		}
		if (strcmp(entry->way, way) == 0 && strcmp(entry->route, of) == 0) {
			ck_assert_str_eq(entry->why, why);
			found = true;
		}
	}
	ck_assert_msg(found, "no %s from %s to %s", of, from, to);
	reply_free(&reply);
}

START_TEST(promises_by_policy)
{
	ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_PROMISE, NULL), 1);
	expect("gpu0", "vcn0", "sync_file-late", "cpu-wait", "acquire", "sync_file-promise",
	       "it works too, and sync_file-late is cheaper");
	expect("gpu0", "eager", "sync_file-promise", "cpu-wait", "acquire", "sync_file-promise",
	       "eager gets a promised sync_file before the point");
	expect("cpu0", "eager", "cpu-wait", "cpu-wait", "acquire", "sync_file-promise",
	       "policy lets no point of cpu0 be promised: add a rule with `promise`");
	expect("gpu0", "screen", "dma-buf-implicit", "cpu-wait", "acquire", "dma-buf-implicit",
	       "screen finds a promise in the buffer's own fences");
	/* a device that waits on promises alone is promised no release */
	expect("eager", "gpu0", "cpu-wait", "cpu-wait", "release", "sync_file-promise",
	       "no release is promised: a promise that expires reads as success");
	expect("screen", "gpu0", "cpu-wait", "cpu-wait", "release", "dma-buf-implicit",
	       "no release is promised: a promise that expires reads as success");
}
END_TEST

/* A route does not exist if the kernel lacks it, or cannot import its fences. */
START_TEST(syncobjs_by_kernel)
{
	if (fbk_feature(context, FBK_FEATURE_MIRRORS, NULL)) {
		expect("gpu0", "wl0", "syncobj-mirror", "cpu-wait", "release", "native",
		       "wl0 signals nothing in memory");
	} else {
		ck_assert_int_eq(fbk_feature(context, FBK_FEATURE_SYNCOBJ, NULL), 0);
		expect("gpu0", "wl0", "cpu-wait", "none", "acquire", "syncobj-mirror",
		       "nothing makes syncobj mirrors here: see `fencectl doctor`");
		expect("gpu0", "wl0", "cpu-wait", "none", "release", "none",
		       "no import for the fences that wl0 signals: syncobj-timeline; see "
		       "`fencectl doctor`");
	}
}
END_TEST

START_TEST(explicit_ones_only)
{
	expect("gpu0", "screen", "cpu-wait", "cpu-wait", "acquire", "dma-buf-implicit",
	       "policy promises nothing in a dma-buf's fences: set `implicit_promises`");
	expect("gpu0", "eager", "sync_file-promise", "cpu-wait", "acquire", "native",
	       "eager does not accept this route");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, promises_by_policy);
	tcase_add_test(tcase, syncobjs_by_kernel);
}

static void add_explicit(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_explicit, teardown);
	tcase_add_test(tcase, explicit_ones_only);
}

int main(void)
{
	int r = lab_main("explain", "vgem", add);
	return r == 0 ? lab_main("explain, explicit promises only", "vgem", add_explicit) : r;
}
