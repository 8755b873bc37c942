# All files have the layout of .clang-format.
. "$(dirname "$0")/lib/common.sh"

command -v clang-format >/dev/null || skip "there is no clang-format"
cd "$source"
git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror || fail "run clang-format -i on these"
