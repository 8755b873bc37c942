// SPDX-License-Identifier: MIT
#include "life.h"

#include <string.h>
#include <sys/mman.h>

#include "daemon/base/log.h"
#include "daemon/base/robust.h"
#include "page.h"
#include "registry.h"

static struct fbk_life_slot *life_slot(const struct registry *registry)
{
	return fbk_life_slot_at(registry->life->memory);
}

int life_begin(struct registry *registry)
{
	int r = page_create(FBK_PAGE_LIFE, registry_new_id(registry), 0, FBK_PAGE_SIZE_MIN, NULL,
			    &registry->life);
	if (r == 0) {
		r = page_seal(registry->life); /* mapped here already: nobody else writes it */
	}
	if (r < 0) {
		return r;
	}
	mlock(registry->life->memory, registry->life->size); /* the kernel writes it when we end */
	r = robust_hold(&life_slot(registry)->holder);
	if (r < 0) {
		log_warning("set_robust_list: %s: a program that only checks points does not see "
			    "this daemon die (a seccomp filter may forbid the call)",
			    strerrordesc_np(-r));
	}
	return 0;
}

void life_end(struct registry *registry)
{
	if (registry->life) {
		robust_release(&life_slot(registry)->holder);
	}
}

void life_finish(struct registry *registry)
{
	life_end(registry);
	page_unref(registry->life);
	registry->life = NULL;
}
