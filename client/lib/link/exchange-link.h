// SPDX-License-Identifier: MIT
/* An exchange and its links: from its first to its last. */
#pragma once

struct fbk_link;

/* Out of its exchange, if it has one: what its consumer has comes back in error. Not under the lock. */
void exchange_remove_link(struct fbk_link *link);
