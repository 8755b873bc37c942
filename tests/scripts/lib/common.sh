# Sourced by the scripts here. Creates a directory for the script, and removes it at the end.
set -euo pipefail

bin=${FBK_BIN_DIR:?}
source=${FBK_SOURCE_DIR:?}
work=$(mktemp -d "${TMPDIR:-/tmp}/fencebroker-test.XXXXXX")
trap 'status=$?; jobs -p | xargs -r kill -KILL 2>/dev/null || true; rm -rf "$work"; exit $status' EXIT

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "SKIPPED: $*"
	exit 77
}

pipeline() { # ARGUMENT...; the results are in $work/run
	[ -x "$bin/pipeline-render" ] || skip "this build has no pipeline"
	"$source/client/examples/pipeline/run-pipeline" --bin "$bin" --output "$work/run" "$@"
}

report() { # JQ-EXPRESSION
	jq -r "$1" "$work/run/report.json"
}
