# All counters of the run in one object, and inconsistencies between them.
def counter($name): [$counters.counters // [] | .[] | select(.name == $name) | .value][0] // 0;
def by($name): [$stats[] | select(.process == $name)][0] // {};
def handover($stats; $name): $stats.handovers // [] | map(select(.name == $name))[0];
def picture($stats; $peer; $way):
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
# Per frame: the encoder acquires through an exported fence, and releases and hands on through imported
# ones. Once all slots are in use it waits for a slot through an exported fence; the last one too. A
# producer of pictures waits in memory, once a frame, for the release. Other readers and the sender wait
# in memory for the acquire. With a display, each frame is also handed to it and released through imported
# fences; the encoder waits for its buffers as for slots; and a gate, or except for the first frame a
# promise, waits for each frame. A promise of a point that is reached counts as an export.
| ($encode.buffers // 8) as $slots
| ($show.buffers // 3) as $buffers
| ($sent + ([$sent - $slots, 0] | max) + 1
	+ (if $display then ([$sent - $buffers, 0] | max) + 1 else 0 end)) as $encoder_waits
| ($encoder_waits + (if $display and $promise then $sent - 1 else 0 end)) as $fences
| (if $display then 4 else 2 end * $sent) as $imports
| ([$plan[] | select(.program == "compose" or .program == "probe")] | length) as $readers
| ($encoder_waits + ((if $display then 2 else 1 end) + ($producers | length) + $readers) * $sent)
	as $all_waits
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
	source: $first.kind,
	renderer: $source.renderer,
	frames_dropped: ([$processes[].dropped // 0] | add),
	signals: { cpu: ([$producers[].signals // 0] | add), device: ([$producers[].device_signals // 0] | add) },
	frames_drawn: $drawn,
	frames_sent: $sent,
	frames_decoded: $decoded,
	frames_probed: $probed,
	frames_shown: (if $display then $shown else null end),
	buffers: { pictures: ([$producers[].buffers // 0] | add), slots: ($encode.buffers // 0),
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
		($plan[] | select(.from and .kind != "send")
			| { from: .from, to: .name, way: "acquire" } + picture(by(.name); .from; "acquire"),
			{ from: .name, to: .from, way: "release" } + picture(by(.from); .name; "release")),
		{ from: $encoder, to: $sender, way: "acquire" } + handover($send; "encode.done"),
		{ from: $sender, to: $encoder, way: "release" } + handover($encode; "send.done"),
		if $display then
			{ from: $encoder, to: "show", way: "acquire" } + handover($show; "encode.shown"),
			{ from: "show", to: $encoder, way: "release" } + handover($encode; "show.free")
		else empty end
	] | map(del(.histogram, .peer)),
	errors: $errors
}
