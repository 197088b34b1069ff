/* SPDX-License-Identifier: MIT */
#ifndef SW_CLI_REPORT_H
#define SW_CLI_REPORT_H

#include "ops/mistakes.h"

/** Print every mistake on stderr, one line each, as they are: "FILE:LINE:COLUMN: text". */
void sw_report_mistakes(const struct sw_mistakes *m);

#endif
