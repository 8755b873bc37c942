# Clone, ./run and ./test --quick in a bare Debian 13 made here, which has nothing of this machine but its package
# mirror. This machine, where all other tests run, is Debian 12.
. "$(dirname "$0")/lib/common.sh"

. "$source/tests/scripts/lib/root.sh"
root=$work/root
log=$work/log

root_make trixie "$root" git
git clone -q "$source" "$root/root/fencebroker"
inside() { # COMMAND
	root_run "$root" /root/fencebroker "$1"
}

inside './run --seconds 2' || fail "./run on a bare Debian"
echo "./run has ended after $SECONDS s"
[ "$(jq .frames_decoded "$root/root/fencebroker/build/run/report.json")" = 60 ] ||
	fail "the stream that a bare Debian made does not hold 60 frames"
# The second start installs and compiles nothing.
again=$(inside './run --seconds 1') || fail "the second ./run"
! grep -q installing <<<"$again" || fail "the second ./run installed something"
# Tests that show that the build is right and finds all it needs; the long ones would show no more than on this machine.
# Without --soak they run as released only: AddressSanitizer takes as long again.
quick='./test --quick'
[ -n "${FBK_SOAK:-}" ] ||
	quick=".ci/setup && .ci/build release && ctest --test-dir build --output-on-failure -j 2 -LE 'script|slow|vm|bus'"
inside "$quick" >"$log" 2>&1 || { cat "$log" && fail "the quick tests on a bare Debian"; }
tail -n 3 "$log"
# All that a bare Debian lacks .ci/setup has installed: no test is skipped there for that.
skipped=$(sed -n 's/.* - \(.*\) (Skipped)$/\1/p' "$log")
[ -z "$skipped" ] || fail "skipped on a bare Debian: $skipped"
echo "the tests have ended after $SECONDS s"
