// SPDX-License-Identifier: MIT
#include "call.h"

#include <stdbool.h>

#include "proto/fd.h"

void calls_init(struct calls *calls, pthread_mutex_t *mutex)
{
	calls->mutex = mutex;
	LIST_INIT(&calls->running);
	pthread_cond_init(&calls->ended, NULL);
}

void calls_finish(struct calls *calls)
{
	pthread_cond_destroy(&calls->ended);
}

void call_begin(struct calls *calls, struct call *call, uint64_t number, const void *owner)
{
	*call = (struct call){ .number = number, .owner = owner, .thread = pthread_self() };
	LIST_INSERT_HEAD(&calls->running, call, links);
}

void call_end(struct calls *calls, struct call *call)
{
	LIST_REMOVE(call, links);
	if (calls->waiting > 0) {
		pthread_cond_broadcast(&calls->ended);
	}
}

void call_enter(struct calls *calls, struct call *call, uint64_t number, const void *owner)
{
	pthread_mutex_lock(calls->mutex);
	call_begin(calls, call, number, owner);
	pthread_mutex_unlock(calls->mutex);
}

void call_leave(struct calls *calls, struct call *call)
{
	pthread_mutex_lock(calls->mutex);
	call_end(calls, call);
	pthread_mutex_unlock(calls->mutex);
}

static bool call_elsewhere(const struct calls *calls, uint64_t number, const void *owner)
{
	const struct call *call;
	LIST_FOREACH(call, &calls->running, links) {
		bool meant = owner ? call->owner == owner : call->number == number;
		if (meant && !pthread_equal(call->thread, pthread_self())) {
			return true;
		}
	}
	return false;
}

static void calls_wait(struct calls *calls, uint64_t number, const void *owner)
{
	pthread_mutex_lock(calls->mutex);
	calls->waiting++;
	while (call_elsewhere(calls, number, owner)) {
		int before = cancelling_hold();
		pthread_cond_wait(&calls->ended, calls->mutex);
		cancelling_resume(before);
	}
	calls->waiting--;
	pthread_mutex_unlock(calls->mutex);
}

void calls_wait_number(struct calls *calls, uint64_t number)
{
	calls_wait(calls, number, NULL);
}

void calls_wait_owner(struct calls *calls, const void *owner)
{
	calls_wait(calls, 0, owner);
}
