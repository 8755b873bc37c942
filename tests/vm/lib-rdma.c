// SPDX-License-Identifier: MIT
#include "lib-rdma.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../integration/lib-daemon.h"
#include "../integration/lib-peer.h"

#define DEVICE "fbk_rxe"
#define NETDEV "fbk_rdma"
#define PORT   1
#define DEPTH  16

/* In the guest, where the tools are. */
static bool command(const char *line)
{
	return system(line) == 0;
}

void rdma_stop(void)
{
	command("rdma link delete " DEVICE " 2>/dev/null");
	command("ip link delete " NETDEV " 2>/dev/null");
}

const char *rdma_start(void)
{
	if (!command("modprobe -q rdma_rxe")) {
		return "this kernel has no module rdma_rxe";
	}
	rdma_stop(); /* of an interrupted run */
	if (!command("ip link add " NETDEV " type dummy && ip addr add 10.77.0.1/24 dev " NETDEV
		     " && ip link set " NETDEV " up")) {
		return "no network device can be made";
	}
	return command("rdma link add " DEVICE " type rxe netdev " NETDEV)
		       ? NULL
		       : "no soft RDMA device can be made";
}

/* ------------------------------------------------------------------------------------- an end -- */

static struct ibv_context *device_open(void)
{
	struct ibv_context *context = NULL;
	struct ibv_device **list = ibv_get_device_list(NULL);
	EXPECT(list);
	for (size_t i = 0; list[i]; i++) {
		if (strcmp(ibv_get_device_name(list[i]), DEVICE) == 0) {
			context = ibv_open_device(list[i]);
		}
	}
	ibv_free_device_list(list);
	EXPECT(context);
	return context;
}

/* By its IPv4 address: a dummy's link-local one may have no route yet. */
static int gid_index(struct ibv_context *context, union ibv_gid *ret_gid)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	for (int i = 0; i < 16; i++) {
		if (ibv_query_gid(context, PORT, i, ret_gid) == 0 &&
		    memcmp(ret_gid->raw, mapped, sizeof(mapped)) == 0) {
			return i;
		}
	}
	ck_abort_msg("the device has no address");
}

