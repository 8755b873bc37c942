// SPDX-License-Identifier: MIT
/* What came back to an exchange, and watching for it. Under the exchange's lock. */
#pragma once

struct fbk_exchange;

/* link_refresh() of all its links; take back what is there, and what need not be taken. */
int exchange_refresh(struct fbk_exchange *exchange);

/* While a buffer with a callback is out, or a link is stopped, what could bring something back is watched. */
void exchange_watch(struct fbk_exchange *exchange);
