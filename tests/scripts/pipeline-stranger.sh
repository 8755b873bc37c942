# ./run as a stranger uses it: twice at once, on a full disk, without its tools, in another user's tree, killed,
# interrupted, and asked for more than the machine can do. One line names the cause, and nothing is left behind.
. "$(dirname "$0")/lib/common.sh"

small=(--renderer cpu --size 160x128 --fps 10)
[ -x "$bin/pipeline-render" ] || skip "this build has no pipeline"

# It failed with that status, and said one thing: this.
expect_refusal() { # STATUS EXPRESSION
	[ "$1" -ne 0 ] || fail "it succeeded: $(cat "$work/out")"
	grep -qE "$2" "$work/out" || fail "it does not say $2: $(cat "$work/out")"
	[ "$(wc -l <"$work/out")" -eq 1 ] || fail "that is more than a line: $(cat "$work/out")"
}

start_run() { # ARGUMENT...; in the background, until the broker serves
	"$source/client/examples/pipeline/run-pipeline" --bin "$bin" --output "$work/run" "${small[@]}" "$@" \
		>"$work/run.out" 2>&1 &
	run=$!
	until socket=$(sed -n 's/^fencebrokerd .* serves //p' "$work/run.out") && [ -n "$socket" ] &&
		[ "$(cat "$work/run/pids" 2>/dev/null | wc -l)" -ge 3 ]; do
		kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/run.out")"
		sleep 0.02
	done
	members=$(sed -n 's/^fencebrokerd \([0-9]*\) serves.*/\1/p' "$work/run.out"; cut -d ' ' -f 2 "$work/run/pids")
	members+=" $(pgrep -P "$run" | tr '\n' ' ')"
}

expect_all_gone() {
	local pid
	for pid in $members; do
		timeout 20 tail -s 0.02 -f /dev/null --pid="$pid" || fail "process $pid of the run goes on"
	done
	for _ in $(seq 500); do
		[ -e "$(dirname "$socket")" ] || return 0
		sleep 0.02
	done
	fail "$(dirname "$socket") is left behind"
}

# ---------------------------------------------------------------------------------- two at once ---

start_run --seconds 3
pipeline "${small[@]}" --seconds 1 >"$work/out" 2>&1 && status=0 || status=$?
expect_refusal "$status" "another run .*--output"
wait "$run" || fail "another run disturbed it: $(cat "$work/run.out")"
expect_all_gone

# ------------------------------------------------------------------------- killed, interrupted ---

start_run --seconds 60
kill -KILL "$run"
wait "$run" 2>/dev/null || true
expect_all_gone

start_run --seconds 60
kill -TERM "$run"
wait "$run" && status=0 || status=$?
[ "$status" -eq 143 ] || fail "SIGTERM ends it with $status"
expect_all_gone
! grep -qE 'error|frames' "$work/run.out" || fail "it complains of its own end: $(cat "$work/run.out")"

for moment in "serves" "drawn by" "udp port" "frame [1-9]"; do
	python3 -B "$source/tests/scripts/lib/interrupt.py" "$moment" "$source/client/examples/pipeline/run-pipeline" \
		--bin "$bin" --output "$work/run" "${small[@]}" --seconds 60 >"$work/out" && status=0 || status=$?
	[ "$status" -eq 130 ] || fail "Ctrl-C at '$moment' ends it with $status: $(cat "$work/out")"
	! grep -qE 'error|frames|killed' "$work/out" || fail "it complains of Ctrl-C: $(cat "$work/out")"
done

# --------------------------------------------------------------------------- without its tools ---

mkdir "$work/tools"
find /usr/local/bin /usr/bin /bin/ -maxdepth 1 ! -type d -exec ln -sf -t "$work/tools" {} +
for tool in jq ffprobe; do
	mv "$work/tools/$tool" "$work/tool"
	rm -rf "$work/run"
	PATH=$work/tools pipeline "${small[@]}" --seconds 1 >"$work/out" 2>&1 && status=0 || status=$?
	expect_refusal "$status" "$tool.* not installed"
	[ ! -e "$work/run" ] || fail "without $tool something was begun"
	mv "$work/tool" "$work/tools/$tool"
