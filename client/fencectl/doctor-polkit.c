// SPDX-License-Identifier: MIT
/* polkit: whether it answers, and knows the actions of the daemon. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "doctor-bus.h"
#include "way.h"

#define POLKIT "org.freedesktop.PolicyKit1"

#define POLKIT_START_US UINT64_C(10000000) /* the first call starts it, and it reads its rules */

/* Those of policies/org.fencebroker1.policy. */
static const char *const actions[] = {
	"org.fencebroker1.evict-client",
	"org.fencebroker1.fail-timeline",
	"org.fencebroker1.reload",
};

#define ACTION_COUNT ((int)(sizeof(actions) / sizeof(actions[0])))

static const char *const action_paths[] = {
	"/usr/share/polkit-1/actions/org.fencebroker1.policy",
	NULL,
};

/* One entry of EnumerateActions: 1 if it is an action of the daemon, 0 if another's, or a negative errno. */
static int action_read(sd_bus_message *reply)
{
	const char *id;
	int ours = 0;
	int r = sd_bus_message_read(reply, "s", &id);
	for (int i = 0; r >= 0 && i < ACTION_COUNT; i++) {
		ours = ours || strcmp(id, actions[i]) == 0;
	}
	if (r >= 0) {
		r = sd_bus_message_skip(reply, "sssssuuua{ss}");
	}
	return r < 0 ? r : ours;
}

/* How many of the daemon's actions polkit knows; or a negative errno. This starts polkitd; its timeout stays the bus's. */
static int actions_count(sd_bus *bus)
{
	sd_bus_message *reply = NULL;
	int count = 0;
	int r = sd_bus_set_method_call_timeout(bus, POLKIT_START_US);
	if (r >= 0) {
		r = sd_bus_call_method(bus, POLKIT, "/org/freedesktop/PolicyKit1/Authority",
				       POLKIT ".Authority", "EnumerateActions", NULL, &reply, "s",
				       "");
	}
	if (r >= 0) {
		r = sd_bus_message_enter_container(reply, 'a', "(ssssssuuua{ss})");
	}
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "ssssssuuua{ss}")) > 0) {
		r = action_read(reply);
		count += r > 0;
		if (r >= 0) {
			r = sd_bus_message_exit_container(reply);
		}
	}
	sd_bus_message_unref(reply);
	return r < 0 ? r : count;
}

/* What polkitd says counts, if it answers: newer ones read more directories. */
static void check_actions(struct doctor *doctor, int known)
{
	char note[CHECK_NOTE_SIZE];
	bool found = bus_file_find(action_paths, "polkit-1/actions/org.fencebroker1.policy", note,
				   sizeof(note));
	const char *use = "the questions that the daemon asks polkit";
	if (known == ACTION_COUNT) {
		doctor_add(doctor, "polkit-actions", CHECK_WORKS, false, use, "",
			   "polkitd knows all %d", ACTION_COUNT);
	} else if (found && known >= 0) {
		doctor_add(doctor, "polkit-actions", CHECK_LIMITED, false, use,
			   "`systemctl restart polkit`; its log says what is wrong with the file",
			   "polkitd knows %d of %d, see %s", known, ACTION_COUNT, note);
	} else {
		doctor_add(doctor, "polkit-actions", found ? CHECK_WORKS : CHECK_MISSING, false,
			   use,
			   found ? ""
				 : "copy org.fencebroker1.policy to /usr/share/polkit-1/actions: "
				   "not every polkitd reads /usr/local",
			   "%s", note);
	}
}

void doctor_polkit(struct doctor *doctor, sd_bus *bus)
{
	enum bus_service service = BUS_ABSENT;
	int r = bus ? bus_service_find(bus, POLKIT, &service) : -ENOTCONN;
	bool there = r >= 0 && service != BUS_ABSENT;
	int known = there ? actions_count(bus) : -ENOENT;
	doctor_add(doctor, "polkit", known >= 0 ? CHECK_WORKS : CHECK_MISSING, false,
		   "letting users other than root fail timelines, evict clients and reload",
		   known >= 0 ? ""
		   : there    ? "see `systemctl status polkit`; until it answers, only root may"
			      : way_say("%s; without it, only root may", way_install(WAY_POLKIT)),
		   "%s%s",
		   known >= 0 ? "polkitd answers"
		   : there    ? "polkitd does not answer: "
		   : bus      ? "no polkitd, and no call starts one"
			      : "there is no bus to ask",
		   there && known < 0 ? strerrordesc_np(-known) : "");

	check_actions(doctor, known);
}
