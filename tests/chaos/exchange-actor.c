// SPDX-License-Identifier: MIT
#include "exchange-actor.h"

#include "exchange-record.h"

void exchange_actor_init(struct exchange_actor *actor, const struct exchange_run *run,
			 unsigned int place, uint32_t instance, int socket)
{
	*actor = (struct exchange_actor){
		.run = run, .place = place, .instance = instance, .socket = socket
	};
	dice_init(&actor->dice, run->seed, (uint64_t)instance << 8);
	EXPECT(journal_create(&actor->journal, run->logs, instance, place, run->log_capacity) == 0);
	actor->context = peer_connect(run->daemon);
}

struct record *exchange_actor_leaving(struct exchange_actor *actor)
{
	struct record *record = exchange_record(actor);
	record_publish(record, RECORD_LEAVE);
	return record;
}

void exchange_actor_leave(struct exchange_actor *actor, struct record *leaving)
{
	fbk_disconnect(actor->context);
	record_end(leaving, 0);
	journal_finish(&actor->journal);
}

struct record *exchange_record(struct exchange_actor *actor)
{
	struct record *record = journal_take(&actor->journal, 1);
	if (!record) {
		ck_abort_msg("the log of instance %u is full", actor->instance);
	}
	record->begin = clock_ns();
	return record;
}
