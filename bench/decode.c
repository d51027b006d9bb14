/* SPDX-License-Identifier: Apache-2.0 */
/* What reading a request's numbers costs: bodies of ROWS x 30 floats with so many digits, read by
 * the Open Inference Protocol's door and by the MLflow scoring door; memcpy beside them. Prints one
 * JSON line of MB/s, each the best of many short stretches.
 *   bench_decode [ROWS [DIGITS [SECONDS]]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oip_scan.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"

enum { COLUMNS = 30, STRETCHES = 200 };

static const struct tensor_spec spec = {
    .name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, COLUMNS}};

static char *body(int rows, int digits, bool oip, size_t *n) {
    size_t cap = (size_t)rows * COLUMNS * 32 + 256;
    char *text = malloc(cap + 1);
    if (!text)
        abort();
    size_t at = (size_t)(oip ? snprintf(text, cap,
                                        "{\"inputs\":[{\"name\":\"X\",\"datatype\":\"FP32\","
                                        "\"shape\":[%d,%d],\"data\":[",
                                        rows, COLUMNS)
                             : snprintf(text, cap, "{\"inputs\":["));
    uint64_t state = 7;
    for (int i = 0; i < rows * COLUMNS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        double v = ((double)(state >> 11) / 9007199254740992.0 - 0.5) * 20;
        const char *before = i == 0 ? (oip ? "" : "[") : oip || i % COLUMNS ? "," : "],[";
        at += (size_t)snprintf(text + at, cap - at, "%s%.*g", before, digits, v);
    }
    at += (size_t)snprintf(text + at, cap - at, "%s", oip ? "]}]}" : "]]}");
    *n = at;
    return text;
}

static int decode(bool oip, const char *text, size_t n) {
    struct ctx c;
    ctx_begin(&c);
    int rc;
    if (oip) {
        struct oip_request q;
        rc = oip_scan(&c, text, n, "", 0, &q);
    } else {
        struct payload p;
        struct tensor *in;
        const struct model_inputs m = {.specs = &spec, .n = 1};
        rc = payload_scan(&c, "application/json", text, n, &p);
        if (rc == 0)
            rc = payload_bind(&c, &p, &m, &in);
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", c.err.message);
    ctx_end(&c);
    return rc;
}

static double speed(bool oip, int rows, int digits, double seconds) {
    size_t n;
    char *text = body(rows, digits, oip, &n);
    double best = 0;
    for (int s = 0; s < STRETCHES; s++) {
        int64_t began = clock_mono_ns(), now = began;
        size_t times = 0;
        while (now - began < (int64_t)(seconds * 1e9 / STRETCHES)) {
            for (int i = 0; i < 16; i++, times++)
                if (decode(oip, text, n) < 0)
                    exit(1);
            now = clock_mono_ns();
        }
        double mb = (double)n * (double)times / ((double)(now - began) / 1e9) / 1e6;
        best = mb > best ? mb : best;
    }
    free(text);
    return best;
}

static double copy(size_t n, double seconds) {
    char *from = calloc(1, n), *to = malloc(n);
    if (!from || !to)
        abort();
    int64_t began = clock_mono_ns(), now = began;
    size_t times = 0;
    while (now - began < (int64_t)(seconds * 1e9)) {
        for (int i = 0; i < 64; i++, times++) {
            memcpy(to, from, n);
            __asm__ volatile("" : : "r"(to) : "memory");
        }
        now = clock_mono_ns();
    }
    free(from);
    free(to);
    return (double)n * (double)times / ((double)(now - began) / 1e9) / 1e6;
}

int main(int argc, char **argv) {
    int rows = argc > 1 ? atoi(argv[1]) : 32, digits = argc > 2 ? atoi(argv[2]) : 7;
    double seconds = argc > 3 ? atof(argv[3]) : 2;
    if (rows < 1 || rows > 100000 || digits < 1 || digits > 17)
        return 2;
    printf("{\"oip\":%.1f,\"scoring\":%.1f,\"memcpy\":%.0f}\n", speed(true, rows, digits, seconds),
           speed(false, rows, digits, seconds),
           copy((size_t)rows * COLUMNS * (size_t)(digits + 3), seconds / 8));
    return 0;
}
