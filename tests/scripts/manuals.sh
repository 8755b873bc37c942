# Each manual page that is installed: groff and mandoc have nothing to say of it, it fits 80 columns, what it names is
# installed, too, and each public function is named by a page of its name. The maker of section 3 finds what is missing.
. "$(dirname "$0")/lib/common.sh"

build=$(dirname "$bin")
for tool in man lexgrog mandoc; do
	command -v $tool >/dev/null || fail "there is no $tool: .ci/setup installs it"
done
DESTDIR=$work cmake --install "$build" --prefix /usr >"$work/log" || fail "install: $(cat "$work/log")"
manual=$work/usr/share/man
[ -d "$manual/man3" ] || skip "this build makes no section 3"
export MANROFFSEQ='' LC_ALL=C.UTF-8

# ------------------------------------------------------------------------------------------------- the pages

count=0
mkdir "$work/text"
while read -r page; do
	name=$(basename "$page")
	if grep -q '^\.so ' "$page"; then
		target=$(sed -n 's/^\.so //p' "$page")
		[ -s "$manual/$target" ] || fail "$name is $target, which is not there"
		continue
	fi
	MANWIDTH=80 man --warnings -P cat -l "$page" >"$work/text/$name" 2>"$work/found" || fail "$name: $(cat "$work/found")"
	[ ! -s "$work/found" ] || fail "$name: $(cat "$work/found")"
	head -n 3 "$page" | grep -q "^\.TH [^ ]* ${name##*.} \"\" \"fencebroker [0-9.]*\" " ||
		fail "$name: .TH has no version, or a date, which would change with each build"
	mandoc -T lint -W warning "$page" | grep -v 'missing date' >"$work/found" || true
	[ ! -s "$work/found" ] || fail "mandoc: $(cat "$work/found")"
	lexgrog "$page" | sed "s/^[^\"]*\"\([^ ]*\) - .*/\1 $name/" >>"$work/named" || fail "$name names nothing: $(lexgrog "$page")"
	count=$((count + 1))
done < <(find "$manual" -type f | sort)
[ $count -gt 40 ] || fail "there are $count pages only"
python3 -B "$source/tests/scripts/lib/manuals.py" "$work" "$work"/text/* || fail "the pages above"

# -------------------------------------------------------------------------------------------- the functions

headers=("$source"/client/include/*.h)
for header in fence-vulkan fence-opencl; do
	[ ! -e "$manual/man3/$header.3" ] || headers+=("$source"/client/*/$header.h)
done
python3 -B - "$source/tests/scripts/lib" "${headers[@]}" >"$work/functions" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
from header import Header
print("\n".join(Header(*sys.argv[2:]).functions))
END
functions=$(wc -l <"$work/functions")
[ "$functions" -gt 90 ] || fail "only $functions functions are found in the headers"
while read -r function; do
	page=$manual/man3/$function.3
	[ -s "$page" ] || fail "there is no $function(3)"
	! grep -q '^\.so ' "$page" || page=$manual/$(sed -n 's/^\.so //p' "$page")
	grep -qxF "$function $(basename "$page")" "$work/named" || fail "$(basename "$page") does not name $function"
done <"$work/functions"
MANWIDTH=80 man -M "$manual" -P cat 3 fbk_point_wait >"$work/text/found" 2>&1 && grep -q '^fbk_point(3)' "$work/text/found" ||
	fail "man fbk_point_wait: $(cat "$work/text/found")"
echo "$count pages, $functions functions"

# ------------------------------------------------------------------------------------- what programs know

says() { # PAGE WORD...; as words of their own
	local page=$1 word
	shift
	for word; do
		grep -qE -- "(^|[ ,(|[])$word([] ,.:;)=|]|\$)" "$work/text/$page" || fail "$page does not know $word"
	done
}
for page in fencebrokerd.8 fencectl.1 fence-bench.1; do
	"$bin/${page%.*}" --help >"$work/help"
	mapfile -t options < <(grep -oE -- '--[a-z][a-z-]+' "$work/help" | sort -u)
	[ ${#options[@]} -gt 4 ] || fail "the help of ${page%.*} has no options"
	says "$page" "${options[@]}"
done
mapfile -t rows < <("$bin/fence-bench" --list | grep -oE '^[^ ]+')
[ ${#rows[@]} -gt 30 ] || fail "fence-bench lists ${#rows[@]} rows"
says fence-bench.1 "${rows[@]}"
mapfile -t verbs < <("$bin/fencectl" --help | sed -n 's/^  \([a-z]*\)\( .*\)* \{3,\}.*/\1/p')
[ ${#verbs[@]} -gt 8 ] || fail "fencectl has the verbs ${verbs[*]}"
says fencectl.1 "${verbs[@]}"

# ------------------------------------------------------------------------------------------- what it refuses

pages() { # HEADER
	python3 -B "$source/docs/man/pages.py" --output "$work/made" "$source/docs/man/pages" "$1" \
		"$source"/client/include/fence-{kms,v4l2}.h "$source"/client/{vulkan,opencl}/fence-*.h
}
include=$source/client/include/fencebroker.h
pages "$include" || fail "the pages can't be made"
mkdir "$work/wrong"
refuses() { # SENTENCE SED-SCRIPT
	sed -E "$2" "$include" >"$work/wrong/fencebroker.h"
	! cmp -s "$include" "$work/wrong/fencebroker.h" || fail "this changes nothing: $2"
	! pages "$work/wrong/fencebroker.h" 2>"$work/found" || fail "taken: $2"
	grep -qE "^$work/wrong/fencebroker.h:[0-9]+: $1" "$work/found" || fail "for $2 it says: $(cat "$work/found")"
}
refuses 'fbk_device_backing\(\) has no comment' 's:^/\* The backing in force\. \*/::'
refuses 'enum fbk_role has no comment' 's:^/\* Which end of a link this is\. \*/::'
refuses 'struct fbk_memory has no comment' '/^struct fbk_memory \{/s/^/\n/'
refuses 'FBK_TIME_NONE has no comment' 's:(#define FBK_TIME_NONE INT64_MIN) .*:\1:'
refuses 'fbk_point_expect\(\) is on no page of the table' 's/fbk_point_check\(struct/fbk_point_expect(struct/'
refuses 'one error a line: -EALREADY' 's/^( \*   -EALREADY  it failed before)/\1   -EPERM  no/'
refuses 'this error needs a line of its own' 's/^( \*   -EALREADY)  it failed before/\1 it failed before/'
refuses 'more than 72 columns' 's/^ \*	mirror .*/&                                   wide/'
refuses 'nothing follows this comment' 's:^#ifdef __cplusplus$:/* Alone. */\n\n&:'
line=$(grep -n 'fbk_device_backing(' "$include" | cut -d: -f1)
sed 's:^/\* The backing in force\. \*/::' "$include" >"$work/wrong/fencebroker.h"
! pages "$work/wrong/fencebroker.h" 2>"$work/found" && grep -q "^$work/wrong/fencebroker.h:$line: " "$work/found" ||
	fail "line $line has no comment, and it says: $(cat "$work/found")"
