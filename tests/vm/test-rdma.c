// SPDX-License-Identifier: MIT
/*
 * RDMA as a device with memory fences: a peer with only libibverbs writes data, and then, on the
 * same queue pair, the payload of a timeline. Three processes: the owner, which has the timeline
 * and the memory, and touches neither; the sender; and the reader, which waits on points and looks
 * at the data.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-lab.h"
#include "lib-rdma.h"
#include "proto/page.h"

#define WORDS 512 /* of data: four packets */

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
}

static void teardown(void)
{
	daemon_stop(&server);
}

enum way { ADD, SWAP, IMMEDIATE };

/* The processes of one test, and their memory. */
struct scene {
	enum way way;
	uint64_t rounds;
	uint64_t *data;     /* shared */
	int back[2];        /* from reader to sender */
	struct peer sender; /* the owner's socket with it */
	struct peer reader;
};

static uint64_t patient_word(int socket)
{
	EXPECT(readable_within(socket, -1) == 1);
	return receive_word(socket, NULL);
}

/* It hangs up when it has finished, however long that takes. */
static int patient_wait(struct peer *peer)
{
	EXPECT(readable_within(peer->socket, -1) == 1);
	return peer_wait(peer);
}

/* ---------------------------------------------------------------------------------- the sender -- */

struct sender {
	struct rdma_end end;
	struct ibv_mr *data, *word; /* local */
	struct rdma_target data_target, fence;
	uint64_t buffer[WORDS], value;
};

static void sender_open(struct sender *sender, int socket)
{
	rdma_open(&sender->end);
	sender->data = rdma_register(&sender->end, sender->buffer, sizeof(sender->buffer), 0);
	sender->word = rdma_register(&sender->end, &sender->value, sizeof(sender->value), 0);
	EXPECT(sender->data && sender->word);
	rdma_connect(&sender->end, socket);
	sender->data_target = rdma_learn(socket);
	sender->fence = rdma_learn(socket);
}

static void sender_close(struct sender *sender)
{
	ibv_dereg_mr(sender->data);
	ibv_dereg_mr(sender->word);
	rdma_close(&sender->end);
}

static void sender_signal(struct sender *sender, enum way way, uint64_t n)
{
	switch (way) {
	case ADD:
		rdma_add(&sender->end, sender->word, sender->fence, 1);
		break;
	case SWAP:
		rdma_swap(&sender->end, sender->word, sender->fence, n - 1, n);
		break;
	case IMMEDIATE:
		sender->value = n;
		rdma_write_with_immediate(&sender->end, sender->word, sizeof(uint64_t),
					  sender->fence, (uint32_t)n);
		break;
	}
}

/* Data and value are both under way before either is known to have arrived. */
static void sender_round(struct sender *sender, enum way way, uint64_t n)
{
	for (size_t i = 0; i < WORDS; i++) {
		sender->buffer[i] = n + i;
	}
	rdma_write(&sender->end, sender->data, sizeof(sender->buffer), sender->data_target);
	sender_signal(sender, way, n);
	for (int i = 0; i < 2; i++) {
		struct ibv_wc completion = rdma_spin(&sender->end);
		ck_assert_msg(completion.status == IBV_WC_SUCCESS, "%s",
			      ibv_wc_status_str(completion.status));
	}
}

static int sender_run(int socket, void *arg)
{
	static struct sender sender;
	const struct scene *scene = arg;
	close(scene->back[1]);
	sender_open(&sender, socket);
	for (uint64_t n = 1; n <= scene->rounds; n++) {
		sender_round(&sender, scene->way, n);
		EXPECT(patient_word(scene->back[0]) == n); /* it may be overwritten */
	}
	EXPECT(patient_word(socket) == 0); /* the owner is done with this connection */
	sender_close(&sender);
	return 0;
}

/* ---------------------------------------------------------------------------------- the reader -- */

static struct fbk_timeline *reader_open(struct fbk_context *context, int socket)
{
	struct fbk_timeline *timeline;
	int token;
	EXPECT(readable_within(socket, -1) == 1);
	receive_word(socket, &token);
	EXPECT(fbk_timeline_open(context, token, &timeline) == 0);
	close(token);
	return timeline;
}

