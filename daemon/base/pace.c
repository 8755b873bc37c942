// SPDX-License-Identifier: MIT
#include "pace.h"

#include "clock.h"

#define LOOK_MIN_NS (20 * NS_PER_US) /* a shorter sleep costs more than polling on */
#define LOOK_MAX_NS (1 * NS_PER_MS)
#define REST_MAX_NS (100 * NS_PER_MS) /* reached by a wait of half a minute */
#define SPREAD_MIN  10e3              /* ns: no timer wakes more precisely */
#define FAR_NS      (3600 * NS_PER_S)

static uint64_t bounded(uint64_t value, uint64_t low, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static double bounded_double(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

void pace_observe(struct pace *pace, uint64_t value, uint64_t before_ns, uint64_t now_ns)
{
	/* The value rose at some time between the two looks. After a long sleep that says little: then
	 * assume that it rose shortly before the planned look. */
	double late = (double)(now_ns - before_ns) / 2;
	if (pace->step_ns > 0 && late > 2 * pace->spread_ns) {
		late = 2 * pace->spread_ns;
	}
	uint64_t at = now_ns - (uint64_t)late;
	if (pace->at_ns != 0 && at > pace->at_ns && value > pace->value) {
		double steps = (double)(value - pace->value);
		double took = (double)(at - pace->at_ns);
		if (pace->step_ns > 0) {
			/* A pause must not pass for a slow pace: bound the error by the expected time. */
			double expected = steps * pace->step_ns;
			double error = bounded_double(took - expected, -expected, expected);
			double off = error < 0 ? -error : error;
			pace->step_ns += error / steps / 8;
			pace->spread_ns += (off - pace->spread_ns) / 4;
		} else {
			pace->step_ns = took / steps;
			pace->spread_ns = took / 4;
		}
		if (pace->spread_ns < SPREAD_MIN) {
			pace->spread_ns = SPREAD_MIN;
		}
	}
	pace->value = value;
	pace->at_ns = at;
}

/* The longer a wait lasts, the less another delay costs: the bound of a sleep grows with it. */
static uint64_t look_at_least(uint64_t waited_ns)
{
	return bounded(waited_ns / 256, LOOK_MAX_NS, REST_MAX_NS);
}

/* Without a prediction: sleep ever longer. */
static uint64_t look_seldom(uint64_t waited_ns)
{
	return bounded(waited_ns / 8, LOOK_MIN_NS, look_at_least(waited_ns));
}

uint64_t pace_next(const struct pace *pace, uint64_t value, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t waited = now_ns - since_ns;
	if (!(pace->step_ns > 0) || value <= pace->value) {
		return now_ns + look_seldom(waited);
	}
	double ahead = (double)(value - pace->value) * pace->step_ns;
	uint64_t expected = pace->at_ns + (uint64_t)bounded_double(ahead, 0, FAR_NS);
	uint64_t window = (uint64_t)bounded_double(2 * pace->spread_ns, 0, FAR_NS);
	if (now_ns + window < expected) {
		/* Sleep until shortly before; but not long, as the value may rise sooner than ever. */
		uint64_t trust = bounded(waited, LOOK_MAX_NS, REST_MAX_NS);
		uint64_t sleep = expected - window - now_ns;
		return now_ns + (sleep < trust ? sleep : trust);
	}
	uint64_t period = window / 16;
	if (now_ns > expected + window) { /* late, or the writer paused before this wait began */
		period += look_seldom(now_ns - (expected > since_ns ? expected : since_ns));
	}
	return period < LOOK_MIN_NS ? now_ns : now_ns + bounded(period, 0, look_at_least(waited));
}
