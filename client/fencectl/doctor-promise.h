// SPDX-License-Identifier: MIT
/* What promises need here. In a build without them doctor-promise-none.c says only that. */
#pragma once

struct doctor;
struct drm;

void doctor_promises(struct doctor *doctor, const struct drm *drm);
