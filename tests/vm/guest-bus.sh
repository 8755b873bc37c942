# The installed service on a real system bus, with polkitd: who may call what, and what happens when one of them goes.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

name=org.fencebroker1
manager=("$name" /org/fencebroker1 "$name.Manager")
built=$(dirname "$bin")
rules=/etc/polkit-1/rules.d/40-fencebroker-test.rules
bus_policy=/usr/share/dbus-1/system.d/$name.conf
activation=/usr/local/share/dbus-1/system-services/$name.service # the bus reads this one below /usr/local
actions=/usr/share/polkit-1/actions/$name.policy

clean() { # the guest's other tests start without a service
	local status=$?
	pkill -CONT -x polkitd || true
	jobs -p | xargs -r kill -KILL 2>/dev/null || true
	systemctl stop fencebroker.socket fencebroker.service 2>/dev/null || true
	rm -rf "$work" /etc/fencebroker /etc/systemd/system/fencebroker.* "$rules" "$bus_policy" "$activation" "$actions"
	systemctl daemon-reload
	systemctl reload dbus
	systemctl reset-failed fencebroker 2>/dev/null || true
	exit $status
}
trap clean EXIT
problem() {
	journalctl -u fencebroker -u dbus -u polkit --no-pager -o cat | tail -n 30 >&2
	fail "$*"
}
soon() { # COMMAND...; it succeeds within ten seconds
	for _ in $(seq 100); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	problem "not within ten seconds: $*"
}
as() { # USER COMMAND...
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"
}
works() { # USER MEMBER [ARGUMENT...]; sets answer
	local user=$1
	shift
	answer=$(as "$user" busctl --timeout=20 call "${manager[@]}" "$@" 2>&1) || problem "$user may not $*: $answer"
}
refused() { # WORDS USER MEMBER [ARGUMENT...]
	local words=$1 user=$2
	shift 2
	! answer=$(as "$user" busctl --timeout=20 call "${manager[@]}" "$@" 2>&1) || problem "$user may $*"
	grep -q -- "$words" <<<"$answer" || problem "$user is not told \"$words\" by $*: $answer"
}

systemctl stop fencebroker.socket fencebroker.service 2>/dev/null || true # of a test that failed

# Everything in place, as `cmake --install` leaves it; polkit and the bus's policy where those two read.
install -m 0755 "$bin/fencebrokerd" "$bin/fencectl" "$built/tests/service-client" /usr/local/bin/
install -m 0644 "$built"/systemd/fencebroker.{service,socket} /etc/systemd/system/
install -m 0644 -D "$source/policies/$name.conf" "$bus_policy"
install -m 0644 -D "$built/systemd/$name.service" "$activation"
install -m 0644 -D "$source/policies/$name.policy" "$actions"
systemd-sysusers "$source/systemd/sysusers.d/fencebroker.conf"
# games may do all but administer, daemon may only connect.
mkdir -p /etc/fencebroker
cat >/etc/fencebroker/policy.conf <<'POLICY'
version = 1;
rules: (
	{ user = 0; connect = true; register = true; inspect = "all"; },
	{ user = "games"; connect = true; register = true; inspect = "all"; },
	{ user = "nobody"; connect = true; inspect = "own"; },
	{ user = "daemon"; connect = true; inspect = "none"; }
);
POLICY
systemctl daemon-reload
systemctl reload dbus
warnings=$(systemd-analyze verify --man=no /etc/systemd/system/fencebroker.{service,socket} 2>&1 || true)
[ -z "$warnings" ] || fail "systemd-analyze: $warnings"
soon pkaction --action-id $name.reload
pkaction --verbose --action-id $name.reload | grep -q 'policykit.owner -> unix-user:fencebroker' ||
	problem "the daemon does not own its actions"

