# The packaged service under its AppArmor profile: confined, and nothing that it needs is refused.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

[ -d /sys/kernel/security/apparmor ] || skip "this kernel has no AppArmor"
packaging=$source/debian
problem() {
	journalctl -q --no-pager -o cat -u fencebroker | tail -n 20 >&2
	fail "$*"
}
denied() {
	journalctl -q -k --no-pager -o cat "_BOOT_ID=$(tr -d - </proc/sys/kernel/random/boot_id)" |
		grep 'apparmor="DENIED".*profile="fencebrokerd"' || true
}

# As the package installs it: below /usr, with a drop-in that names the profile.
install -m 0755 "$bin/fencebrokerd" "$bin/fencectl" "$bin/../tests/service-client" "$bin/example-handover" /usr/bin/
install -m 0644 "$bin/../lib/libfencebroker.so.0" /usr/lib/
install -m 0644 -D -t /usr/share/dbus-1/system.d "$source/policies/org.fencebroker1.conf"
install -m 0644 -D -t /etc/apparmor.d "$packaging/apparmor/fencebrokerd"
sed 's,/usr/local/bin,/usr/bin,g' "$bin/../systemd/fencebroker.service" >/etc/systemd/system/fencebroker.service
install -m 0644 "$bin/../systemd/fencebroker.socket" /etc/systemd/system/
install -m 0644 -D -t /etc/systemd/system/fencebroker.service.d "$packaging/drop-in/apparmor.conf"
systemd-sysusers "$source/systemd/sysusers.d/fencebroker.conf"
# The bus leaves out rules of users that it does not know.
busctl call -q org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
mkdir -p /etc/fencebroker/policy.d
cat >/etc/fencebroker/policy.conf <<'POLICY'
version = 1;
rules: ( { user = "*"; connect = true; register = true; class = "*"; publish = true; find = true; inspect = "all"; } );
POLICY
apparmor_parser -r -T -W /etc/apparmor.d/fencebrokerd || fail "the profile is not taken"
systemctl daemon-reload
systemctl start fencebroker.socket

status=$(fencectl status --json) || problem "fencectl status"
pid=$(systemctl show -P MainPID fencebroker)
[ "$(cat "/proc/$pid/attr/current")" = "fencebrokerd (enforce)" ] || problem "it runs as $(cat "/proc/$pid/attr/current")"
[ "$(jq -r '.kernel[] | select(.name == "sync-file") | .works' <<<"$status")" = true ] || problem "it can make no sync_file"
as_nobody() {
	setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}
as_nobody env FENCEBROKER_SOCKET=/run/fencebroker/socket example-handover >"$work/out" || problem "the example: $(cat "$work/out")"
[ "$(grep -c frame "$work/out")" = 5 ] || problem "the example handed over: $(cat "$work/out")"
as_nobody service-client expire || problem "a watch that expires"
for verb in devices timelines links stuck doctor; do
	fencectl $verb >/dev/null || problem "fencectl $verb"
done
busctl status org.fencebroker1 >/dev/null || problem "it does not own its name on the bus"
# Each function of the library: what that takes of the system is allowed by the profile, and by the unit's filter.
for test in constant constant-link; do
	FBK_SERVICE=/run/fencebroker/socket FBK_SERVICE_PID=$pid "$bin/../tests/test-integration-$test" >"$work/out" 2>&1 ||
		problem "$test: $(tail -n 20 "$work/out")"
done
pipeline --socket /run/fencebroker/socket --renderer cpu --size 160x128 --fps 5 --seconds 1 --deadline-ms 10000 >"$work/out" ||
	problem "the pipeline: $(cat "$work/out")"
grep -q "^fencebrokerd $pid serves" "$work/out" || problem "the pipeline went through another daemon"
# The policy is read anew, drop-ins too.
cat >/etc/fencebroker/policy.d/10-site.conf <<'POLICY'
version = 1;
rules: ( { user = "nobody"; register = false; } );
POLICY
fencectl reload || problem "fencectl reload"
[ "$(systemctl show -P MainPID fencebroker)" = "$pid" ] || problem "it did not live through all of it"
[ -z "$(denied)" ] || fail "the profile refuses what the service needs: $(denied)"

# It is in force: the same program, put under it by hand, makes no socket elsewhere.
! aa-exec -p fencebrokerd -- fencebrokerd --user --socket "$work/socket" 2>"$work/log" || fail "a socket anywhere"
[ -n "$(denied)" ] || fail "nothing was refused by the profile: $(cat "$work/log")"

systemctl stop fencebroker.socket fencebroker.service
[ "$(systemctl show -P Result fencebroker)" = success ] || problem "it did not stop cleanly"
apparmor_parser -R /etc/apparmor.d/fencebrokerd
rm -r /etc/fencebroker /etc/systemd/system/fencebroker.* /etc/apparmor.d/fencebrokerd \
	/usr/bin/{fencebrokerd,fencectl,service-client,example-handover} /usr/lib/libfencebroker.so.0 \
	/usr/share/dbus-1/system.d/org.fencebroker1.conf
busctl call -q org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
systemctl daemon-reload
