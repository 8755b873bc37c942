// SPDX-License-Identifier: MIT
#include "lib-fencectl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char copied[64]; /* directory of the copy; "": none */

void fencectl_copy(const struct daemon *daemon)
{
	char command[512];
	snprintf(command, sizeof(command), "install -m 0755 '%.256s/fencectl' '%.64s'",
		 getenv("FBK_BIN_DIR"), daemon->directory);
	EXPECT(system(command) == 0);
	snprintf(copied, sizeof(copied), "%.60s", daemon->directory);
}

int fencectl_run(const char *args, char **ret_text)
{
	char *command, *text = NULL;
	size_t size = 0, capacity = 0;
	EXPECT(asprintf(&command, "COLUMNS=${COLUMNS:-250} exec '%s/fencectl' %s 2>&1",
			copied[0] ? copied : getenv("FBK_BIN_DIR"), args) > 0);
	FILE *pipe = popen(command, "re");
	EXPECT(pipe);
	free(command);
	do {
		capacity += 65536;
		text = realloc(text, capacity);
		EXPECT(text);
		size += fread(text + size, 1, capacity - size - 1, pipe);
	} while (size == capacity - 1);
	text[size] = '\0';
	int status = pclose(pipe);
	ck_assert_msg(WIFEXITED(status), "killed by signal %d: %s", WTERMSIG(status), text);
	*ret_text = text;
	return WEXITSTATUS(status);
}

char *said;

int fencectl_say(const char *args)
{
	free(said);
	said = NULL;
	return fencectl_run(args, &said);
}

void expect_said(const char *what)
{
	ck_assert_msg(strstr(said, what), "\"%s\" is not in: %s", what, said);
}
