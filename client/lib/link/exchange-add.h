// SPDX-License-Identifier: MIT
/* Adding buffers to an exchange and removing them. Under the exchange's lock. */
#pragma once

#include "exchange.h"

struct fbk_link;

/* Tell the daemon which buffer lies there for that link; where it is none, that there is none. */
int buffer_send(const struct fbk_link *link, uint32_t index, const struct exchange_buffer *buffer);
