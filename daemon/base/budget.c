// SPDX-License-Identifier: MIT
#include "budget.h"

static int64_t share_of(const struct budget *budget, uint64_t wall_ns)
{
	return (int64_t)(wall_ns / 100 * budget->percent);
}

void budget_init(struct budget *budget, uint64_t percent, uint64_t wall_ns)
{
	*budget = (struct budget){ .percent = percent, .wall_ns = wall_ns };
	budget->tokens = share_of(budget, BUDGET_DEPTH);
}

void budget_settle(struct budget *budget, uint64_t wall_ns, uint64_t cpu_ns)
{
	int64_t most = share_of(budget, BUDGET_DEPTH);
	int64_t tokens = budget->tokens + share_of(budget, wall_ns - budget->wall_ns);
	tokens = tokens > most ? most : tokens;
	tokens -= (int64_t)(cpu_ns - budget->cpu_ns);
	budget->tokens = tokens < -most ? -most : tokens;
	budget->wall_ns = wall_ns;
	budget->cpu_ns = cpu_ns;
}

uint64_t budget_wait(const struct budget *budget)
{
	if (budget->tokens > 0) {
		return 0;
	}
	int64_t missing = (int64_t)BUDGET_SLICE - budget->tokens;
	return budget->wall_ns + (uint64_t)missing * 100 / budget->percent;
}