static int reader_run(int socket, void *arg)
{
	const struct scene *scene = arg;
	close(scene->back[0]);
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = reader_open(context, socket);
	for (uint64_t n = 1; n <= scene->rounds; n++) {
		EXPECT(fbk_point_wait((struct fbk_point){ timeline, n }, FBK_DEADLINE_MAX) == 0);
		for (size_t i = 0; i < WORDS; i++) {
			EXPECT(__atomic_load_n(&scene->data[i], __ATOMIC_RELAXED) == n + i);
		}
		send_word(scene->back[1], n, -1);
	}
	fbk_disconnect(context);
	return 0;
}

/* Waits for one point, and sends the result. */
static int waiter_run(int socket, void *arg)
{
	const struct scene *scene = arg;
	struct fbk_context *context = peer_connect(&server);
	struct fbk_timeline *timeline = reader_open(context, socket);
	struct fbk_point point = { timeline, scene->rounds };
	send_word(socket, (uint64_t)fbk_point_wait(point, FBK_DEADLINE_MAX), -1);
	fbk_disconnect(context);
	return 0;
}

/* ----------------------------------------------------------------------------------- the owner -- */

struct owner {
	struct fbk_context *context;
	struct fbk_timeline *timeline;
	struct rdma_end end;
	struct ibv_mr *data, *fence;
};

static struct fbk_timeline *owner_timeline(struct fbk_context *context, bool silent)
{
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "rnic",
		.device_class = FBK_CLASS_NETWORK,
		.signals = FBK_FENCE_MEMORY64,
		.silent = silent,
		/* Writes of one queue pair become visible in the order in which they were posted,
		 * unless a region was registered with relaxed ordering. */
		.visibility = FBK_VISIBILITY_ORDERED,
	};
	struct fbk_device *device;
	int r = fbk_device_register(context, &desc, &device);
	ck_assert_msg(r == 0, "fbk_device_register: %s", fbk_error_detail());
	return peer_timeline(device, "arrivals", 0);
}

static void owner_open(struct owner *owner, const struct scene *scene, bool silent)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int token;
	owner->context = peer_connect(&server);
	owner->timeline = owner_timeline(owner->context, silent);
	EXPECT(fbk_timeline_memory(owner->timeline, &memory, NULL) == 0);
	rdma_open(&owner->end);
	owner->data = rdma_register(&owner->end, scene->data, WORDS * sizeof(uint64_t),
				    IBV_ACCESS_REMOTE_WRITE);
	/* The peer can write that word and no other. */
	owner->fence = rdma_register(&owner->end, memory.address, memory.size,
				     IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC);
	ck_assert_msg(owner->data && owner->fence, "ibv_reg_mr: %s", strerror(errno));
	rdma_expect(&owner->end);
	EXPECT(fbk_timeline_share(owner->timeline, FBK_RIGHT_WAIT, &token) == 0);
	send_word(scene->reader.socket, 0, token);
	close(token);
	rdma_connect(&owner->end, scene->sender.socket);
	rdma_offer(scene->sender.socket, owner->data);
	rdma_offer(scene->sender.socket, owner->fence);
}

static void owner_close(struct owner *owner)
{
	EXPECT(ibv_dereg_mr(owner->data) == 0);
	EXPECT(ibv_dereg_mr(owner->fence) == 0);
	rdma_close(&owner->end);
	fbk_disconnect(owner->context);
}

/* Starts all of them; sender and reader run from now on. */
static void scene_open(struct scene *scene, int (*sender)(int socket, void *arg),
		       int (*reader)(int socket, void *arg))
{
	scene->data = shared_memory(WORDS * sizeof(uint64_t));
	EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, scene->back) == 0);
	peer_start(&scene->sender, sender, scene);
	peer_start(&scene->reader, reader, scene);
	close(scene->back[0]);
	close(scene->back[1]);
}

/* ------------------------------------------------------------------------------- what it proves -- */

