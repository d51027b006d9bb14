/* SPDX-License-Identifier: Apache-2.0 */
/* What keeping a prediction costs the thread that answers: its id, and the copy of one row of 30
 * columns with two outputs; and how many records a second the recorder brings to the disk.
 *   bench_record DIR      DIR: an empty folder on the disk in question */
#include <stdio.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/metric/metric.h"
#include "quern/prediction/prediction.h"

#define COLUMNS 30
#define IDS 2000000
#define RECORDS 200000

static void ids(void) {
    char id[PREDICTION_ID_SIZE];
    int64_t began = clock_mono_ns();
    for (int i = 0; i < IDS; i++)
        prediction_id(&(struct prediction_parts){.ms = i}, id);
    printf("id                 %6.0f ns\n", (double)(clock_mono_ns() - began) / IDS);
}

static void records(const char *what, const struct prediction_log *log) {
    static float row[COLUMNS], probabilities[] = {0.25F, 0.75F};
    static int64_t label = 1;
    static const char *const names[COLUMNS] = {
        "c0",  "c1",  "c2",  "c3",  "c4",  "c5",  "c6",  "c7",  "c8",  "c9",
        "c10", "c11", "c12", "c13", "c14", "c15", "c16", "c17", "c18", "c19",
        "c20", "c21", "c22", "c23", "c24", "c25", "c26", "c27", "c28", "c29"};
    struct tensor in = {.name = "X",
                        .dtype = DT_FP32,
                        .rank = 2,
                        .shape = {1, COLUMNS},
                        .count = COLUMNS,
                        .data = row};
    struct tensor out[] = {
        {.name = "label", .dtype = DT_INT64, .rank = 1, .shape = {1}, .count = 1, .data = &label},
        {.name = "probabilities",
         .dtype = DT_FP32,
         .rank = 2,
         .shape = {1, 2},
         .count = 2,
         .data = probabilities}};
    struct prediction_fact f = {.project = 1,
                                .endpoint = "bench",
                                .model = "m",
                                .version = 1,
                                .arm = "main",
                                .reason = "only",
                                .status = 200,
                                .latency_us = 100,
                                .inputs = &in,
                                .ninputs = 1,
                                .outputs = out,
                                .noutputs = 2,
                                .columns = names,
                                .ncolumns = COLUMNS};
    struct ctx c;
    char id[PREDICTION_ID_SIZE];
    double dropped = metric_value(METRIC_PREDICTIONS_DROPPED, "ring", NULL, NULL);
    double bytes = metric_value(METRIC_PREDICTION_BYTES, NULL, NULL, NULL);
    double logged = metric_value(METRIC_PREDICTIONS_LOGGED, "bench", NULL, NULL);
    int64_t began = clock_mono_ns(), spent = 0;
    for (int i = 0; i < RECORDS; i++) {
        for (int k = 0; k < COLUMNS; k++)
            row[k] = (float)rand() / (float)RAND_MAX;
        prediction_id(&(struct prediction_parts){.ms = clock_wall_ms()}, id);
        int64_t at = clock_mono_ns();
        prediction_record(log, id, &f);
        spent += clock_mono_ns() - at;
    }
    ctx_begin(&c);
    prediction_flush(&c, 60000);
    ctx_end(&c);
    double seconds = (double)(clock_mono_ns() - began) / 1e9;
    logged = metric_value(METRIC_PREDICTIONS_LOGGED, "bench", NULL, NULL) - logged;
    bytes = metric_value(METRIC_PREDICTION_BYTES, NULL, NULL, NULL) - bytes;
    printf("%-18s %6.0f ns; %.0f kept, %.0f dropped, %.0f/s to the disk", what,
           (double)spent / RECORDS, logged,
           metric_value(METRIC_PREDICTIONS_DROPPED, "ring", NULL, NULL) - dropped,
           logged / seconds);
    logged > 0 ? printf(", %.0f bytes each\n", bytes / logged) : printf("\n");
}

int main(int argc, char **argv) {
    struct dir *data;
    struct db *db;
    struct buf error = {0};
    if (argc != 2 || dir_open(argv[1], true, &data) != 0) {
        fprintf(stderr, "usage: bench_record DIR\n");
        return 2;
    }
    struct db_options o = {
        .dir = data, .queue = 1024, .batch = 64, .wal_soft = 1 << 22, .wal_hard = 1 << 26};
    if (db_open(&o, &db, &error) != 0) {
        fprintf(stderr, "%s\n", error.data);
        return 1;
    }
    struct lane_options l = {.db = db, .workers = 1, .work_queue = 8};
    struct lanes *lanes = lanes_start(&l);
    struct prediction_options p = {
        .lanes = lanes, .data = data, .ring_bytes = 64 << 20, .sweep_ms = 3600000};
    if (prediction_start(&p, &error) != 0)
        return 1;
    struct prediction_log none = {.sample = SET_F64(0)}, tenth = {.sample = SET_F64(0.1)},
                          all = {0};
    ids();
    records("record, sample 0", &none);
    records("record, sample 0.1", &tenth);
    records("record, sample 1", &all);
    prediction_stop();
    lanes_stop(lanes);
    db_close(db);
    dir_close(data);
    return 0;
}
