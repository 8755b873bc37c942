# The capture example, on the kernel's capture card without hardware: its frames go to the encoder example, and
# each buffer is queued again when the encoder has released it.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

card=
for name in /sys/class/video4linux/video*/name; do
	if [ -e "$name" ] && grep -q '^vivid-.*-vid-cap$' "$name"; then
		card=/dev/$(basename "$(dirname "$name")")
		break
	fi
done
[ -n "$card" ] || skip "there is no capture device of vivid"

"$bin/fencebrokerd" --user --socket "$work/socket" 2>"$work/log" &
daemon=$!
export FENCEBROKER_SOCKET=$work/socket
until "$bin/fencectl" status >/dev/null 2>&1; do
	kill -0 $daemon || fail "the daemon does not run: $(cat "$work/log")"
	sleep 0.1
done

said=$(timeout 120 "$bin/example-capture" "$card" 60 "$bin/example-encoder" 2>&1) ||
	fail "it ended with $?: $said"
grep -q '^60 frames; link ended' <<<"$said" || fail "not all frames came: $said"
if grep -q 'in error' <<<"$said"; then
	fail "$said"
fi

# The last frame arrives, too, when the encoder is slower than the card's program is at its end.
for _ in $(seq 10); do
	said=$(timeout 120 "$bin/example-capture" "$card" 2 "$bin/example-encoder" 2>&1) || fail "it ended with $?: $said"
	grep -q '^2 frames; link ended' <<<"$said" || fail "the last frame is lost: $said"
done
