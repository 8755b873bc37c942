# -DBUILD_TESTING=OFF and all options off: it builds where there is nothing but what the daemon, the library and
# fencectl need. All else is hidden from pkg-config, and no header of it is included. The compiler is clang, warnings are
# errors, and no program names the folder that it was built in. It makes no promises, and says so where it is asked.
. "$(dirname "$0")/lib/common.sh"

command -v ninja >/dev/null || skip "there is no ninja"
needed="libsystemd libbsd libdrm liburing libevent_core libprotobuf-c libconfig json-c smartcols"
command -v clang >/dev/null || skip "there is no clang"
real=$(command -v pkg-config) || skip "there is no pkg-config"

cat >"$work/pkg-config" <<EOF
#!/bin/bash
for argument; do
	case \$argument in
	--* | [0-9=\<\>]*) continue ;;
	esac
	name=\${argument%%[ =<>]*}
	if [[ " $needed " != *" \$name "* ]]; then
		echo "\$name" >>"$work/hidden"
		echo "Package \$name is hidden by this test" >&2
		exit 1
	fi
done
exec "$real" "\$@"
EOF
chmod +x "$work/pkg-config"

configure() { # DIRECTORY OPTION...
	local directory=$1
	shift
	cmake -S "$source" -B "$directory" -G Ninja -DPKG_CONFIG_EXECUTABLE="$work/pkg-config" \
		-DCMAKE_C_COMPILER=clang -DFBK_WERROR=ON -DFBK_PIPELINE=OFF -DFBK_VULKAN=OFF -DFBK_OPENCL=OFF \
		-DFBK_MANUALS=OFF "$@" >"$work/log" 2>&1
}
configure "$work/build" -DBUILD_TESTING=OFF || fail "configuring: $(cat "$work/log")"
[ ! -e "$work/hidden" ] || fail "looked for without tests: $(sort -u "$work/hidden")"
cmake --build "$work/build" >"$work/log" 2>&1 || fail "building: $(tail -n 40 "$work/log")"

ninja -C "$work/build" -t deps >"$work/deps"
grep -q '/usr/include/libdrm/' "$work/deps" || fail "ninja does not say what was included"
included=$(grep -oE '/usr/include/(check\.h|subunit|glib-2\.0|infiniband|vulkan|CL/|.*libav)[^ ]*' "$work/deps" |
	sort -u || true)
[ -z "$included" ] || fail "included without tests: $included"
for program in fencebrokerd fencectl fence-bench; do
	"$work/build/bin/$program" --version >/dev/null || fail "$program of that build does not run"
done
cmake --install "$work/build" --prefix "$work/usr" >"$work/log" || fail "install: $(cat "$work/log")"
[ -s "$work/usr/share/man/man8/fencebrokerd.8" ] || fail "the manual that is written by hand is not installed"
[ ! -e "$work/usr/share/man/man3" ] || fail "section 3 is made with FBK_MANUALS=OFF"

# The same source gives the same bytes in any folder: so none of them names one.
named=$(grep -rlF -e "$work/build" -e "$source" "$work/build/bin" "$work/build/lib" || true)
[ -z "$named" ] || fail "these name the folder that they were built in: $named"

# Without -DFBK_PROMISES=ON the calls and keys are there, and each says that there is nothing behind them.
! grep -qE '^(LimitMEMLOCK|OOMScoreAdjust)=' "$work/usr/lib/systemd/system/fencebroker.service" ||
	fail "the unit is that of a lab"
export PKG_CONFIG_PATH=$work/usr/lib/pkgconfig LD_LIBRARY_PATH=$work/usr/lib
# shellcheck disable=SC2046
gcc -std=gnu17 -Wall -Wextra -Werror -o "$work/refused" "$source/tests/scripts/lib/promise-refused.c" \
	$("$real" --cflags --libs libfencebroker) || fail "nothing builds against this build"
cat >"$work/policy" <<'EOF'
version = 1;
settings: { promises = true; implicit_promises = true; };
rules = ({ user = "*"; connect = true; register = true; promise = true; inspect = "all"; });
EOF
chmod 0644 "$work/policy"
export FENCEBROKER_SOCKET=$work/socket
"$work/usr/bin/fencebrokerd" --user --socket "$FENCEBROKER_SOCKET" --policy "$work/policy" 2>"$work/daemon.log" &
until "$work/usr/bin/fencectl" status --json >"$work/status" 2>/dev/null; do
	kill -0 $! 2>/dev/null || fail "this daemon does not run: $(cat "$work/daemon.log")"
done
"$work/refused" >"$work/out" || fail "a promise is not refused as the header says: $(cat "$work/out")"
[ "$(grep -c "a lab's tool" "$work/out")" = 2 ] || fail "the refusals say no more than: $(cat "$work/out")"
jq -e '.kernel[] | select(.name == "promises") | (.works | not) and (.note | contains("FBK_PROMISES=ON"))' \
	"$work/status" >/dev/null || fail "the status says of promises: $(jq -c .kernel "$work/status")"
"$work/usr/bin/fencectl" doctor --json >"$work/out" || fail "fencectl doctor"
jq -e '.checks[] | select(.name == "promises") | .result == "missing" and (.way_out | contains("FBK_PROMISES=ON"))' \
	"$work/out" >/dev/null || fail "the doctor says of promises: $(jq -c .checks "$work/out")"
jq -e '.routes[] | select(.name | contains("(promise)")) | .works | not' "$work/out" >/dev/null ||
	fail "the doctor knows a way to promise"
kill %1
wait %1 || fail "SIGTERM is not a clean end"
grep -q 'policy sets `promises`, and this daemon makes none' "$work/daemon.log" ||
	fail "the daemon takes the policy and says: $(cat "$work/daemon.log")"

# That the tests are off is what makes the difference.
! configure "$work/tested" -DBUILD_TESTING=ON || fail "the tests build without their packages"
grep -qx check "$work/hidden" || fail "it is not for check that tests do not build: $(cat "$work/log")"
