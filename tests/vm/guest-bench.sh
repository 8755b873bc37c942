# fence-bench's rows that need DRM devices: measured where the kernel can, skipped with the reason where not.
. "$FBK_SOURCE_DIR/tests/scripts/lib/common.sh"

"$bin/fence-bench" --quick --json syncobj >"$work/json" 2>"$work/err" ||
	fail "fence-bench syncobj: $(cat "$work/err" "$work/json")"
row() { # FILTER
	jq -e ".rows[0] | $1" "$work/json" >/dev/null || fail "not $1: $(cat "$work/json")"
}
if [ "$FBK_VM" = 6.1 ]; then
	row '.state == "skipped" and (.reason | length > 0)'
else
	row '.state == "done" and .ours > 0 and .raw > 0 and .ratio > 0'
	jq -r '.rows[0] | "syncobj: \(.ours) ns, by hand \(.raw) ns, ratio \(.ratio)"' "$work/json"
fi

# On 6.1 it depends on the DRM devices there.
"$bin/fence-bench" --quick --json signal-1-ioctl >"$work/json" 2>"$work/err" ||
	fail "fence-bench signal-1-ioctl: $(cat "$work/err" "$work/json")"
if [ "$FBK_VM" = 6.1 ]; then
	row '.state == "done" or (.state == "skipped" and (.reason | length > 0))'
else
	row '.state == "done" and .ours > 0 and .raw > 0 and .ratio > 0'
fi
jq -r '.rows[0] | "signal-1-ioctl: \(.ours) ns, by ioctl \(.raw) ns, ratio \(.ratio)"' "$work/json"

"$bin/fence-bench" --quick --json promise-edges >"$work/json" 2>"$work/err" ||
	fail "fence-bench promise-edges: $(cat "$work/err" "$work/json")"
row '.state == "done" and .ours > 0 and .raw > 0 and .ratio > 0'
jq -r '.rows[0] | "promise-edges: \(.ours) ns, without \(.raw) ns, ratio \(.ratio)"' "$work/json"
