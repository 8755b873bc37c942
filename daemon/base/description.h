// SPDX-License-Identifier: MIT
/* Comparison of open file descriptions, which does not touch their files. Any thread. */
#pragma once

#include <stdbool.h>

/* Do both descriptors refer to the same description? */
bool description_same(int a, int b);

/* The order of two descriptions, fixed while both are open: 0 the same, 1 a before b, 2 a after b.
 * -ENOSYS, -EPERM: the kernel, or the sandbox around the daemon, has no kcmp(2). */
int description_order(int a, int b);
