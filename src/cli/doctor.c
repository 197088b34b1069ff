/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

int sw_cmd_doctor(int argc, char **argv)
{
	(void)argc, (void)argv;
	return sw_usage("doctor", "not written yet");
}
