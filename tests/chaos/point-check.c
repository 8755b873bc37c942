// SPDX-License-Identifier: MIT
/* The checker of stress runs: it reads nothing but their logs, and prints findings. */
#include "point-judge.h"

int main(int argc, char **argv)
{
	return check_main(argc, argv, &point_judge);
}
