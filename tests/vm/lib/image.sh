# Sourced by guest: makes the disk that both kernels' guests boot from, and the test driver's modules.
# One directory in the cache holds: disk.img, and for each kernel K vmlinuz-K, initrd-K, release-K
# (what uname -r says), fbk_test_fence-K-HASH.ko; and root/, where those modules are compiled.

cache=${FBK_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fencebroker-vm}
mirror_patience=20 # seconds
fresh_for=86400    # seconds in which the mirror is not asked whether it has something newer

apt_conf() {
	apt-config dump | grep -E '^(Acquire::(https?::|Check-)|APT::Sandbox::User)' || true
}

# What this machine's apt has of Debian 12, as lines of a sources.list.
apt_sources() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
		awk '$2 ~ /^bookworm(-updates|-security)?$/ && $3 == "main" { print "deb", $1, $2, $3 }' |
		sort -u
}

apt_uri() { # where bookworm itself comes from
	apt_sources | awk '$3 == "bookworm" { print $2; exit }'
}

release_date() { # SUITE; prints nothing when the mirror has none, or can't be reached
	local file=$scratch/InRelease
	rm -f "$file"
	timeout "$mirror_patience" /usr/lib/apt/apt-helper \
		-o Acquire::Retries=0 -o "Acquire::http::Timeout=$mirror_patience" \
		download-file "$(apt_uri)dists/$1/InRelease" "$file" >/dev/null 2>&1 || return 0
	sed -n 's/^Date: //p' "$file"
}

recipe_hash() {
	{
		cat "$here/packages" "$here/lib/setup-root"
		declare -f make_root make_disk
	} | sha256sum | cut -c1-12
}

# Where 6.12 comes from, and the dates of all that the disk is made of: one line each.
mirror_state() {
	local date backports
	date=$(release_date bookworm)
	[ -n "$date" ] || return 1
	backports=$(release_date bookworm-backports)
	if [ -n "$backports" ]; then
		printf 'bookworm-backports\n%s\n%s\n' "$date" "$backports"
	else
		printf 'trixie\n%s\n%s\n' "$date" "$(release_date trixie)"
	fi
}

make_root() { # DIRECTORY SUITE
	local packages
	packages=$(grep -v '^#' "$here/packages" | paste -sd,)
	apt_conf >"$scratch/apt.conf"
	{
		apt_sources
		echo "deb $(apt_uri) $2 main"
	} >"$scratch/sources.list"
	# Only the kernel comes from there.
	printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$2" >"$scratch/preferences"
	INITRD=No mmdebstrap --mode=root --variant=apt --aptopt="$scratch/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--include="$packages" \
		--setup-hook='mkdir -p "$1/etc/apt/preferences.d"' \
		--setup-hook="cp '$scratch/preferences' \"\$1/etc/apt/preferences.d/kernel\"" \
		--customize-hook="'$here/lib/setup-root' \"\$1\" $2" \
		bookworm "$1" "$scratch/sources.list"
}

make_disk() { # DIRECTORY; its root/ is there
	local modules kernel
	for modules in "$1"/root/lib/modules/*; do
		kernel=$(basename "$modules" | cut -d. -f1-2)
		basename "$modules" >"$1/release-$kernel"
		cp "$1/root/boot/vmlinuz-$(basename "$modules")" "$1/vmlinuz-$kernel"
		cp "$1/root/boot/initrd.img-$(basename "$modules")" "$1/initrd-$kernel"
	done
	truncate -s 4G "$1/disk.img"
	mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=0 -d "$1/root" "$1/disk.img"
	# What compiling a module takes stays.
	rm -rf "$1"/root/boot "$1"/root/lib/modules/*/kernel
}

