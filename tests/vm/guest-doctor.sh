# The doctor in a guest: everything works, apart from what the old kernel lacks, each with its reason.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

found=$("$bin/fencectl" doctor --json) || fail "the doctor finds that the daemon cannot run"
check() { # NAME RESULT
	local seen
	seen=$(jq -r --arg name "$1" '.checks[] | select(.name == $name) | .result' <<<"$found")
	[ "$seen" = "$2" ] || fail "check $1: $seen, not $2: $(jq -r --arg name "$1" \
		'.checks[] | select(.name == $name) | .note' <<<"$found")"
}
route() { # NAME WORKS
	local seen
	seen=$(jq -r --arg name "$1" '.routes[] | select(.name == $name) | .works' <<<"$found")
	[ "$seen" = "$2" ] || fail "route $1: $seen, not $2"
}
why() { # ROUTE TEXT
	jq -r --arg name "$1" '.routes[] | select(.name == $name) | .why' <<<"$found" |
		grep -q "$2" || fail "route $1 does not say: $2"
}

new=true newer=works loops=works
if [ "$FBK_VM" = 6.1 ]; then
	new=false newer=missing loops=limited
fi
check io-uring-futex "$loops"
for name in aio-eventfd sync-file dma-buf-fences vgem memory-lock drm-devices; do
	check "$name" works
done
for name in syncobj-timeline syncobj-eventfd sync-file-deadline; do
	check "$name" "$newer"
done
check sw_sync missing
check bus works
check bus-policy missing # nothing is installed here
check polkit works
check polkit-actions missing
for name in "memory to memory" "memory to eventfd (late)" "eventfd to memory" \
	"memory to sync_file (late)" "sync_file to memory" "dma-buf fences to memory" \
	"memory to sync_file (promise)"; do
	route "$name" true
done
route "memory to syncobj (late)" "$new"
route "syncobj to memory" "$new"
[ "$new" = true ] || why "memory to syncobj (late)" syncobj-timeline

# A daemon finds by itself the routes that the doctor names.
"$bin/fencebrokerd" --user --socket "$work/socket" 2>"$work/log" &
for _ in $(seq 100); do
	status=$("$bin/fencectl" --socket "$work/socket" status --json 2>/dev/null) && break
	sleep 0.1
done
kernel() {
	jq -r --arg name "$1" '.kernel[] | select(.name == $name) | .works' <<<"$status"
}
[ "$(kernel sync-file)" = true ] || fail "the daemon makes no sync_file: $(cat "$work/log")"
[ "$(kernel syncobj)" = "$new" ] || fail "the daemon and the doctor differ on syncobjs"
[ "$(kernel syncobj-wait)" = "$new" ] || fail "the daemon and the doctor differ on waiting for them"
found=$("$bin/fencectl" --socket "$work/socket" doctor --json)
jq -r '.checks[] | select(.name == "daemon-kernel") | .note' <<<"$found" | grep -q promises ||
	fail "the doctor does not say what the daemon lacks"
kill %1

# Without vgem there are no promises; other sources of sync_files still work.
if modprobe -r vgem; then
	found=$("$bin/fencectl" doctor --json)
	modprobe vgem
	check vgem missing
	route "memory to sync_file (promise)" false
	late=$new # by a syncobj ...
	[ ! -e /dev/udmabuf ] || late=true # ... or a dma-buf of udmabuf
	route "memory to sync_file (late)" "$late"
	route "sync_file to memory" "$late"
else
	fail "vgem can't be taken away: somebody uses it"
fi
