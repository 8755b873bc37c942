# -DBUILD_TESTING=OFF and all options off: it builds where there is nothing but what the daemon, the library and
# fencectl need. All else is hidden from pkg-config, and no header of it is included.
. "$(dirname "$0")/lib/common.sh"

command -v ninja >/dev/null || skip "there is no ninja"
needed="libsystemd libbsd libdrm liburing libevent_core libprotobuf-c libconfig json-c smartcols"
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
		-DFBK_WERROR=ON -DFBK_PIPELINE=OFF -DFBK_VULKAN=OFF -DFBK_OPENCL=OFF "$@" >"$work/log" 2>&1
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

# That the tests are off is what makes the difference.
! configure "$work/tested" -DBUILD_TESTING=ON || fail "the tests build without their packages"
grep -qx check "$work/hidden" || fail "it is not for check that tests do not build: $(cat "$work/log")"
