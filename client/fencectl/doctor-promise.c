// SPDX-License-Identifier: MIT
/* A build with promises: what they need. */
#include "doctor-promise.h"

#include <sys/resource.h>
#include <unistd.h>

#include "doctor.h"
#include "proto/drm.h"
#include "way.h"

#define SW_SYNC "/sys/kernel/debug/sync/sw_sync"

void doctor_promises(struct doctor *doctor, const struct drm *drm)
{
	struct rlimit locked = { 0 };
	getrlimit(RLIMIT_MEMLOCK, &locked);
	bool may_lock = geteuid() == 0 || locked.rlim_max == RLIM_INFINITY;
	doctor_add(doctor, "promises", CHECK_WORKS, false, "a lab: the kernel waits for a process",
		   "", "%s", "this build has them; policy decides");
	doctor_add(doctor, "vgem", drm->vgem[0] ? CHECK_WORKS : CHECK_MISSING, false,
		   "unsignalled sync_files: promises, in a lab",
		   drm->vgem[0] ? ""
				: way_say("%s (a test driver; fencebroker never loads it)",
					  way_module("vgem")),
		   "%s", drm->vgem[0] ? drm->vgem : "no device of that driver can be opened");
	doctor_add(doctor, "memory-lock", may_lock ? CHECK_WORKS : CHECK_LIMITED, false,
		   "promises: a process that signals for the kernel must not wait for memory",
		   may_lock ? "" : "set LimitMEMLOCK=infinity in the service", "%s",
		   may_lock ? "memory can be locked" : "RLIMIT_MEMLOCK is not infinite");
	bool sw_sync = access(SW_SYNC, R_OK | W_OK) == 0;
	doctor_add(doctor, "sw_sync", sw_sync ? CHECK_WORKS : CHECK_MISSING, false,
		   "nothing yet; promises made with it could carry errors",
		   sw_sync ? "" : "use a kernel with CONFIG_SW_SYNC, and mount debugfs",
		   SW_SYNC " %s", sw_sync ? "can be opened" : "cannot be opened");
}
