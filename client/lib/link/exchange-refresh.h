// SPDX-License-Identifier: MIT
/* What came back to an exchange, and watching for it. Under the exchange's lock. */
#pragma once

#include <stdint.h>

struct fbk_exchange;

/* link_refresh() of all its links; take back what is there; dismiss consumers that are late (`now` was read before;
 * 0: none is). */
int exchange_refresh(struct fbk_exchange *exchange, uint64_t now);

/* While a buffer with a callback is out, each consumer's next frame is watched. */
void exchange_watch(struct fbk_exchange *exchange);
