# TAB in real shells on terminals: names of the running daemon are completed, whatever they are, quoted so that the program gets
# them as they are; none is ever run. And TAB starts no daemon.
. "$(dirname "$0")/lib/common.sh"

export XDG_RUNTIME_DIR=$work FENCEBROKER_SOCKET=$work/socket HOME=$work
unset DBUS_SESSION_BUS_ADDRESS
files=$source/client/fencectl/completion
python=/usr/bin/python3

"$bin/fencebrokerd" --user --socket "$FENCEBROKER_SOCKET" 2>"$work/daemon.log" &
until "$bin/fencectl" status >/dev/null 2>&1; do
	kill -0 $! || fail "no daemon: $(cat "$work/daemon.log")"
done

# What the shells run as fencectl: completion asks the real one, and what is typed is written down.
mkdir "$work/bin"
cat >"$work/bin/fencectl" <<END
#!/bin/bash
case \$1 in
--no-start) exec "$bin/fencectl" "\$@" ;;
esac
printf '%s\0' "\$@" >"$work/args.new"
mv "$work/args.new" "$work/args"
END
chmod +x "$work/bin/fencectl"
export PATH=$work/bin:$PATH FBK_LIBRARY=$bin/../lib/libfencebroker.so

cat >"$work/bashrc" <<END
PS1='> '
. "$files/fencectl.bash"
END
mkdir -p "$work/zsh" "$work/.config/fish"
cat >"$work/zsh/.zshrc" <<END
PS1='> '
fpath=("$files" \$fpath)
autoload -Uz compinit
compinit -u -d "$work/zsh/dump"
END
cat >"$work/.config/fish/config.fish" <<END
set -g fish_greeting
source "$files/fencectl.fish"
END

tried=0
for shell in bash zsh fish; do
	command -v $shell >/dev/null || { echo "there is no $shell: not tried"; continue; }
	# The program has a bad name too: it is shown beside its devices.
	(exec -a 'a $(>ran) "program' "$python" -B "$source/tests/scripts/lib/completion.py" $shell "$work") ||
		fail "completion in $shell"
	tried=$((tried + 1))
done
[ ! -e "$work/ran" ] || fail "a name was run"
[ $tried -gt 0 ] || fail "no shell was tried"

# The unit's socket, and no daemon behind it.
"$python" -B "$source/tests/scripts/lib/completion.py" activation "$work" || fail "a daemon would have been started"
