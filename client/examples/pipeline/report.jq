# Everything that the run counted, in one object, and what does not add up.
def counter($name): [$counters.counters // [] | .[] | select(.name == $name) | .value][0] // 0;
def handover($stats; $name): $stats[0].handovers // [] | map(select(.name == $name))[0] // empty;

($render[0].frames // 0) as $drawn
| ($send[0].frames // 0) as $sent
| ($probed | tonumber? // 0) as $probed
| ($verified.frames_decoded // 0) as $decoded
| ([$render, $encode, $send | .[0].mismatches // 0] | add) as $mismatches
| ([$render, $encode, $send | .[0].waits // 0] | add) as $waits
# Each frame: acquired through an exported eventfd; given back and handed on through imported ones;
# and its slot, once all of them are in use, waited for through an exported one, as is the last. The
# renderer and the sender wait in memory, each once a frame.
| ($encode[0].buffers // 8) as $slots
| ($sent + ([$sent - $slots, 0] | max) + 1) as $exports
| (2 * $sent) as $imports
| ($ARGS.positional
	+ [if $sent != $expected then "\($expected) frames were to be sent, \($sent) were" else empty end]
	+ [if $probed != $sent then "ffprobe finds \($probed) frames, \($sent) were sent" else empty end]
	+ [if $decoded != $sent then "\($decoded) frames were decoded, \($sent) sent" else empty end]
	+ [if $mismatches > 0 then "\($mismatches) frame numbers were wrong" else empty end]
	+ (if $sent == $expected then
		[if counter("exports") != $exports
			then "the daemon made \(counter("exports")) exports, the frames need \($exports)"
			else empty end]
		+ [if counter("exports_fired") != $exports
			then "the daemon fired \(counter("exports_fired")) of \($exports) exports"
			else empty end]
		+ [if counter("imports_done") != $imports
			then "the daemon finished \(counter("imports_done")) imports, the frames need \($imports)"
			else empty end]
		+ [if $waits != $exports + 2 * $sent
			then "\($waits) points were waited for, the frames need \($exports + 2 * $sent)"
			else empty end]
	   else [] end)) as $errors
| {
	size: $size,
	fps: $fps,
	frames_drawn: $drawn,
	frames_sent: $sent,
	frames_decoded: $decoded,
	frames_probed: $probed,
	buffers: { pictures: ($render[0].buffers // 0), slots: ($encode[0].buffers // 0) },
	number_checks: ([$encode, $send | .[0].checks // 0] | add),
	number_mismatches: $mismatches,
	bytes_sent: ($send[0].bytes // 0),
	seconds: ([$render, $encode, $send | .[0].seconds // 0] | max),
	frames_per_second: (if ($send[0].seconds // 0) > 0 then ($sent - 1) / $send[0].seconds else 0 end),
	waits: {
		points: $waits,
		armed: counter("waits"),
		woken: counter("wakes")
	},
	exports: counter("exports"),
	imports: counter("imports"),
	requests: counter("requests"),
	request_errors: counter("errors"),
	routes: [
		{ from: "render", to: "encode", way: "acquire" } + handover($encode; "render.done"),
		{ from: "encode", to: "render", way: "release" } + handover($render; "encode.free"),
		{ from: "encode", to: "send", way: "acquire" } + handover($send; "encode.done"),
		{ from: "send", to: "encode", way: "release" } + handover($encode; "send.done")
	] | map(del(.histogram)),
	errors: $errors
}
