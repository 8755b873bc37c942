# Sourced. A bare Debian, which has nothing of this machine but its package mirror.

root_make() { # SUITE DIRECTORY PACKAGES; skips where there is no mirror
	[ "$(id -u)" -eq 0 ] || skip "making a Debian root takes root"
	command -v mmdebstrap >/dev/null || skip "there is no mmdebstrap"
	mkdir -p "$work/mirror"

	# The mirror, and the way to it, come from this machine's apt, whichever release it names.
	if [ -e /etc/apt/sources.list.d/debian.sources ]; then
		cp /etc/apt/sources.list.d/debian.sources "$work/mirror"
	else
		grep -E '^deb .* (bookworm|trixie)' /etc/apt/sources.list >"$work/mirror/debian.list" 2>/dev/null ||
			skip "this machine's apt has no Debian mirror"
	fi
	sed -i -E "s/\\<(bookworm|trixie)\\>/$1/g" "$work"/mirror/debian.*
	apt-config dump | grep -E '^Acquire::(https?::|Check-)' >"$work/mirror/apt.conf" || true

	# The dpkg options stay in the root: nothing waits for the disk, or unpacks what no test reads.
	mmdebstrap --variant=apt --aptopt="$work/mirror/apt.conf" --include="ca-certificates,$3" \
		--dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*fence*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		"$1" "$2" "$work"/mirror/debian.* >"$work/mirror/log" 2>&1 || {
		tail -n 5 "$work/mirror/log"
		skip "the mirror can't be reached"
	}
	cp "$work/mirror/apt.conf" "$2/etc/apt/apt.conf.d/90mirror"
	echo "a bare Debian is there after $SECONDS s"
}

# A mount and a pid namespace: mounts and left-over processes end with it. The root is a mount, as on any machine.
root_run() { # ROOT FOLDER COMMAND
	unshare --mount --pid --fork --kill-child -- bash -ec '
		mount --make-rprivate /
		mount --bind "$0" "$0"
		mount -t proc proc "$0/proc"
		mount --rbind /sys "$0/sys"
		mount --rbind /dev "$0/dev"
		mount -t tmpfs tmpfs "$0/tmp"
		exec chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
			TERM=dumb http_proxy="$3" https_proxy="$4" bash -ec "cd $1; $2"
	' "$1" "$2" "$3" "${http_proxy:-}" "${https_proxy:-}"
}
