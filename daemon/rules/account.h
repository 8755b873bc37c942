// SPDX-License-Identifier: MIT
/*
 * Who uses how much of what. Everything that costs the daemon something is charged to a user (a
 * uid) before it is kept; the charge is embedded in what consumes, and giving it back is part of
 * destroying that. The daemon owns one account; only its loop thread touches it.
 *
 * Two bounds hold for each resource:
 *   - the user's own limit, from the policy: -EDQUOT;
 *   - a ceiling for all users together, where one is set (fds of the process, say): -ENFILE. Under
 *     a ceiling what a user holds beyond a small share (ACCOUNT_SHARE of the ceiling) may never be
 *     more than what is left free after the charge, however it is split into charges. So one user
 *     alone gets about half, the next one half of the rest, and nobody can take all; what others
 *     take shrinks what a user may still get, but never takes away what it has. A charge that
 *     stays within the small share is only refused where nothing is free. The share is not
 *     reserved: that would let idle users take from busy ones.
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
	ACCOUNT_SYNCOBJ_ARMS,
	ACCOUNT_EDGES,
	ACCOUNT_QUEUED_BYTES,
	ACCOUNT_LOG_LINES,
	ACCOUNT_RESOURCE_COUNT
};

struct account_limit {
	const char *key;   /* in the policy's `limits` */
	uint64_t per_user; /* unless the policy says otherwise */
	const char *what;
};

/* By enum account_resource: the one place where names and defaults are written. */
extern const struct account_limit account_limits[ACCOUNT_RESOURCE_COUNT];

/* The small share that a user gets without regard to fairness: ceiling / ACCOUNT_SHARE. */
#define ACCOUNT_SHARE 64

struct account; /* all users */
struct user;

/* All zero: nothing charged. Holds a reference to the user while charged; must not be copied. */
struct charge {
	struct user *user;
	enum account_resource resource;
	uint64_t amount;
};

/* 0 or -ENOMEM. */
int account_create(struct account **ret_account);

/* All users must be gone by then. Takes NULL. */
void account_destroy(struct account *account);

/* A bound on what all users hold together; UINT64_MAX (from the start) for none. Charges that
 * exist stay, also where they are above it. */
void account_set_ceiling(struct account *account, enum account_resource resource, uint64_t amount);

/* What all users hold together. */
uint64_t account_total(const struct account *account, enum account_resource resource);

/* Calls `fn` once per user, in no particular order. It may drop references to the user it is
 * given, not to others, and must not make users. */
void account_foreach_user(struct account *account, void (*fn)(struct user *user, void *arg),
			  void *arg);

/* A reference to the user of `uid`, who is made with these limits where there is none; the limits
 * of one who exists stay as they are. 0 or -ENOMEM. */
int account_user_ref(struct account *account, uid_t uid,
		     const uint64_t limits[ACCOUNT_RESOURCE_COUNT], struct user **ret_user);

struct user *user_ref(struct user *user);

/* The last one removes the user, who by then uses nothing: each charge holds a reference. Takes
 * NULL. */
void user_unref(struct user *user);

/* Which of its limits was in the way the last time; NULL: none ever was. */
const struct account_limit *user_refused(const struct user *user);
uid_t user_uid(const struct user *user);
uint64_t user_usage(const struct user *user, enum account_resource resource);
uint64_t user_limit(const struct user *user, enum account_resource resource);

/*
 * Charge `amount`, by an empty charge. 0, or with nothing changed:
 *   -EDQUOT  above the user's own limit
 *   -ENFILE  above the ceiling, or above this user's fair part of it
 */
int charge_take(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount);

/* Gives all back and leaves the charge empty; an empty one stays so. */
void charge_release(struct charge *charge);

/*
 * One charge for many small things of the same owner, which are then spared one each. An empty one
 * is taken, with charge_take()'s errors; another must be of the same user and resource.
 */
int charge_grow(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount);

/* Empty once all is given back. */
void charge_shrink(struct charge *charge, uint64_t amount);
