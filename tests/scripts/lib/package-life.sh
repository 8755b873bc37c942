# In a bare root, as root, in /root: the life of the packages. a/fencebroker is the tree, `screen` the README's commands.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

cp -r a other-folder-with-a-longer-name
(cd a/fencebroker && bash -e ../../screen) >log 2>&1 || fail "the README's screen: $(tail -n 30 log)"
[ -z "$(grep -E '^ *(core|RESULT).*missing' log)" ] || fail "the doctor: $(cat log)"
(cd other-folder-with-a-longer-name/fencebroker && DEB_BUILD_OPTIONS=nocheck dpkg-buildpackage -b -us -uc) >log 2>&1 ||
	fail "the second build: $(tail -n 30 log)"
(cd a && sha256sum ./*.deb) >sums
(cd other-folder-with-a-longer-name && sha256sum --quiet -c ../sums) || fail "two folders give other bytes"
echo "$(wc -l <sums) packages, twice the same bytes"

# What the screen has installed.
[ -L /etc/systemd/system/sockets.target.wants/fencebroker.socket ] || fail "the socket is not enabled"
[ -z "$(find /etc/systemd/user -name '*fencebroker*')" ] || fail "users' sockets are enabled"
user_locked() {
	[[ $(getent shadow fencebroker | cut -d: -f2) = [!*]* ]] && [[ $(getent passwd fencebroker) = *nologin ]]
}
user_locked || fail "the user is not there, or may log in"
apt-get install -y pkgconf ./a/*-dev_*.deb ./a/lib*0_*.deb ./a/fencebroker-tools_*.deb >log 2>&1 || fail "installing the rest: $(tail -n 20 log)"
sh a/fencebroker/debian/tests/example || fail "the packages' own test"

# An upgrade that has another file where the administrator edited it.
echo '# the site' >>/etc/apparmor.d/fencebrokerd
mkdir -p /etc/fencebroker/policy.d
echo '# the site' >/etc/fencebroker/policy.d/10-site.conf
dpkg-deb -R a/fencebrokerd_*.deb new
sed -i 's/^Version: .*/&+next/' new/DEBIAN/control
echo '# of the next version' >>new/etc/apparmor.d/fencebrokerd
dpkg-deb -b new next.deb >/dev/null
apt-get install -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold ./next.deb >log 2>&1 ||
	fail "the upgrade: $(tail -n 20 log)"
[[ $(dpkg-query -W -f '${Version}' fencebrokerd) = *+next ]] || fail "it is not upgraded"
grep -q '^# the site' /etc/apparmor.d/fencebrokerd || fail "the upgrade lost an edit"
grep -q '^# the site' /etc/fencebroker/policy.d/10-site.conf || fail "the upgrade lost the policy"
grep -q '^# of the next' /etc/apparmor.d/fencebrokerd.dpkg-dist || fail "the new file is nowhere"

# Removed: the programs go. Purged: all goes but the user, who stays locked.
apt-get remove -y fencebrokerd fencebroker-tools 'libfence*' >log 2>&1 || fail "the removal: $(tail -n 20 log)"
! command -v fencebrokerd fencectl fence-bench || fail "the programs are still there"
grep -q '^# the site' /etc/apparmor.d/fencebrokerd || fail "the removal lost an edit"
mkdir -p /var/lib/fencebroker
apt-get purge -y fencebrokerd >log 2>&1 || fail "the purge: $(tail -n 20 log)"
left=$(find / -xdev -path /proc -prune -o -path /sys -prune -o -path /root -prune -o -path /tmp -prune -o \
	-name '*fence*' -path '*fence[b-]*' -newer /root/screen -print)
[ -z "$left" ] || fail "left after the purge: $left"
user_locked || fail "the user is gone, or may log in"
