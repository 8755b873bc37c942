#!/bin/bash
# Sentences for programs name what the user made: none has a word of the inside. Of the library, all of its errors; of the
# daemon, what it writes into a detail or a reason.
. "$(dirname "$0")/lib/common.sh"
cd "$source"

words='lanes?|cells?|epochs?|incarnations?|signaler of link|state timeline|no token|claims?|slots?|pair page'

# The strings in each call: PATTERN FILE...
strings() {
	local pattern=$1 file
	shift
	for file in "$@"; do
		tr '\n\t' '  ' <"$file" | sed 's:/\*[^*]*\*/::g' | grep -oE "($pattern)[^;]*;" |
			grep -oE '"[^"]*"' | sed "s:^:$file\: :" || true
	done
}

found=$(
	strings 'error_(set|fixed|plain)\(|link_break\(' client/lib/*.c client/lib/link/*.c
	strings 'snprintf\( ?(answer->)?detail|timeline_fail\(' daemon/core/*.c daemon/front/*.c daemon/translate/*.c
)
count=$(wc -l <<<"$found")
[ "$count" -gt 150 ] || fail "only $count sentences were found: is this script out of date?"
! grep -wE "($words)" <<<"$found" || fail "say what the user made instead"
echo "$count sentences"
