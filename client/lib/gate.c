// SPDX-License-Identifier: MIT
#include "gate.h"

#include <stdlib.h>

#include "proto/container.h"
#include "timeline.h"
#include "watch-arm.h"

static void gate_finish(struct fbk_gate *gate)
{
	if (gate->finish) {
		gate->finish(gate);
		gate->finish = NULL;
	}
}

static void gate_free(struct fbk_watch *handle)
{
	struct fbk_gate *gate = container_of(handle, struct fbk_gate, handle);
	gate_finish(gate);
	free(gate);
}

static const struct handle_ops gate_handle = { .stop = handle_stop_watch, .free = gate_free };

/* After `done` it may be gone. */
static void gate_decided(void *arg, struct fbk_point point, int result)
{
	struct fbk_gate *gate = arg;
	fbk_point_fn *done = gate->done;
	void *done_arg = gate->arg;
	if (result == 0) {
		result = gate->act(gate);
	}
	gate_finish(gate);
	if (!gate->kept) {
		handle_cancel(&gate->handle);
	}
	if (done) {
		done(done_arg, point, result);
	}
}

int gate_begin(struct fbk_gate *gate, const struct gate_request *request)
{
	struct watch *watch;
	gate->done = request->done;
	gate->arg = request->arg;
	gate->kept = request->ret_gate;
	int r = watch_new(request->point, request->deadline_ns, gate_decided, gate, &watch);
	if (r < 0) {
		gate_free(&gate->handle);
		return r;
	}
	handle_init(&gate->handle, request->point.timeline->context, &gate_handle);
	if (request->ret_gate) {
		*request->ret_gate = gate;
	}
	watch_begin(watch, &gate->handle.number);
	return 0;
}

void fbk_gate_cancel(struct fbk_gate *gate)
{
	if (gate) {
		handle_cancel(&gate->handle);
	}
}
