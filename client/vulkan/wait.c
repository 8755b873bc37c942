// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>

#include "vulkan.h"

/* An armed value. */
struct arm {
	LIST_ENTRY(arm) links;
	struct fbk_vk_wait *wait;
	struct fbk_watch *watch;
	bool armed; /* on the list: whoever takes it off has it */
	uint64_t value;
	fbk_point_fn *fn;
	void *arg;
};

/* `mutex` guards the list and the value; it is not held while `fn` runs. */
struct fbk_vk_wait {
	struct fbk_vk *vk;
	struct fbk_timeline *timeline;
	VkSemaphore semaphore;
	pthread_mutex_t mutex;
	LIST_HEAD(, arm) arms;
	uint64_t value; /* of the semaphore */
};

static int semaphore_create(struct fbk_vk_wait *wait)
{
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
		.initialValue = wait->value,
	};
	const VkSemaphoreCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
		.pNext = &type,
	};
	return fbk_vk_check(wait->vk,
			    wait->vk->procs.vkCreateSemaphore(wait->vk->handles.device, &info, NULL,
							      &wait->semaphore),
			    "vkCreateSemaphore");
}

int fbk_vk_wait_create(struct fbk_vk *vk, struct fbk_timeline *timeline,
		       struct fbk_vk_wait **ret_wait)
{
	if (!(vk->handles.abilities & FBK_VK_ABILITY_TIMELINES)) {
		return vk_error_set(-EOPNOTSUPP, "%s has no timeline semaphores: it lacks %s",
				    vk->name, ability_needs(FBK_VK_ABILITY_TIMELINES));
	}
	struct fbk_vk_wait *wait = calloc(1, sizeof(*wait));
	if (!wait) {
		return vk_error_set(-ENOMEM, "out of memory");
	}
	wait->vk = vk;
	wait->timeline = timeline;
	wait->value = fbk_timeline_value(timeline);
	LIST_INIT(&wait->arms);
	pthread_mutex_init(&wait->mutex, NULL);
	int r = semaphore_create(wait);
	if (r < 0) {
		pthread_mutex_destroy(&wait->mutex);
		free(wait);
		return r;
	}
	*ret_wait = wait;
	return 0;
}

VkSemaphore fbk_vk_wait_semaphore(const struct fbk_vk_wait *wait)
{
	return wait->semaphore;
}

/* Under the mutex. A semaphore must not step back, nor be signalled again. */
static int wait_raise(struct fbk_vk_wait *wait, uint64_t value)
{
	const VkSemaphoreSignalInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
		.semaphore = wait->semaphore,
		.value = value,
	};
	if (value <= wait->value) {
		return 0;
	}
	wait->value = value;
	return fbk_vk_check(wait->vk,
			    wait->vk->procs.vkSignalSemaphore(wait->vk->handles.device, &info),
			    "vkSignalSemaphore");
}

/* Under the mutex. False: the other one of callback and cancel has it. */
static bool arm_take(struct arm *arm)
{
	bool armed = arm->armed;
	if (armed) {
		LIST_REMOVE(arm, links);
		arm->armed = false;
	}
	return armed;
}

static void arm_free(struct arm *arm)
{
	fbk_watch_cancel(arm->watch);
	free(arm);
}

static void wait_decided(void *arg, struct fbk_point point, int result)
{
	struct arm *arm = arg;
	struct fbk_vk_wait *wait = arm->wait;
	pthread_mutex_lock(&wait->mutex);
	bool taken = arm_take(arm);
	int r = taken ? wait_raise(wait, arm->value) : 0;
	pthread_mutex_unlock(&wait->mutex);
	if (taken && arm->fn) {
		arm->fn(arm->arg, point, result == 0 ? r : result);
	}
	if (taken) {
		arm_free(arm);
	}
}

/* Under the mutex, so that the arm is complete before it can fire. */
static int arm_watch(struct arm *arm, uint64_t deadline_ns)
{
	struct fbk_vk_wait *wait = arm->wait;
	struct fbk_point point = { wait->timeline, arm->value };
	int r = fbk_point_check(point) == 0 ? wait_raise(wait, arm->value) : 0;
	if (r == 0) {
		r = fbk_point_watch(point, deadline_ns, wait_decided, arm, &arm->watch);
		r = r < 0 ? vk_error_core(r) : 0;
	}
	if (r == 0) {
		LIST_INSERT_HEAD(&wait->arms, arm, links);
		arm->armed = true;
	}
	return r;
}

int fbk_vk_wait_arm(struct fbk_vk_wait *wait, uint64_t value, uint64_t deadline_ns,
		    fbk_point_fn *fn, void *arg)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		return vk_error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				    (unsigned long long)value);
	}
	struct arm *arm = calloc(1, sizeof(*arm));
	if (!arm) {
		return vk_error_set(-ENOMEM, "out of memory");
	}
	*arm = (struct arm){ .wait = wait, .value = value, .fn = fn, .arg = arg };
	pthread_mutex_lock(&wait->mutex);
	int r = value > wait->value && value - wait->value > wait->vk->difference_max
			? vk_error_set(-ERANGE, "%llu is more than %llu ahead of %llu",
				       (unsigned long long)value,
				       (unsigned long long)wait->vk->difference_max,
				       (unsigned long long)wait->value)
			: arm_watch(arm, deadline_ns);
	pthread_mutex_unlock(&wait->mutex);
	if (r < 0) {
		free(arm);
	}
	return r;
}

void fbk_vk_wait_cancel(struct fbk_vk_wait *wait)
{
	pthread_mutex_lock(&wait->mutex);
	while (!LIST_EMPTY(&wait->arms)) {
		struct arm *arm = LIST_FIRST(&wait->arms);
		arm_take(arm);
		wait_raise(wait, arm->value);
		pthread_mutex_unlock(&wait->mutex);
		arm_free(arm); /* waits for its callback, which takes the mutex */
		pthread_mutex_lock(&wait->mutex);
	}
	pthread_mutex_unlock(&wait->mutex);
}

void fbk_vk_wait_destroy(struct fbk_vk_wait *wait)
{
	if (!wait) {
		return;
	}
	fbk_vk_wait_cancel(wait);
	wait->vk->procs.vkDestroySemaphore(wait->vk->handles.device, wait->semaphore, NULL);
	pthread_mutex_destroy(&wait->mutex);
	free(wait);
}
