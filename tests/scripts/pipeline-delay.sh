# With a slow renderer no stage reads early. With one that signals early a stage does, and the run reports it:
# without that, the first half would prove nothing.
. "$(dirname "$0")/lib/common.sh"

pipeline --delay-ms 200 --fps 10 --seconds 2 --size 320x240 || fail "the delayed run failed"
[ "$(report .frames_decoded)" = 20 ] || fail "$(report .frames_decoded) of 20 frames were decoded"
[ "$(report .number_checks)" = 80 ] || fail "$(report .number_checks) checks, not 80"
[ "$(report .number_mismatches)" = 0 ] || fail "a consumer read early"

if pipeline --early --delay-ms 200 --fps 10 --seconds 2 --size 320x240; then
	fail "a renderer that signals early was not noticed"
fi
[ "$(report .number_mismatches)" -gt 0 ] || fail "the run failed, but not for a wrong frame number"
