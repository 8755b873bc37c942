# All counters of the run in one object, and inconsistencies between them.
def counter($name): [$counters.counters // [] | .[] | select(.name == $name) | .value][0] // 0;
def by($name): [$stats[] | select(.process == $name)][0] // {};
def handover($stats; $peer; $way):
	$stats.handovers // [] | map(select(.peer == $peer and .way == $way))[0];

($promise == "yes") as $promise
| ($display == "yes") as $display
| ($plan | map(select(.kind == "encode"))[0].name) as $encoder
| ($plan | map(select(.kind == "send"))[0].name) as $sender
| by($encoder) as $encode | by($sender) as $send | by("show") as $show
| $plan[0] as $first | by($first.name) as $source
| [$plan[] | select(.kind == "render" or .kind == "capture") | by(.name)] as $producers
| $stats as $processes
| ($source.frames // 0) as $drawn
| ($show.frames // 0) as $shown
| ($send.frames // 0) as $sent
| ($probed | tonumber? // 0) as $probed
| ($verified.frames_decoded // 0) as $decoded
| ([$processes[].mismatches // 0] | add) as $mismatches
| ([$processes[].waits // 0] | add) as $waits
# Per frame: each consumer waits for it, and its producer for the release by all. The encoder acquires
# pictures through exported fences, or promised ones, and releases them through imported ones. With a display,
# it also hands pictures on through imported fences, and the display releases them so; it acquires them by a
# gate, or promises. A promise of a point that is reached counts as an export.
| (1 + (if $display and $promise then 1 else 0 end)) as $fences
| (1 + (if $display then 2 else 0 end)) as $imports
| (([$plan[] | select(.from)] + [$plan[] | select(.to != [])] | length)
	+ (if $display then 2 else 0 end)) as $all_waits
| ($ARGS.positional
	+ [if $sent != $expected then "\($expected) frames were to be sent, \($sent) were" else empty end]
	+ [$plan[] | .name as $name | by($name) as $one
		| if $name != $sender and ($one.frames // 0) != $expected
			then "\($one.frames // 0) of \($expected) frames went through \($name)" else empty end]
	+ [if $probed != $sent then "ffprobe finds \($probed) frames, \($sent) were sent" else empty end]
	+ [if $decoded != $sent then "\($decoded) frames were decoded, \($sent) sent" else empty end]
	+ [if $display and $shown != $expected then "\($expected) frames were to be shown, \($shown) were"
		else empty end]
	+ [if $promise and counter("promises") == 0 then "nothing was promised" else empty end]
	+ [if $mismatches > 0 then "\($mismatches) frame numbers were wrong" else empty end]
	+ (if $sent == $expected then
		[if counter("exports") + counter("promises") != $fences * $sent
			then "the daemon made \(counter("exports")) exports and \(counter("promises")) promises, the frames need \($fences * $sent)"
			else empty end]
		+ [if counter("exports_fired") != counter("exports")
			then "the daemon fired \(counter("exports_fired")) of \(counter("exports")) exports"
			else empty end]
		+ [if counter("promises_kept") != counter("promises")
			then "the daemon kept \(counter("promises_kept")) of \(counter("promises")) promises"
			else empty end]
		+ [if counter("imports_done") != $imports * $sent
			then "the daemon finished \(counter("imports_done")) imports, the frames need \($imports * $sent)"
			else empty end]
		+ [if $waits != $all_waits * $sent
			then "\($waits) points were waited for, the frames need \($all_waits * $sent)"
			else empty end]
	   else [] end)) as $errors
| {
	size: $size,
	fps: $fps,
	source: $first.kind,
	renderer: $source.renderer,
	frames_dropped: ([$processes[].dropped // 0] | add),
	signals: { cpu: ([$producers[].signals // 0] | add), device: ([$producers[].device_signals // 0] | add) },
	frames_drawn: $drawn,
	frames_sent: $sent,
	frames_decoded: $decoded,
	frames_probed: $probed,
	frames_shown: (if $display then $shown else null end),
	buffers: { pictures: ([$producers[].buffers // 0] | add), bitstreams: ($encode.buffers // 0),
		display: ($show.buffers // 0) },
	number_checks: ([$processes[].checks // 0] | add),
	number_mismatches: $mismatches,
	bytes_sent: ($send.bytes // 0),
	seconds: ([$processes[].seconds // 0] | max),
	frames_per_second: (if ($send.seconds // 0) > 0 then ($sent - 1) / $send.seconds else 0 end),
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
		(($plan[] | select(.from)), (if $display then { name: "show", from: $encoder } else empty end)
			| { from: .from, to: .name, way: "acquire" } + handover(by(.name); .from; "acquire"),
			{ from: .name, to: .from, way: "release" } + handover(by(.from); .name; "release"))
	] | map(del(.histogram, .peer)),
	errors: $errors
}
