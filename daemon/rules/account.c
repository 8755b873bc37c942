// SPDX-License-Identifier: MIT
#include "account.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_COUNT 256 /* uids in use at a time: a handful; a few thousand on a big host */

const struct account_limit account_limits[ACCOUNT_RESOURCE_COUNT] = {
	[ACCOUNT_SESSIONS] = { "connections", 256, "open at a time" },
	[ACCOUNT_DEVICES] = { "devices", 256, "registered devices" },
	[ACCOUNT_TIMELINES] = { "timelines", 65536, "timelines made" },
	[ACCOUNT_HANDLES] = { "open_timelines", 262144, "timelines opened, by all connections" },
	[ACCOUNT_PAGE_BYTES] = { "page_bytes", UINT64_C(256) << 20, "bytes of fence pages" },
	[ACCOUNT_REGISTERED_PAGES] = { "registered_pages", 256, "pages of drivers' memory" },
	[ACCOUNT_FDS] = { "fds", 4096, "file descriptors kept by the daemon" },
	[ACCOUNT_TOKENS] = { "tokens", 4096, "sharing tokens" },
	[ACCOUNT_WATCHES] = { "watches", 131072, "points watched" },
	[ACCOUNT_EXPORTS] = { "exports", 4096, "exports under way" },
	[ACCOUNT_IMPORTS] = { "imports", 4096, "imports under way" },
	[ACCOUNT_PROMISES] = { "promises", 64, "promises under way" },
	[ACCOUNT_MIRRORS] = { "mirrors", 256, "timelines mirrored to or from syncobjs" },
	[ACCOUNT_LINKS] = { "links", 1024, "links offered" },
	[ACCOUNT_FORMAT_BYTES] = { "format_bytes", UINT64_C(16) << 20,
				   "bytes of formats of links" },
	[ACCOUNT_SYNCOBJ_ARMS] = { "syncobj_waits", 512, "syncobj points waited for" },
	[ACCOUNT_EDGES] = { "dependencies", 16384, "points known to wait for another" },
	[ACCOUNT_QUEUED_BYTES] = { "queued_bytes", UINT64_C(4) << 20, "bytes of unread messages" },
	[ACCOUNT_LOG_LINES] = { "log_lines", 100, "log lines caused in 10 seconds" },
};

/* Of all connections in the reserve together: a few that look at lists, and make nothing. */
static const uint64_t reserve_limits[ACCOUNT_RESOURCE_COUNT] = {
	[ACCOUNT_SESSIONS] = 4,
	[ACCOUNT_PAGE_BYTES] = UINT64_C(4) << 20,
	[ACCOUNT_FDS] = ACCOUNT_RESERVE_FDS,
	[ACCOUNT_QUEUED_BYTES] = UINT64_C(128) << 10,
	[ACCOUNT_LOG_LINES] = 100,
};

struct user {
	struct account *account;
	struct user *next; /* in its bucket */
	uid_t uid;
	size_t refs;
	uint64_t usage[ACCOUNT_RESOURCE_COUNT];
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	const struct account_limit *refused; /* see user_refused */
};

struct account {
	struct user *buckets[BUCKET_COUNT];
	uint64_t totals[ACCOUNT_RESOURCE_COUNT];
	uint64_t ceilings[ACCOUNT_RESOURCE_COUNT];
};

int account_create(struct account **ret_account)
{
	struct account *account = calloc(1, sizeof(*account));

	if (!account) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		account->ceilings[i] = UINT64_MAX;
	}
	*ret_account = account;
	return 0;
}

void account_destroy(struct account *account)
{
	if (!account) {
		return;
	}
	for (size_t i = 0; i < BUCKET_COUNT; i++) {
		assert(!account->buckets[i]);
	}
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		assert(account->totals[i] == 0);
	}
	free(account);
}

void account_set_ceiling(struct account *account, enum account_resource resource, uint64_t amount)
{
	account->ceilings[resource] = amount;
}

uint64_t account_total(const struct account *account, enum account_resource resource)
{
	return account->totals[resource];
}

void account_foreach_user(struct account *account, void (*fn)(struct user *user, void *arg),
			  void *arg)
{
	for (size_t i = 0; i < BUCKET_COUNT; i++) {
		struct user *next;

		for (struct user *user = account->buckets[i]; user; user = next) {
			next = user->next;
			fn(user, arg);
		}
	}
}

static struct user **account_bucket(struct account *account, uid_t uid)
{
	/* Multiplying by an odd number spreads uids that differ in high bits only, like those of
	 * containers. */
	return &account->buckets[(uint32_t)(uid * UINT32_C(2654435769)) / (1U << 24)];
}

