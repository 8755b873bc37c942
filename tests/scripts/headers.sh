# Each public header compiles alone, and all of them with a use of each macro in every C and C++ standard that a program
# may choose, by gcc and clang, without a warning. A 32-bit target is refused at once: by the headers, and by cmake.
. "$(dirname "$0")/lib/common.sh"

compilers=(gcc clang g++ clang++)
standards_c="c11 gnu11 c17 gnu17 c23 gnu23"
standards_cxx="c++11 gnu++11 c++14 gnu++14 c++17 gnu++17 c++20 gnu++20 c++23 gnu++23"
warnings=(-Wall -Wextra -Wshadow -Wconversion -Wundef -pedantic -Werror)
folders=(-I"$source/client/include" -I"$source/client/vulkan" -I"$source/client/opencl" -DCL_TARGET_OPENCL_VERSION=300)

language() { # COMPILER
	case $1 in
	*++) echo c++ ;;
	*) echo c ;;
	esac
}

# The name by which a compiler knows a standard: some know c23 as c2x only, and c++23 as c++2b.
known_as() { # COMPILER STANDARD
	local name
	for name in "$2" "$(sed -E 's/(c|gnu)23$/\12x/; s/\+\+20$/++2a/; s/\+\+23$/++2b/' <<<"$2")"; do
		if "$1" -x "$(language "$1")" -std="$name" -fsyntax-only /dev/null 2>/dev/null; then
			echo "$name"
			return
		fi
	done
}

# A program of one header: each macro with a value is used, as a value or as what its name says.
uses() { # HEADER
	local function
	function=use_$(basename "$1" .h | tr - _)
	echo "#include <$(basename "$1")>"
	echo "void $function(void);"
	echo "void $function(void)"
	echo '{'
	sed -n 's/^#define \(FBK_[A-Z0-9_]*\)\([[:space:]].*\)*$/\1/p' "$1" | sort -u | while read -r macro; do
		case $macro in
		FBK_POINT_SIGNALLED)
			echo '	struct fbk_point point = FBK_POINT_SIGNALLED;'
			echo '	point = FBK_POINT_SIGNALLED;'
			echo '	(void)fbk_point_check(FBK_POINT_SIGNALLED);'
			echo '	(void)point;'
			;;
		*_INIT)
			type=$(tr '[:upper:]' '[:lower:]' <<<"${macro%_INIT}")
			echo "	struct $type init_$type = $macro;"
			echo "	static const struct $type constant_$type = $macro;"
			echo "	init_$type.struct_size += constant_$type.struct_size + init_$type.struct_size;"
			echo "	(void)init_$type.struct_size;"
			;;
		*)
			echo "	{ const unsigned long long value = static_cast<unsigned long long>($macro); (void)value; }"
			;;
		esac
	done
	echo '}'
}

compile() { # COMPILER STANDARD FILE
	"$1" -x "$(language "$1")" -std="$2" -fsyntax-only "${warnings[@]}" "${folders[@]}" "$3"
}

headers=("$source"/client/include/*.h)
for pair in vulkan/vulkan_core.h:client/vulkan/fence-vulkan.h CL/cl.h:client/opencl/fence-opencl.h; do
	if gcc -x c -fsyntax-only -include "${pair%%:*}" -DCL_TARGET_OPENCL_VERSION=300 /dev/null 2>/dev/null; then
		headers+=("$source/${pair##*:}")
	else
		echo "not compiled, for there is no <${pair%%:*}>: ${pair##*:}"
	fi
done

for compiler in "${compilers[@]}"; do
	command -v "$compiler" >/dev/null || fail "there is no $compiler: .ci/setup installs it"
	standards=$standards_c
	[ "$(language "$compiler")" = c ] || standards=$standards_cxx
	for standard in $standards; do
		name=$(known_as "$compiler" "$standard")
		if [ -z "$name" ]; then
			echo "not compiled, for $($compiler -dumpversion) does not know it: $compiler -std=$standard"
			continue
		fi
		echo "$compiler $name all"
		case $standard in
		c11 | c++11)
			for header in "${headers[@]}"; do
				echo "$compiler $name $(basename "$header" .h)"
			done
			;;
		esac
	done
done >"$work/list"
grep '^not compiled' "$work/list" || true
sed -i '/^not compiled/d' "$work/list"

for header in "${headers[@]}"; do
	file=$work/$(basename "$header" .h)
	uses "$header" >"$file.c++"
	sed -E 's/static_cast<([^>]*)>/(\1)/' "$file.c++" >"$file.c"
	cat "$file.c++" >>"$work/all.c++"
	cat "$file.c" >>"$work/all.c"
done
count=$(wc -l <"$work/list")
[ "$count" -gt 0 ] || fail "no header"
export -f compile language
export folders_text="${folders[*]}" warnings_text="${warnings[*]}" work
xargs -P "$(nproc)" -L 1 bash -c '
	read -ra folders <<<"$folders_text"
	read -ra warnings <<<"$warnings_text"
	[ "$(language "$0")" = c ] || warnings+=(-Wold-style-cast -Wzero-as-null-pointer-constant)
	compile "$0" "$1" "$work/$2.$(language "$0")" ||
		{ echo "FAILED: $2 by $0 -std=$1" >&2; exit 1; }' <"$work/list" ||
	fail "see above"
echo "$count compilations of ${#headers[@]} headers"
grep -q 'fbk_point point = ' "$work/fencebroker.c" && grep -q 'fbk_frame_meta constant' "$work/fencebroker.c" &&
	[ "$(grep -c 'long value' "$work/fencebroker.c")" -gt 5 ] || fail "the macros are not found in fencebroker.h"

# 32 bits: refused by the first error, before any type of the header. With -U__LP64__ the headers of the system are those
# of 64 bits, which are there everywhere.
for compiler in "${compilers[@]}"; do
	for bits in -m32 -U__LP64__; do
		for header in "${headers[@]}"; do
			file=$work/$(basename "$header" .h).$(language "$compiler")
			! "$compiler" -x "$(language "$compiler")" "$bits" -fsyntax-only "${folders[@]}" "$file" 2>"$work/log" ||
				fail "$compiler $bits takes $(basename "$header")"
			grep -m 1 'error' "$work/log" | grep -q 'fencebroker is for 64-bit processes' ||
				fail "$compiler $bits says of $(basename "$header"): $(head -n 5 "$work/log")"
		done
	done
done

# cmake, even where no 32-bit C library is installed: it then can't link, but it knows the size of a pointer.
command -v cmake >/dev/null || skip "there is no cmake"
! cmake -G Ninja -S "$source" -B "$work/build" -DCMAKE_C_FLAGS=-m32 -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY \
	-DBUILD_TESTING=OFF >"$work/log" 2>&1 || fail "cmake takes a 32-bit target"
tr -s '\n ' ' ' <"$work/log" | grep -q 'fencebroker is for 64-bit targets' || fail "cmake says: $(cat "$work/log")"
! grep -q 'Checking for module' "$work/log" || fail "cmake looks for packages before it refuses"
