/* SPDX-License-Identifier: Apache-2.0 */
/* The door to what happens to a run: its state now, then every change until it ends. */
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "run.h"
#include "run_feed.h"
#include "tracking_api.h"

#define KEEP_ALIVE_MS ((int64_t)15000)

struct events_in {
    const char *run_id;
};
SHAPE(in_run_events, "RunEventsQuery", struct events_in,
      FIELD(struct events_in, run_id, T_STR, F_PATH | F_REQUIRED, "The run's id."));

struct feed {
    struct run_watch *watch;
    struct buf pending;
    size_t sent;
    bool ended;
    int64_t said_ms; /* monotonic, for keep-alives */
};

static void feed_close(void *state) {
    struct feed *f = state;
    run_watch_close(f->watch);
    buf_free(&f->pending);
    free(f);
}

static ssize_t feed_next(void *state, char *out, size_t max) {
    struct feed *f = state;
    if (!f->pending.len && f->ended)
        return -1;
    if (!f->pending.len) {
        run_watch_take(f->watch, &f->pending, &f->ended);
        if (f->ended)
            buf_puts(&f->pending, "event: end\ndata: {}\n\n");
        else if (!f->pending.len && clock_mono_ms() - f->said_ms > KEEP_ALIVE_MS)
            buf_puts(&f->pending, ": still here\n\n");
    }
    size_t n = f->pending.len - f->sent;
    if (!n)
        return 0;
    n = n > max ? max : n;
    memcpy(out, f->pending.data + f->sent, n);
    f->sent += n;
    if (f->sent == f->pending.len) {
        buf_clear(&f->pending);
        f->sent = 0;
    }
    f->said_ms = clock_mono_ms();
    return (ssize_t)n;
}

static const struct stream_ops feed_ops = {feed_next, feed_close};

/* The watch stands before the first query takes its snapshot: nothing falls between the two, and
 * what both have is told twice. */
int api_run_events(struct ctx *c, const void *in, void *out) {
    const char *run_id = ((const struct events_in *)in)->run_id;
    struct feed *f = mem_alloc(sizeof *f);
    struct run_ref r;
    struct run run = {0};
    (void)out;
    f->watch = run_watch_open(run_id);
    f->said_ms = clock_mono_ms();
    int rc = run_for_read(c, run_id, &r);
    rc = rc ? rc : run_load_whole(c, &r.row, 1, true, &run);
    if (rc) {
        feed_close(f);
        return rc;
    }
    buf_puts(&f->pending, "event: run\ndata: ");
    json_encode(&f->pending, &wire_run, &run);
    buf_puts(&f->pending, "\n\n");
    if (run_status_ends(run.info->status)) {
        f->ended = true;
        buf_puts(&f->pending, "event: end\ndata: {}\n\n");
    }
    reply_header(c, "Cache-Control", "no-store");
    reply_stream(c, "text/event-stream", &feed_ops, f);
    return 0;
}
