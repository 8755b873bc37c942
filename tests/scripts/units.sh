# The units without a guest: what systemd-analyze says of the system's, and the user's in a systemd of its own, in namespaces:
# it starts by its socket and by the bus as one daemon, reloads, and no error in the policy stops it.
. "$(dirname "$0")/lib/common.sh"

build=$(dirname "$bin")
manager=/lib/systemd/systemd
command -v systemd-analyze >/dev/null || skip "no systemd-analyze"

# Of 100: what is left is justified in the unit.
SYSTEMD_LOG_LEVEL=err systemd-analyze security --offline=yes --threshold=8 "$build/systemd/fencebroker.service" \
	>"$work/exposure" 2>&1 || fail "more is exposed than 0.8: $(grep -v '✓' "$work/exposure")"
grep -a 'Overall exposure' "$work/exposure"

[ "$(id -u)" = 0 ] || skip "needs root for namespaces"
[ -x "$manager" ] || skip "no $manager"
for tool in unshare busctl dbus-daemon jq; do
	command -v "$tool" >/dev/null || skip "no $tool"
done

# A cgroup of its own, whose tree goes at the end.
mkdir "$work/cgroup"
mount -t cgroup2 cgroup2 "$work/cgroup" 2>"$work/error" || skip "no cgroup2: $(cat "$work/error")"
group=$work/cgroup/fencebroker-test-$$
leave() {
	status=$?
	! [ -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
	for _ in $(seq 100); do
		! [ -e "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
		[ -e "$group" ] || break
		sleep 0.1
	done
	umount "$work/cgroup"
	rm -rf "$work"
	exit $status
}
trap leave EXIT
mkdir "$group"

export XDG_RUNTIME_DIR=$work/run HOME=$work/home
export XDG_CONFIG_HOME=$HOME/.config XDG_DATA_HOME=$HOME/.local/share
unset DBUS_SESSION_BUS_ADDRESS FENCEBROKER_SOCKET
units=$XDG_CONFIG_HOME/systemd/user
mkdir -p "$units" "$XDG_DATA_HOME/dbus-1/services"
mkdir -m 0700 "$XDG_RUNTIME_DIR"
for unit in fencebroker.service fencebroker.socket; do
	sed "s|=/[^ ]*/\(fence[a-z]*\)|=$bin/\1|" "$build/systemd/user/$unit" >"$units/$unit"
done
sed "s|=/[^ ]*/\(fence[a-z]*\)|=$bin/\1|" "$build/systemd/user/org.fencebroker1.service" \
	>"$XDG_DATA_HOME/dbus-1/services/org.fencebroker1.service"
mkdir "$units/fencebroker.service.d"
cat >"$units/fencebroker.service.d/log.conf" <<END
[Service]
StandardError=append:$work/log
END
cat >"$units/dbus.socket" <<'END'
[Socket]
ListenStream=%t/bus
END
cat >"$units/dbus.service" <<END
[Unit]
Requires=dbus.socket
[Service]
Type=notify
ExecStart=$(command -v dbus-daemon) --session --address=systemd: --nofork --nopidfile --systemd-activation
END

cat >"$work/inside" <<'END'
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh" # makes a directory of its own, and removes it
log=$1/log
problem() {
	tail -n 30 "$log" >&2
	fail "$*"
}
systemctl() {
	command systemctl --user --no-pager "$@"
}
show() {
	systemctl show -P "$1" fencebroker.service
}
soon() { # COMMAND...
	for _ in $(seq 300); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	problem "not within thirty seconds: $*"
}
mount -t proc proc /proc
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/system
mount -t cgroup2 cgroup2 /sys/fs/cgroup
/lib/systemd/systemd --user --log-target=console >>"$log" 2>&1 &
soon systemctl is-system-running
fencectl=$FBK_BIN_DIR/fencectl
policy=$XDG_CONFIG_HOME/fencebroker/policy.conf
good='version = 1; rules: ( { user = "self"; connect = true; inspect = "all"; register = true; } );'

# The socket starts it, and a call on the bus at the same time: one daemon has both.
systemctl start dbus.socket fencebroker.socket || problem "no sockets"
[ "$(show ActiveState)" = inactive ] || problem "it runs before it is asked for"
"$fencectl" status --json >"$work/status" &
busctl --user get-property org.fencebroker1 /org/fencebroker1 org.fencebroker1.Manager Version >"$work/version" ||
	problem "the bus does not start it"
wait $! || problem "the socket does not start it"
pid=$(show MainPID)
[ "$(jq -r .pid "$work/status")" = "$pid" ] || problem "another daemon has the socket"
[ "$(busctl --user status org.fencebroker1 | sed -n 's/^PID=//p')" = "$pid" ] || problem "another daemon has the name"
[ "$(pgrep -c -x fencebrokerd)" -le 2 ] || problem "more than one, and its helper: $(pgrep -a -x fencebrokerd)"

# A reload waits and reports; one that is refused changes nothing.
mkdir -p "$(dirname "$policy")"
echo "$good" >"$policy"
systemctl reload fencebroker.service || problem "reload"
[ "$("$fencectl" status --json | jq -r .policy)" = "$policy" ] || problem "the reload did not wait"
printf 'version = 1;\nrules: ();\nlimits: { fsd = 0; };\n' >"$policy"
! systemctl reload fencebroker.service 2>"$work/error" || problem "a broken policy is reloaded"
grep -q "fencectl: .*$policy:3: unknown key" "$log" || problem "the reload does not say what is wrong"
[ "$(show ActiveState) $(show MainPID)" = "active $pid" ] || problem "the reload stopped it"
grep -q "not in force: $policy:3: unknown key" <<<"$(show StatusText)" || problem "STATUS is $(show StatusText)"

# It starts with that policy too, on the last good one.
systemctl restart fencebroker.service || problem "it does not start with a broken policy"
[ "$("$fencectl" status --json | jq -r .policy)" = "last good" ] || problem "not the last good policy"
grep -q "policy last good; not in force: $policy:3: " <<<"$(show StatusText)" || problem "STATUS is $(show StatusText)"
rm "$XDG_CONFIG_HOME/fencebroker/last-good-policy"
systemctl restart fencebroker.service || problem "it does not start without a last good policy"
[ "$("$fencectl" status --json | jq -r .policy)" = built-in ] || problem "not the built-in policy"
[ "$(show NRestarts)" = 0 ] || problem "it was started again $(show NRestarts) times"
echo "$good" >"$policy"
systemctl reload fencebroker.service || problem "reload of what was corrected"
[ "$("$fencectl" status --json | jq -r '.policy + .policy_problem')" = "$policy" ] || problem "still not in force"

# Stops are clean: nobody kills the helper.
for _ in 1 2 3 4 5; do
	systemctl reset-failed fencebroker.service # it counts the starts
	systemctl restart fencebroker.service || problem "restart"
done
systemctl stop fencebroker.socket fencebroker.service
[ "$(show Result)" = success ] || problem "it stopped with $(show Result)"
! grep -E 'fencebrokerd?(\[[0-9]+\])?: .*(killed|helper)' "$log" || problem "the helper was killed"
systemctl exit
wait
END

# In the namespaces all of it ends with its first process.
(echo 0 >"$group/cgroup.procs" && exec unshare --mount --pid --cgroup --fork --kill-child --propagation private \
	bash "$work/inside" "$work") || fail "the units above"