/* The daemon polls, and wakes a sleeper. The owner does nothing at all. */
START_TEST(silent)
{
	struct scene scene = { .way = (enum way)_i, .rounds = lab_count(20000) };
	struct owner owner;
	scene_open(&scene, sender_run, reader_run);
	owner_open(&owner, &scene, true);
	ck_assert_int_eq(patient_wait(&scene.reader), 0);
	send_word(scene.sender.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&scene.sender), 0);
	ck_assert_uint_eq(fbk_timeline_value(owner.timeline), scene.rounds);
	owner_close(&owner);
}
END_TEST

/* No polling: the completion of the write tells the owner, whose signal wakes. */
START_TEST(rung)
{
	struct scene scene = { .way = IMMEDIATE, .rounds = lab_count(20000) };
	struct owner owner;
	scene_open(&scene, sender_run, reader_run);
	owner_open(&owner, &scene, false);
	for (uint64_t n = 1; n <= scene.rounds; n++) {
		struct ibv_wc completion = rdma_sleep(&owner.end, scene.sender.socket);
		ck_assert_int_eq(completion.status, IBV_WC_SUCCESS);
		ck_assert_int_eq(completion.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
		ck_assert_uint_eq(ntohl(completion.imm_data), (uint32_t)n);
		rdma_expect(&owner.end);
		EXPECT(fbk_timeline_signal(owner.timeline, n) == -EALREADY);
	}
	ck_assert_int_eq(patient_wait(&scene.reader), 0);
	send_word(scene.sender.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&scene.sender), 0);
	ck_assert_uint_eq(lab_counter(&server, "watcher_polls"), 0);
	owner_close(&owner);
}
END_TEST

/* ----------------------------------------------------------------------------------- what fails -- */

/* One word further than allowed. */
static int overstep_run(int socket, void *arg)
{
	static struct sender sender;
	(void)arg;
	sender_open(&sender, socket);
	rdma_write(&sender.end, sender.data, 2 * sizeof(uint64_t), sender.fence);
	struct ibv_wc completion = rdma_spin(&sender.end);
	ck_assert_msg(completion.status == IBV_WC_REM_ACCESS_ERR, "%s",
		      ibv_wc_status_str(completion.status));
	EXPECT(patient_word(socket) == 0);
	sender_close(&sender);
	return 0;
}

static void owner_fail(const struct owner *owner, int error, const char *what)
{
	char reason[FBK_REASON_SIZE];
	snprintf(reason, sizeof(reason), "the queue pair is of no use any more: %s", what);
	ck_assert_int_eq(fbk_timeline_fail(owner->timeline, error, reason), 0);
}

static void expect_failed(const struct owner *owner, int error, const char *what)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_timeline_info(owner->timeline, &info), 0);
	ck_assert_int_eq(info.error, error);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_uint_eq(info.failed_from, 1);
	ck_assert_msg(strstr(info.reason, what), "%s", info.reason);
}

START_TEST(oversteps)
{
	struct scene scene = { .rounds = 1 };
	struct owner owner;
	scene_open(&scene, overstep_run, waiter_run);
	owner_open(&owner, &scene, true);
	struct ibv_wc completion = rdma_sleep(&owner.end, scene.sender.socket);
	ck_assert_int_ne(completion.status, IBV_WC_SUCCESS);
	owner_fail(&owner, -EIO, ibv_wc_status_str(completion.status));
	ck_assert_int_eq((int)patient_word(scene.reader.socket), -EIO);
	ck_assert_int_eq(patient_wait(&scene.reader), 0);
	expect_failed(&owner, -EIO, ibv_wc_status_str(completion.status));
	send_word(scene.sender.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&scene.sender), 0);
	owner_close(&owner);
}
END_TEST

static int idle_run(int socket, void *arg)
{
	static struct sender sender;
	(void)arg;
	sender_open(&sender, socket);
	send_word(socket, 1, -1);
	pause();
	return 1;
}

