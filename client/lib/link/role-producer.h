// SPDX-License-Identifier: MIT
/* The producer's end of a link. */
#pragma once

struct fbk_link;

int role_producer_create(struct fbk_link *link); /* makes link->producer; -ENOMEM */
