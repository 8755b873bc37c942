# The interface against the one that was taken last (tests/abi): what changed, and whether programs that were built then
# still run, with this library and with one whose structs have all grown. docs/abi.md has the rules.
. "$(dirname "$0")/lib/common.sh"

abi=$source/tests/abi
binding=no # until the freeze a change is printed, and that is all

changed() { # WHAT
	echo "$1 since the last tests/abi/renew"
	[ "$binding" = no ] || fail "the interface is frozen: docs/abi.md says what may grow, and how"
}

# ------------------------------------------------------------------------------------------------- the dump

compare() { # DUMP; abidiff's status: 0 the same, 4 and 8 changed, 1 and 2 an error
	local status=0
	xmllint --noout "$1" 2>"$work/found" || return 1
	grep -q "<function-decl name='fbk_connect'" "$1" || return 1
	abidiff --suppressions "$abi/suppressions" --headers-dir2 "$source/client/include" --drop-private-types \
		--exported-interfaces-only "$1" "$bin/../lib/libfencebroker.so" >"$work/found" 2>&1 || status=$?
	return $status
}

status=0
if command -v abidiff >/dev/null && command -v xmllint >/dev/null; then
	compare "$abi/libfencebroker.xml" || status=$?
	[ $((status & 3)) -eq 0 ] || fail "tests/abi/libfencebroker.xml is broken: $(head -n 5 "$work/found")"
	[ $status -eq 0 ] || { cat "$work/found" && changed "the library has changed"; }

	# The check itself: a broken dump is found, and so is a change.
	head -n 300 "$abi/libfencebroker.xml" >"$work/broken.xml"
	status=0
	compare "$work/broken.xml" || status=$?
	[ $((status & 3)) -ne 0 ] || fail "a dump that is cut off is taken"
	sed "s/<enumerator name='FBK_FEATURE_WATCHES' value='2'/<enumerator name='FBK_FEATURE_WATCHES' value='77'/" \
		"$abi/libfencebroker.xml" >"$work/other.xml"
	status=0
	compare "$work/other.xml" || status=$?
	[ $((status & 12)) -ne 0 ] && grep -q FBK_FEATURE_WATCHES "$work/found" || fail "a change is not found"
else
	echo "not compared by abidiff: it is not installed (abigail-tools, libxml2-utils)"
fi

# ------------------------------------------------------------------------------------------------ the header

python3 -B "$source/tests/scripts/lib/grows.py" "$abi/include/fencebroker.h" "$source/client/include/fencebroker.h" ||
	changed "the header has changed as above"

# ------------------------------------------------------------------------- programs of that time, run today

build_program() { # OUTPUT INCLUDE-FOLDER LIBRARY-FOLDER
	gcc -std=gnu11 -Wall -Wextra -Werror -Wno-missing-field-initializers -D_GNU_SOURCE -o "$1" "$abi/program.c" \
		-I"$2" -L"$3" -lfencebroker
}

export FENCEBROKER_SOCKET=$work/socket
"$bin/fencebrokerd" --user --socket "$FENCEBROKER_SOCKET" 2>"$work/daemon.log" &
until "$bin/fencectl" status >/dev/null 2>&1; do
	kill -0 $! 2>/dev/null || fail "the daemon does not run: $(cat "$work/daemon.log")"
done

run() { # PROGRAM LIBRARY-FOLDER
	LD_LIBRARY_PATH=$2 timeout 60 "$1" >"$work/out" 2>&1
}

# A change of a function's type is no longer the old interface: then this program is not of it.
if build_program "$work/old" "$abi/include" "$bin/../lib" 2>"$work/log"; then
	run "$work/old" "$bin/../lib" || fail "a program of that time fails with this library: $(cat "$work/out")"
else
	fail "tests/abi/program.c does not build against the header beside it: $(cat "$work/log")"
fi

# A later version, in which every struct that begins with its size has more at its end.
later=$work/later
mkdir -p "$later/lib"
cp -r "$source/client" "$source/proto" "$later/"
python3 -B "$source/tests/scripts/lib/header.py" "$source/client/include/fencebroker.h" >"$work/structs"
while read -r struct; do
	sed -i "/^struct $struct {/,/^};/s/^};/	uint64_t later[3];\n};/" "$later/client/include/fencebroker.h"
done <"$work/structs"
[ "$(grep -c 'uint64_t later\[3\]' "$later/client/include/fencebroker.h")" = "$(wc -l <"$work/structs")" ] ||
	fail "not all structs have grown"
flags=(-std=gnu17 -w -O0 -fPIC -fvisibility=hidden -D_GNU_SOURCE -fno-strict-aliasing -I"$later" -I"$later/client/include"
	-I"$bin/..")
cp "$bin"/../proto/fencebroker.pb-c.[ch] "$later/proto/"
rm -f "$later/proto/mutant.c"
# shellcheck disable=SC2046
printf '%s\n' "$later"/client/lib/*.c "$later"/client/lib/link/*.c "$later"/proto/*.c |
	xargs -P "$(nproc)" -I FILE gcc -c -o FILE.o "${flags[@]}" $(pkg-config --cflags libdrm liburing libprotobuf-c) FILE ||
	fail "the later library does not compile"
# shellcheck disable=SC2046
gcc -shared -o "$later/lib/libfencebroker.so" -Wl,-soname,"$(objdump -p "$bin/../lib/libfencebroker.so" |
	awk '$1 == "SONAME" { print $2 }')" -Wl,--version-script="$source/client/libfencebroker.syms" "$later"/client/lib/*.o \
	"$later"/client/lib/link/*.o "$later"/proto/*.o 	$(pkg-config --libs libdrm liburing libprotobuf-c) -lpthread || fail "the later library does not link"
ln -sf libfencebroker.so "$later/lib/$(objdump -p "$later/lib/libfencebroker.so" | awk '$1 == "SONAME" { print $2 }')"
run "$work/old" "$later/lib" || fail "a program with smaller structs fails: $(cat "$work/out")"
build_program "$work/new" "$later/client/include" "$later/lib" || fail "the program does not build against the later header"
run "$work/new" "$later/lib" || fail "a later program fails with its library: $(cat "$work/out")"
# It says nothing in what has grown, so today's library takes it too.
run "$work/new" "$bin/../lib" || fail "a program with larger structs fails with this library: $(cat "$work/out")"
kill %1
wait %1 || fail "SIGTERM is not a clean end of the daemon"
