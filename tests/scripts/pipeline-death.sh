# One of the three stages dies, or is stopped: the other two end within their deadline, and each names it. When
# the broker dies, all three end.
. "$(dirname "$0")/lib/common.sh"

deadline=1500
patience=$((deadline + 1500)) # what fills up before anybody waits, and a machine that is busy

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

frames_sent() { # SOCKET
	"$bin/fencectl" --socket "$1" links --json 2>/dev/null |
		jq '[.[] | select(.consumer == "send0") | .returned // 0 | tonumber][0] // 0'
}

strike() { # SIGNAL VICTIM
	local signal=$1 victim=$2 socket pid name other began took
	pipeline --seconds 60 --fps 30 --size 160x128 --deadline-ms "$deadline" >"$work/out" 2>&1 &
	local run=$!
	until socket=$(sed -n 's/^fencebrokerd .* serves //p' "$work/out") && [ -n "$socket" ] &&
		[ "$(frames_sent "$socket")" -gt 20 ]; do
		kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/out")"
	done
	if [ "$victim" = broker ]; then
		pid=$(sed -n 's/^fencebrokerd \([0-9]*\) serves.*/\1/p' "$work/out")
	else
		pid=$(sed -n "s/^$victim //p" "$work/run/pids")
	fi
	began=$(now_ms)
	kill "-$signal" "$pid"
	for other in render encode send; do
		[ "$other" != "$victim" ] || continue
		timeout 10 tail -s 0.02 -f /dev/null --pid="$(sed -n "s/^$other //p" "$work/run/pids")" ||
			fail "$other hangs after SIG$signal for $victim"
		took=$(($(now_ms) - began))
		echo "SIG$signal for $victim: $other ended after $took ms: $(tail -n 1 "$work/run/$other.log")"
		[ "$took" -le "$patience" ] || fail "$other took $took ms"
		if [ "$victim" = broker ]; then
			grep -q "daemon is gone" "$work/run/$other.log" ||
				fail "$other does not say that the daemon is gone"
		else
			grep -q "${victim}0 (pid $pid" "$work/run/$other.log" ||
				fail "$other does not name $victim (pid $pid)"
		fi
		if [ "$signal" = STOP ]; then
			grep -q stopped "$work/run/$other.log" || fail "$other does not say that it is stopped"
		fi
	done
	kill -KILL "$pid" 2>/dev/null || true
	if wait "$run"; then
		fail "the run succeeded without $victim"
	fi
}

for signal in KILL STOP; do
	for victim in render encode send; do
		strike "$signal" "$victim"
	done
done
strike KILL broker