static void queue_create(struct rdma_end *end)
{
	struct ibv_qp_init_attr init = {
		.send_cq = end->completions,
		.recv_cq = end->completions,
		.cap = { .max_send_wr = DEPTH,
			 .max_recv_wr = DEPTH,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp_attr attributes = {
		.qp_state = IBV_QPS_INIT,
		.port_num = PORT,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC,
	};
	end->queue = ibv_create_qp(end->domain, &init);
	EXPECT(end->queue);
	EXPECT(ibv_modify_qp(end->queue, &attributes,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS) == 0);
}

void rdma_open(struct rdma_end *end)
{
	end->context = device_open();
	end->domain = ibv_alloc_pd(end->context);
	end->channel = ibv_create_comp_channel(end->context);
	EXPECT(end->domain && end->channel);
	end->completions = ibv_create_cq(end->context, 4 * DEPTH, NULL, end->channel, 0);
	EXPECT(end->completions);
	EXPECT(ibv_req_notify_cq(end->completions, 0) == 0);
	queue_create(end);
}

void rdma_close(struct rdma_end *end)
{
	EXPECT(ibv_destroy_qp(end->queue) == 0);
	EXPECT(ibv_destroy_cq(end->completions) == 0);
	EXPECT(ibv_destroy_comp_channel(end->channel) == 0);
	EXPECT(ibv_dealloc_pd(end->domain) == 0);
	EXPECT(ibv_close_device(end->context) == 0);
}

static void queue_ready(struct rdma_end *end, uint32_t number, const union ibv_gid *gid, int index)
{
	struct ibv_qp_attr receive = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = number,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 1,
		.ah_attr = { .is_global = 1,
			     .grh = { .dgid = *gid, .sgid_index = (uint8_t)index, .hop_limit = 1 },
			     .port_num = PORT },
	};
	struct ibv_qp_attr send = {
		.qp_state = IBV_QPS_RTS,
		.timeout = 18, /* a second: a reply may take long in an emulated guest */
		.retry_cnt = 7,
		.rnr_retry = 7, /* for ever */
		.max_rd_atomic = 1,
	};
	EXPECT(ibv_modify_qp(end->queue, &receive,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
				     IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER) == 0);
	EXPECT(ibv_modify_qp(end->queue, &send,
			     IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC) == 0);
}

/* Waits for the other end without a time limit. */
static uint64_t word_from(int socket)
{
	EXPECT(readable_within(socket, -1) == 1);
	return receive_word(socket, NULL);
}

void rdma_connect(struct rdma_end *end, int socket)
{
	union ibv_gid mine, theirs;
	uint64_t words[2];
	int index = gid_index(end->context, &mine);
	memcpy(words, mine.raw, sizeof(words));
	send_word(socket, end->queue->qp_num, -1);
	send_word(socket, words[0], -1);
	send_word(socket, words[1], -1);
	uint32_t number = (uint32_t)word_from(socket);
	words[0] = word_from(socket);
	words[1] = word_from(socket);
	memcpy(theirs.raw, words, sizeof(words));
	queue_ready(end, number, &theirs, index);
}

/* --------------------------------------------------------------------------------- its memory -- */

struct ibv_mr *rdma_register(struct rdma_end *end, void *memory, size_t size, unsigned int access)
{
	/* Never IBV_ACCESS_RELAXED_ORDERING: writes must become visible in order. */
	return ibv_reg_mr(end->domain, memory, size, IBV_ACCESS_LOCAL_WRITE | access);
}

void rdma_offer(int socket, const struct ibv_mr *memory)
{
	send_word(socket, (uintptr_t)memory->addr, -1);
	send_word(socket, memory->rkey, -1);
}

struct rdma_target rdma_learn(int socket)
{
	uint64_t address = word_from(socket);
	return (struct rdma_target){ address, (uint32_t)word_from(socket) };
}

/* ------------------------------------------------------------------------------------- its work -- */

static void post(struct rdma_end *end, struct ibv_send_wr *work, const struct ibv_mr *local,
		 size_t size)
{
	struct ibv_send_wr *bad;
	struct ibv_sge piece = {
		.addr = (uintptr_t)local->addr,
		.length = (uint32_t)size,
		.lkey = local->lkey,
	};
	work->sg_list = &piece;
	work->num_sge = 1;
	work->send_flags = IBV_SEND_SIGNALED;
	EXPECT(ibv_post_send(end->queue, work, &bad) == 0);
}

void rdma_write(struct rdma_end *end, const struct ibv_mr *local, size_t size,
		struct rdma_target target)
{
	struct ibv_send_wr work = {
		.opcode = IBV_WR_RDMA_WRITE,
		.wr.rdma = { target.address, target.key },
	};
	post(end, &work, local, size);
}

void rdma_write_with_immediate(struct rdma_end *end, const struct ibv_mr *local, size_t size,
			       struct rdma_target target, uint32_t immediate)
{
	struct ibv_send_wr work = {
		.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
		.imm_data = htonl(immediate),
		.wr.rdma = { target.address, target.key },
	};
	post(end, &work, local, size);
}

void rdma_add(struct rdma_end *end, const struct ibv_mr *local, struct rdma_target target,
	      uint64_t add)
{
	struct ibv_send_wr work = {
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.wr.atomic = { target.address, .compare_add = add, .rkey = target.key },
	};
	post(end, &work, local, sizeof(uint64_t));
}

void rdma_swap(struct rdma_end *end, const struct ibv_mr *local, struct rdma_target target,
	       uint64_t expected, uint64_t value)
{
	struct ibv_send_wr work = {
		.opcode = IBV_WR_ATOMIC_CMP_AND_SWP,
		.wr.atomic = { target.address, expected, value, target.key },
	};
	post(end, &work, local, sizeof(uint64_t));
}

void rdma_expect(struct rdma_end *end)
{
	struct ibv_recv_wr work = { 0 }, *bad;
	EXPECT(ibv_post_recv(end->queue, &work, &bad) == 0);
}

struct ibv_wc rdma_spin(struct rdma_end *end)
{
	struct ibv_wc completion;
	int count;
	while ((count = ibv_poll_cq(end->completions, 1, &completion)) == 0) {
		sched_yield();
	}
	EXPECT(count == 1);
	return completion;
}

struct ibv_wc rdma_sleep(struct rdma_end *end, int socket)
{
	struct ibv_wc completion;
	struct ibv_cq *which;
	void *context;
	int count;
	while ((count = ibv_poll_cq(end->completions, 1, &completion)) == 0) {
		struct pollfd fds[] = { { .fd = end->channel->fd, .events = POLLIN },
					{ .fd = socket, .events = POLLIN } };
		EXPECT(poll(fds, 2, -1) > 0);
		EXPECT(fds[0].revents != 0); /* else the other end is gone */
		EXPECT(ibv_get_cq_event(end->channel, &which, &context) == 0);
		ibv_ack_cq_events(which, 1);
		/* before the next look: a completion between that and the sleep raises an event */
		EXPECT(ibv_req_notify_cq(end->completions, 0) == 0);
	}
	EXPECT(count == 1);
	return completion;
}
