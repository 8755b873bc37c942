// SPDX-License-Identifier: MIT
/* The settings and switches of a policy, with their names and bounds, and its answers beyond yes or no. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_settings {
	uint64_t spin_ns;             /* how long a wait spins before it sleeps */
	uint64_t max_wait_ms;         /* the longest wait or export, whatever its deadline */
	uint64_t max_import_ms;       /* an imported fence that takes longer is late */
	uint64_t max_jump;            /* a payload that rises by more at once is implausible */
	uint64_t promise_ms;          /* deadline of a promise; well below vgem's own timeout */
	uint64_t poison_ms;           /* how long poison is restored where a device overwrites it */
	uint64_t watcher_cpu_percent; /* of one CPU; 0: no watcher */
	bool promises;                /* unsignalled sync_files are allowed */
	bool implicit_promises;       /* and in the reservation of a dma-buf */
};

struct policy_setting_spec {
	const char *key;
	uint64_t initial;
	uint64_t minimum;
	uint64_t maximum;
	uint64_t scale; /* from the file's unit to the unit of struct policy_settings */
	size_t offset;  /* in struct policy_settings */
	const char *what;
};

/* The numbers among the settings: the one place for names, defaults and bounds. */
#define POLICY_SETTING_COUNT 7
extern const struct policy_setting_spec policy_setting_specs[POLICY_SETTING_COUNT];

/* The switches among the settings; off by default. */
struct policy_switch_spec {
	const char *key;
	size_t offset;
	const char *what;
};

#define POLICY_SWITCH_COUNT 2
extern const struct policy_switch_spec policy_switch_specs[POLICY_SWITCH_COUNT];

/* The largest limit that a policy may set: a larger number must be a mistake. */
#define POLICY_LIMIT_MAX (UINT64_C(1) << 40)

/* By device class as in enum fbk_device_class, from 1; [0] is NULL. */
#define POLICY_CLASS_COUNT 9
extern const char *const policy_class_names[POLICY_CLASS_COUNT];

/* Where a value or a rule is written. */
struct policy_origin {
	const char *file; /* lives as long as the policy; NULL: nowhere, it is the default */
	unsigned int line;
};

enum policy_inspect {
	POLICY_INSPECT_NONE,
	POLICY_INSPECT_OWN, /* what belongs to the same uid */
	POLICY_INSPECT_ALL,
};