# A call starts the service: its unit, as its user, and that process owns the name.
[ "$(systemctl is-active fencebroker.service || true)" = inactive ] || fail "it runs before it is called"
version=$(busctl get-property "${manager[@]}" Version) || problem "a call does not start the daemon"
[ "$version" = "s \"$("$bin/fencebrokerd" --version | grep -oE '[0-9.]+$')\"" ] || problem "its version is $version"
pid=$(systemctl show -P MainPID fencebroker)
[ "$(busctl --json=short call org.freedesktop.DBus / org.freedesktop.DBus GetConnectionUnixProcessID s $name |
	jq .data[0])" = "$pid" ] || problem "another process than $pid owns the name"
[ "$(stat -c %U "/proc/$pid")" = fencebroker ] || problem "it runs as $(stat -c %U "/proc/$pid")"
found=$(fencectl doctor --json)
for check in bus bus-name bus-policy polkit polkit-actions; do
	[ "$(jq -r --arg name $check '.checks[] | select(.name == $name) | .result' <<<"$found")" = works ] ||
		problem "the doctor finds: $(jq -c --arg name $check '.checks[] | select(.name == $name)' <<<"$found")"
done

# It shows the interface that is written down.
described() { # of introspection data on stdin: each member, sorted
	python3 -c '
import sys, xml.etree.ElementTree as tree
for interface in tree.fromstring(sys.stdin.read()).iter("interface"):
    if interface.get("name").startswith("org.fencebroker1."):
        for member in interface:
            if member.tag != "annotation":
                types = [(arg.get("direction", "out"), arg.get("type")) for arg in member.iter("arg")]
                print(interface.get("name"), member.tag, member.get("name"), member.get("type"), member.get("access"), sorted(types))
' | sort
}
mkfifo "$work/input"
exec {input}<>"$work/input"
as games /usr/local/bin/service-client hand-over <"$work/input" >"$work/hand-over" 2>&1 {input}>&- &
client=$!
soon grep -q started "$work/hand-over"
works root ListDevices
device=$(grep -oE '/org/fencebroker1/device/[0-9]+' <<<"$answer") || problem "no device is listed: $answer"
busctl tree --list $name >"$work/tree"
grep -qx "$device" "$work/tree" || problem "the tree has no $device: $(cat "$work/tree")"
as nobody busctl tree --list $name >"$work/tree"
! grep -qx "$device" "$work/tree" || problem "nobody sees $device in the tree"
{
	busctl introspect --xml-interface $name /org/fencebroker1 | described
	busctl introspect --xml-interface $name "$device" | described
} >"$work/seen"
described <"$source/proto/$name.xml" >"$work/written"
diff <(sort "$work/written") <(sort "$work/seen") || problem "the daemon's interface is not proto/$name.xml"

# Everybody may ask what everybody may know. Of devices each sees what the policy lets it.
for user in root games nobody daemon; do
	[ "$(as $user busctl get-property "${manager[@]}" Version)" = "$version" ] || problem "$user may not ask the version"
done
for user in root games; do
	works $user ListDevices
	[ "$answer" = "ao 1 \"$device\"" ] || problem "$user sees $answer"
	[ "$(as $user busctl get-property $name "$device" $name.Device Name)" = 's "gpu0"' ] ||
		problem "$user may not see gpu0"
done
works nobody ListDevices
[ "$answer" = 'ao 0' ] || problem "nobody sees $answer"
! answer=$(as nobody busctl get-property $name "$device" $name.Device Pid 2>&1) || problem "nobody sees a pid: $answer"
refused 'inspect' daemon ListDevices
refused 'register' nobody RegisterDevice 'ssa{sv}' gpu1 gpu 0
works root ListStuck tt 60000 0

# The bus: only the daemon's user owns the name, and calls reach its interfaces alone.
! answer=$(as games busctl call org.freedesktop.DBus / org.freedesktop.DBus RequestName su $name 0 2>&1) ||
	problem "games owns the name"
! answer=$(as games busctl call $name /org/fencebroker1 org.example.Other Member 2>&1) || problem "a stray call passed"
grep -qi 'denied' <<<"$answer" || problem "the daemon answers a stray call: $answer"