# A whole new entry of the cache, or nothing. The one used last stays too: for another checkout, whose
# recipe differs, and for a process that is about to start it.
make_entry() { # NAME SUITE
	local new=$scratch/entry
	mkdir "$new"
	echo "making the guest's disk: Debian 12 with two kernels, a few minutes" >&2
	if ! { make_root "$new/root" "$2" && make_disk "$new"; } >"$scratch/log" 2>&1; then
		tail -n 20 "$scratch/log" >&2
		return 1
	fi
	touch "$new/used" "$new/checked"
	mv "$new" "$cache/$1"
	local used
	ls -t "$cache"/disk-*/used | tail -n +3 | while read -r used; do
		rm -rf "${used%/used}"
	done
}

able_to_make() {
	[ "$(id -u)" -eq 0 ] && command -v mmdebstrap >/dev/null && command -v mkfs.ext4 >/dev/null
}

newest_entry() { # [RECIPE]
	find "$cache" -maxdepth 1 -name "disk-${1:-}*" -printf '%T@ %p\n' | sort -rn | sed -n '1s/^[^ ]* //p'
}

# Sets `entry`; makes it when there is none, or when the mirror has something newer.
find_entry() {
	local recipe newest state name
	recipe=$(recipe_hash)
	newest=$(newest_entry "$recipe")
	if [ -n "$newest" ] && [ $(($(date +%s) - $(stat -c %Y "$newest/checked"))) -lt $fresh_for ]; then
		entry=$newest
		return
	fi
	able_to_make || [ -n "$newest" ] || unavailable "making a Debian root takes root and mmdebstrap"
	if ! state=$(mirror_state); then
		# Better an old recipe's than none.
		entry=${newest:-$(newest_entry)}
		[ -n "$entry" ] || unavailable "the mirror can't be reached and no guest was made before"
		echo "the mirror can't be reached: using the guest made before" >&2
		return
	fi
	name=disk-$recipe-$(sha256sum <<<"$state" | cut -c1-12)
	entry=$cache/$name
	if [ ! -d "$entry" ] && ! able_to_make; then
		entry=$newest
	elif [ ! -d "$entry" ]; then
		make_entry "$name" "$(head -n 1 <<<"$state")" || die "the guest's disk could not be made"
	fi
	touch "$entry/checked"
}

# Sets `module` to the test driver for this kernel; "" when this kernel's disk can't compile it.
find_module() { # KERNEL
	local hash release tree
	release=$(cat "$entry/release-$1")
	hash=$(cat "$here"/module/* | sha256sum | cut -c1-12)
	module=$entry/fbk_test_fence-$1-$hash.ko
	[ ! -e "$module" ] || return 0
	tree=$entry/root
	if [ ! -d "$tree/usr/src/linux-headers-$release" ] || [ "$(id -u)" -ne 0 ]; then
		module=
		return 0
	fi
	rm -rf "$tree/module" "$entry/fbk_test_fence-$1"-*.ko
	cp -r "$here/module" "$tree/module"
	if ! chroot "$tree" make -C "/usr/src/linux-headers-$release" M=/module modules >"$scratch/log" 2>&1; then
		cat "$scratch/log" >&2
		die "the test driver does not compile for $release"
	fi
	mv "$tree/module/fbk_test_fence.ko" "$module"
	rm -rf "$tree/module"
}

# Sets `entry` and `module`. One at a time: others wait for what the first makes.
image_prepare() { # KERNEL
	local lock
	grep -q '^VERSION_CODENAME=bookworm' /etc/os-release ||
		unavailable "the guest is Debian 12, and what is built here is for another system"
	mkdir -p "$cache" 2>/dev/null && [ -w "$cache" ] || unavailable "can't write to $cache"
	exec {lock}>"$cache/lock"
	flock "$lock"
	rm -rf --one-file-system "$cache"/new-* # of who did not get to an end
	scratch=$(mktemp -d "$cache/new-XXXXXX")
	find_entry
	[ -e "$entry/vmlinuz-$1" ] || unavailable "the guest's disk has no kernel $1"
	find_module "$1"
	touch "$entry/used"
	rm -rf --one-file-system "$scratch"
	scratch=
	exec {lock}>&-
}
