#!/bin/bash
# The libraries call no function of libc that is a cancellation point (pthreads(7)) but those that they call with
# cancelling disabled.
. "$(dirname "$0")/lib/common.sh"

points='poll ppoll select epoll_wait read write pread pwrite readv writev open openat creat close fopen fclose fread fwrite
fflush connect accept accept4 send sendto sendmsg recv recvfrom recvmsg eventfd_read eventfd_write nanosleep usleep sleep
clock_nanosleep wait waitpid waitid pause sigwait sigwaitinfo sigtimedwait sem_wait sem_timedwait pthread_testcancel
msync fsync fdatasync fcntl64 lockf tcdrain system sigsuspend getrandom'
held='pthread_cond_wait pthread_cond_timedwait pthread_join'

status=0
nm -D --undefined-only "$bin/../lib/libfencebroker.so" | sed 's/.* //; s/@.*//' | sort -u >"$work/called"
[ -s "$work/called" ] || fail "no symbols in libfencebroker.so"
for point in $points; do
	case $point in fcntl64) continue ;; esac # of its commands the library uses none that waits
	if grep -qx "$point" "$work/called"; then
		echo "libfencebroker.so calls $point(), a cancellation point: see proto/fd.h"
		status=1
	fi
done
for point in $held; do
	grep -rn --include='*.c' -B2 "$point(" "$source/client/lib" | grep -c cancelling_hold >"$work/held"
	count=$(grep -rn --include='*.c' "$point(" "$source/client/lib" | wc -l)
	if [ "$(cat "$work/held")" != "$count" ]; then
		echo "$point() is called $count times, with cancelling disabled $(cat "$work/held") times"
		status=1
	fi
done
exit $status
