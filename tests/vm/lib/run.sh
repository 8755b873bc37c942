# Sourced by guest: starts, talks to and ends a guest. In its DIR: pid (QEMU's), console.log, qemu.log,
# agent.in and agent.out (a serial line to lib/agent), lock, seen (how much of the kernel's log was
# checked), unavailable (why there is no guest), share/.guest (what goes to and comes from lib/agent).

boot_limit=180 # seconds; usual is a tenth

# Kernel messages that report a fault.
complaints='WARNING:|BUG:|INFO: task|hung task|possible .* detected|Oops|rcu:.*stall|KASAN|KCSAN|UBSAN:'
complaints+='|general protection|refcount_t|Kernel panic|unable to handle|Call Trace:'

# vivid's capture thread reads the clock twice before it sleeps. If the machine is busy in between, its sleep has
# a negative length, and the kernel prints a stack.
without_late_vivid() {
	awk '/schedule_timeout: wrong timeout value/ { inside = 1; late = 0; block = "" }
		!inside { print; next }
		{ block = block $0 "\n" }
		/vivid_thread_vid_cap/ { late = 1 }
		/<\/TASK>/ { if (!late) printf "%s", block; inside = 0 }
		END { if (inside) printf "%s", block }'
}

# Prints what is wrong in a log, if anything; then it is true. Reads stdin, to its end: with pipefail,
# nobody before it in a pipe may be cut off.
complains() {
	local found
	found=$(tr -d '\r' | without_late_vivid | grep -E -A 60 "$complaints" | sed -n 1,100p) || return 1
	printf 'the kernel says:\n%s\n' "$found"
}

# Of what the kernel said since the last time.
complains_anew() { # DIR
	local log=$1/share/.guest/kernel.log seen
	seen=$(cat "$1/seen" 2>/dev/null || echo 0)
	stat -c %s "$log" >"$1/seen"
	tail -c "+$((seen + 1))" "$log" | complains
}

running() { # DIR
	local pid
	pid=$(cat "$1/pid" 2>/dev/null) && grep -q -s -z -x -F -e "$1/pid" "/proc/$pid/cmdline"
}

# Why a guest may have ended.
last_words() { # DIR
	complains <"$1/console.log" >&2 || {
		echo "the end of $1/console.log:"
		tail -n 40 "$1/console.log" | tr -d '\r'
	} >&2
	cat "$1/qemu.log" >&2
}

# A comma ends a value in QEMU's options.
escaped() {
	printf '%s' "${1//,/,,}"
}

# What a guest finds in its share; its QEMU command in `qemu`, and `append` for its kernel.
prepare() { # KERNEL DIR PATH...
	local kernel=$1 dir=$2 path tag=0
	shift 2
	image_prepare "$kernel"
	rm -rf "$dir/share/.guest"
	mkdir -p "$dir/share/.guest"
	cp "$here/lib/agent" "$dir/share/.guest/agent"
	[ -z "$module" ] || cp "$module" "$dir/share/.guest/fbk_test_fence.ko"
	printf '%s\n' "$tree" "$@" >"$dir/share/.guest/mounts"
	printf '%s\n' "$tree" >"$dir/share/.guest/tree"

	append="root=/dev/vda rw console=ttyS0 loglevel=5 panic=-1 mitigations=off"
	append+=" systemd.show_status=0 sysctl.kernel.hung_task_timeout_secs=60"
	# A console on the virtual display draws while the display is shut down, and 6.1 warns of that.
	append+=" drm_kms_helper.fbdev_emulation=0"
	# What QEMU's machine has and no test uses: seconds of the boot.
	append+=" modprobe.blacklist=ata_piix,floppy,i2c_piix4,pcspkr,powernow_k8,psmouse"
	# Emulation stands still when this machine is busy; the kernel is not to blame then.
	append+=" sysctl.kernel.watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120"
	qemu=(qemu-system-x86_64 -accel "tcg,thread=multi" -cpu "max,svm=off,la57=off" -smp 2
		-m "${FBK_VM_MEMORY:-2048}" -nodefaults -no-user-config -no-reboot
		-display none -vga none -device virtio-gpu-pci
		-kernel "$entry/vmlinuz-$kernel" -initrd "$entry/initrd-$kernel"
		-drive "file=$(escaped "$entry/disk.img"),format=raw,if=virtio,snapshot=on"
		-device virtio-serial-pci)
	share_9p share "$dir/share"
	for path in "$tree" "$@"; do
		share_9p "tree$tag" "$path" ",readonly=on"
		tag=$((tag + 1))
	done
}

