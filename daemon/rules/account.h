// SPDX-License-Identifier: MIT
/*
 * How much each user (a uid) uses of each resource. Everything that costs the daemon something is
 * charged to a user before it is kept. The charge is embedded in the object that consumes, and
 * destroying the object gives it back. The daemon owns one account; loop's thread only.
 *
 * Two bounds hold for each resource:
 *   - the user's own limit, from the policy: -EDQUOT;
 *   - a ceiling for all users together, where one is set (fds of the process, say): -ENFILE. Under
 *     a ceiling a user has a small share, the ceiling divided by ACCOUNT_SHARE. What it holds beyond
 *     that may never exceed what is still free after the charge, however it is split into charges.
 *     So one user alone gets about half, the next one half of the rest, and no user can take all.
 *     What others take shrinks what a user may still get, and never takes away what it has. A charge
 *     within the small share is refused only where nothing is free. The share is not reserved: that
 *     would let idle users take from busy ones.
 *
 * Beside the users there is a reserve for administrators whose own uid is at a limit: enough to look and to evict, beyond the
 * ceilings. Who sets these leaves room for it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum account_resource {
	ACCOUNT_SESSIONS,
	ACCOUNT_DEVICES,
	ACCOUNT_TIMELINES,
	ACCOUNT_HANDLES,
	ACCOUNT_PAGE_BYTES,
	ACCOUNT_REGISTERED_PAGES,
	ACCOUNT_FDS,
	ACCOUNT_TOKENS,
	ACCOUNT_WATCHES,
	ACCOUNT_EXPORTS,
	ACCOUNT_IMPORTS,
	ACCOUNT_PROMISES,
	ACCOUNT_MIRRORS,
	ACCOUNT_LINKS,
	ACCOUNT_FORMAT_BYTES,
	ACCOUNT_SYNCOBJ_ARMS,
	ACCOUNT_EDGES,
	ACCOUNT_QUEUED_BYTES,
	ACCOUNT_LOG_LINES,
	ACCOUNT_RESOURCE_COUNT
};

struct account_limit {
	const char *key;   /* in the policy's `limits` */
	uint64_t per_user; /* the default */
	const char *what;
};

/* By enum account_resource: the one place for names and defaults. */
extern const struct account_limit account_limits[ACCOUNT_RESOURCE_COUNT];

/* The small share of a user, which fairness does not bound: ceiling / ACCOUNT_SHARE. */
#define ACCOUNT_SHARE 64

struct account; /* all users */
struct user;

/* All zero: empty. Holds a reference to the user while charged; must not be copied. */
struct charge {
	struct user *user;
	enum account_resource resource;
	uint64_t amount;
};

/* 0 or -ENOMEM. */
int account_create(struct account **ret_account);

/* All users must be gone. Takes NULL. */
void account_destroy(struct account *account);

/* Bounds what all users hold together; UINT64_MAX, the initial value: no bound. Existing charges
 * stay, even above it. */
void account_set_ceiling(struct account *account, enum account_resource resource, uint64_t amount);

/* What all users hold together. */
uint64_t account_total(const struct account *account, enum account_resource resource);

/* Calls `fn` once per user, in no particular order. `fn` may drop references to the user that it is
 * given, not to others, and must not make users. */
void account_foreach_user(struct account *account, void (*fn)(struct user *user, void *arg),
			  void *arg);

/* A reference to the user of `uid`. A new user is made with these limits; an existing one keeps its
 * own. 0 or -ENOMEM. */
int account_user_ref(struct account *account, uid_t uid,
		     const uint64_t limits[ACCOUNT_RESOURCE_COUNT], struct user **ret_user);

/* A reference to the reserve, as a user that has ACCOUNT_RESERVE_UID, which is nobody's. 0 or -ENOMEM. */
#define ACCOUNT_RESERVE_UID ((uid_t)-1)
#define ACCOUNT_RESERVE_FDS 64
int account_reserve_ref(struct account *account, struct user **ret_user);

struct user *user_ref(struct user *user);

/* The last reference removes the user. It uses nothing then, as each charge holds a reference. Takes
 * NULL. */
void user_unref(struct user *user);

/* The limit that last refused a charge; NULL: none ever did. */
const struct account_limit *user_refused(const struct user *user);
uid_t user_uid(const struct user *user);
uint64_t user_usage(const struct user *user, enum account_resource resource);
uint64_t user_limit(const struct user *user, enum account_resource resource);

/* New limits. What exceeds them stays charged, and the user gets no more until it is below. */
void user_set_limits(struct user *user, const uint64_t limits[ACCOUNT_RESOURCE_COUNT]);

/*
 * Charge `amount` to an empty charge. 0, or with nothing changed:
 *   -EDQUOT  above the user's own limit
 *   -ENFILE  above the ceiling, or above this user's fair part of it
 */
int charge_take(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount);

/* Gives all back and leaves the charge empty. No-op on an empty one. */
void charge_release(struct charge *charge);

/*
 * One charge for many small objects of the same owner, instead of one in each. Takes an empty charge,
 * or one of the same user and resource. Errors as from charge_take().
 */
int charge_grow(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount);

/* The charge is empty once all is given back. */
void charge_shrink(struct charge *charge, uint64_t amount);
