# The packages: they build, lintian has nothing to say, and the maintainer scripts do what they are meant to. With --soak in
# bare roots of Debian 12 and 13 made here, by the README's screen alone: built twice, used, upgraded, removed and purged.
. "$(dirname "$0")/lib/common.sh"

for tool in dpkg-buildpackage dh dh_apparmor lintian apparmor_parser; do
	command -v $tool >/dev/null || skip "there is no $tool"
done
[ -e "$source/.git" ] || skip "this is no checkout: a tarball has no debian/"

# What git knows or does not ignore, as it is here.
copy() { # DIRECTORY
	mkdir -p "$1"
	git -C "$source" ls-files -co --exclude-standard -z | (cd "$source" && xargs -0 ls -d 2>/dev/null) | tar -C "$source" -cf - -T - | tar -C "$1" -xf -
}

copy "$work/tree"
[ -z "$(cd "$source" && git archive --worktree-attributes HEAD | tar -t | grep '^debian/' || true)" ] || fail "tarballs have debian/"
(cd "$work/tree" && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" dpkg-buildpackage -us -uc -b) >"$work/log" 2>&1 ||
	fail "dpkg-buildpackage: $(tail -n 40 "$work/log")"
echo "built after $SECONDS s"
lintian --fail-on error,warning "$work"/*.changes >"$work/log" 2>&1 || fail "lintian: $(cat "$work/log")"

# debhelper is silent where it finds no units, or enables the wrong ones.
dpkg-deb -e "$work"/fencebrokerd_*.deb "$work/control"
dpkg-deb -x "$work"/fencebrokerd_*.deb "$work/root"
postinst=$work/control/postinst
grep -q "systemd-sysusers .*fencebroker.conf" "$postinst" || fail "the postinst makes no user"
grep -q "deb-systemd-helper enable 'fencebroker.socket'" "$postinst" || fail "the postinst does not enable the socket"
grep -q "deb-systemd-invoke start 'fencebroker.socket'" "$postinst" || fail "the postinst does not start the socket"
! grep -E 'invoke.*(restart|\$_dh_action)' "$postinst" || fail "an upgrade restarts the daemon"
grep -q '"$1" = remove ' "$work/control/prerm" && grep -q 'stop fencebroker.socket fencebroker.service' "$work/control/prerm" ||
	fail "a removal does not stop the daemon"
! grep -q "invoke.*start.*fencebroker.service" "$postinst" || fail "the postinst starts the service"
# "Enabled for everybody" is what debhelper does with users' units unless it is told not to.
! grep -q 'user was-enabled defaults to true' "$postinst" || fail "every user gets a socket"
for unit in fencebroker.socket fencebroker.service; do
	awk -v unit="$unit" '$0 ~ "user debian-installed .*" unit { asked = 1 }
		$0 ~ "--user enable .*" unit { exit !asked; }' "$postinst" || fail "the postinst enables $unit for every user"
done
# A build for a lab is no package.
service=$(find "$work/root" -path '*/systemd/system/fencebroker.service')
! grep -qE '^(LimitMEMLOCK|OOMScoreAdjust)=' "$service" || fail "the unit is that of a lab"
grep -q '^ExecStart=.*/usr/bin/fencebrokerd' "$service" || fail "the unit starts another daemon"
apparmor_parser --skip-kernel-load --skip-cache --base /etc/apparmor.d -I "$work/root/etc/apparmor.d" \
	"$work/root/etc/apparmor.d/fencebrokerd" >"$work/log" 2>&1 || fail "the AppArmor profile: $(cat "$work/log")"
grep -qx 'AppArmorProfile=-fencebrokerd' "$(dirname "$service")"/fencebroker.service.d/*.conf ||
	fail "the service does not use the profile"

[ -n "${FBK_SOAK:-}" ] || exit 0
[ "$(id -u)" -eq 0 ] || skip "making a Debian root takes root; all else passed"
. "$source/tests/scripts/lib/root.sh"

# From the README: the commands between the fences of "Install".
sed -n '/^## Install$/,/^## /p' "$source/README.md" | sed -n '/^```$/,/^```$/p' | grep -v '^```$' >"$work/screen"
grep -q dpkg-buildpackage "$work/screen" || fail "the README has no install screen"

for suite in bookworm trixie; do
	root_make "$suite" "$work/$suite" build-essential,git
	rm -rf "$work/$suite/root/fencebroker"
	copy "$work/$suite/root/a/fencebroker"
	cp "$source/tests/scripts/lib/package-life.sh" "$work/screen" "$work/$suite/root/"
	root_run "$work/$suite" /root 'bash package-life.sh' || fail "the packages on $suite"
	echo "$suite has ended after $SECONDS s"
	rm -rf "${work:?}/$suite"
done
