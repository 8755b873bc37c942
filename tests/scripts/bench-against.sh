# fence-bench --against: this build against itself, and against stand-ins for others that were faster or slower,
# lack a row, have another one, or do not work.
. "$(dirname "$0")/lib/common.sh"

bench=$bin/fence-bench
build=$(realpath "$(dirname "$bin")")

refused() { # ARGUMENT...
	local status=0
	"$bench" "$@" >"$work/out" 2>"$work/err" || status=$?
	[ "$status" = 2 ] || fail "fence-bench $*: status $status, not 2"
	[ -s "$work/err" ] || fail "fence-bench $*: refused without a word"
	[ ! -s "$work/out" ] || fail "fence-bench $*: refused, and wrote: $(cat "$work/out")"
}
compare() { # STATUS ARGUMENT...
	local expected=$1 status=0
	shift
	"$bench" --json --against "$@" >"$work/json" 2>"$work/err" || status=$?
	[ "$status" = "$expected" ] ||
		fail "--against $*: $status, not $expected: $(cat "$work/err" "$work/json")"
}
judged() { # JQ-CONDITION
	jq -e "$1" "$work/json" >/dev/null || fail "not $1: $(cat "$work/json")"
}

# It is not worse than itself. On a busy machine that may be unclear now and then.
for attempt in 1 2 3; do
	compare 0 "$build" --pairs 10 --margin 30 check heap-timeline
	! jq -e 'all(.rows[]; .verdict == "not worse")' "$work/json" >/dev/null || break
	[ "$attempt" -lt 3 ] || fail "worse than itself: $(cat "$work/json")"
done
[ "$(wc -l <"$work/err")" = 2 ] || fail "not one line a row without a terminal: $(cat "$work/err")"
judged ".old.directory == \"$build\" and .new.directory == \"$build\" and .margin_percent == 30"
judged '[.rows[].name] == ["check", "heap-timeline"]'
judged 'all(.rows[]; .state == "done" and .old > 0 and .new > 0 and .pairs >= 6 and
	.ratio_low <= .ratio and .ratio <= .ratio_high)'
judged '.rows[0] | .raw_ratio > 0 and (.raw_moved | type) == "boolean"'
judged '.rows[1] | .raw_ratio == null and .raw_moved == null'

# A copy of bin/ and lib/ is enough.
mkdir "$work/copy" "$work/copy/bin"
cp "$bin/fence-bench" "$bin/fencebrokerd" "$work/copy/bin/"
cp -a "$build/lib" "$work/copy/"
compare 0 "$work/copy" --pairs 6 --margin 1000 signal-1

# A stand-in has our fence-bench, whose figures the filter changes, and the row spun instead of spin.
mkdir -p "$work/other/bin"
ln -s "$bin/fencebrokerd" "$work/other/bin/"
stand_in() { # JQ-FILTER
	cat >"$work/other/bin/fence-bench" <<EOF
#!/bin/bash
case "\$*" in
--version) echo "fence-bench 0.0.9" ;;
--list) "$bench" --list | sed 's/^spin /spun /' ;;
*) "$bench" "\$@" | jq '$1' ;;
esac
EOF
	chmod +x "$work/other/bin/fence-bench"
}

stand_in '.rows[].ours /= 4'
compare 1 "$work/other" --pairs 6 check
judged '.rows[0] | .verdict == "worse" and .ratio > 2 and .ratio_low > 1.05'
"$bench" --against "$work/other" --pairs 6 check >"$work/out" 2>/dev/null && fail "worse, and status 0"
grep -q '^check .* WORSE$' "$work/out" || fail "the table does not say worse: $(cat "$work/out")"

stand_in '.rows[].ours *= 4'
compare 0 "$work/other" --pairs 6 check spin spun
judged '.old.version == "0.0.9" and [.rows[].name] == ["check", "spin", "spun"]'
judged '.rows[0] | .verdict == "not worse" and .ratio < 0.5'
judged '.rows[1] | .state == "skipped" and (.reason | test("new build")) and .verdict == null'
judged '.rows[2] | .state == "skipped" and (.reason | test("old build")) and .verdict == null'

# Of rates the other way round: the old build had four times as many.
compare 1 "$work/other" --pairs 6 stages-0.2ms
judged '.rows[0] | .verdict == "worse" and .ratio > 2'

stand_in '.rows[].unit = "1/s"'
compare 0 "$work/other" --pairs 6 check
judged '.rows[0] | .state == "skipped" and (.reason | test("different"))'

stand_in '.rows[] |= (.state = "failed" | .ours = null | .reason = "no luck")'
compare 1 "$work/other" --pairs 6 check
judged '.rows[0] | .state == "failed" and .reason == "old: no luck" and .verdict == null'

stand_in 'error("not that")'
compare 1 "$work/other" --pairs 6 check
judged '.rows[0] | .state == "failed" and (.reason | test("not that"))'

refused --against "$work" check
grep -q "$work/bin/fence-bench: .*build directory" "$work/err" || fail "$(cat "$work/err")"
mkdir "$work/checkout"
ln -s "$work/copy" "$work/checkout/build"
refused --against "$work/checkout" check
grep -q "perhaps $work/checkout/build" "$work/err" || fail "$(cat "$work/err")"
refused --against "$work/nowhere" check
refused --against "$build" no-such-row
refused --against "$build" --list
refused --against "$build" --plot "$work/plot.svg"
refused --against "$build" --selfcheck
refused --against "$build" --margin much
refused --pairs 6
refused --margin 5
for pairs in 5 201 x; do
	refused --against "$build" --pairs "$pairs"
done