/* A queue pair does not report the death of its peer; the application's own connection does. */
START_TEST(disconnected)
{
	struct scene scene = { .rounds = 1 };
	struct owner owner;
	char byte;
	scene_open(&scene, idle_run, waiter_run);
	owner_open(&owner, &scene, true);
	ck_assert_uint_eq(patient_word(scene.sender.socket), 1);
	kill(scene.sender.pid, SIGKILL);
	ck_assert_int_eq(readable_within(scene.sender.socket, -1), 1);
	ck_assert_int_eq(recv(scene.sender.socket, &byte, 1, 0), 0);
	owner_fail(&owner, -ECONNRESET, "the peer hung up");
	ck_assert_int_eq((int)patient_word(scene.reader.socket), -ECONNRESET);
	ck_assert_int_eq(patient_wait(&scene.reader), 0);
	ck_assert_int_eq(patient_wait(&scene.sender), 128 + SIGKILL);
	expect_failed(&owner, -ECONNRESET, "the peer hung up");
	owner_close(&owner);
}
END_TEST

/* A sender that writes on after the timeline failed does not revive it. */
static int late_run(int socket, void *arg)
{
	static struct sender sender;
	const struct scene *scene = arg;
	sender_open(&sender, socket);
	EXPECT(patient_word(socket) == 1);
	sender_signal(&sender, scene->way, 1);
	struct ibv_wc completion = rdma_spin(&sender.end);
	EXPECT(completion.status == IBV_WC_SUCCESS);
	send_word(socket, 1, -1);
	EXPECT(patient_word(socket) == 0);
	sender_close(&sender);
	return 0;
}

START_TEST(too_late)
{
	struct scene scene = { .way = (enum way)_i, .rounds = 1 };
	struct owner owner;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	scene_open(&scene, late_run, waiter_run);
	owner_open(&owner, &scene, true);
	owner_fail(&owner, -EIO, "so it is decided");
	ck_assert_int_eq((int)patient_word(scene.reader.socket), -EIO);
	send_word(scene.sender.socket, 1, -1);
	ck_assert_uint_eq(patient_word(scene.sender.socket), 1);
	ck_assert_int_eq(fbk_point_check((struct fbk_point){ owner.timeline, 1 }), -EIO);
	/* Waiting hardware goes on too: the poison is still there, or there again. */
	ck_assert_int_eq(fbk_timeline_memory(owner.timeline, &memory, NULL), 0);
	while (!(__atomic_load_n((uint64_t *)memory.address, __ATOMIC_RELAXED) & FBK_POISON)) {
		yield_briefly();
	}
	ck_assert_int_eq(patient_wait(&scene.reader), 0);
	send_word(scene.sender.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&scene.sender), 0);
	owner_close(&owner);
}
END_TEST

/* ------------------------------------------------------------------------- what the kernel does -- */

#define FENCE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static void *memfd_map(size_t size, size_t mapped, int protection, int *ret_fd)
{
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	EXPECT(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	void *memory = mmap(NULL, mapped, protection, MAP_SHARED, fd, 0);
	EXPECT(memory != MAP_FAILED);
	*ret_fd = fd;
	return memory;
}

/*
 * A region pins pages of a shared file for writing, for longer than a call. Kernels refuse that for
 * files which are written back, but not for a memfd, whether its seals came before or after. A
 * process that has it mapped read-only, like a waiter, cannot make a device write to it.
 */
START_TEST(pins_sealed_memory)
{
	const unsigned int access = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC;
	struct rdma_end end;
	int fd;
	rdma_open(&end);
	void *memory = memfd_map(4096, 4096, PROT_READ | PROT_WRITE, &fd);
	struct ibv_mr *before = rdma_register(&end, memory, 4096, access);
	ck_assert_msg(before, "before the seals: %s", strerror(errno));
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, FENCE_SEALS), 0);
	struct ibv_mr *after = rdma_register(&end, memory, 4096, access);
	ck_assert_msg(after, "after the seals: %s", strerror(errno));

	void *readable = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(readable, MAP_FAILED);
	ck_assert_ptr_null(rdma_register(&end, readable, 4096, access));
	ck_assert_int_eq(errno, EFAULT);

	ibv_dereg_mr(before);
	ibv_dereg_mr(after);
	rdma_close(&end);
	close(fd);
}
END_TEST

