# fence-bench: its options, what its JSON looks like, and that rows run. No time is judged.
. "$(dirname "$0")/lib/common.sh"

bench=$bin/fence-bench
# Of its own, since other benches may run meanwhile.
export FENCE_BENCH_DIRECTORY=$work/tmp
mkdir "$FENCE_BENCH_DIRECTORY"

"$bench" --help | grep -q -- --selfcheck || fail "--help"
"$bench" --version | grep -q '^fence-bench [0-9]' || fail "--version"
[ "$("$bench" --list | wc -l)" -ge 20 ] || fail "--list does not list all rows"
"$bench" --list check spin | grep -c . | grep -qx 2 || fail "--list of two rows"

refused() { # ARGUMENT...
	local status=0
	"$bench" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" = 2 ] || fail "fence-bench $*: status $status, not 2"
	[ -s "$work/err" ] || fail "fence-bench $*: refused without a word"
	[ ! -s "$work/out" ] || fail "fence-bench $*: refused, and wrote: $(cat "$work/out")"
}
refused no-such-row
refused --no-such-option
refused --rounds
for rounds in 0 -1 100001 ten 5x ''; do
	refused --rounds "$rounds" check
done

rows="check signal-1 signal-1-futex requests-32 spin sleep export link hand-over hand-over-native hand-over-order stages-0.2ms bus-register bus-flood heap-timeline allocations"
"$bench" --quick --json --plot "$work/plot.svg" $rows >"$work/json" 2>"$work/err" ||
	fail "fence-bench --quick: $(cat "$work/err" "$work/json")"
[ "$(wc -l <"$work/err")" = "$(wc -w <<<"$rows")" ] ||
	fail "not one line a row without a terminal: $(cat "$work/err")"
jq -e --arg rows "$rows" '
	(.machine | (.cpu | type == "string") and .cpus >= 1 and .stream_bytes > 0) and
	.quick and (.selfcheck | not) and
	([.rows[].name] | sort) == ($rows | split(" ") | sort) and
	all(.rows[];
		(.title | length > 0) and (.unit | length > 0) and (.target | length > 0) and
		if .state == "done" then
			(.met | type == "boolean") and .ours >= 0 and .reason == null
		elif .state == "skipped" then
			.met == null and .ours == null and (.reason | length > 0)
		else false end) and
	all(.rows[] | select(.state == "done" and .raw != null);
		.ours > 0 and .raw > 0 and .ratio > 0 and .ratio_low <= .ratio and
		.ratio <= .ratio_high and .ours_p99 > 0 and .raw_p99 > 0 and .rounds > 0 and
		.ours_samples > 0 and .raw_samples > 0) and
	all(.rows[] | select(.name | IN("check", "signal-1", "signal-1-futex", "requests-32", "export", "link", "stages-0.2ms")); .state == "done")
' "$work/json" >/dev/null || fail "the JSON is not what fence-bench(1) says: $(cat "$work/json")"
grep -q '</svg>' "$work/plot.svg" && grep -q '>signal-1<' "$work/plot.svg" || fail "the plot"

# A row that needs what is not here is skipped, with the reason, and never met.
if ! ls /dev/dri/render* >/dev/null 2>&1; then
	"$bench" --quick --json syncobj signal-1-ioctl 2>"$work/err" |
		jq -e '(.rows | length) == 2 and all(.rows[]; .state == "skipped" and .met == null)' >/dev/null ||
		fail "the rows syncobj and signal-1-ioctl without a DRM device"
fi

# Whether it reads 1.00 depends on what else this machine does; that it runs, does not.
status=0
"$bench" --selfcheck --quick --json check sleep >"$work/json" 2>"$work/err" || status=$?
[ "$status" -le 1 ] || fail "--selfcheck: status $status: $(cat "$work/err")"
jq -e '.selfcheck and all(.rows[]; .ours_is == .raw_is and (.state != "failed"))' \
	"$work/json" >/dev/null || fail "--selfcheck measures two things: $(cat "$work/json")"

# No daemon stays, no directory either.
[ -z "$(ls "$FENCE_BENCH_DIRECTORY")" ] || fail "left: $(ls "$FENCE_BENCH_DIRECTORY")"
