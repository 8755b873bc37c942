// SPDX-License-Identifier: MIT
#include "exchange-actor.h"

#include "exchange-record.h"

void exchange_actor_init(struct exchange_actor *actor, const struct exchange_run *run,
			 unsigned int place, uint32_t instance, int socket)
{
	*actor = (struct exchange_actor){
		.run = run, .place = place, .instance = instance, .socket = socket
	};
	dice_init(&actor->dice, run->base.seed, (uint64_t)instance << 8);
	EXPECT(journal_create(&actor->journal, run->base.logs, instance, place,
			      run->base.log_capacity) == 0);
	actor->context = peer_connect(run->base.daemon);
}

struct record *exchange_actor_leaving(struct exchange_actor *actor)
{
	struct record *record = journal_begin(&actor->journal, 1);
	record_publish(record, RECORD_LEAVE);
	return record;
}

void exchange_actor_leave(struct exchange_actor *actor, struct record *leaving)
{
	fbk_disconnect(actor->context);
	record_end(leaving, 0);
	journal_finish(&actor->journal);
}
