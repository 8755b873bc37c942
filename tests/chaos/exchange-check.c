// SPDX-License-Identifier: MIT
/* The checker of runs with exchanges: it reads nothing but their logs, and prints findings. */
#include "exchange-judge.h"

int main(int argc, char **argv)
{
	return check_main(argc, argv, &exchange_judge);
}
