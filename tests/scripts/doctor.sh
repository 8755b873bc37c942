# What the doctor says of the bus and of polkit, on buses made here.
. "$(dirname "$0")/lib/common.sh"

command -v dbus-daemon >/dev/null || skip "there is no dbus-daemon"
python=/usr/bin/python3
"$python" -c 'import dbus_fast' 2>/dev/null || skip "there is no python3-dbus-fast"
export XDG_RUNTIME_DIR=$work
unset DBUS_SESSION_BUS_ADDRESS FENCEBROKER_SOCKET

bus=
start_bus() { # NAME [ELEMENT]; sets bus to its address, and bus_pid
	cat >"$work/$1.conf" <<END
<busconfig>
<type>session</type> <listen>unix:path=$work/$1</listen>
<policy context="default">
<allow user="*"/> <allow send_destination="*"/> <allow receive_sender="*"/> <allow own="*"/> ${2:-}
</policy>
<servicedir>$work/services</servicedir>
</busconfig>
END
	bus=unix:path=$work/$1
	dbus-daemon --config-file="$work/$1.conf" --nofork 2>"$work/$1.log" &
	bus_pid=$!
	# Its socket is a file before it listens there.
	until "$python" -c 'import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$work/$1" 2>/dev/null; do
		kill -0 $bus_pid || fail "no bus: $(cat "$work/$1.log")"
		sleep 0.05
	done
}
own() { # NAME [ACTION...]; sets owner to its pid
	rm -f "$work/ready"
	mkfifo "$work/ready"
	"$python" "$source/tests/scripts/lib/bus-owner.py" "$bus" "$@" >"$work/ready" &
	owner=$!
	read -r _ <"$work/ready" || fail "nobody can own $1"
}
leave() {
	kill "$owner"
	wait "$owner" 2>/dev/null || true
}
doctor() { # [ARGUMENT...]; sets found
	found=$(DBUS_SYSTEM_BUS_ADDRESS=$bus "$bin/fencectl" "$@" doctor --json) || fail "fencectl doctor"
}
check() { # NAME RESULT WORDS
	local entry
	entry=$(jq -c --arg name "$1" '.checks[] | select(.name == $name)' <<<"$found")
	jq -e --arg result "$2" --arg words "$3" '.result == $result and (.note | contains($words))
		and ((.result == "works") == (.way_out == ""))' <<<"$entry" >/dev/null || fail "$1 is $entry"
}

# No bus; and one that accepts and says nothing, as a stopped one does.
bus=unix:path=$work/none
doctor
check bus missing "the system bus does not: No such file"
check bus-name missing "there is no bus"
check polkit missing "there is no bus"
start_bus mute
kill -STOP $bus_pid
SECONDS=0
doctor
[ $SECONDS -lt 10 ] || fail "the doctor waited $SECONDS s for a bus that is stopped"
check bus missing "the system bus does not: Connection timed out"
kill -CONT $bus_pid

# A bus without us; then one that could start us.
doctor
check bus works "the system bus answers"
check bus-name missing "no call starts the daemon"
check polkit missing "no call starts one"
mkdir "$work/services"
for name in org.fencebroker1 org.freedesktop.PolicyKit1; do
	printf '[D-BUS Service]\nName=%s\nExec=/bin/false\n' "$name" >"$work/services/$name.service"
done
start_bus starts
doctor
check bus-name works "the first call starts the daemon"
check polkit missing "polkitd does not answer"

# Somebody owns the name and answers, or the bus does not let calls through, or it is not the daemon.
own org.fencebroker1
doctor
check bus-name works "pid $owner of uid $(id -u) owns org.fencebroker1"
kill -STOP "$owner"
doctor
check bus-name limited "does not answer"
kill -CONT "$owner"
leave
start_bus refuses '<deny send_destination="org.fencebroker1"/>'
own org.fencebroker1
doctor
check bus-name limited "the bus refuses calls"
leave

