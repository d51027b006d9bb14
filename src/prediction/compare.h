/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_COMPARE_H
#define QUERN_PREDICTION_COMPARE_H
/* Compare: two answers to the same requests, output by output: how often they agree, how far
 * numbers lie apart, which labels turned into which, and which of the two was right where the truth
 * is known. Real numbers agree within the tolerance, relative above 1; all else is a label and
 * agrees when it is equal. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sample.h"

struct json_t;
struct json_writer;
struct map;

#define COMPARE_NAMED 20 /* ids and pairs of labels that a report names */

struct compare {
    double tolerance;
    uint64_t records, rows, agreed, odd; /* odd: other outputs or shapes, so not comparable */
    struct map *outputs;                 /* struct output of compare.c by name */
    struct sample before_us, after_us;
    char *differing[COMPARE_NAMED];
    size_t ndiffering;
    /* Against the truth. */
    const char *truth_output; /* NULL: the only output that can be it */
    uint64_t judged, both, fixed, regressed, neither;
    struct sample error_before, error_after;
    char *regressions[COMPARE_NAMED];
    size_t nregressions;
};

void compare_begin(struct compare *k, double tolerance);
void compare_end(struct compare *k);
/* Outputs as records have them: name to a list with an item per row. */
void compare_add(struct compare *k, const char *id, const struct json_t *before,
                 const struct json_t *after, int64_t rows);
/* The truth of a record: a value, or a list with one per row. */
void compare_judge(struct compare *k, const char *id, const struct json_t *before,
                   const struct json_t *after, const struct json_t *truth, int64_t rows);
/* Members of an object that is open. */
void compare_write(struct compare *k, struct json_writer *w);

#endif
