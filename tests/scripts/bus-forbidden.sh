#!/bin/bash
# The daemon never waits for the bus: its code calls nothing of sd-bus that does, and each method says that it is for
# everybody, since sd-bus otherwise asks the bus for the sender's capabilities, and waits. Then: does this find each?
. "$(dirname "$0")/lib/common.sh"

names=(
	'sd_bus_query_sender_[a-z_]+' 'sd_bus_track_add_[a-z_]+' sd_bus_call sd_bus_call_method 'sd_bus_flush[a-z_]*'
	sd_bus_request_name sd_bus_release_name sd_bus_add_match sd_bus_match_signal 'sd_bus_open[a-z_]*'
	'sd_bus_default[a-z_]*' sd_bus_wait sd_bus_get_name_creds sd_bus_get_owner_creds sd_bus_set_property
	'sd_bus_get_property[a-z_]*'
)
calls="(^|[^a-z_])($(IFS='|' && echo "${names[*]}"))[[:space:]]*[(]"

# A line for each fault under DIRECTORY: a call outside of comments and strings, and a method or writable property,
# from its macro to the parenthesis that closes it, that not everybody may use.
faults() { # DIRECTORY
	find "$1" -name '*.[ch]' -print0 | sort -z | xargs -0r awk -v calls="$calls" '
		function code(line,    out, at) {
			gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
			while (line != "") {
				if (comment) {
					at = index(line, "*/")
					if (!at) {
						return out
					}
					comment = 0
					line = substr(line, at + 2)
				} else if (!match(line, /\/[*\/]/)) {
					return out line
				} else {
					out = out substr(line, 1, RSTART - 1)
					if (substr(line, RSTART, 2) == "//") {
						return out
					}
					comment = 1
					line = substr(line, RSTART + 2)
				}
			}
			return out
		}
		FNR == 1 { comment = 0; member = 0 }
		{
			line = code($0)
			if (line ~ calls) {
				print FILENAME ":" FNR ": " line
			}
			if (!member && line !~ /^#/ && line ~ /SD_BUS_(METHOD|WRITABLE_PROPERTY)[A-Z_]*[[:space:]]*\(/) {
				member = 1
				text = ""
				depth = 0
			}
			if (member) {
				text = text line
				depth += gsub(/\(/, "(", line) - gsub(/\)/, ")", line)
				if (depth <= 0) {
					member = 0
					if (text !~ /SD_BUS_VTABLE_UNPRIVILEGED/) {
						gsub(/[[:space:]]+/, " ", text)
						print FILENAME ":" FNR ": without SD_BUS_VTABLE_UNPRIVILEGED:" text
					}
				}
			}
		}'
}

found=$(faults "$source/daemon")
[ -z "$found" ] || fail "calls that may wait for the bus:"$'\n'"$found"

# ----------------------------------------------------------------------------- the test itself ---

bad() { # NAME TEXT
	rm -rf "$work/trial"
	mkdir "$work/trial"
	printf '%s\n' "$2" >"$work/trial/trial.c"
	[ -n "$(faults "$work/trial")" ] || fail "not found: $1"
}
good() {
	rm -rf "$work/trial"
	mkdir "$work/trial"
	printf '%s\n' "$2" >"$work/trial/trial.c"
	found=$(faults "$work/trial")
	[ -z "$found" ] || fail "found where it is not: $1: $found"
}
for name in "${names[@]}"; do
	plain=${name/'[a-z_]+'/creds}
	plain=${plain/'[a-z_]*'/}
	bad "$plain" "	r = $plain(bus, &x);"
	bad "$plain, across lines" "	r = $plain (
		bus, &x);"
	good "$plain in a comment" "/* $plain() would wait
	$plain(bus) */ int x; // $plain(bus)"
	case $name in
	*\[*) bad "${plain}_system" "	r = ${plain}_system(bus);" ;; # all that start so
	*) good "${plain}_async" "	r = ${plain}_async(bus, &x);" ;;
	esac
done
bad "a method" '	SD_BUS_METHOD("Reload", "", "", reload, 0),'
bad "a method of two lines" '	SD_BUS_METHOD_WITH_NAMES("Explain", "oo",
		SD_BUS_PARAM(from) SD_BUS_PARAM(to), "s",, explain, SD_BUS_VTABLE_HIDDEN),'
bad "the second of two" '	SD_BUS_METHOD("A", "", "", a, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("B", "", "", b, 0),'
bad "a writable property" '	SD_BUS_WRITABLE_PROPERTY("P", "s", get, set, 0, SD_BUS_VTABLE_PROPERTY_CONST),'
good "a method for all" '	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, reload,
		SD_BUS_VTABLE_UNPRIVILEGED),'
good "a property to be read" '	SD_BUS_PROPERTY("P", "s", get, 0, SD_BUS_VTABLE_PROPERTY_CONST),'
