// SPDX-License-Identifier: MIT
/* Open file descriptions, compared without touching what they are of. Any thread. */
#pragma once

#include <stdbool.h>

/* Are both descriptors of the same? */
bool description_same(int a, int b);

/* An order of all that are open, which stays as long as they are: 0 the same, 1 a before b, 2 after
 * it. -ENOSYS and -EPERM: this kernel, or what confines us, has no kcmp(2). */
int description_order(int a, int b);
