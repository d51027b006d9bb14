/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_FLAT_H
#define QUERN_PREDICTION_FLAT_H
/* Flat: records as a table. A record gives a row per row of its request, with columns
 *   prediction_id row time_ms kind model version arm reason status latency_us key
 *   inputs.COLUMN outputs.COLUMN feedback.NAME feedback.NAME.reward
 * A list of plain values in a row becomes COLUMN.0, COLUMN.1, ..., an object COLUMN.MEMBER; what
 * nests deeper stays JSON text. feedback.NAME is the label, or the reward where there is none. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct ctx;
struct json_t;
struct map;

enum flat_type { FLAT_NONE, FLAT_BOOL, FLAT_INT, FLAT_REAL, FLAT_TEXT };

struct flat_column {
    char *name;
    size_t place;
    bool flag, whole, real, odd_real,
        text;             /* what was seen; odd_real: NaN and infinities as text */
    struct json_t *value; /* of the current row, borrowed; NULL: none */
    struct json_t *made;  /* value, when it was made for the row */
};
enum flat_type flat_type(const struct flat_column *f);
const char *flat_type_sql(enum flat_type t); /* DuckDB's */

struct flat {
    struct map *columns; /* by name, in order of first sight */
    struct flat_column **order;
    size_t n, cap;
    bool fixed; /* no new columns are made; what has none is passed over */
};

void flat_begin(struct flat *f);
void flat_end(struct flat *f);
/* Calls `row` for each row with the columns' values set. ERR_UNPROCESSABLE past 4096 columns when
 * `row` is NULL: columns are learnt. */
int flat_record(struct ctx *c, struct flat *f, struct json_t *record,
                int (*row)(struct ctx *c, void *arg, struct flat *f), void *arg);
/* After the first pass: columns in the order inputs, outputs, feedback; no more are made. */
void flat_fix(struct flat *f);

void flat_csv_head(const struct flat *f, struct buf *out);
void flat_csv_row(const struct flat *f, struct buf *out);
void flat_json_row(const struct flat *f, struct buf *out);

#endif
