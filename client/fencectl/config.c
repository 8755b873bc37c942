// SPDX-License-Identifier: MIT
#include "policy-list.h"

int verb_config(const struct options *options)
{
	Fbk__Wire__InspectPolicy about = FBK__WIRE__INSPECT_POLICY__INIT;
	about.part = FBK__WIRE__INSPECT_POLICY__PART__VALUES;
	return policy_list_show(options, "config", &about);
}
