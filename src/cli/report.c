/* SPDX-License-Identifier: MIT */
#include "cli/report.h"

#include <stdio.h>
#include <stdlib.h>

void sw_report_mistakes(const struct sw_mistakes *m)
{
	char line[SW_MISTAKE_LEN + 4200];

	for (size_t i = 0; i < m->n; i++)
		fprintf(stderr, "synward: %s\n", sw_mistake_str(m, i, line, sizeof(line)));
	if (m->more)
		fprintf(stderr, "synward: %s: %zu more mistakes; mend these first\n", m->path,
			m->more);
}
