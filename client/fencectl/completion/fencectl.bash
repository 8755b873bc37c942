# SPDX-License-Identifier: MIT
# Completion of fencectl for bash. Names come from the running daemon and may be anything, "$(touch x)" too: they are never
# expanded, which compgen -W would do. --no-start: TAB starts no daemon.

# The words of that kind, one a line, each with a tab and what it is.
_fencectl_names() { # KIND
	timeout 2 "${COMP_WORDS[0]/#\~/$HOME}" --no-start ${_fencectl_socket:+--socket "$_fencectl_socket"} names "$1" 2>/dev/null
}

# Adds those words that begin with $cur, as they have to be typed.
_fencectl_add() { # KIND
	local word rest typed=$cur quote='' shown
	case $cur in
	[\"\']*)
		quote=${cur:0:1}
		typed=${cur:1}
		;;
	*) typed=${cur//\\/} ;;
	esac
	while IFS=$'\t' read -r word rest; do
		[[ $word == "$typed"* ]] || continue
		case $quote$word in
		\'*\'* | \"*[\"\$\`\\!]*) continue ;; # cannot stand in these quotes
		\'* | \"*) shown=$word ;;
		*) printf -v shown %q "$word" ;;
		esac
		COMPREPLY+=("${shown#"$before"}")
	done < <(_fencectl_names "$1")
}

_fencectl() {
	local cur=${COMP_WORDS[COMP_CWORD]} line=${COMP_LINE:0:COMP_POINT}
	local before='' i=$COMP_CWORD piece previous verb='' operands=0 word _fencectl_socket=''
	COMPREPLY=()
	# Words are broken at colons and the like; what stands together in the line is one word.
	while ((i > 1)); do
		piece=${COMP_WORDS[i - 1]}
		[[ -n $piece && $line == *"$piece$before${COMP_WORDS[COMP_CWORD]}" ]] || break
		before=$piece$before
		i=$((i - 1))
	done
	cur=$before$cur
	previous=${COMP_WORDS[i - 1]}
	if [[ $cur == --*=* ]]; then # --device=NAME
		previous=${cur%%=*}
		cur=${cur#*=}
		before=${before#"$previous="}
	fi
	for ((word = 1; word < i; word++)); do
		case ${COMP_WORDS[word]} in
		-s | --socket)
			_fencectl_socket=${COMP_WORDS[word + 1]:-}
			word=$((word + 1))
			;;
		-o | --older | -u | --user | -c | --client | -d | --device | -m | --name | -l | --limit | --as)
			word=$((word + 1))
			;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=${COMP_WORDS[word]}
			else
				operands=$((operands + 1))
			fi
			;;
		esac
	done
	case $previous in
	-s | --socket)
		compopt -o default 2>/dev/null
		return
		;;
	-u | --user | --as)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	-c | --client) _fencectl_add clients && return ;;
	-d | --device) _fencectl_add devices && return ;;
	-m | --name) _fencectl_add timeline-names && return ;;
	-o | --older | -l | --limit) return ;;
	esac
	if [[ $cur == -* ]]; then
		_fencectl_add options
	elif [[ -z $verb ]]; then
		_fencectl_add verbs
	else
		case $verb:$operands in
		explain:[01]) _fencectl_add devices ;;
		fail:0) _fencectl_add timelines ;;
		evict:0) _fencectl_add clients ;;
		policy:0) mapfile -t COMPREPLY < <(compgen -W 'check show test' -- "$cur") ;;
		policy:*) compopt -o default 2>/dev/null ;;
		esac
	fi
}

complete -F _fencectl fencectl
