# What is installed works without the source: a program builds against it with pkg-config, runs against
# the installed daemon, and after the removal nothing is left.
. "$(dirname "$0")/lib/common.sh"

build=$(dirname "$bin")
prefix=$work/usr
cmake --install "$build" --prefix "$prefix" >"$work/log" || fail "install: $(cat "$work/log")"
# A prefix that is chosen now is one for every file, and the units start what is there.
outside=$(grep -v "^$prefix/" "$build/install_manifest.txt" || true)
[ -z "$outside" ] || fail "installed beside the prefix: $outside"
units=$(grep -rlE '^Exec(Start|Reload)?=' "$prefix/lib/systemd" "$prefix"/share/dbus-1/*services | sort)
[ "$(wc -l <<<"$units")" = 4 ] || fail "these start a program: $units"
for unit in $units; do
	# shellcheck disable=SC2013
	for program in $(sed -nE 's/^Exec(Start|Reload)?=[-+@:!]*([^ ]+).*/\2/p' "$unit"); do
		[[ $program = "$prefix"/bin/* && -x $program ]] || fail "$unit starts $program"
	done
done

# Programs build against it by pkg-config alone; also once the tree was moved.
built_against() { # PREFIX
	PKG_CONFIG_PATH=$(dirname "$(find "$1" -name libfencebroker.pc)")
	export PKG_CONFIG_PATH
	LD_LIBRARY_PATH=$(realpath "$(pkg-config --variable=libdir libfencebroker)")
	export LD_LIBRARY_PATH
	for define in --define-prefix --dont-define-prefix; do
		# shellcheck disable=SC2046
		gcc -std=gnu17 -Wall -Wextra -Werror -o "$work/handover" "$1/share/doc/fencebroker/examples/handover.c" \
			$(pkg-config $define --cflags --libs libfencebroker) || fail "nothing builds against $1"
		[ -z "$(grep "$build" <<<"$(pkg-config $define --cflags --libs libfencebroker)")" ] ||
			fail "pkg-config names the build's folder"
	done
	[[ $(ldd "$work/handover") == *"$1/"*libfencebroker.so* ]] || fail "it is linked with another: $(ldd "$work/handover")"
}
mv "$prefix" "$work/moved"
built_against "$work/moved"
mv "$work/moved" "$prefix"
built_against "$prefix"
docs=$prefix/share/doc/fencebroker
for document in bus.md protocol.md memory-fence-abi.md kernel-contract.md; do
	[ -s "$docs/$document" ] || fail "$document is not installed"
done
# A document's links lead to another one, or out of the tree.
while IFS=: read -r file link; do
	[ -s "$docs/${link%%#*}" ] || fail "$(basename "$file") links to $link, which is not installed"
done < <(grep -oP '\]\(\K[^)#][^)]*(?=\))' "$docs"/*.md | grep -v ':http')
count=0
for example in "$docs"/examples/*.c; do
	# shellcheck disable=SC2046
	gcc -std=gnu17 -Wall -Wextra -Werror -o "$work/$(basename "$example" .c)" "$example" \
		$(pkg-config --cflags --libs libfencebroker) $(pkg-config --cflags libdrm) ||
		fail "$(basename "$example") does not build against what is installed"
	count=$((count + 1))
done
[ $count -ge 4 ] || fail "$count examples are installed"

# fence-vulkan is a library of its own, where it is built: the other one does not know it.
if [ -e "$build/lib/libfence-vulkan.so" ]; then
	cat >"$work/vulkan.c" <<'EOF'
#include <fence-vulkan.h>
int main(void)
{
	struct fbk_vk *vk;
	const struct fbk_vk_choice choice = { .name = "no such device" };
	return fbk_vk_open(&choice, &vk) == 0 || fbk_vk_error_detail()[0] == 0;
}
EOF
	# shellcheck disable=SC2046
	gcc -std=gnu17 -Wall -Wextra -Werror -o "$work/vulkan" "$work/vulkan.c" \
		$(pkg-config --cflags --libs fence-vulkan) ||
		fail "nothing builds against fence-vulkan"
	"$work/vulkan" || fail "fence-vulkan opens what is not there, or says nothing of it"
fi
! ldd "$LD_LIBRARY_PATH/libfencebroker.so" | grep -qi vulkan || fail "the core depends on Vulkan"

if [ -n "$(find "$prefix" -name fence-opencl.pc)" ]; then
	pkg-config --exists --print-errors fence-opencl || fail "fence-opencl.pc"
	cat >"$work/opencl.c" <<'END'
#define CL_TARGET_OPENCL_VERSION 120
#include <fence-opencl.h>
int main(void)
{
	struct fbk_cl *cl;
	return fbk_cl_open("no device is called that", &cl) == 0 || !*fbk_cl_error_detail();
}
END
	# shellcheck disable=SC2046
	gcc -std=gnu17 -Wall -Wextra -Werror -o "$work/opencl" "$work/opencl.c" \
		$(pkg-config --cflags --libs fence-opencl) || fail "nothing builds against it"
	# PoCL looks for the CPUs in there, and aborts without.
	[ ! -d /sys/devices/system/cpu ] || "$work/opencl" || fail "fence-opencl"
fi

export FENCEBROKER_SOCKET=$work/socket
"$prefix/bin/fencebrokerd" --user --socket "$FENCEBROKER_SOCKET" 2>"$work/daemon.log" &
until "$prefix/bin/fencectl" status >/dev/null 2>&1; do
	kill -0 $! 2>/dev/null || fail "the installed daemon does not run: $(cat "$work/daemon.log")"
done
"$work/handover" >"$work/out" || fail "the example fails: $(cat "$work/out")"
[ "$(grep -c 'frame' "$work/out")" = 5 ] || fail "the example handed over: $(cat "$work/out")"
"$prefix/bin/fencectl" doctor >/dev/null || fail "fencectl doctor"
"$prefix/bin/fence-bench" --quick signal-1 allocations >"$work/out" 2>&1 ||
	fail "the installed fence-bench: $(cat "$work/out")"
kill %1
wait %1 || fail "SIGTERM is not a clean end"

# The bus finds its files, and takes them.
share=$prefix/share
for file in dbus-1/system.d/org.fencebroker1.conf dbus-1/system-services/org.fencebroker1.service \
	dbus-1/services/org.fencebroker1.service dbus-1/interfaces/org.fencebroker1.xml \
	polkit-1/actions/org.fencebroker1.policy bash-completion/completions/fencectl zsh/site-functions/_fencectl \
	fish/vendor_completions.d/fencectl.fish doc/fencebroker/schema/status.json; do
	[ -s "$share/$file" ] || fail "share/$file is not installed"
done
grep -qx 'SystemdService=fencebroker.service' "$share"/dbus-1/{system-,}services/org.fencebroker1.service ||
	fail "a call on the bus starts no unit"
for bus in system session; do
	policy= services="<servicedir>$share/dbus-1/services</servicedir>"
	if [ "$bus" = system ]; then
		policy="<include>$share/dbus-1/system.d/org.fencebroker1.conf</include>"
		services="<servicedir>$share/dbus-1/system-services</servicedir>"
	fi
	cat >"$work/$bus.conf" <<END
<busconfig>
<type>$bus</type> <listen>unix:tmpdir=$work</listen> $services
<policy context="default"> <allow user="*"/> <allow send_destination="*"/> <allow receive_sender="*"/> </policy>
$policy
</busconfig>
END
	dbus-run-session --config-file="$work/$bus.conf" -- dbus-send --session --print-reply \
		--dest=org.freedesktop.DBus / org.freedesktop.DBus.ListActivatableNames >"$work/out" 2>"$work/log" ||
		fail "the $bus bus does not start: $(cat "$work/log")"
	grep -q '"org.fencebroker1"' "$work/out" || fail "the $bus bus starts no org.fencebroker1: $(cat "$work/log")"
done
xmllint --noout "$share"/dbus-1/{system.d/org.fencebroker1.conf,interfaces/org.fencebroker1.xml} ||
	fail "the bus's files are no XML"
xmllint --nonet --noout --dtdvalid /usr/share/polkit-1/policyconfig-1.dtd \
	"$share/polkit-1/actions/org.fencebroker1.policy" || fail "polkit does not take its actions"
# Each action that the interface names, and no other.
[ "$(grep -oP 'Action" value="\K[^"]+' "$share/dbus-1/interfaces/org.fencebroker1.xml" | sort)" = \
	"$(grep -oP 'action id="\K[^"]+' "$share/polkit-1/actions/org.fencebroker1.policy" | sort)" ] ||
	fail "the interface and polkit name other actions"

for page in fencebroker.7 fencebroker.3 fbk_point_wait.3 fence-vulkan.7 fencebroker-policy.5 fencebrokerd.8 fencectl.1 \
	fence-bench.1; do
	[ -n "$(find "$prefix" -name "$page")" ] || fail "the manual page $page is not installed"
done
cmake --build "$build" --target uninstall >"$work/log" 2>&1 || fail "uninstall: $(cat "$work/log")"

left=$(find "$prefix" ! -type d)
[ -z "$left" ] || fail "left after the removal: $left"
