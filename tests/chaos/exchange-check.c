// SPDX-License-Identifier: MIT
/* The checker of runs with exchanges: reads their logs, and nothing else, and says what must not be. */
#include "exchange-judge.h"

int main(int argc, char **argv)
{
	return check_main(argc, argv, &exchange_judge);
}
