# The examples in README.md, docs/ and the manuals compile against the header, without a warning, and each is short.
. "$(dirname "$0")/lib/common.sh"

longest=10 # lines

vulkan=no
! gcc -x c -fsyntax-only -include vulkan/vulkan_core.h /dev/null 2>/dev/null || vulkan=yes
python3 -B "$source/tests/scripts/lib/examples.py" "$work" "$source/README.md" "$source"/docs/*.md \
	"$source"/docs/man/*.[1-8] >"$work/list"

compile() { # NAME
	local prelude=example.h compiler
	! grep -q fbk_vk_ "$work/$1.txt" || prelude=example-vulkan.h
	if [ $prelude = example-vulkan.h ] && [ $vulkan = no ]; then
		echo "not compiled, for there is no <vulkan/vulkan_core.h>: $1"
		return
	fi
	{
		echo "#include \"$prelude\""
		echo 'void example(void);'
		echo 'void example(void) {'
		cat "$work/$1.txt"
		echo '}'
	} >"$work/$1.c"
	for compiler in gcc clang; do
		command -v $compiler >/dev/null || continue
		$compiler -std=c11 -fsyntax-only -Wall -Wextra -Werror -I"$source/tests/scripts/lib" \
			-I"$source/client/include" -I"$source/client/vulkan" "$work/$1.c" || return 1
	done
}

while read -r name; do
	compile "$name" || fail "the example $name"
	lines=$(grep -c '[^[:space:]]' "$work/$name.txt")
	[ "$lines" -le $longest ] || fail "the example $name has $lines lines: at most $longest"
	echo "$name: $lines lines"
done <"$work/list"
for document in README.md fencebroker.7; do
	[ "$(grep -c "^$document" "$work/list")" -ge 5 ] || fail "the examples of $document are not found"
done
