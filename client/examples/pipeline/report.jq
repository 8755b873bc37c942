# Everything that the run counted, in one object, and what does not add up.
def counter($name): [$counters.counters // [] | .[] | select(.name == $name) | .value][0] // 0;
def handover($stats; $name): $stats[0].handovers // [] | map(select(.name == $name))[0] // empty;

($promise == "yes") as $promise
| ($display == "yes") as $display
| [$render, $encode, $show, $send | .[0]] as $processes
| ($render[0].frames // 0) as $drawn
| ($show[0].frames // 0) as $shown
| ($send[0].frames // 0) as $sent
| ($probed | tonumber? // 0) as $probed
| ($verified.frames_decoded // 0) as $decoded
| ([$processes[].mismatches // 0] | add) as $mismatches
| ([$processes[].waits // 0] | add) as $waits
# Each frame: acquired through an exported fence; given back and handed on through imported ones; and
# its slot, once all of them are in use, waited for through an exported one, as is the last. The
# renderer and the sender wait in memory, each once a frame. With a display each frame is also handed
# to that and given back through imported fences; its buffers are waited for as the slots are; and a
# gate waits for each frame, or, except for the first, a promise. What is promised and was reached
# already is no promise, but an export.
| ($encode[0].buffers // 8) as $slots
| ($show[0].buffers // 3) as $buffers
| ($sent + ([$sent - $slots, 0] | max) + 1
	+ (if $display then ([$sent - $buffers, 0] | max) + 1 else 0 end)) as $encoder_waits
| ($encoder_waits + (if $display and $promise then $sent - 1 else 0 end)) as $fences
| (if $display then 4 else 2 end * $sent) as $imports
| ($encoder_waits + (if $display then 3 else 2 end) * $sent) as $all_waits
| ($ARGS.positional
	+ [if $sent != $expected then "\($expected) frames were to be sent, \($sent) were" else empty end]
	+ [if $probed != $sent then "ffprobe finds \($probed) frames, \($sent) were sent" else empty end]
	+ [if $decoded != $sent then "\($decoded) frames were decoded, \($sent) sent" else empty end]
	+ [if $display and $shown != $expected then "\($expected) frames were to be shown, \($shown) were"
		else empty end]
	+ [if $promise and counter("promises") == 0 then "nothing was promised" else empty end]
	+ [if $mismatches > 0 then "\($mismatches) frame numbers were wrong" else empty end]
	+ (if $sent == $expected then
		[if counter("exports") + counter("promises") != $fences
			then "the daemon made \(counter("exports")) exports and \(counter("promises")) promises, the frames need \($fences)"
			else empty end]
		+ [if counter("exports_fired") != counter("exports")
			then "the daemon fired \(counter("exports_fired")) of \(counter("exports")) exports"
			else empty end]
		+ [if counter("promises_kept") != counter("promises")
			then "the daemon kept \(counter("promises_kept")) of \(counter("promises")) promises"
			else empty end]
		+ [if counter("imports_done") != $imports
			then "the daemon finished \(counter("imports_done")) imports, the frames need \($imports)"
			else empty end]
		+ [if $waits != $all_waits
			then "\($waits) points were waited for, the frames need \($all_waits)"
			else empty end]
	   else [] end)) as $errors
| {
	size: $size,
	fps: $fps,
	renderer: $render[0].renderer,
	signals: { cpu: ($render[0].signals // 0), device: ($render[0].device_signals // 0) },
	frames_drawn: $drawn,
	frames_sent: $sent,
	frames_decoded: $decoded,
	frames_probed: $probed,
	frames_shown: (if $display then $shown else null end),
	buffers: { pictures: ($render[0].buffers // 0), slots: ($encode[0].buffers // 0),
		display: ($show[0].buffers // 0) },
	number_checks: ([$processes[].checks // 0] | add),
	number_mismatches: $mismatches,
	bytes_sent: ($send[0].bytes // 0),
	seconds: ([$processes[].seconds // 0] | max),
	frames_per_second: (if ($send[0].seconds // 0) > 0 then ($sent - 1) / $send[0].seconds else 0 end),
	waits: {
		points: $waits,
		armed: counter("waits"),
		woken: counter("wakes")
	},
	exports: counter("exports"),
	promises: counter("promises"),
	imports: counter("imports"),
	requests: counter("requests"),
	request_errors: counter("errors"),
	routes: [
		{ from: "render", to: "encode", way: "acquire" } + handover($encode; "render.done"),
		{ from: "encode", to: "render", way: "release" } + handover($render; "encode.free"),
		{ from: "encode", to: "send", way: "acquire" } + handover($send; "encode.done"),
		{ from: "send", to: "encode", way: "release" } + handover($encode; "send.done"),
		if $display then
			{ from: "encode", to: "show", way: "acquire" } + handover($show; "encode.shown"),
			{ from: "show", to: "encode", way: "release" } + handover($encode; "show.free")
		else empty end
	] | map(del(.histogram)),
	errors: $errors
}
