# Clone, ./run and ./test --quick in a bare Debian 13 made here, which has nothing of this machine but its package
# mirror. This machine, where all other tests run, is Debian 12.
. "$(dirname "$0")/lib/common.sh"

suite=trixie
[ "$(id -u)" -eq 0 ] || skip "making a Debian root takes root"
command -v mmdebstrap >/dev/null || skip "there is no mmdebstrap"
root=$work/root
log=$work/log

# The mirror, and the way to it, come from this machine's apt, whichever release it names.
if [ -e /etc/apt/sources.list.d/debian.sources ]; then
	cp /etc/apt/sources.list.d/debian.sources "$work"
else
	grep -E '^deb .* (bookworm|trixie)' /etc/apt/sources.list >"$work/debian.list" 2>/dev/null ||
		skip "this machine's apt has no Debian mirror"
fi
sed -i "s/\\<bookworm\\>/$suite/g" "$work"/debian.*
apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$work/apt.conf" || true

# The dpkg options stay in the root: nothing waits for the disk, or unpacks what no test reads.
mmdebstrap --variant=apt --aptopt="$work/apt.conf" --include=ca-certificates,git \
	--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	"$suite" "$root" "$work"/debian.* >"$log" 2>&1 || {
	tail -n 5 "$log"
	skip "the mirror can't be reached"
}
cp "$work/apt.conf" "$root/etc/apt/apt.conf.d/90mirror"
git clone -q "$source" "$root/root/fencebroker"
echo "a bare Debian is there after $SECONDS s"

# A mount and a pid namespace: mounts and left-over processes end with it. The root is a mount, as on any machine.
inside() { # COMMAND
	unshare --mount --pid --fork --kill-child -- bash -ec '
		mount --make-rprivate /
		mount --bind "$0" "$0"
		mount -t proc proc "$0/proc"
		mount --rbind /sys "$0/sys"
		mount --rbind /dev "$0/dev"
		mount -t tmpfs tmpfs "$0/tmp"
		exec chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
			TERM=dumb http_proxy="$2" https_proxy="$3" bash -ec "cd /root/fencebroker; $1"
	' "$root" "$1" "${http_proxy:-}" "${https_proxy:-}"
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
