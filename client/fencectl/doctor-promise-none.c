// SPDX-License-Identifier: MIT
/* A build without promises. */
#include "doctor-promise.h"

#include "doctor.h"

void doctor_promises(struct doctor *doctor, const struct drm *drm)
{
	(void)drm;
	doctor_add(doctor, "promises", CHECK_MISSING, false,
		   "a lab: the kernel waits for a process",
		   "nothing, but in a lab: build with -DFBK_PROMISES=ON", "%s",
		   "this build has none, by intention");
}