share_9p() { # TAG PATH [OPTION]
	qemu+=(-fsdev "local,id=$1,path=$(escaped "$2"),security_model=none,multidevs=remap${3:-}"
		-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

# One line from the guest, in `line`; false: it has ended, or the time (in $SECONDS) has come.
hear() { # DIR DEADLINE
	local part
	line=
	until read -t 1 -r part <&"$from_agent"; do
		line+=$part # it gives what had come when the second was over
		if ! running "$1" || [ $SECONDS -ge "$2" ]; then
			line=
			return 1
		fi
		[ -z "${output:-}" ] || cat <&"$output"
	done
	line+=$part
}

# FIFOs opened for both ways block nobody, whether QEMU is there or not.
open_line() { # DIR
	exec {to_agent}<>"$1/agent.in" {from_agent}<>"$1/agent.out"
}

take_lock() { # DIR
	exec {lock}>"$1/lock"
	flock "$lock"
}

guest_up() {
	kernel_checked "$@"
	[ $# -ge 2 ] || { usage >&2 && exit 2; }
	local kernel=$1 dir append line lock to_agent from_agent
	mkdir -p "$2/share"
	dir=$(cd "$2" && pwd)
	shift 2
	state_dir=$dir
	take_lock "$dir"
	guest_kill "$dir"
	rm -f "$dir"/{pid,console.log,qemu.log,agent.in,agent.out,seen,unavailable}
	command -v qemu-system-x86_64 >/dev/null || unavailable "there is no qemu-system-x86_64"
	prepare "$kernel" "$dir" "$@"
	mkfifo "$dir/agent.in" "$dir/agent.out"
	: >"$dir/share/.guest/kernel.log"
	: >"$dir/console.log"
	qemu+=(-append "$append systemd.getty_auto=no" -pidfile "$dir/pid"
		-chardev "pipe,id=agent,path=$(escaped "$dir/agent")"
		-device virtserialport,chardev=agent,name=guest
		-serial "file:$(escaped "$dir/console.log")")
	# It outlives us, but not its time limit nor its owner, however we end.
	setsid bash -c 'owner=$1 && shift
		timeout --kill-after=10 "$0" setpriv --pdeathsig KILL "$@" &
		guest=$!
		[ -z "$owner" ] || { tail -s 0.1 -f /dev/null --pid="$owner" && kill "$guest"; } &
		wait "$guest" && status=0 || status=$?
		[ $status -ne 124 ] || echo "guest: its time limit of $0 s has come"
		kill 0' \
		"${FBK_VM_TIME_LIMIT:-3600}" "${FBK_VM_OWNER:-}" "${qemu[@]}" </dev/null >"$dir/qemu.log" 2>&1 {lock}>&- &
	open_line "$dir"
	SECONDS=0
	until running "$dir" || [ $SECONDS -ge 10 ]; do
		sleep 0.05
	done
	if ! hear "$dir" $boot_limit || [ "$line" != ready ]; then
		last_words "$dir"
		guest_kill "$dir"
		die "no guest with kernel $kernel came up"
	fi
	if complains_anew "$dir"; then
		guest_kill "$dir"
		exit 70
	fi
	echo "Linux $(cat "$entry/release-$kernel") is up after $SECONDS s"
}

guest_kill() { # DIR
	if running "$1"; then
		kill -KILL "$(cat "$1/pid")"
		while running "$1"; do
			sleep 0.05
		done
	fi
}

# The guest of a directory that is given by a user, in `dir`; or no guest.
find_guest() { # DIR
	[ $# -gt 0 ] || { usage >&2 && exit 2; }
	dir=$(cd "$1" 2>/dev/null && pwd) || unavailable "there is no guest in $1"
	[ ! -e "$dir/unavailable" ] || unavailable "$(cat "$dir/unavailable")"
	[ -p "$dir/agent.in" ] || unavailable "there is no guest in $dir: tests/vm/guest up makes one"
	if ! running "$dir"; then
		last_words "$dir"
		die "the guest in $dir has ended"
	fi
}

# What the guest's bash runs: the command, here, with our settings.
job_script() {
	local name
	for name in $(compgen -e | grep -E '^(FBK_|CK_|(A|L|T|UB)SAN_OPTIONS$)'); do
		printf 'export %s=%q\n' "$name" "${!name}"
	done
	printf 'export TMPDIR=/tmp HOME=/root LC_ALL=C.UTF-8\n'
	printf 'cd %q 2>/dev/null || cd /\n' "$PWD"
	printf 'exec'
	printf ' %q' "$@"
	printf '\n'
}

guest_exec() {
	local dir seconds=600 id line lock to_agent from_agent output status
	find_guest "$@"
	shift
	if [ "${1:-}" = --timeout ]; then
		seconds=${2:?}
		shift 2
	fi
	[ "${1:-}" != -- ] || shift
	[ $# -gt 0 ] || { usage >&2 && exit 2; }
	take_lock "$dir"
	open_line "$dir"
	id=$(date +%s%N)
	job_script "$@" >"$dir/share/.guest/job-$id"
	exec {output}<>"$dir/share/.guest/out-$id"
	echo "run $id $seconds" >&"$to_agent"
	SECONDS=0
	while hear "$dir" $((seconds + 30)); do
		case $line in
		"done $id "*) break ;;
		esac
		line=
	done
	cat <&"$output"
	rm -f "$dir/share/.guest/"{job,out}-"$id"
	if [ -z "$line" ]; then
		last_words "$dir"
		running "$dir" || die "the guest ended meanwhile"
		die "the guest does not answer"
	fi
	status=${line##* }
	if complains_anew "$dir"; then
		[ "$status" -ne 0 ] || status=70
	fi
	exit "$status"
}

guest_down() {
	local dir lock to_agent from_agent
	find_guest "$@"
	take_lock "$dir"
	open_line "$dir"
	echo "off" >&"$to_agent"
	SECONDS=0
	while running "$dir" && [ $SECONDS -lt 20 ]; do
		sleep 0.1
	done
	if running "$dir"; then
		echo "guest: it does not power off; killed" >&2
		guest_kill "$dir"
	fi
	rm -f "$dir"/agent.*
	if complains_anew "$dir" || complains <"$dir/console.log"; then
		exit 70
	fi
}

guest_shell() {
	kernel_checked "$@"
	local append
	command -v qemu-system-x86_64 >/dev/null || unavailable "there is no qemu-system-x86_64"
	shell_dir=$(mktemp -d)
	trap 'rm -rf "$shell_dir"' EXIT
	mkdir "$shell_dir/share"
	prepare "$1" "$shell_dir"
	touch "$shell_dir/share/.guest/shell"
	cat <<END
Starting. The shell ends with exit, or at once with Ctrl-A X. This machine's
$shell_dir/share is /share there.
END
	"${qemu[@]}" -append "$append" -serial mon:stdio
}