START_TEST(region_above_the_page)
{
	struct rdma_end end;
	int fd;
	rdma_open(&end);
	char *memory = memfd_map(4096, 65536, PROT_READ | PROT_WRITE, &fd);
	struct ibv_mr *region = rdma_register(&end, memory, 4096, IBV_ACCESS_REMOTE_WRITE);
	ck_assert_ptr_nonnull(region);
	ck_assert_ptr_null(rdma_register(&end, memory, 4097, IBV_ACCESS_REMOTE_WRITE));
	ck_assert_int_eq(errno, EFAULT);
	ibv_dereg_mr(region);
	rdma_close(&end);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------- in halves -- */

/* Two values that differ in each byte. */
#define BYTES_A UINT64_C(0x0101010101010101)
#define BYTES_B UINT64_C(0x3e3e3e3e3e3e3e3e)

static int toggle_run(int socket, void *arg)
{
	static struct sender sender;
	const struct scene *scene = arg;
	sender_open(&sender, socket);
	uint64_t now = 0;
	for (uint64_t n = 0; n < scene->rounds; n++) {
		uint64_t next = n % 2 ? BYTES_B : BYTES_A;
		if (scene->way == SWAP) {
			rdma_swap(&sender.end, sender.word, sender.fence, now, next);
		} else {
			sender.value = next;
			rdma_write(&sender.end, sender.word, sizeof(uint64_t), sender.fence);
		}
		struct ibv_wc completion = rdma_spin(&sender.end);
		EXPECT(completion.status == IBV_WC_SUCCESS);
		now = next;
	}
	send_word(socket, 1, -1);
	EXPECT(patient_word(socket) == 0);
	sender_close(&sender);
	return 0;
}

/* How often a value was read that was never written. */
static uint64_t count_torn(int socket, const uint64_t *word)
{
	uint64_t torn = 0;
	do {
		for (int i = 0; i < 10000; i++) {
			uint64_t value = __atomic_load_n(word, __ATOMIC_RELAXED);
			torn += value != 0 && value != BYTES_A && value != BYTES_B;
		}
	} while (readable_within(socket, 0) == 0);
	return torn;
}

/*
 * Atomics promise eight bytes at once. A write promises nothing while it is under way: the test
 * only prints how often that shows.
 */
START_TEST(in_halves)
{
	struct scene scene = { .way = _i == 0 ? SWAP : IMMEDIATE, .rounds = lab_count(20000) };
	struct rdma_end end;
	struct peer sender;
	uint64_t *word = shared_memory(4096);
	peer_start(&sender, toggle_run, &scene);
	rdma_open(&end);
	struct ibv_mr *region = rdma_register(&end, word, sizeof(*word),
					      IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC);
	EXPECT(region);
	rdma_connect(&end, sender.socket);
	rdma_offer(sender.socket, region); /* instead of data */
	rdma_offer(sender.socket, region);
	uint64_t torn = count_torn(sender.socket, word);
	printf("%s of 8 bytes: %llu times, of %llu, something else was seen meanwhile\n",
	       scene.way == SWAP ? "swaps" : "writes", (unsigned long long)torn,
	       (unsigned long long)scene.rounds);
	EXPECT(scene.way != SWAP || torn == 0);
	ck_assert_uint_eq(patient_word(sender.socket), 1);
	send_word(sender.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&sender), 0);
	ibv_dereg_mr(region);
	rdma_close(&end);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, silent, ADD, SWAP + 1);
	tcase_add_test(tcase, rung);
	tcase_add_test(tcase, oversteps);
	tcase_add_test(tcase, disconnected);
	tcase_add_loop_test(tcase, too_late, ADD, IMMEDIATE + 1);
	tcase_add_test(tcase, pins_sealed_memory);
	tcase_add_test(tcase, region_above_the_page);
	tcase_add_loop_test(tcase, in_halves, 0, 2);
}

int main(void)
{
	return lab_main_with("rdma", rdma_start, rdma_stop, add);
}
