# The pipeline with a Vulkan device, a software rasteriser in this machine, whose points become kernel
# fences. An emulator draws slowly, so there are few pictures, and small ones.
. "$(dirname "$0")/../scripts/lib/common.sh"

[ -x "$bin/pipeline-render" ] || skip "this build has no pipeline"
ls "$bin/../lib"/libfence-vulkan.so* >/dev/null 2>&1 || skip "this build has no Vulkan"

pipeline --renderer vulkan --fences sync_file --display --size 160x128 --fps 5 --seconds 2 \
	--deadline-ms 60000 || fail "the run failed"
[ "$(report .renderer.vulkan)" = true ] || fail "drawn by $(report .renderer.said)"
[ "$(report .renderer.software)" = true ] || fail "$(report .renderer.said) in an emulated machine"
[ "$(report '.signals | "\(.device) \(.cpu)"')" = "10 0" ] || fail "$(report .signals) signalled"
[ "$(report .frames_decoded)" = 10 ] || fail "$(report .frames_decoded) of 10 frames were decoded"
[ "$(report .frames_shown)" = 10 ] || fail "$(report .frames_shown) of 10 frames were shown"
[ "$(report .number_mismatches)" = 0 ] || fail "a consumer read early"
[ "$(report '.routes[0].route')" = "memory64 -> sync_file (late)" ] || fail "$(report '.routes[0]')"
