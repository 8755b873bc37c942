// SPDX-License-Identifier: MIT
#include "cell-arm.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/cells.h"
#include "proto/container.h"

struct cell_arm {
	struct arm arm;
	struct bell *bell;
	uint32_t number;
};

void cell_arm_wake(struct bell *bell, uint32_t number)
{
	struct fbk_pair_page *pair = bell_page(bell);
	bell->registry->counters.wakes++;
	cell_bump(&pair->cells[number]);
	/* seq_cst: after the bump above; the waiter sets it before it re-reads its points */
	if (atomic_load_explicit(&pair->cells[0].minimum, memory_order_seq_cst) == 0) {
		cell_bump(&pair->cells[0]);
	}
}

static void cell_arm_done(struct arm *arm, struct timeline *timeline, int result)
{
	const struct cell_arm *cell_arm = container_of(arm, struct cell_arm, arm);
	(void)result; /* whoever wakes looks for itself */
	timeline_count(timeline)->wakes++;
	cell_arm_wake(cell_arm->bell, cell_arm->number);
}

int cell_arm_create(struct bell *bell, uint32_t number, struct arm **ret_arm)
{
	struct cell_arm *cell_arm = calloc(1, sizeof(*cell_arm));
	if (!cell_arm) {
		return -ENOMEM;
	}
	cell_arm->bell = bell;
	cell_arm->number = number;
	cell_arm->arm.done = cell_arm_done;
	*ret_arm = &cell_arm->arm;
	return 0;
}

void cell_arm_destroy(struct arm *arm)
{
	if (arm) {
		arm_remove(arm);
		free(container_of(arm, struct cell_arm, arm));
	}
}
