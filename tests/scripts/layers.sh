#!/bin/bash
# No include points upwards, and the graph of includes of the daemon and the library has no cycle. A node is a noun: NAME.c
# and NAME.h together. Prints what stands on what, folder by folder.
. "$(dirname "$0")/lib/common.sh"
cd "$source"

# From the lowest to the highest, by side: a folder may include itself and what stands before it.
daemon=(client/include proto daemon/base daemon/rules daemon/core daemon/translate daemon/front daemon)
library=(client/include proto client/lib client/lib/link)

# A line for each include of a header of ours: FROM-FOLDER FROM-NOUN TO-FOLDER TO-NOUN. A name without a folder is of
# the same folder; fencebroker.h is the public one.
edges() {
	local folder file
	for folder in "$@"; do
		for file in "$folder"/*.[ch]; do
			[ -e "$file" ] || continue
			awk -v folder="$folder" -v file="$file" '
				function noun(path) { sub(/\.[ch]$/, "", path); return path }
				/^#include "/ {
					split($0, part, "\"")
					path = part[2]
					if (path ~ /\.pb-c\.h$/) {
						next # generated, of proto
					}
					if (path == "fencebroker.h") {
						path = "client/include/fencebroker.h"
					} else if (path !~ /\//) {
						path = folder "/" path
					}
					to = path
					sub(/\/[^\/]*$/, "", to)
					print folder, noun(file), to, noun(path)
				}' "$file"
		done
	done
}

status=0

# check SIDE FOLDER...
check() {
	local side=$1 rank=0 folder
	shift
	edges "$@" | sort -u >"$work/$side"
	for folder in "$@"; do
		echo "$folder $((rank++))"
	done >"$work/ranks"

	awk 'NR == FNR { rank[$1] = $2; next }
		!($3 in rank) { print $2 " includes " $4 ", which is not of this side"; bad = 1; next }
		rank[$3] > rank[$1] { print $2 " includes " $4 ", which stands above it"; bad = 1 }
		END { exit bad }' "$work/ranks" "$work/$side" || status=1

	awk '$2 != $4 { print $2, $4 }' "$work/$side" >"$work/pairs"
	if ! tsort "$work/pairs" >/dev/null 2>"$work/cycles"; then
		echo "$side: a cycle of includes:"
		sed 's/^tsort: [^:]*: */	/; s/^tsort: /	/' "$work/cycles"
		status=1
	fi

	for folder in "$@"; do
		awk -v folder="$folder" '$1 == folder { count[$3]++ }
			END { for (to in count) { print "	" to " (" count[to] ")" } }' "$work/$side" | sort >"$work/uses"
		echo "$folder: $(find "$folder" -maxdepth 1 -name '*.[ch]' -printf '%f\n' | sed 's/\.[ch]$//' | sort -u | wc -l) nouns, on"
		cat "$work/uses"
	done
}

check daemon "${daemon[@]}"
check library "${library[@]}"

# Of the daemon fencectl reads the rules alone, which are pure: what is in force it asks.
strangers=$(edges client/fencectl | awk '{ print $2 " includes " $4, $3 }' |
	grep -vE ' (client/fencectl|client/include|client/lib|proto|daemon/rules)$' || true)
if [ -n "$strangers" ]; then
	echo "fencectl: $strangers"
	status=1
fi

# The checks themselves: an include upwards and a cycle must be found.
mkdir -p "$work/low" "$work/high"
printf '#include "high/b.h"\n' >"$work/low/a.c"
printf '#include "low/c.h"\n' >"$work/high/b.h"
printf '#include "low/a.h"\n' >"$work/low/a.h"
printf '#include "a.h"\n#include "d.h"\n' >"$work/low/c.h"
printf '#include "c.h"\n' >"$work/low/d.h"
found=$(cd "$work" && status=0 && check trial low high)
for expected in 'low/a includes high/b, which stands above it' 'trial: a cycle of includes:'; do
	if ! grep -qF "$expected" <<<"$found"; then
		echo "not found where it is: $expected"
		status=1
	fi
done

# What the compiler finds from within a layer: the one below, and not the one above.
reaches() { # TARGET HEADER
	printf '#include "%s"\n' "$2" | (cd "$work" && ${CC:-cc} -M -I "$bin/../layers/$1" -x c -) >/dev/null 2>&1
}
while read -r target below above; do
	reaches "$target" "$below" || { echo "$target does not find $below" && status=1; }
	! reaches "$target" "$above" || { echo "$target finds $above" && status=1; }
done <<'EOF'
fbk-daemon-base proto/cells.h daemon/rules/account.h
fbk-daemon-rules daemon/base/clock.h daemon/core/client.h
fbk-daemon-core daemon/rules/kind.h daemon/translate/provider.h
fbk-daemon-translate daemon/core/source.h daemon/front/dispatch.h
fbk-daemon-front daemon/translate/provider.h daemon/daemon.h
fbk-client-core proto/cells.h client/lib/link/frame.h
fbk-client-link client/lib/bell.h daemon/base/clock.h
EOF
[ $status -eq 0 ] || fail "the layers are in docs/architecture.md"