# Administration: root, and whom polkit allows what.
works root Reload
works root EvictClient tst "$(busctl get-property $name "$device" $name.Device ClientId | cut -d' ' -f2)" test 1
[ "${answer%% *}" = as ] || problem "root is told $answer"
kill -0 $client || problem "flags 1 evicted the client"
refused 'polkit' nobody Reload
refused 'polkit' games EvictClient tst 1 test 0
cat >"$rules" <<'RULES'
polkit.addRule(function (action, subject) {
	if (action.id == "org.fencebroker1.reload" && subject.user == "nobody") {
		return polkit.Result.YES;
	}
});
RULES
nobody_reloads() {
	as nobody busctl call "${manager[@]}" Reload
}
soon nobody_reloads # polkit notices the file by itself
refused 'polkit' nobody EvictClient tst 1 test 0
refused 'polkit' games Reload
echo 'nonsense;' >>/etc/fencebroker/policy.conf
refused 'policy.conf' nobody Reload
sed -i '$d' /etc/fencebroker/policy.conf
works nobody Reload

# polkitd stands still: who needs its answer waits for it, and nobody else.
pkill -STOP -x polkitd
nobody_reloads 2>"$work/reload" &
waiting=$!
SECONDS=0
while [ $SECONDS -lt 5 ]; do
	works games ListDevices
	works root Reload
done
kill -0 $waiting 2>/dev/null || problem "a call that needs polkit did not wait for it: $(cat "$work/reload")"
pkill -CONT -x polkitd
wait $waiting || problem "polkit answered late, and the call failed: $(cat "$work/reload")"

# A program that has python3-dbus-fast alone makes points of eventfds, and exchanges pictures with one that has the library.
FBK_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket FBK_SOCKET=/run/fencebroker/socket \
	python3 -B "$source/tests/bus/run" "$source/tests/bus/test-foreign.py" >"$work/foreign" 2>&1 ||
	problem "a program without the library: $(cat "$work/foreign")"

# The bus restarts: sockets and fences know nothing of it, and the daemon is back on the new one.
mkfifo "$work/bus-input"
exec {bus_input}<>"$work/bus-input"
python3 "$source/tests/vm/bus-client.py" <"$work/bus-input" >"$work/bus-client" 2>&1 {bus_input}>&- &
bus_client=$!
soon grep -q ready "$work/bus-client"
systemctl restart dbus
on_the_bus() {
	busctl --auto-start=no get-property "${manager[@]}" Version
}
soon on_the_bus
echo >&$bus_input
wait $bus_client || problem "the client over the bus: $(cat "$work/bus-client")"
[ "$(systemctl show -P MainPID fencebroker)" = "$pid" ] || problem "the daemon is another after the bus restarted"
works games ListDevices
[ "$answer" = "ao 1 \"$device\"" ] || problem "after the restart of the bus: $answer"
echo >&$input
wait $client || problem "the client of the socket: $(cat "$work/hand-over")"
read -r points longest < <(tail -n 1 "$work/hand-over")
echo "$points points handed over, the longest took $longest ms"
[ "$points" -gt 100 ] && [ "$longest" -lt 3000 ] ||
	problem "the client of the socket handed over $points points, the longest took $longest ms"

# The example of the manual runs as it is printed.
sed -n '/^```python$/,/^```$/p' "$source/docs/bus.md" | grep -v '^```' >"$work/example.py"
[ "$(python3 "$work/example.py" 2>&1)" = 'reached 1 ' ] || problem "the example: $(python3 "$work/example.py" 2>&1)"

# It stops, and a call starts it again.
systemctl stop fencebroker.service
[ "$(systemctl show -P Result fencebroker)" = success ] || problem "it did not stop cleanly"
busctl get-property "${manager[@]}" Version >/dev/null || problem "a call does not start it again"
