# A real capture device, the kernel's vivid: its buffers go to a renderer as dma-bufs, and back to the device
# when the renderer has released them. Frames have the driver's numbers.
. "$(dirname "$0")/../scripts/lib/common.sh"

device=''
for node in /sys/class/video4linux/video*; do
	[ -e "$node/name" ] || continue
	case $(cat "$node/name") in
	vivid-*-vid-cap) device=${device:-/dev/$(basename "$node")} ;;
	esac
done
[ -n "$device" ] || skip "there is no capture device of vivid"

pipeline --topology "$source/client/examples/pipeline/topologies/capture-render-encode.conf" --device "$device" \
	--size 320x180 --fps 10 --seconds 2 --deadline-ms 20000 --fences sync_file || fail "the run failed"
[ "$(report .frames_sent)" = 20 ] || fail "$(report .frames_sent) of 20 frames were sent"
[ "$(report .frames_decoded)" = 20 ] || fail "$(report .frames_decoded) of 20 frames were decoded"
[ "$(report .number_mismatches)" = 0 ] || fail "a consumer read early"
[ "$(report .renderer.name)" = vivid ] || fail "captured from $(report .renderer.name)"
[ "$(report '.routes[0] | "\(.from) \(.to) \(.count) \(.route)"')" = "capture render 20 memory64" ] ||
	fail "forward by $(report '.routes[0]')"
[ "$(report '.routes[1] | "\(.from) \(.to) \(.count) \(.route)"')" = \
	"render capture 20 memory64 -> VIDIOC_QBUF" ] || fail "back by $(report '.routes[1]')"

# Paths that are not capture devices.
if pipeline --topology "$source/client/examples/pipeline/topologies/capture-render-encode.conf" --device /dev/null \
	--size 320x180 >"$work/out" 2>&1; then
	fail "/dev/null captures"
fi
grep -q "capture: /dev/null: it is not a V4L2 device that captures into buffers" "$work/out" ||
	fail "not the sentence: $(cat "$work/out")"
