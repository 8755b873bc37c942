// SPDX-License-Identifier: MIT
/*
 * RDMA by plain libibverbs, for tests in a guest: a soft device (rdma_rxe) on a network device of
 * its own, and two ends of a reliable connection. Nothing here knows the daemon or the library.
 * Every unexpected error fails the running test. One thread at a time for each end.
 */
#pragma once

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

/* For main(): sets up the device. NULL, or why there is none. */
const char *rdma_start(void);
void rdma_stop(void);

struct rdma_end {
	struct ibv_context *context;
	struct ibv_pd *domain;
	struct ibv_comp_channel *channel;
	struct ibv_cq *completions;
	struct ibv_qp *queue;
	union ibv_gid gid;
};

void rdma_open(struct rdma_end *end);
void rdma_close(struct rdma_end *end);

/* Exchange the ends' addresses over a socket, and connect. */
void rdma_connect(struct rdma_end *end, int socket);

/* Memory that the other end may write. `access`: besides IBV_ACCESS_LOCAL_WRITE. NULL, with errno,
 * when the kernel refuses. */
struct ibv_mr *rdma_register(struct rdma_end *end, void *memory, size_t size, unsigned int access);

/* An address at the other end. */
struct rdma_target {
	uint64_t address;
	uint32_t key;
};
void rdma_offer(int socket, const struct ibv_mr *memory);
struct rdma_target rdma_learn(int socket);

/* Post one, with a completion. For atomics `add` or `swap`: of 8 bytes; what was there before goes to
 * `local`. */
void rdma_write(struct rdma_end *end, const struct ibv_mr *local, size_t size,
		struct rdma_target target);
void rdma_write_with_immediate(struct rdma_end *end, const struct ibv_mr *local, size_t size,
			       struct rdma_target target, uint32_t immediate);
void rdma_add(struct rdma_end *end, const struct ibv_mr *local, struct rdma_target target,
	      uint64_t add);
void rdma_swap(struct rdma_end *end, const struct ibv_mr *local, struct rdma_target target,
	       uint64_t expected, uint64_t value);

/* Room for one immediate from the other end. */
void rdma_expect(struct rdma_end *end);

/* The next completion, by spinning or by sleeping; fails once the other end has hung up. */
struct ibv_wc rdma_spin(struct rdma_end *end);
struct ibv_wc rdma_sleep(struct rdma_end *end, int socket);
