// SPDX-License-Identifier: MIT
/* The consumer's end of a link. */
#pragma once

struct fbk_link;

int role_consumer_create(struct fbk_link *link); /* makes link->consumer; -ENOMEM */
