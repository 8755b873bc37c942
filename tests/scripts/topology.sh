# The topologies that come with the pipeline: in each, every frame arrives, once, in order, and the counts add
# up. Files that make no sense are refused before anything starts, with the line.
. "$(dirname "$0")/lib/common.sh"

topologies=$source/client/examples/pipeline/topologies
small=(--seconds 2 --fps 20 --size 160x128 --renderer cpu --deadline-ms 10000)

run_topology() { # NAME ARGUMENT...
	local name=$1
	shift
	pipeline --topology "$topologies/$name.conf" "${small[@]}" "$@" >"$work/out" 2>&1 ||
		fail "$name: $(cat "$work/out")"
	[ "$(report .frames_sent)" = 40 ] || fail "$name: $(report .frames_sent) of 40 frames were sent"
	[ "$(report .frames_decoded)" = 40 ] || fail "$name: $(report .frames_decoded) were decoded"
	[ "$(report .number_mismatches)" = 0 ] || fail "$name: a consumer read early"
	[ "$(report '.errors | length')" = 0 ] || fail "$name: errors in a run that worked"
}

expect_routes() { # "FROM TO COUNT ROUTE"..., as they stand in the report
	local expected
	expected=$(printf '%s\n' "$@")
	[ "$(report '.routes[] | "\(.from) \(.to) \(.count) \(.route)"')" = "$expected" ] ||
		fail "the routes are: $(report '.routes[] | "\(.from) \(.to) \(.count) \(.route)"')"
}

tail=("encode send 40 memory64 -> process" "send encode 40 memory64")

run_topology render-encode-send
expect_routes "render encode 40 memory64 -> eventfd" "encode render 40 eventfd -> memory64" "${tail[@]}"
[ "$(report .number_checks)" = 160 ] || fail "$(report .number_checks) checks, not 160"

run_topology capture-render-encode
expect_routes "capture render 40 memory64" "render capture 40 memory64" \
	"render encode 40 memory64 -> eventfd" "encode render 40 eventfd -> memory64" "${tail[@]}"
[ "$(report .number_checks)" = 240 ] || fail "$(report .number_checks) checks, not 240"
[ "$(report .source)" = capture ] || fail "the source is $(report .source)"
[ "$(report .renderer.name)" = generated ] || fail "nobody says that the pictures are generated"
grep -q "^captured from generated pictures: no device was named" "$work/out" ||
	fail "nobody says that the pictures are generated"

run_topology two-consumers
expect_routes "render encode 40 memory64 -> eventfd" "encode render 40 eventfd -> memory64" \
	"render probe 40 memory64" "probe render 40 memory64" "${tail[@]}"
[ "$(report .number_checks)" = 240 ] || fail "$(report .number_checks) checks, not 240"
[ "$(report .buffers.pictures)" = 6 ] || fail "not the same pictures for both"

run_topology chained
expect_routes "scene overlay 40 memory64" "overlay scene 40 memory64" \
	"overlay encode 40 memory64 -> eventfd" "encode overlay 40 eventfd -> memory64" "${tail[@]}"
[ "$(report .number_checks)" = 240 ] || fail "$(report .number_checks) checks, not 240"

# A renderer that signals early: both consumers read it, and one of them says so.
for name in two-consumers chained; do
	if pipeline --topology "$topologies/$name.conf" "${small[@]}" --early --delay-ms 100 \
		>"$work/out" 2>&1; then
		fail "$name: a renderer that signals early was not noticed"
	fi
	[ "$(report .number_mismatches)" -gt 0 ] || fail "$name failed, but not for a wrong frame number"
done

# A second consumer that dies or stops holds up the renderer no longer than the deadline, which names it.
for signal in KILL STOP; do
	pipeline --topology "$topologies/two-consumers.conf" --fps 20 --seconds 60 --size 160x128 \
		--renderer cpu --deadline-ms 2500 >"$work/out" 2>&1 &
	run=$!
	until probe=$(sed -n 's/^probe //p' "$work/run/pids" 2>/dev/null) && [ -n "$probe" ] &&
		socket=$(sed -n 's/^fencebrokerd .* serves //p' "$work/out") && [ -n "$socket" ] &&
		[ "$("$bin/fencectl" --socket "$socket" links --json 2>/dev/null | jq '[.[] |
			select(.consumer == "send0") | .returned // 0 | tonumber][0] // 0')" -gt 10 ]; do
		kill -0 "$run" 2>/dev/null || fail "the run ended early: $(cat "$work/out")"
		sleep 0.1
	done
	kill "-$signal" "$probe"
	renderer=$(sed -n 's/^render //p' "$work/run/pids")
	timeout 10 tail -s 0.05 -f /dev/null --pid="$renderer" || fail "render hangs after SIG$signal for probe"
	grep -q "probe0 (pid $probe" "$work/run/render.log" ||
		fail "render does not name probe (pid $probe): $(cat "$work/run/render.log")"
	kill -KILL "$probe" 2>/dev/null || true
	if wait "$run"; then
		fail "the run succeeded without probe"
	fi
	rm -rf "$work/run"
done

# Files that make no sense.
refuse() { # SENTENCE; the file comes from stdin
	cat >"$work/bad.conf"
	rm -rf "$work/run"
	if pipeline --topology "$work/bad.conf" >"$work/out" 2>&1; then
		fail "taken: $(cat "$work/bad.conf")"
	fi
	[ "$(cat "$work/out")" = "$work/bad.conf:$1" ] || fail "not \"$1\" but: $(cat "$work/out")"
	[ ! -e "$work/run" ] || fail "\"$1\" was refused late"
}

refuse '5: an edge goes to "encoder", but there is no such stage' <<'EOT'
stages: ( { name = "render"; kind = "render"; }, { name = "encode"; kind = "encode"; },
	{ name = "send"; kind = "send"; } );
edges: (
	{ from = "encode"; to = "send"; },
	{ from = "render"; to = "encoder"; }
);
EOT
refuse '3: "encode" already has a producer, "a" in line 2: it can have only one' <<'EOT'
stages: ( { name = "a"; kind = "render"; }, { name = "b"; kind = "render"; }, { name = "encode"; kind = "encode"; } );
edges: ( { from = "a"; to = "encode"; },
	{ from = "b"; to = "encode"; } );
EOT
refuse '2: the edges form a cycle through "a"' <<'EOT'
stages: ( { name = "a"; kind = "render"; }, { name = "b"; kind = "render"; } );
edges: ( { from = "a"; to = "b"; }, { from = "b"; to = "a"; } );
EOT
refuse '2: "encode" has no producer: an edge to it is missing' <<'EOT'
stages: ( { name = "render"; kind = "render"; }, { name = "send"; kind = "send"; },
	{ name = "encode"; kind = "encode"; }, { name = "probe"; kind = "probe"; } );
edges: ( { from = "encode"; to = "send"; }, { from = "render"; to = "probe"; } );
EOT
if pipeline --device /dev/video0 >"$work/out" 2>&1; then
	fail "a device was taken that nobody captures from"
fi
grep -q "^--device is for a capture stage, and .*/render-encode-send.conf has none" "$work/out" ||
	fail "not the sentence: $(cat "$work/out")"
if pipeline --topology "$work/nonexistent" >"$work/out" 2>&1; then
	fail "a file that is not there was taken"
fi
grep -q "^$work/nonexistent: No such file" "$work/out" || fail "not the sentence: $(cat "$work/out")"
