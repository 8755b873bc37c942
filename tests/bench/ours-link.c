// SPDX-License-Identifier: MIT
/* Setting up a link: one process offers it, the other accepts, the producer joins. */
#include <errno.h>
#include <unistd.h>

#include "ours-exchange.h"
#include "raw.h"

/* Accepts the offer in each note; a note without one closes the link. */
static int link_partner(int socket, void *arg)
{
	struct ours *ours = arg;
	struct party party;
	struct fbk_link *link = NULL;
	uint64_t number;
	int offer;
	int r = party_join(&party, &ours->daemon, "partner");
	while (r == 0 && (r = note_receive(socket, &number, &offer)) == 0) {
		if (offer < 0) { /* no offer */
			fbk_link_close(link);
			link = NULL;
		} else {
			r = fbk_link_accept(party.device, offer, NULL, &link) < 0
				    ? ours_fail("accepting a link")
				    : 0;
			close(offer);
		}
		r = r == 0 ? note_send(socket, number, -1) : r;
	}
	return r;
}

static int link_open(const struct row *row, void **ret_state)
{
	struct ours *ours;
	int r = ours_open(row, NULL, link_partner, 1, &ours);
	*ret_state = ours;
	return r;
}

static int note_answered(int socket, int fd)
{
	int r = note_send(socket, 0, fd);
	return r < 0 ? r : note_receive(socket, NULL, NULL);
}

static int link_once(struct ours *ours, uint64_t *ret_ns)
{
	int socket = ours->partners[0].socket;
	struct fbk_exchange *exchange;
	struct fbk_link *link;
	const struct fbk_link_desc wanted = { .struct_size = sizeof(wanted),
					      .role = FBK_ROLE_PRODUCER };
	int offer;
	uint64_t start = host_now();
	if (fbk_link_offer(ours->party.device, &wanted, &offer, &link) < 0 ||
	    fbk_exchange_create(link, &exchange) < 0) {
		return ours_fail("offering a link");
	}
	int r = note_answered(socket, offer);
	close(offer);
	if (r == 0 && fbk_link_wait(link, start + HALL_PATIENCE_NS) < 0) {
		r = ours_fail("waiting for the consumer");
	}
	*ret_ns = host_now() - start;
	fbk_exchange_destroy(exchange);
	fbk_link_close(link);
	return r < 0 ? r : note_answered(socket, -1);
}

static int link_round(void *state, unsigned int count, struct samples *samples)
{
	uint64_t ns = 0;
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		r = link_once(state, &ns);
		r = r == 0 ? samples_add(samples, (double)ns) : r;
	}
	return r;
}

const struct side ours_link = { "offer, accept, join", link_open, link_round, ours_close };
