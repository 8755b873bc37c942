// SPDX-License-Identifier: MIT
#include "round.h"

#include "host.h"
#include "member.h"

#define POST_THINK_NS 60000 /* enough for the partner to spin and then sleep */

/* relaxed, here and below: the partner's signal or note orders the store before the load */
static bool partner_slept(struct meeting *meeting, uint64_t value)
{
	return atomic_load_explicit(&meeting->slept[value % MEETING_ROUND_MAX],
				    memory_order_relaxed);
}

static void slept_store(struct meeting *meeting, uint64_t value, long before)
{
	atomic_store_explicit(&meeting->slept[value % MEETING_ROUND_MAX], host_sleeps() > before,
			      memory_order_relaxed);
}

static int sample_take(struct samples *samples, uint64_t ns, bool counts)
{
	if (!counts) {
		samples->dropped++;
		return 0;
	}
	return samples_add(samples, (double)ns);
}

int trip_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      uint64_t think_ns, bool must_sleep, struct samples *samples)
{
	unsigned int trips = count + MEETING_WARM_UP;
	uint64_t value = meeting->value;
	int r = note_send(socket, trips, -1);
	for (unsigned int i = 0; r == 0 && i < trips; i++) {
		value++;
		host_think(think_ns);
		long before = host_sleeps();
		uint64_t start = host_now();
		r = half->signal(half->arg, value);
		if (r == 0) {
			r = half->wait(half->arg, value);
		}
		uint64_t end = host_now();
		bool slept = host_sleeps() > before;
		if (r == 0 && i >= MEETING_WARM_UP) {
			r = sample_take(samples, end - start,
					!must_sleep || (slept && partner_slept(meeting, value)));
		}
	}
	meeting->value = value;
	return r;
}

int trip_follow(int socket, struct meeting *meeting, const struct half *half, uint64_t think_ns)
{
	uint64_t value = 0;
	uint64_t trips;
	int r;
	while ((r = note_await(socket, &trips)) == 0) {
		for (; trips > 0; trips--) {
			long before = host_sleeps();
			value++;
			r = half->wait(half->arg, value);
			if (r < 0) {
				return r;
			}
			slept_store(meeting, value, before);
			host_think(think_ns);
			r = half->signal(half->arg, value);
			if (r < 0) {
				return r;
			}
		}
	}
	return r;
}

static int step(int (*fn)(void *arg, uint64_t value), void *arg, uint64_t value)
{
	return fn ? fn(arg, value) : 0;
}

int post_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      enum post_measure measure, struct samples *samples)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count + MEETING_WARM_UP; i++) {
		uint64_t value = ++meeting->value;
		r = step(half->prepare, half->arg, value);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		if (r == 0) {
			r = note_receive(socket, NULL, NULL); /* the partner is about to wait */
		}
		if (r < 0) {
			return r;
		}
		host_think(POST_THINK_NS);
		uint64_t start = host_now();
		r = half->signal(half->arg, value);
		uint64_t end = host_now();
		if (r == 0) {
			r = note_receive(socket, NULL, NULL); /* the partner is awake */
		}
		if (r == 0) {
			r = step(half->settle, half->arg, value);
		}
		if (measure == POST_WOKEN) {
			end = atomic_load_explicit(&meeting->woken, memory_order_relaxed);
		}
		if (r == 0 && i >= MEETING_WARM_UP) {
			r = sample_take(samples, end - start, partner_slept(meeting, value));
		}
	}
	return r;
}

int post_follow(int socket, struct meeting *meeting, const struct half *half)
{
	uint64_t value;
	int r;
	while ((r = note_await(socket, &value)) == 0) {
		r = step(half->prepare, half->arg, value);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		long before = host_sleeps();
		if (r == 0) {
			r = half->wait(half->arg, value);
		}
		if (r < 0) {
			return r;
		}
		atomic_store_explicit(&meeting->woken, host_now(), memory_order_relaxed);
		slept_store(meeting, value, before);
		r = step(half->settle, half->arg, value);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		if (r < 0) {
			return r;
		}
	}
	return r;
}

int turn_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      struct samples *samples)
{
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count + MEETING_WARM_UP; i++) {
		uint64_t value = ++meeting->value;
		r = step(half->prepare, half->arg, value);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		if (r == 0) {
			r = note_receive(socket, NULL, NULL); /* the partner is about to wait */
		}
		if (r < 0) {
			return r;
		}
		host_think(POST_THINK_NS);
		uint64_t start = host_now();
		r = half->signal(half->arg, value);
		if (r == 0) {
			r = half->wait(half->arg, value);
		}
		uint64_t end = host_now();
		if (r == 0) {
			r = note_receive(socket, NULL, NULL); /* the partner has settled */
		}
		if (r == 0) {
			r = step(half->settle, half->arg, value);
		}
		if (r == 0 && i >= MEETING_WARM_UP) {
			r = sample_take(samples, end - start, partner_slept(meeting, value));
		}
	}
	return r;
}

int turn_follow(int socket, struct meeting *meeting, const struct half *half, uint64_t think_ns)
{
	uint64_t value;
	int r;
	while ((r = note_await(socket, &value)) == 0) {
		r = step(half->prepare, half->arg, value);
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		long before = host_sleeps();
		if (r == 0) {
			r = half->wait(half->arg, value);
		}
		if (r < 0) {
			return r;
		}
		slept_store(meeting, value, before);
		host_think(think_ns);
		r = half->signal(half->arg, value);
		if (r == 0) {
			r = step(half->settle, half->arg, value);
		}
		if (r == 0) {
			r = note_send(socket, value, -1);
		}
		if (r < 0) {
			return r;
		}
	}
	return r;
}
