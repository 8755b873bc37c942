# The guest of $1, from the outside: output and status of commands come back, and no kernel warning is missed.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"
dir=$1
guest=$source/tests/vm/guest

expect() { # STATUS OUTPUT ARGUMENT...
	local status=0 output
	output=$("$guest" exec "$dir" "${@:3}" 2>&1) || status=$?
	[ "$status" -ne 77 ] || skip "$output"
	[ "$status" = "$1" ] || fail "${*:3}: status $status, not $1: $output"
	[ "$output" = "$2" ] || fail "${*:3}: it printed $output, not $2"
}

expect 0 '' -- true
expect 3 $'out\nerr' -- sh -c 'echo out; echo err >&2; exit 3'
expect 0 $'a  b|*|$HOME|\'"|' -- printf '%s|' 'a  b' '*' '$HOME' "'\""
expect 0 "$PWD" -- pwd
FBK_EXAMPLE='with space' expect 0 'with space' -- sh -c 'echo "$FBK_EXAMPLE"'
expect 124 'before' --timeout 1 -- sh -c 'echo before; sleep 1000'
# Nothing stays of what a command left behind, nor of one whose exec was killed.
expect 0 'left' -- sh -c 'setsid sleep 1001 & echo left'
timeout --signal=KILL 2 "$guest" exec "$dir" -- sleep 1002 || true
expect 1 '' -- pgrep -x sleep
# Written as info, so that it is not on the console, where `down` would find it again.
for line in 'WARNING: CPU: 0 PID: 1 at fs/file.c:1' 'BUG: unable to handle page fault' \
	'INFO: task sh:1 blocked for more than 60 seconds.' 'rcu: INFO: rcu_preempt detected stalls' \
	'refcount_t: underflow; use-after-free.' 'UBSAN: shift-out-of-bounds in fs/file.c:1' \
	'WARNING: possible circular locking dependency detected' 'Oops: 0000 [#1] PREEMPT SMP'; do
	status=0
	output=$("$guest" exec "$dir" -- sh -c "echo '<6>$line' >/dev/kmsg") || status=$?
	[ $status -eq 70 ] || fail "not noticed: $line"
	grep -qF "$line" <<<"$output" || fail "not printed: $line"
done
expect 0 '' -- sh -c "echo '<6>Warning: harmless, for once' >/dev/kmsg"
# A late vivid is no fault; another late driver is.
late() { # FUNCTION
	"$guest" exec "$dir" -- sh -c "for line in 'schedule_timeout: wrong timeout value ffffffffffffffff' 'Call Trace:' \
		' <TASK>' ' $1+0x3b2/0x440' ' </TASK>'; do echo \"<6>\$line\" >/dev/kmsg; done"
}
late vivid_thread_vid_cap || fail "late vivid: status $?"
status=0
late another_thread >/dev/null || status=$?
[ $status -eq 70 ] || fail "late driver: status $status"
