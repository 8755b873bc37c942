# The system service under a real systemd: its units, its user, its devices, its stop.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

units=$(dirname "$bin")/systemd
logs() {
	journalctl -u fencebroker --no-pager -o cat
}
problem() {
	logs | tail -n 20 >&2
	fail "$*"
}

install -m 0755 "$bin/fencebrokerd" "$bin/fencectl" "$bin/../tests/service-client" /usr/local/bin/
install -m 0644 "$units"/fencebroker.{service,socket} /etc/systemd/system/
install -m 0644 -D "$source/policies/system.conf" /usr/local/share/fencebroker/system.conf
systemd-sysusers "$source/systemd/sysusers.d/fencebroker.conf"
systemctl daemon-reload
warnings=$(systemd-analyze verify --man=no /etc/systemd/system/fencebroker.{service,socket} 2>&1 || true)
[ -z "$warnings" ] || fail "systemd-analyze: $warnings"

# The socket starts the service, which runs as its own user and finds the kernel's fences.
systemctl start fencebroker.socket
[ "$(systemctl is-active fencebroker.service || true)" = inactive ] || fail "it runs before it is asked for"
status=$(fencectl status --json) || problem "fencectl status"
pid=$(systemctl show -P MainPID fencebroker)
[ "$(stat -c %U "/proc/$pid")" = fencebroker ] || problem "it runs as $(stat -c %U "/proc/$pid")"
[ "$(jq -r .pid <<<"$status")" = "$pid" ] || problem "somebody else answers"
feature() {
	jq -r --arg name "$1" '.kernel[] | select(.name == $name) | .works' <<<"$status"
}
[ "$(feature sync-file)" = true ] || problem "the service can make no sync_file"
[ "$(feature promises)" = false ] || problem "promises are on without a policy that says so"
if [ "$FBK_VM" != 6.1 ]; then
	[ "$(feature syncobj)" = true ] || problem "the service has no syncobjs"
	[ "$(feature syncobj-wait)" = true ] || problem "the service cannot wait for submissions"
fi
systemctl stop fencebroker.socket fencebroker.service
[ "$(systemctl show -P Result fencebroker)" = success ] || problem "it did not stop cleanly"

# The socket and the bus start one daemon between them.
if [ -S /run/dbus/system_bus_socket ]; then
	install -m 0644 "$source/policies/org.fencebroker1.conf" /etc/dbus-1/system.d/
	install -m 0644 -D "$units/org.fencebroker1.service" /usr/share/dbus-1/system-services/org.fencebroker1.service
	systemctl reload dbus
	systemctl start fencebroker.socket
	fencectl status --json >/tmp/status.json &
	busctl get-property org.fencebroker1 /org/fencebroker1 org.fencebroker1.Manager Version >/dev/null ||
		problem "the bus does not start it"
	wait $! || problem "the socket does not start it"
	pid=$(systemctl show -P MainPID fencebroker)
	[ "$(jq -r .pid /tmp/status.json) $(busctl status org.fencebroker1 | sed -n 's/^PID=//p')" = "$pid $pid" ] ||
		problem "more than one daemon was started"
	systemctl stop fencebroker.socket fencebroker.service
	rm /etc/dbus-1/system.d/org.fencebroker1.conf /usr/share/dbus-1/system-services/org.fencebroker1.service
	systemctl reload dbus
fi

# Promises, by policy: with the memory locked, and vgem's card within reach.
mkdir -p /etc/fencebroker
cat >/etc/fencebroker/policy.conf <<'POLICY'
version = 1;
settings: { promises = true; };
rules: ( { user = "*"; connect = true; register = true; promise = true; inspect = "all"; } );
POLICY
systemctl start fencebroker.socket
status=$(fencectl status --json) || problem "fencectl status with promises on"
[ "$(feature promises)" = true ] ||
	problem "$(jq -r '.kernel[] | select(.name == "promises") | .note' <<<"$status")"
pid=$(systemctl show -P MainPID fencebroker)
locked=$(awk '/^VmLck/ { print $2 }' "/proc/$pid/status")
[ "$locked" -gt 1000 ] || problem "only $locked KiB are locked"
[ "$(cat "/proc/$pid/oom_score_adj")" = -900 ] || problem "it may be killed for memory"

# Devices come and go, and udev gives their nodes to the group a moment after they were made: the service sees both.
soon() { # COMMAND...; it succeeds within thirty seconds
	for _ in $(seq 300); do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	problem "not within thirty seconds: $*"
}
promises_are() {
	status=$(fencectl status --json) && [ "$(feature promises)" = "$1" ]
}
soon modprobe -r vgem # once the service has closed it
soon promises_are false
modprobe vgem
soon promises_are true
[ "$(systemctl show -P MainPID fencebroker)" = "$pid" ] || problem "another process found vgem"

