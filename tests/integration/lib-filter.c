// SPDX-License-Identifier: MIT
#include "lib-filter.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "tests/expect.h"

#define CALLS_MAX 1000

static void filter_install(struct sock_filter *code, size_t count)
{
	struct sock_fprog program = { .len = (unsigned short)count, .filter = code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		__builtin_trap();
	}
}

static struct sock_filter answer(uint32_t action)
{
	return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

void filter_refuse(int number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
		answer(SECCOMP_RET_ERRNO | (uint32_t)error),
		answer(SECCOMP_RET_ALLOW),
	};
	filter_install(code, sizeof(code) / sizeof(code[0]));
}

void filter_allow(const int *numbers, size_t count, int error)
{
	static struct sock_filter code[2 * CALLS_MAX + 2];
	size_t used = 0;
	EXPECT(count <= CALLS_MAX);
	code[used++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						    offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count; i++) {
		code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							    (uint32_t)numbers[i], 0, 1);
		code[used++] = answer(SECCOMP_RET_ALLOW);
	}
	code[used++] = answer(SECCOMP_RET_ERRNO | (uint32_t)error);
	filter_install(code, used);
}