# Polkit knows all actions, or one is missing.
own org.freedesktop.PolicyKit1 org.example.other org.fencebroker1.{evict-client,fail-timeline,reload}
doctor
check polkit works "polkitd answers"
check polkit-actions works "knows all 3"
leave
own org.freedesktop.PolicyKit1 org.fencebroker1.reload
doctor
check polkit works "polkitd answers"
[ -e /usr/share/polkit-1/actions/org.fencebroker1.policy ] || check polkit-actions missing "not installed"
leave

# Of the user's own daemon it looks at the session bus, where neither has a say.
"$bin/fencebrokerd" --user --socket "$work/socket" 2>"$work/daemon.log" &
until [ -S "$work/socket" ]; do
	kill -0 $! || fail "the daemon does not run: $(cat "$work/daemon.log")"
	sleep 0.05
done
start_bus session
session=$bus
bus=unix:path=$work/none
DBUS_SESSION_BUS_ADDRESS=$session doctor --socket "$work/socket"
check bus works "the session bus answers"
check bus-name limited "the daemon runs, and does not own"
[ "$(jq '[.checks[] | select(.name | test("polkit|policy"))] | length' <<<"$found")" = 0 ] ||
	fail "a user's own daemon is said to need polkit"
bus=$session
own org.fencebroker1
bus=unix:path=$work/none
DBUS_SESSION_BUS_ADDRESS=$session doctor --socket "$work/socket"
check bus-name limited "not the daemon of this socket"
leave

# A daemon that is on the bus.
"$bin/fencebrokerd" --user --socket "$work/other" --bus "$session" 2>"$work/daemon.log" &
daemon=$!
until grep -q 'on the bus' "$work/daemon.log"; do
	kill -0 $daemon || fail "the daemon does not run: $(cat "$work/daemon.log")"
	sleep 0.05
done
DBUS_SESSION_BUS_ADDRESS=$session doctor --socket "$work/other"
check bus-name works "pid $daemon of uid $(id -u) owns"

# The command of this distribution, of one that is like it, and of an unknown one; with a file of each over os-release.
doctor_of() { # OS-RELEASE; sets found
	printf '%b' "$1" >"$work/os-release"
	found=$(unshare -m bash -c 'mount --bind "$1" "$(readlink -f /etc/os-release)" && exec "$2" --json doctor' - \
		"$work/os-release" "$bin/fencectl") || fail "fencectl doctor with $1"
}
way() { # NAME WORDS
	jq -e --arg name "$1" --arg words "$2" '.checks[] | select(.name == $name).way_out | contains($words)' <<<"$found" \
		>/dev/null || fail "no \"$2\" in $(jq -c --arg name "$1" '.checks[] | select(.name == $name)' <<<"$found")"
}
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$work/none
if [ -e /etc/os-release ] && unshare -m mount --bind "$work" "$work" 2>/dev/null; then
	doctor_of 'NAME="Debian GNU/Linux"\nID=debian\n'
	way polkit '`apt-get install polkitd`'
	way bus '`apt-get install dbus`'
	doctor_of 'ID=kali\nID_LIKE="other debian"\n'
	way polkit '`apt-get install polkitd`'
	doctor_of 'ID_LIKE="suse opensuse"\nID="opensuse-leap"\n'
	way polkit '`zypper install polkit`'
	doctor_of 'ID=fedora\n'
	way polkit '`dnf install polkit`'
	doctor_of 'ID=debian-not\nPRETTY_NAME=" debian "\n'
	way polkit 'install polkit;'
	doctor_of ''
	way bus 'install dbus'
	# a module that this kernel has, or has not
	if [ "$(jq -r '.checks[] | select(.name == "udmabuf").result' <<<"$found")" = missing ]; then
		way udmabuf '`modprobe udmabuf`'
		grep -qs '/udmabuf.ko' "/lib/modules/$(uname -r)/modules.dep" || way udmabuf 'this kernel has no module udmabuf'
	fi
else
	echo "no mount namespace: the commands of other distributions were not tried"
fi
