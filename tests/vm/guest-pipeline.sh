# The pipeline with the kernel's fences at the encoder and a display: late, and with promises. Software
# emulation is slow, so the picture is small and the deadlines are long.
. "$(dirname "$0")/../scripts/lib/common.sh"

small=(--renderer cpu --fences sync_file --display --size 320x180 --fps 10 --deadline-ms 10000)

route() { # FROM TO
	report ".routes[] | select(.from == \"$1\" and .to == \"$2\") | \"\(.count) \(.route)\""
}

expect_route() { # FROM TO COUNT ROUTE
	[ "$(route "$1" "$2")" = "$3 $4" ] || fail "$1 to $2 by: $(route "$1" "$2"), not $3 $4"
}

expect_counts() {
	[ "$(report .frames_shown)" = 20 ] || fail "$(report .frames_shown) of 20 frames were shown"
	[ "$(report .frames_decoded)" = 20 ] || fail "$(report .frames_decoded) of 20 were decoded"
	[ "$(report .number_checks)" = 100 ] || fail "$(report .number_checks) checks, not 100"
	[ "$(report .imports)" = 60 ] || fail "$(report .imports) imports"
	[ "$(report '.exports + .promises')" = "$1" ] || fail "$(report .exports) exports"
	expect_route encode render 20 "sync_file -> memory64"
	expect_route encode send 20 "memory64 -> process"
	expect_route send encode 20 "memory64"
	expect_route show encode 20 "KMS OUT_FENCE -> memory64"
}

pipeline "${small[@]}" --seconds 2 || fail "the run failed"
expect_counts 20
[ "$(report .promises)" = 0 ] || fail "promises that nobody asked for"
expect_route render encode 20 "memory64 -> sync_file (late)"
expect_route encode show 20 "memory64 -> KMS commit (gate)"

# Each frame is asked for 100 ms before it is drawn.
pipeline "${small[@]}" --seconds 2 --delay-ms 100 --promise | tee "$work/out" || fail "the run failed"
grep -q 'which its rules forbid' "$work/out" || fail "no warning of what promises break"
expect_counts $((20 + 20))
[ "$(report .promises)" -ge 10 ] || fail "only $(report .promises) promises"
expect_route render encode 20 "memory64 -> sync_file (promise)"
expect_route encode show 20 "memory64 -> sync_file (promise)"

# Pictures that are signalled before they are drawn show on the display, too.
if pipeline "${small[@]}" --seconds 1 --early --delay-ms 1000 >"$work/out"; then
	fail "a renderer that signals early was not noticed"
fi
grep -q 'error: show: showing: .* is on screen, not frame' "$work/out" ||
	fail "the display showed what was not drawn: $(cat "$work/out")"
