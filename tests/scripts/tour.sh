#!/bin/bash
# docs/tour.md names files that exist, each function in the row of its file, and no file twice in one direction.
. "$(dirname "$0")/lib/common.sh"
cd "$source"

# "FUNCTION FILE" for each function of ours: its name begins in the first column, and so does its body.
find proto client daemon -name '*.c' -exec awk '
	FNR == 1 { name = "" }
	/^[a-z_].*\(/ {
		gsub(/__attribute__\(\([^)]*\)\)/, "")
		name = $0
		sub(/\(.*/, "", name)
		sub(/.*[^a-z0-9_]/, "", name)
	}
	/;$/ { name = "" }
	/^{/ && name != "" { print name, FILENAME }' {} + >"$work/defined"

# check DOC: prints what is wrong in it, and how much it looked at. What stands in backquotes is a file (a path), a
# function or, outside of tables and with (), a function of some file. In a table the second column is of the file in
# the first, and the third names its files itself.
check() {
	awk '
		function wrong(text) { print "line " FNR ": " text }
		# What is in backquotes, into item[]; `files` gets the paths among it.
		function quoted(text,   i, count) {
			split("", item)
			split("", files)
			count = split(text, part, "`")
			for (i = 2; i <= count; i += 2) {
				item[i / 2] = part[i]
				if (part[i] ~ /\//) {
					files[part[i]]
				}
			}
		}
		function check_files(   path, line) {
			for (path in files) {
				if ((getline line < path) < 0) {
					wrong("there is no " path)
				}
				close(path)
			}
		}
		function check_words(   i, path, name, found, where) {
			for (i in item) {
				name = item[i]
				if (name ~ /^[a-z0-9_]+\(\)$/) {
					sub(/\(\)/, "", name)
					if (!(name in somewhere)) {
						wrong("no file defines " name "()")
					}
				} else if (name ~ /^[a-z0-9_]+$/) {
					found = 0
					where = ""
					for (path in files) {
						found = found || (name, path) in defined
						where = where " " path
					}
					if (!found) {
						wrong(name "() is not defined in" (where ? where : " a file beside it"))
					}
					functions++
				}
			}
		}
		NR == FNR { defined[$1, $2]; somewhere[$1]; next }
		/^\| file / { split("", seen) }
		/^\| `/ {
			split($0, cell, "|")
			quoted(cell[2] cell[3])
			check_files()
			check_words()
			for (path in files) {
				if (path in seen) {
					wrong(path " twice in one direction")
				}
				seen[path]
			}
			rows++
			$0 = cell[4]
		}
		{
			quoted($0)
			check_files()
			check_words()
		}
		END { print rows + 0 " rows, " functions + 0 " functions" }' "$work/defined" "$1"
}

doc=docs/tour.md
check "$doc" >"$work/found"
cat "$work/found"
grep -q '^line' "$work/found" && fail "the lines above of $doc are wrong"
grep -q '^[1-9][0-9]* rows, [1-9][0-9]* functions' "$work/found" || fail "$doc has no rows"

# The checks themselves: each of these faults must be found.
finds() { # FAULT SED-SCRIPT
	sed "$2" "$doc" >"$work/wrong.md"
	check "$work/wrong.md" >"$work/found"
	grep -qF "$1" "$work/found" || fail "not found where it is: $1"
}
finds 'there is no client/lib/exports.c' 's,client/lib/export.c,client/lib/exports.c,'
finds 'there is no proto/heaps.c' 's,proto/heap.c,proto/heaps.c,'
finds 'arm_put() is not defined in daemon/core/arm.c' 's/`arm_add`/`arm_put`/'
finds 'arm_add() is not defined in daemon/core/timeline.c' 's/`timeline_look`,/`arm_add`,/'
finds 'heap_insert() is not defined in proto/cells.c' 's,proto/heap.c,proto/cells.c,'
finds 'no file defines exchange_notify_all()' 's/`exchange_notified()`/`exchange_notify_all()`/'
finds 'daemon/core/arm.c twice in one direction' '/^| `daemon\/core\/arm.c`/p'
