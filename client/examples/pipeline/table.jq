# The report as a table for people.
def pad($width): tostring | . + (" " * ([$width - length, 0] | max));
def lpad($width): tostring | (" " * ([$width - length, 0] | max)) + .;
def us: if . == null then "-" elif . < 1000 then "\(. * 10 | round / 10) us"
	else "\(. / 10 | round / 100) ms" end;
def line($name; $value): "  \($name | pad(22))\($value)";

"",
line("frames"; "\(.frames_drawn) drawn, \(.frames_sent) sent, \(.frames_decoded) decoded and in order"
	+ (if .frames_shown != null then ", \(.frames_shown) shown" else "" end)),
line("frames a second"; "\(.frames_per_second * 10 | round / 10) (asked for: \(.fps)), \(.size)"),
line(if .source == "capture" then "captured from" else "drawn by" end; .renderer.said // "-"),
(if .frames_dropped > 0 then line("dropped"; "\(.frames_dropped) frames, by the capture device") else empty end),
line("signalled by"; if .signals.device > 0
	then "commands of the device: \(.signals.device) points, and \(.signals.cpu) by the CPU"
	else "the CPU: \(.signals.cpu) points" end),
line("frame numbers"; "\(.number_checks) checked before and after reading, \(.number_mismatches) wrong"),
line("buffers"; "\(.buffers.pictures) pictures, \(.buffers.bitstreams) bitstreams, reused, never copied"
	+ (if .buffers.display > 0 then "; \(.buffers.display) of the display" else "" end)),
line("exports, imports"; "\(.exports) fences made from points, \(.imports) points made from fences"),
(if .promises > 0 then line("promises"; "\(.promises) fences exported before their points were reached") else empty end),
line("waits"; "\(.waits.points) points waited for, \(.waits.armed) armed at the daemon, \(.waits.woken) woken by it"),
line("requests"; "\(.requests), \(.request_errors) refused"),
line("errors"; (.errors | length)),
"",
([.routes[] | .route // "-" | length] | max + 2) as $wide
| "  \("hand-over" | pad(20))\("route" | pad($wide))\("count" | lpad(6))\("p50" | lpad(11))\("p99" | lpad(11))",
(.routes[] |
	"  \(if .way == "acquire" then "\(.from) -> \(.to)" else "\(.to) <- \(.from)" end | pad(20))\(.route // "-" | pad($wide))\(.count // 0 | lpad(6))\(.p50_us | us | lpad(11))\(.p99_us | us | lpad(11))"),
"  -> acquire: may be read   <- release: may be written again",
"  latency: from the signal, or the start of a later wait, until the waiter goes on",
"",
(.errors[] | "error: \(.)"),
(if .frames_sent > 1 and .frames_per_second < 0.9 * .fps and .errors == [] then
	"asked for \(.fps) frames a second of \(.size); this machine managed \(.frames_per_second * 10 | round / 10)"
	else empty end)