# What it logs of clients: journal entries with fields. These clients belong to nobody.
entry() { # MESSAGE-ID PID; waits for the daemon's one entry of that kind about that client
	local found
	for _ in $(seq 100); do
		found=$(journalctl -q -u fencebroker -o json "MESSAGE_ID=$1" "FENCEBROKER_PID=$2")
		[ -z "$found" ] || break
		sleep 0.1
	done
	[ "$(grep -c . <<<"$found")" -eq 1 ] || problem "not one entry of $2 but: $found"
	printf '%s\n' "$found"
}
expect_entry() { # MESSAGE-ID VERB TIMELINE DEVICE WORDS; null: the entry has no such field
	local client found
	setpriv --reuid nobody --regid nogroup --clear-groups /usr/local/bin/service-client "$2" &
	client=$!
	wait "$client" || problem "service-client $2"
	found=$(entry "$1" "$client")
	jq -e --arg uid "$(id -u nobody)" --arg daemon "$pid" --arg timeline "$3" --arg device "$4" \
		--arg words "$5" '.PRIORITY == "4" and .FENCEBROKER_UID == $uid and ._PID == $daemon
		and .SYSLOG_IDENTIFIER == "fencebrokerd"
		and (.FENCEBROKER_TIMELINE | tostring) == $timeline
		and (.FENCEBROKER_DEVICE | tostring) == $device
		and (.MESSAGE | contains($words))' <<<"$found" >/dev/null ||
		problem "service-client $2 is logged as: $found"
}
expect_entry 6da181d4143c40388c19f9e1a5d53cb9 malformed null null disconnected
expect_entry ed4dcea8ac8a4293829d135806190383 expire frame gpu0 'its watch expired: frame point 1'
expect_entry a56f33af705f42b79d5a788fc403ebf2 break-promise frame gpu0 'not reached in 1000 ms'
expired=(-q -u fencebroker MESSAGE_ID=ed4dcea8ac8a4293829d135806190383)
journalctl "${expired[@]}" -o verbose | grep -q '^ *FENCEBROKER_TIMELINE=frame$' || problem "the entry lacks the timeline"
# What it means, and what to do: from the catalog, with the names of this event.
install -m 0644 -D -t /usr/lib/systemd/catalog "$source/systemd/fencebroker.catalog"
journalctl --update-catalog
journalctl -x "${expired[@]}" | grep -q 'Subject: A wait for timeline frame ended at its deadline' ||
	problem "not explained: $(journalctl -x "${expired[@]}")"
rm /usr/lib/systemd/catalog/fencebroker.catalog
journalctl --update-catalog

# Twenty reloads, every third of a policy that is wrong: the service says which, and goes on.
cp /etc/fencebroker/policy.conf /tmp/policy.good
for i in $(seq 20); do
	if [ $((i % 3)) = 0 ]; then
		echo 'version = 1; rules = oops' >/etc/fencebroker/policy.conf
		! systemctl reload fencebroker 2>/dev/null || problem "reload $i of a wrong policy"
	else
		cp /tmp/policy.good /etc/fencebroker/policy.conf
		systemctl reload fencebroker || problem "reload $i"
	fi
	[ "$(systemctl show -P MainPID fencebroker)" = "$pid" ] || problem "reload $i ended it"
done

# After SIGKILL systemd starts it again.
systemctl kill -s KILL fencebroker
for _ in $(seq 100); do
	again=$(systemctl show -P MainPID fencebroker)
	[ "$again" != 0 ] && [ "$again" != "$pid" ] && break
	sleep 0.1
done
fencectl status >/dev/null || problem "it did not come back"

# A policy that is wrong does not stop it: it says so, and runs on the last good one.
systemctl stop fencebroker.socket fencebroker.service
echo 'version = 1; rules = (); settings: { promise_ms = 5000; };' >/etc/fencebroker/policy.conf
systemctl start fencebroker.service || problem "it does not start with a wrong policy"
fencectl status --json | jq -e '.policy == "last good" and (.policy_problem | contains("promise_ms"))' >/dev/null ||
	problem "it does not tell what policy it has"
systemctl show -P StatusText fencebroker | grep -q 'not in force: .*policy.conf:1: ' ||
	problem "systemd is told: $(systemctl show -P StatusText fencebroker)"
# journald may read the line of a process that is gone already, and then does not know its unit: systemd tries again.
told() {
	grep -q 'policy.conf:1: "promise_ms" must be from 1 to 1500' \
		<<<"$(journalctl -q -u fencebroker -o cat MESSAGE_ID=92092897b1cf414ca3e25765d0673be9)"
}
for _ in $(seq 100); do
	! told || break
	sleep 0.1
done
told || problem "no word of the policy"
systemctl stop fencebroker.socket fencebroker.service
rm -r /etc/fencebroker /etc/systemd/system/fencebroker.*
systemctl daemon-reload
systemctl reset-failed fencebroker 2>/dev/null || true
