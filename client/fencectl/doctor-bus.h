// SPDX-License-Identifier: MIT
/* What the doctor's checks of the bus share: who answers for a name, and where files are. */
#pragma once

#include "bus.h"
#include "doctor.h"

enum bus_service {
	BUS_ABSENT,      /* nobody owns the name, and no call starts anybody */
	BUS_ACTIVATABLE, /* nobody owns it; a call starts its service */
	BUS_OWNED,
};

/* Who would answer for that name; or a negative errno. */
int bus_service_find(sd_bus *bus, const char *name, enum bus_service *ret_service);

/*
 * Whether one of the paths, a list that ends with NULL, exists; the first that does goes into the note. If none does:
 * where the file lies that was installed with this program, at SHARE below its prefix.
 */
bool bus_file_find(const char *const *paths, const char *share, char *ret_note, size_t size);

/* bus is NULL if there is none. */
void doctor_polkit(struct doctor *doctor, sd_bus *bus);
