// SPDX-License-Identifier: MIT
/* fbk_link_import(): the program is asked about each buffer, before frames come in it. */
#pragma once

#include <stdbool.h>

#include "link-consumer.h"

/* Has the program to be asked about some? Under the link's lock. */
bool link_import_due(const struct fbk_link *link);

/* Ask it about all of those. Not under the lock. */
int link_import(struct fbk_link *link);
