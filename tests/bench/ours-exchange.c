// SPDX-License-Identifier: MIT
#include "ours-exchange.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUFFER_SIZE 4096

static int buffer_add(struct hall *hall, uint32_t index)
{
	int fd = memfd_create("fence-bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, BUFFER_SIZE) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0) {
		return bench_fail("no buffer");
	}
	struct fbk_buffer_desc desc = {
		.struct_size = sizeof(desc),
		.memory = FBK_MEMORY_MEMFD,
		.fd = { fd, -1, -1, -1 },
		.width = 32,
		.height = 32,
		.plane_count = 1,
		.stride = { 128 },
	};
	return fbk_exchange_add(hall->exchange, index, &desc) < 0 ? ours_fail("adding a buffer")
								  : 0;
}

int hall_open(struct hall *hall, struct party *party, int socket, unsigned int buffers)
{
	const struct fbk_link_desc wanted = { .struct_size = sizeof(wanted),
					      .role = FBK_ROLE_PRODUCER };
	int offer;
	*hall = (struct hall){ .party = party };
	if (fbk_timeline_create(party->device, NULL, "drawn", 0, &hall->drawn) < 0 ||
	    fbk_link_offer(party->device, &wanted, &offer, &hall->link) < 0) {
		return ours_fail("offering a link");
	}
	int r = note_send(socket, 0, offer);
	close(offer);
	if (r == 0 && fbk_exchange_create(hall->link, &hall->exchange) < 0) {
		r = ours_fail("making an exchange");
	}
	for (uint32_t i = 0; r == 0 && i < buffers; i++) {
		r = buffer_add(hall, i);
	}
	if (r == 0) {
		r = note_receive(socket, NULL, NULL); /* the partner has accepted */
	}
	if (r == 0 && fbk_link_wait(hall->link, host_now() + HALL_PATIENCE_NS) < 0) {
		r = ours_fail("waiting for the consumer");
	}
	return r;
}

int guest_join(struct guest *guest, const struct daemon *daemon, int socket, uint32_t waits,
	       uint32_t signals)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "guest",
					.device_class = FBK_CLASS_CPU,
					.waits = waits,
					.signals = signals };
	const struct fbk_consumer_desc consumer = { sizeof(consumer), FBK_DELIVERY_FIFO,
						    FBK_BUFFERS_MAX };
	const struct fbk_link_desc wanted = { .struct_size = sizeof(wanted),
					      .consumer = &consumer };
	int offer;
	*guest = (struct guest){ 0 };
	int r = party_join(&guest->party, daemon, "partner");
	if (r == 0) {
		r = note_receive(socket, NULL, &offer);
	}
	if (r < 0) {
		return r;
	}
	if (fbk_device_register(guest->party.context, &desc, &guest->device) < 0 ||
	    fbk_timeline_create(guest->party.device, NULL, "read", 0, &guest->read) < 0 ||
	    fbk_link_accept(guest->device, offer, &wanted, &guest->link) < 0) {
		r = ours_fail("accepting a link");
	}
	close(offer);
	return r < 0 ? r : note_send(socket, 0, -1);
}

int hall_take(struct hall *hall, uint32_t *ret_index)
{
	return fbk_exchange_take(hall->exchange, host_now() + HALL_PATIENCE_NS, ret_index, NULL) < 0
		       ? ours_fail("taking a buffer")
		       : 0;
}

int hall_hand(struct hall *hall, uint32_t index, struct fbk_point acquire)
{
	return fbk_exchange_hand(hall->exchange, index, acquire, host_now() + HALL_PATIENCE_NS,
				 NULL, NULL, NULL) < 0
		       ? ours_fail("handing over")
		       : 0;
}

int guest_next(struct guest *guest, struct fbk_frame **ret_frame)
{
	return fbk_link_next(guest->link, host_now() + HALL_PATIENCE_NS, ret_frame) < 0
		       ? ours_fail("the next frame")
		       : 0;
}
