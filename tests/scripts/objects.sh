# A C++ and a Python (ctypes) program that use each object of the library, with a running daemon: so neither macros nor
# inline functions are needed to call it.
. "$(dirname "$0")/lib/common.sh"

library=$bin/../lib
export FENCEBROKER_SOCKET=$work/socket FBK_LIBRARY=$library/libfencebroker.so LD_LIBRARY_PATH=$library
"$bin/fencebrokerd" --user --socket "$FENCEBROKER_SOCKET" 2>"$work/daemon.log" &
until "$bin/fencectl" status >/dev/null 2>&1; do
	kill -0 $! 2>/dev/null || fail "the daemon does not run: $(cat "$work/daemon.log")"
done

timeout 120 python3 -B "$source/tests/scripts/lib/objects.py" || fail "the Python program"

for compiler in g++ clang++; do
	command -v $compiler >/dev/null || fail "there is no $compiler: .ci/setup installs it"
	$compiler -std=c++11 -Wall -Wextra -pedantic -Werror -D_GNU_SOURCE -I"$source/client/include" -o "$work/objects" \
		"$source/tests/scripts/lib/objects.cc" -L"$library" -lfencebroker || fail "$compiler does not build the C++ program"
	timeout 120 "$work/objects" || fail "the C++ program by $compiler"
done

# They left nothing: the daemon has no timeline of theirs.
[ "$("$bin/fencectl" --json timelines | jq 'length')" = 0 ] || fail "timelines are left: $("$bin/fencectl" timelines)"
kill %1
wait %1 || fail "SIGTERM is not a clean end of the daemon"
