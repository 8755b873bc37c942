# All files have the layout that clang-format 14, Debian 12's, makes of .clang-format. Each version makes another of some
# macros, so only that one is asked.
. "$(dirname "$0")/lib/common.sh"

tool=$(command -v clang-format-14 || command -v clang-format) || skip "there is no clang-format"
[[ $("$tool" --version) = *"version 14."* ]] ||
	skip "the layout is that of clang-format 14, and this is $("$tool" --version | grep -o 'version [0-9]*')"
cd "$source"
git ls-files '*.c' '*.h' | xargs "$tool" --dry-run -Werror || fail "run clang-format -i on these"
