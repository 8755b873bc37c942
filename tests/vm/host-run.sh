# ./run --vm: the second at once is told so, and with the first goes its machine, also when it is killed.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

machine=$source/build/vm/run

"$source/run" --kernel "$FBK_VM" --output "$work/run" --seconds 600 >"$work/out" 2>&1 &
run=$!
until grep -q 'is up after' "$work/out"; do
	kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/out")"
	sleep 0.1
done
qemu=$(cat "$machine/pid")

"$source/run" --kernel "$FBK_VM" --output "$work/run" >"$work/second" 2>&1 && fail "two runs have one machine"
grep -q 'another run has the virtual machine' "$work/second" || fail "it says: $(cat "$work/second")"

kill -KILL "$run"
wait "$run" 2>/dev/null || true
timeout 60 tail -s 0.1 -f /dev/null --pid="$qemu" || fail "the machine goes on without its run"
timeout 60 flock "$source/build/vm/run.lock" true || fail "the next run would be refused"
