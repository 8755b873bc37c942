#!/bin/bash
# Daemon and client work under the filters that they meet: systemd's @system-service, and the default of a container engine,
# which is read from its package. Conditions on arguments and capabilities are not looked at: what needs those is refused.
. "$(dirname "$0")/lib/common.sh"

sandbox=$bin/../tests/test-integration-sandbox
[ -x "$sandbox" ] || skip "no $sandbox"
cc=$(command -v cc || command -v gcc) || skip "no compiler to ask for the numbers of system calls"
echo '#include <sys/syscall.h>' | "$cc" -E -dM - |
	sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p' | sort >"$work/numbers"

try() { # WHAT: with the names in $work/names
	sort -u "$work/names" | join - "$work/numbers" | cut -d' ' -f2 >"$work/allowed"
	[ "$(wc -l <"$work/allowed")" -gt 100 ] || fail "$1: only $(wc -l <"$work/allowed") system calls"
	"$sandbox" --allow "$work/allowed" || fail "$1"
	echo "$1: $(wc -l <"$work/allowed") system calls are enough"
	tried=1
}

tried=0
group() { # @GROUP: its calls, those of the groups in it too
	systemd-analyze syscall-filter "$1" 2>/dev/null </dev/null | sed -n 's/^ *\([@a-z0-9_-]*\)$/\1/p' | while read -r name; do
		case $name in
		"$1") ;;
		@*) group "$name" ;;
		*) echo "$name" ;;
		esac
	done
}
if command -v systemd-analyze >"$work/found"; then
	group @system-service >"$work/names"
	try "@system-service"
	# That of the unit, which takes these away again.
	sort -u "$work/names" >"$work/service"
	for name in @privileged @resources; do
		grep -qxE "SystemCallFilter=~.*$name( .*)?" "$source/systemd/fencebroker.service.in" ||
			fail "the unit does not take $name away"
		group "$name"
	done | sort -u >"$work/taken"
	[ "$(wc -l <"$work/taken")" -gt 40 ] || fail "only $(wc -l <"$work/taken") system calls are taken away"
	comm -23 "$work/service" "$work/taken" >"$work/names"
	try "the unit's filter"
fi

profile=/usr/share/containers/seccomp.json
if [ ! -f "$profile" ] && command -v jq >"$work/found" && (cd "$work" && timeout 60 apt-get download \
	golang-github-containers-common >"$work/download" 2>&1); then
	dpkg-deb -x "$work"/golang-github-containers-common_*.deb "$work/package"
	profile=$work/package$profile
fi
if [ -f "$profile" ]; then
	jq -r '.syscalls[] | select(.action == "SCMP_ACT_ALLOW") |
		select((.includes // {} | .caps // []) == []) | .names[]' "$profile" >"$work/names"
	try "the containers' default"
else
	echo "no profile of a container engine: its package can't be had"
fi
[ "$tried" = 1 ] || skip "neither systemd-analyze nor the package of a container engine"
