# The pipeline as ./run starts it: every frame arrives, once, in order, and the counts add up.
. "$(dirname "$0")/lib/common.sh"

pipeline --seconds 3 --fps 30 --size 320x240 || fail "the run failed"
[ "$(report .frames_sent)" = 90 ] || fail "$(report .frames_sent) of 90 frames were sent"
[ "$(report .frames_decoded)" = 90 ] || fail "$(report .frames_decoded) of 90 frames were decoded"
[ "$(report .exports)" = 90 ] || fail "$(report .exports) exports"
[ "$(report .imports)" = 90 ] || fail "$(report .imports) imports"
[ "$(report '[.routes[].count] | join(" ")')" = "90 90 90 90" ] || fail "counts of the routes"
[ "$(report '.errors | length')" = 0 ] || fail "errors in a run that worked"
[ "$(ffprobe -v error -select_streams v:0 -show_entries stream=codec_name,width,height \
	-of csv=p=0 "$work/run/stream.ts" | head -n 1)" = h264,320,240 ] || fail "not the stream asked for"

# With B-frames pictures come back in another order than they went out.
pipeline --seconds 2 --fps 30 --size 320x240 --b-frames 3 || fail "the run with B-frames failed"
[ "$(report .frames_decoded)" = 60 ] || fail "$(report .frames_decoded) of 60 frames were decoded"
[ "$(report '[.routes[].count] | join(" ")')" = "60 60 60 60" ] || fail "counts of the routes"
types=$(ffprobe -v error -select_streams v:0 -show_entries frame=pict_type -of csv=p=0 "$work/run/stream.ts" |
	tr -d ',\n')
[[ $types == I*BBBP*BBBP* ]] || fail "no B-frames in $types"
pipeline --seconds 1 --fps 2 --size 160x128 --b-frames 3 || fail "the run of fewer frames than are held failed"
[ "$(report .frames_decoded)" = 2 ] || fail "$(report .frames_decoded) of 2 frames were decoded"

# The smallest run: fewer frames than buffers.
pipeline --seconds 1 --fps 1 --size 160x128 || fail "the run of one frame failed"
[ "$(report .frames_decoded)" = 1 ] || fail "one frame was not one frame"

# Through a broker that is there already, twice: only what this run did is counted. None there: nothing is started.
"$bin/fencebrokerd" --user --socket "$work/broker" 2>"$work/broker.log" &
broker=$!
until "$bin/fencectl" --socket "$work/broker" status >/dev/null 2>&1; do
	kill -0 $broker 2>/dev/null || fail "the broker: $(cat "$work/broker.log")"
done
for _ in 1 2; do
	pipeline --socket "$work/broker" --seconds 1 --fps 10 --size 160x128 >"$work/out" || fail "through a broker: $(cat "$work/out")"
	grep -q "^fencebrokerd $broker serves" "$work/out" || fail "through another broker: $(cat "$work/out")"
done
kill $broker
wait $broker || fail "the broker did not live through it"
if said=$(timeout 60 bash "$source/client/examples/pipeline/run-pipeline" --bin "$bin" --output "$work/run" --socket "$work/nobody" 2>&1); then
	fail "without a broker it worked"
fi
[ "$said" = "no broker answers at $work/nobody" ] || fail "without a broker it says: $said"

# What makes no sense is refused before anything starts.
for arguments in "--size 1x1" "--size 161x128" "--fps 0" "--fps 241" "--seconds 0" "--deadline-ms 9" "--b-frames 4" "--fences smoke" \
	--vm --no-such; do
	rm -rf "$work/run"
	# shellcheck disable=SC2086
	if said=$(pipeline $arguments 2>&1); then
		fail "$arguments was taken"
	fi
	[ -n "$said" ] || fail "$arguments was refused without a word"
	[ ! -e "$work/run" ] || fail "$arguments was refused late"
done
