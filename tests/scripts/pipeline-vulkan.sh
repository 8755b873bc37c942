# The pipeline with a Vulkan device that draws and signals by its own commands, under the validation
# layer; without our CPU having a part in it; and what happens where there is no such device.
. "$(dirname "$0")/lib/common.sh"

small=(--size 160x128 --fps 20 --deadline-ms 60000)

vulkan() { # ARGUMENT...
	VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation VK_LAYER_SETTINGS_PATH="$source/tests/vulkan" \
		pipeline "${small[@]}" --renderer vulkan "$@"
}

returned_by() { # CONSUMER: how many frames
	"$bin/fencectl" --socket "$socket" links --json 2>/dev/null |
		jq --arg name "${1}0" '[.[] | select(.consumer == $name) | .returned // 0 | tonumber][0] // 0'
}

[ -x "$bin/pipeline-render" ] || skip "this build has no pipeline"
ls "$bin/../lib"/libfence-vulkan.so* >/dev/null 2>&1 || skip "this build has no Vulkan"

# Without a driver.
export VK_DRIVER_FILES=/nonexistent
pipeline "${small[@]}" --seconds 1 >"$work/out" 2>&1 || fail "no fallback: $(cat "$work/out")"
unset VK_DRIVER_FILES
[ "$(report .renderer.vulkan)" = false ] || fail "Vulkan without Vulkan"
[ "$(report '.signals | "\(.device) \(.cpu)"')" = "0 20" ] || fail "$(report .signals) signalled"
grep -q "^drawn by the CPU: there is no Vulkan driver" "$work/out" || fail "nobody was told: $(cat "$work/out")"
if VK_DRIVER_FILES=/nonexistent pipeline "${small[@]}" --seconds 1 --renderer vulkan \
	>"$work/out" 2>&1; then
	fail "Vulkan without Vulkan"
fi
grep -q "render: starting: there is no Vulkan driver" "$work/out" || fail "no sentence: $(cat "$work/out")"

# With one.
vulkan --seconds 2 >"$work/out" 2>&1 || {
	! grep -q "render: starting: there is no Vulkan" "$work/out" || skip "$(cat "$work/out")"
	cat "$work/out"
	fail "the run failed"
}
[ "$(report .renderer.vulkan)" = true ] || fail "drawn by $(report .renderer.said)"
[ "$(report '.signals | "\(.device) \(.cpu)"')" = "40 0" ] || fail "$(report .signals) signalled"
[ "$(report .frames_decoded)" = 40 ] || fail "$(report .frames_decoded) of 40 frames were decoded"
[ "$(report .number_mismatches)" = 0 ] || fail "a consumer read early"
software=$(report .renderer.software)
case "$(report .renderer.name)" in
*llvmpipe* | *SwiftShader*)
	[ "$software" = true ] || fail "a software rasteriser is not called one"
	grep -q "drawn by .*, a software rasteriser" "$work/out" || fail "a software rasteriser is not called one"
	;;
esac

# Signalled before it is drawn: a stage reads early, and the run reports it.
if vulkan --early --delay-ms 100 --seconds 1 >"$work/out" 2>&1; then
	fail "a renderer that signals early was not noticed"
fi
[ "$(report .number_mismatches)" -gt 0 ] || fail "the run failed, but not for a wrong frame number"
vulkan --delay-ms 100 --seconds 1 >"$work/out" 2>&1 || fail "the delayed run failed: $(cat "$work/out")"

# The renderer stops once it has submitted a frame: the value lands all the same, and the encoder gets
# the frame and gives it back.
vulkan --stop-at 20 --seconds 2 >"$work/out" 2>&1 &
run=$!
until grep -q "frame 20 is submitted" "$work/run/render.log" 2>/dev/null; do
	kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/out")"
	sleep 0.05
done
socket=$(sed -n 's/^fencebrokerd .* serves //p' "$work/out")
renderer=$(sed -n 's/^render //p' "$work/run/pids")
for name in encode send; do
	until [ "$(returned_by "$name")" -ge 20 ]; do
		kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/out")"
		sleep 0.05
	done
	[ "$(returned_by "$name")" = 20 ] || fail "$name went on to $(returned_by "$name")"
done
state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$renderer/status")
if [ "$software" = true ]; then
	# Its threads are the device, so that stopping the process would stop that. What is shown: the
	# store was in what was submitted, after the drawing, and the only thread of ours sleeps.
	grep -q "the thread that did it stops" "$work/run/render.log" || fail "what stopped is not said"
	[ "$state" = S ] || fail "the thread that submitted is not asleep but $state"
	echo "a software rasteriser: its device is threads of the renderer, so only the submitting thread stopped"
else
	[ "$state" = T ] || fail "the renderer is not stopped but $state"
	echo "the renderer was stopped after it submitted frame 20, which went all the way"
fi
kill -CONT "$renderer"
wait "$run" || fail "the run did not go on: $(cat "$work/out")"
[ "$(report '.signals | "\(.device) \(.cpu)"')" = "40 0" ] || fail "$(report .signals) signalled"

# Without a loader: in a mount namespace where that is empty.
loader=$(ldconfig -p | sed -n 's/.*libvulkan.so.1 .*x86-64.* => //p' | head -n 1)
if [ "$(id -u)" -eq 0 ] && [ -n "$loader" ] && unshare --mount true 2>/dev/null; then
	# the renderer alone: libraries of the others want the loader too
	unshare --mount bash -ec 'mount --bind /dev/null "$0"; exec "$@"' "$(realpath "$loader")" \
		"$bin/pipeline-render" --connect none --renderer vulkan >"$work/out" 2>&1 || true
	grep -q "^render: starting: there is no Vulkan loader" "$work/out" ||
		fail "not the sentence: $(cat "$work/out")"
else
	echo "without root or a loader: a machine without a loader was not tried"
fi
