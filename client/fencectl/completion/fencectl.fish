# SPDX-License-Identifier: MIT
# Completion of fencectl for fish. Names come from the running daemon; fish quotes them. --no-start: TAB starts no daemon.

function __fencectl_names # KIND
	set -l words (commandline -opc)
	set -l socket
	for i in (seq (count $words))
		if contains -- $words[$i] -s --socket; and test $i -lt (count $words)
			set socket --socket $words[(math $i + 1)]
		end
	end
	timeout 2 fencectl --no-start $socket names $argv[1] 2>/dev/null
end

# The verb that was typed, then its operands.
function __fencectl_words
	set -l words (commandline -opc)
	set -e words[1]
	set -l skip 0
	for word in $words
		if test $skip = 1
			set skip 0
		else if contains -- $word -s --socket -o --older -u --user -c --client -d --device -m --name -l --limit --as
			set skip 1
		else if not string match -q -- '-*' $word
			echo $word
		end
	end
end

function __fencectl_at # VERB OPERANDS: so many are typed already
	set -l words (__fencectl_words)
	test (count $words) -gt 0; and test "$words[1]" = $argv[1]; and contains -- (math (count $words) - 1) $argv[2..-1]
end

complete -c fencectl -f
complete -c fencectl -n 'test (count (__fencectl_words)) = 0' -a '(__fencectl_names verbs)'
complete -c fencectl -n '__fencectl_at explain 0 1' -a '(__fencectl_names devices)'
complete -c fencectl -n '__fencectl_at fail 0' -a '(__fencectl_names timelines)'
complete -c fencectl -n '__fencectl_at evict 0' -a '(__fencectl_names clients)'
complete -c fencectl -n '__fencectl_at policy 0' -a 'check show test'
complete -c fencectl -n '__fencectl_at policy 1 2' -F
complete -c fencectl -l as -x -a '(__fish_complete_users)' -d 'what holds for this user'
complete -c fencectl -s j -l json -d 'print JSON'
complete -c fencectl -s s -l socket -r -F -d 'the daemon\'s socket'
complete -c fencectl -s o -l older -x -d 'list waits at least this old'
complete -c fencectl -s n -l dry-run -d 'show what would end, and change nothing'
complete -c fencectl -s a -l all -d 'show zeros too'
complete -c fencectl -s N -l no-start -d 'fail if no daemon runs'
complete -c fencectl -s u -l user -x -a '(__fish_complete_users)' -d 'those of this user'
complete -c fencectl -s c -l client -x -a '(__fencectl_names clients)' -d 'those of this client'
complete -c fencectl -s d -l device -x -a '(__fencectl_names devices)' -d 'those of this device'
complete -c fencectl -s m -l name -x -a '(__fencectl_names timeline-names)' -d 'those whose name matches'
complete -c fencectl -s l -l limit -x -d 'that many'
complete -c fencectl -s h -l help -d 'show the help'
complete -c fencectl -s V -l version -d 'show the version'
