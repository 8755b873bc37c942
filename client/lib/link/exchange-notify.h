// SPDX-License-Identifier: MIT
/* Callbacks of an exchange: running them in order. */
#pragma once

struct fbk_exchange;

/* Some buffer is back, and has a callback: it runs in the next dispatch. Under the exchange's lock. */
void exchange_notify_soon(struct fbk_exchange *exchange);
