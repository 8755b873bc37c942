// SPDX-License-Identifier: MIT
/* The checker: reads the logs of a stress run, and nothing else, and says what must not be. */
#include "point-judge.h"

int main(int argc, char **argv)
{
	return check_main(argc, argv, &point_judge);
}
