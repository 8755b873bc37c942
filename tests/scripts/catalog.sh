# The message catalog: journald takes it, it has an entry for each kind of event that the daemon logs and no other, each with
# what happened and what to do, and names only fields that the daemon writes and verbs that fencectl has.
. "$(dirname "$0")/lib/common.sh"

DESTDIR=$work cmake --install "$(dirname "$bin")" --prefix /usr >"$work/log" || fail "install: $(cat "$work/log")"
catalog=$work/usr/lib/systemd/catalog/fencebroker.catalog
[ -s "$catalog" ] || fail "the catalog is not installed"

sed -n 's/^-- //p' "$catalog" | sort >"$work/described"
tr -d '\\\n' <"$source/daemon/base/log.h" | grep -oP 'SD_ID128_MAKE\(\K[^)]*' | tr -d ', \t' | sort >"$work/logged"
[ "$(wc -l <"$work/logged")" -ge 5 ] || fail "the ids are not found in log.h"
diff "$work/logged" "$work/described" >"$work/found" || fail "log.h < and > the catalog: $(cat "$work/found")"
[ "$(grep -c '^#define LOG_MESSAGE_' "$source/daemon/base/log.h")" = "$(wc -l <"$work/logged")" ] ||
	fail "an id of log.h is not read"
while read -r id; do
	grep -q "$id" "$source/docs/man/fencebrokerd.8" || fail "fencebrokerd(8) does not know $id"
done <"$work/logged"

# The fields of each line about a client; the others are those that log.c adds where there is one.
grep -oP '"\KFENCEBROKER_\w+(?==)' "$source/daemon/base/log.c" | sort -u >"$work/fields"
unknown=$(grep -oP '@\K[A-Z_]+(?=@)' "$catalog" | sort -u | comm -23 - "$work/fields")
[ -z "$unknown" ] || fail "no line has the field $unknown"
grep -oP '`fencectl \K[a-z]+' "$catalog" | sort -u >"$work/verbs"
[ -s "$work/verbs" ] || fail "the catalog names no verb: what is to be done?"
"$bin/fencectl" --help >"$work/help"
while read -r verb; do
	grep -qw "$verb" "$work/help" || fail "fencectl has no $verb"
done <"$work/verbs"
grep -oP 'man:\K[\w-]+\(\d\)' "$catalog" | sort -u | while read -r page; do
	section=${page//[^0-9]/}
	[ -s "$work/usr/share/man/man$section/${page%(*}.$section" ] || fail "there is no $page"
done

command -v journalctl >/dev/null || skip "there is no journalctl"
journalctl --root="$work" --update-catalog 2>"$work/found" || fail "journald: $(cat "$work/found")"
[ ! -s "$work/found" ] || fail "journald: $(cat "$work/found")"
while read -r id; do
	journalctl --root="$work" --dump-catalog "$id" >"$work/entry" 2>&1 || fail "$id: $(cat "$work/entry")"
	grep -q '^Subject: .' "$work/entry" && grep -qx 'Defined-By: fencebroker' "$work/entry" &&
		grep -q '^Documentation: man:' "$work/entry" || fail "$id lacks a part: $(cat "$work/entry")"
	# after the header two paragraphs: what happened, what to do
	[ "$(sed '1,/^$/d' "$work/entry" | awk -v RS= 'END { print NR }')" -ge 2 ] || fail "$id does not say what to do"
	! grep -E '^.{81}' "$work/entry" || fail "$id is wider than 80 columns"
done <"$work/logged"
echo "$(wc -l <"$work/logged") kinds of messages"

# journald itself finds an entry that is broken.
printf '%s\n' '-- 6da181d4143c40388c19f9e1a5d53cb' 'no id' >"$catalog"
! journalctl --root="$work" --update-catalog 2>"$work/found" || [ -s "$work/found" ] || fail "a broken catalog is taken"
