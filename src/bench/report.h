/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The figures of a trial for people (table), programs (JSON) and
 * spreadsheets (CSV).  docs/BENCH.md describes all fields.
 */
#ifndef DOZO_BENCH_REPORT_H
#define DOZO_BENCH_REPORT_H

#include <stdio.h>

#include "bench/trial.h"

enum report_form { REPORT_TABLE, REPORT_JSON, REPORT_CSV };

/* Writes the report of a trial that trial_run() has brought to its end. */
void report_write(FILE *out, const struct trial *t, enum report_form form);

#endif
