# Writes the policy files as C strings to ${OUTPUT}.
set(text "/* Made from system.conf and user.conf in policies/. */\n")
foreach(name system user)
	file(READ ${SOURCE}/${name}.conf bytes HEX)
	string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
	string(APPEND text "extern const char policy_default_${name}[];\n"
		"const char policy_default_${name}[] = {${bytes}0};\n")
endforeach()
file(WRITE ${OUTPUT} "${text}")
