# Clone, ./run and ./test in a bare Debian made here, which has nothing of this machine but its package mirror.
. "$(dirname "$0")/lib/common.sh"

[ "$(id -u)" -eq 0 ] || skip "making a Debian root takes root"
command -v mmdebstrap >/dev/null || skip "there is no mmdebstrap"
root=$work/root
log=$work/log

# The mirror, and the way to it, come from this machine's apt.
cat /etc/apt/sources.list.d/debian.sources >"$work/debian.sources" 2>/dev/null ||
	grep -E '^deb .* bookworm' /etc/apt/sources.list >"$work/debian.list" 2>/dev/null ||
	skip "this machine's apt has no Debian mirror"
apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$work/apt.conf" || true

mmdebstrap --variant=apt --aptopt="$work/apt.conf" --include=ca-certificates,git bookworm "$root" \
	"$work"/debian.* >"$log" 2>&1 || {
	tail -n 5 "$log"
	skip "the mirror can't be reached"
}
cp "$work/apt.conf" "$root/etc/apt/apt.conf.d/90mirror"
git clone -q "$source" "$root/root/fencebroker"

# A mount and a pid namespace: mounts and left-over processes end with it.
inside() { # COMMAND
	unshare --mount --pid --fork --kill-child -- bash -ec '
		mount --make-rprivate /
		mount -t proc proc "$0/proc"
		mount --rbind /dev "$0/dev"
		mount -t tmpfs tmpfs "$0/tmp"
		exec chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
			TERM=dumb http_proxy="$2" https_proxy="$3" bash -ec "cd /root/fencebroker; $1"
	' "$root" "$1" "${http_proxy:-}" "${https_proxy:-}"
}

inside './run --seconds 2' || fail "./run on a bare Debian"
[ "$(jq .frames_decoded "$root/root/fencebroker/build/run/report.json")" = 60 ] ||
	fail "the stream that a bare Debian made does not hold 60 frames"
# The second start installs and compiles nothing.
again=$(inside './run --seconds 1') || fail "the second ./run"
! grep -q installing <<<"$again" || fail "the second ./run installed something"
# Tests that show that the build is right and finds all it needs; the long ones would show no more than on this machine.
inside './test --quick' || fail "./test --quick on a bare Debian"
