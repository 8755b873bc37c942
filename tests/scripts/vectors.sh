# proto/vectors and another implementation: protoc reads the bytes as the text, and writes the text as the bytes.
. "$(dirname "$0")/lib/common.sh"

command -v protoc >/dev/null || skip "there is no protoc"
python3 -B "$source/tests/scripts/lib/vectors.py" "$source/proto" || fail "the vectors above"
