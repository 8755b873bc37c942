# The names of the public headers: an enumerator begins with its enum's prefix, which no other enum has; a library exports
# what its headers declare, and nothing else; a struct begins with its size, or is one of the few that never change.
. "$(dirname "$0")/lib/common.sh"

include=$source/client/include
check() { # LIBRARY HEADER...
	local library=$bin/../lib/$1
	shift
	if [ ! -e "$library" ]; then
		echo "$(basename "$library") is not built: its symbols are not compared"
		return
	fi
	nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ && $2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort >"$work/exported"
	python3 -B "$source/tests/scripts/lib/names.py" exports "$work/exported" "$@" || fail "$(basename "$library")"
}

python3 -B "$source/tests/scripts/lib/names.py" names "$include"/*.h "$source"/client/{vulkan,opencl}/fence-*.h ||
	fail "the names above"
check libfencebroker.so "$include"/*.h
check libfence-vulkan.so "$source/client/vulkan/fence-vulkan.h"
check libfence-opencl.so "$source/client/opencl/fence-opencl.h"

# The checks themselves: each of these faults must be found.
finds() { # FAULT SED-SCRIPT
	sed -E "$2" "$include/fencebroker.h" >"$work/wrong.h"
	! cmp -s "$include/fencebroker.h" "$work/wrong.h" || fail "this changes nothing: $2"
	python3 -B "$source/tests/scripts/lib/names.py" names "$work/wrong.h" >"$work/found" || true
	grep -qF "$1" "$work/found" || fail "not found where it is: $1"
}
finds 'FBK_GPU of enum fbk_device_class does not begin with' 's/FBK_CLASS_GPU = 1/FBK_GPU = 1/'
finds 'FBK_CLASS_ is of enum fbk_device_class and of enum fbk_thing_class' \
	's/^enum fbk_route \{/enum fbk_thing_class { FBK_CLASS_THING = 1, FBK_CLASS_OTHER = 2 };\n&/'
finds 'struct fbk_memory does not begin with struct_size' '/^struct fbk_memory \{/,/\}/s/struct_size/length/'
finds 'FBK_RIGHT_WAIT is there twice' 's/FBK_BACKING_HOST = /FBK_RIGHT_WAIT = /'
nm -D --defined-only "$bin/../lib/libfencebroker.so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' >"$work/exported"
sed -i '/^fbk_import$/d; $a fbk_other' "$work/exported"
python3 -B "$source/tests/scripts/lib/names.py" exports "$work/exported" "$include"/*.h >"$work/found" || true
for fault in 'fbk_import() is declared and not exported' 'fbk_other is exported and not declared'; do
	grep -qF "$fault" "$work/found" || fail "not found where it is: $fault"
done
