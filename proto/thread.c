// SPDX-License-Identifier: MIT
#include "thread.h"

#include <errno.h>
#include <link.h>
#include <signal.h>

static int add_storage(struct dl_phdr_info *object, size_t size, void *sum)
{
	(void)size;
	for (size_t i = 0; i < object->dlpi_phnum; i++) {
		if (object->dlpi_phdr[i].p_type == PT_TLS) {
			*(size_t *)sum +=
				object->dlpi_phdr[i].p_memsz + object->dlpi_phdr[i].p_align;
		}
	}
	return 0;
}

/* glibc cuts thread storage (`__thread`) from the stack. All objects' is at least what it cuts, but for the reserve that
 * its tunables set. */
static size_t storage_size(void)
{
	size_t size = 0;
	dl_iterate_phdr(add_storage, &size);
	return size;
}

static int create(pthread_t *ret_thread, pthread_attr_t *attributes, size_t stack,
		  void *(*run)(void *), void *arg)
{
	int r = pthread_attr_setstacksize(attributes, stack);
	return r ? -r : -pthread_create(ret_thread, attributes, run, arg);
}

int thread_start(pthread_t *ret_thread, size_t room, int open, void *(*run)(void *), void *arg)
{
	pthread_attr_t attributes;
	sigset_t blocked, before;
	size_t usual = 0;
	pthread_attr_init(&attributes);
	pthread_attr_getstacksize(&attributes, &usual);
	sigfillset(&blocked); /* signals are the program's, not ours */
	if (open) {
		sigdelset(&blocked, open);
	}
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	/* Small, since a program may lock all its memory. */
	int r = create(ret_thread, &attributes, storage_size() + room, run, arg);
	if (r == -EINVAL) { /* a larger reserve: the usual size has room for it */
		r = create(ret_thread, &attributes, usual + room, run, arg);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}
