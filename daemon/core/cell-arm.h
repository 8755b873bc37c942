// SPDX-License-Identifier: MIT
/*
 * The arm of a cell in a client's pair page: once the point of the cell is decided, it wakes who sleeps on the cell
 * (rule R2). Owned by the client's handle of that number; loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "arm.h"
#include "bell.h"

int cell_arm_create(struct bell *bell, uint32_t number, struct arm **ret_arm); /* not armed */
void cell_arm_destroy(struct arm *arm);                                        /* takes NULL */

/* Wake who sleeps on this cell, and who sleeps on all of them. */
void cell_arm_wake(struct bell *bell, uint32_t number);