done

# ------------------------------------------------------------------------- more than it can do ---

pipeline "${small[@]}" --fps 30 --seconds 1 --delay-ms 120 >"$work/out" 2>&1 || fail "the slow run failed: $(cat "$work/out")"
grep -qE '^slower than asked for: about [0-9.]+ of 30 frames a second' "$work/out" ||
	fail "it is slow without a word: $(cat "$work/out")"
grep -qE '^asked for 30 frames a second of 160x128; this machine managed [0-9.]+$' "$work/out" ||
	fail "it does not say what was managed: $(cat "$work/out")"
pipeline "${small[@]}" --fps 2 --seconds 1 >"$work/out" 2>&1 || fail "the quick run failed: $(cat "$work/out")"
! grep -q slower "$work/out" || fail "a run at its rate is said to be slow: $(cat "$work/out")"

# ------------------------------------------------------------------------- a file in the way ---

rm -rf "$work/run"
touch "$work/run"
pipeline "${small[@]}" --seconds 1 >"$work/out" 2>&1 && status=0 || status=$?
expect_refusal "$status" "cannot write to $work/run: "
rm "$work/run"
TMPDIR=$work/nowhere pipeline "${small[@]}" --seconds 1 >"$work/out" 2>&1 && status=0 || status=$?
expect_refusal "$status" "$work/nowhere.*No such file"

[ "$(id -u)" -eq 0 ] || skip "the rest needs root: a full disk, another user's tree"

# ----------------------------------------------------------------------------------- a full disk ---

on_disk() { # SIZE ARGUMENT...; the results are on a disk of that size
	local size=$1
	shift
	rm -rf "$work/run"
	mkdir -p "$work/run"
	unshare -m bash -c 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"' - "$size" "$work/run" \
		"$source/client/examples/pipeline/run-pipeline" --bin "$bin" --output "$work/run" "${small[@]}" "$@" \
		>"$work/out" 2>&1
}
on_disk 8k --seconds 1 && status=0 || status=$?
expect_refusal "$status" "cannot write to $work/run: No space left on device"
on_disk 96k --seconds 2 --fps 30 --size 640x360 && status=0 || status=$?
[ "$status" -ne 0 ] || fail "it succeeded on a full disk"
grep -q "cannot write to $work/run: No space left on device" "$work/out" || fail "it does not name the disk: $(cat "$work/out")"
! grep -qE 'line [0-9]+:|jq:' "$work/out" || fail "the shell talks: $(cat "$work/out")"

# ---------------------------------------------------------------------------- another user's tree ---

tree=$work/tree
mkdir -p "$tree/build" "$tree/client/examples"
cp -r "$source/run" "$source/.ci" "$tree/"
cp -r "$source/client/examples/pipeline" "$tree/client/examples/"
echo "what another run said" >"$tree/build/build-release.log"
chmod 755 "$work"
(cd / && setpriv --reuid 65534 --regid 65534 --clear-groups "$tree/run" "${small[@]}" >"$work/out" 2>&1) && status=0 || status=$?
expect_refusal "$status" "cannot write to $tree/build.*root"

# Two builds in one tree: the second waits for the first, and says so.
exec {lock}>"$tree/build/lock"
flock "$lock"
"$tree/run" "${small[@]}" >"$work/out" 2>&1 {lock}>&- &
run=$!
until grep -q "another build runs in $tree: waiting" "$work/out"; do
	kill -0 "$run" 2>/dev/null || fail "it does not wait for another build: $(cat "$work/out")"
	sleep 0.02
done
exec {lock}>&-
wait "$run" || true
grep -q "^building release" "$work/out" || fail "it does not go on after another build: $(cat "$work/out")"