_Static_assert(BUCKET_COUNT == 256, "the hash keeps the top 8 bits");

int account_user_ref(struct account *account, uid_t uid,
		     const uint64_t limits[ACCOUNT_RESOURCE_COUNT], struct user **ret_user)
{
	struct user **bucket = account_bucket(account, uid);
	struct user *user = *bucket;

	while (user && user->uid != uid) {
		user = user->next;
	}
	if (user) {
		*ret_user = user_ref(user);
		return 0;
	}
	user = calloc(1, sizeof(*user));
	if (!user) {
		return -ENOMEM;
	}
	user->account = account;
	user->uid = uid;
	user->refs = 1;
	memcpy(user->limits, limits, sizeof(user->limits));
	user->next = *bucket;
	*bucket = user;
	*ret_user = user;
	return 0;
}

int account_reserve_ref(struct account *account, struct user **ret_user)
{
	return account_user_ref(account, ACCOUNT_RESERVE_UID, reserve_limits, ret_user);
}

struct user *user_ref(struct user *user)
{
	user->refs++;
	return user;
}

void user_unref(struct user *user)
{
	if (!user) {
		return;
	}
	assert(user->refs > 0);
	if (--user->refs > 0) {
		return;
	}
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		assert(user->usage[i] == 0);
	}
	struct user **at = account_bucket(user->account, user->uid);

	while (*at != user) {
		at = &(*at)->next;
	}
	*at = user->next;
	free(user);
}

uid_t user_uid(const struct user *user)
{
	return user->uid;
}

const struct account_limit *user_refused(const struct user *user)
{
	return user->refused;
}

uint64_t user_usage(const struct user *user, enum account_resource resource)
{
	return user->usage[resource];
}

uint64_t user_limit(const struct user *user, enum account_resource resource)
{
	return user->limits[resource];
}

void user_set_limits(struct user *user, const uint64_t limits[ACCOUNT_RESOURCE_COUNT])
{
	memcpy(user->limits, limits, sizeof(user->limits));
}

/* Is there room under the ceiling, and does the user's part of it stay fair? */
static bool user_ceiling_allows(const struct user *user, enum account_resource resource,
				uint64_t amount)
{
	uint64_t ceiling = user->account->ceilings[resource];
	uint64_t total = user->account->totals[resource];
	uint64_t share = ceiling / ACCOUNT_SHARE;

	if (ceiling == UINT64_MAX) {
		return amount <= UINT64_MAX - total;
	}
	if (total > ceiling || amount > ceiling - total) {
		return false;
	}
	uint64_t free_after = ceiling - total - amount;
	uint64_t usage_after = user->usage[resource] + amount; /* at most the ceiling */

	return usage_after <= share || usage_after - share <= free_after;
}

static int user_take(struct user *user, enum account_resource resource, uint64_t amount)
{
	assert(resource < ACCOUNT_RESOURCE_COUNT);
	uint64_t limit = user->limits[resource];
	uint64_t usage = user->usage[resource];
	if (usage > limit || amount > limit - usage) { /* above a limit that was lowered since */
		user->refused = &account_limits[resource];
		return -EDQUOT;
	}
	if (user->uid != ACCOUNT_RESERVE_UID && !user_ceiling_allows(user, resource, amount)) {
		return -ENFILE;
	}
	user->usage[resource] += amount;
	user->account->totals[resource] += amount;
	return 0;
}

static void user_give(struct user *user, enum account_resource resource, uint64_t amount)
{
	assert(user->usage[resource] >= amount);
	user->usage[resource] -= amount;
	user->account->totals[resource] -= amount;
}

int charge_take(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount)
{
	assert(!charge->user);
	int r = user_take(user, resource, amount);

	if (r == 0) {
		*charge = (struct charge){ user_ref(user), resource, amount };
	}
	return r;
}

void charge_release(struct charge *charge)
{
	struct user *user = charge->user;

	if (!user) {
		return;
	}
	user_give(user, charge->resource, charge->amount);
	*charge = (struct charge){ 0 };
	user_unref(user);
}

int charge_grow(struct charge *charge, struct user *user, enum account_resource resource,
		uint64_t amount)
{
	if (!charge->user) {
		return charge_take(charge, user, resource, amount);
	}
	assert(charge->user == user && charge->resource == resource);
	int r = user_take(user, resource, amount);

	if (r == 0) {
		charge->amount += amount;
	}
	return r;
}

void charge_shrink(struct charge *charge, uint64_t amount)
{
	assert(charge->amount >= amount);
	if (charge->amount == amount) {
		charge_release(charge);
		return;
	}
	user_give(charge->user, charge->resource, amount);
	charge->amount -= amount;
}
