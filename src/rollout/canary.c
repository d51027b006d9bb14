/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/canary.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum verdict { FINE, TRIPPED, UNKNOWN };

static void say(struct canary_decision *d, enum canary_action action, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct canary_decision *d, enum canary_action action, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    d->action = action;
    vsnprintf(d->reason, sizeof d->reason, fmt, ap);
    va_end(ap);
}

static const char *const metric_names[] = {"error_rate", "nan_rate", "latency_ms", "monitor"};

static double value_of(const struct canary_when *w, const struct arm_sample *s) {
    switch (w->metric) {
    case CANARY_ERROR_RATE:
        return arm_sample_error_rate(s);
    case CANARY_NAN_RATE:
        return arm_sample_nan_rate(s);
    default:
        return arm_sample_quantile(s, w->quantile);
    }
}

/* One rule: what it says of the figures, with the sentence that tells it. */
static enum verdict judge(const struct canary *y, const struct canary_when *w, bool baseline_idle,
                          const struct canary_figures *f, char *why, size_t size) {
    const char *name = metric_names[w->metric];
    double v = NAN;
    if (w->metric == CANARY_MONITOR) {
        if (!f->monitor || !f->monitor(f->monitor_arg, w->monitor, &v) || isnan(v)) {
            snprintf(why, size, "monitor %s has no value yet", w->monitor);
            return UNKNOWN;
        }
        name = w->monitor;
    } else {
        if (f->arm->requests < y->min_requests) {
            snprintf(why, size, "%" PRIu64 " of %" PRIu64 " requests that %s is judged by",
                     f->arm->requests, y->min_requests, name);
            return UNKNOWN;
        }
        v = value_of(w, f->arm);
    }
    if (w->above_set && v > w->above) {
        snprintf(why, size, "%s is %.6g, above %.6g", name, v, w->above);
        return TRIPPED;
    }
    if (w->below_set && v < w->below) {
        snprintf(why, size, "%s is %.6g, below %.6g", name, v, w->below);
        return TRIPPED;
    }
    if (!w->worse_set || baseline_idle)
        return FINE;
    if (f->baseline->requests < y->min_requests) {
        snprintf(why, size,
                 "%" PRIu64 " of %" PRIu64 " requests of the baseline that %s is compared by",
                 f->baseline->requests, y->min_requests, name);
        return UNKNOWN;
    }
    double base = value_of(w, f->baseline);
    double bound = w->metric == CANARY_LATENCY_MS ? base * (1 + w->worse) : base + w->worse;
    if (v > bound) {
        snprintf(why, size, "%s is %.6g, the baseline's %.6g, at most %.6g allowed", name, v, base,
                 bound);
        return TRIPPED;
    }
    return FINE;
}

/* All rules of one kind: the first that tripped, else the first that is unknown. */
static enum verdict judge_all(const struct canary *y, const struct canary_when *rules, size_t n,
                              bool baseline_idle, const struct canary_figures *f, char *why,
                              size_t size) {
    enum verdict all = FINE;
    for (size_t i = 0; i < n; i++) {
        char words[160] = "";
        enum verdict v = judge(y, &rules[i], baseline_idle, f, words, sizeof words);
        if (v == FINE || (v == UNKNOWN && all == UNKNOWN))
            continue;
        snprintf(why, size, "%s", words);
        all = v;
        if (v == TRIPPED)
            return v;
    }
    return all;
}

void canary_next(const struct canary *y, const struct canary_state *state,
                 const struct canary_figures *f, int64_t now_ms, struct canary_decision *out) {
    *out = (struct canary_decision){0};
    size_t at = state->step < y->nsteps ? state->step : y->nsteps - 1;
    const struct canary_step *step = &y->steps[at];
    bool idle = step->percent >= 100;
    char why[160] = "", hold[160] = "";

    enum verdict abort = judge_all(y, y->abort_when, y->naborts, idle, f, why, sizeof why);
    if (abort == TRIPPED) {
        say(out, CANARY_ROLLBACK, "Step %zu of %zu: %s.", at + 1, y->nsteps, why);
        return;
    }
    enum verdict held = judge_all(y, y->hold_when, y->nholds, idle, f, hold, sizeof hold);
    if (held == TRIPPED) {
        say(out, CANARY_HOLD, "Step %zu of %zu is held: %s.", at + 1, y->nsteps, hold);
        return;
    }
    int64_t passed = now_ms > state->since_ms ? now_ms - state->since_ms : 0;
    if (passed < step->ms) {
        say(out, CANARY_HOLD, "Step %zu of %zu: %.1f of %.1f seconds.", at + 1, y->nsteps,
            (double)passed / 1000, (double)step->ms / 1000);
        return;
    }
    if (f->arm->requests < step->requests) {
        say(out, CANARY_HOLD, "Step %zu of %zu: %" PRIu64 " of %" PRIu64 " requests.", at + 1,
            y->nsteps, f->arm->requests, step->requests);
        return;
    }
    if (abort == UNKNOWN || held == UNKNOWN) {
        say(out, CANARY_HOLD, "Step %zu of %zu waits: %s.", at + 1, y->nsteps,
            abort == UNKNOWN ? why : hold);
        return;
    }
    if (at + 1 < y->nsteps) {
        say(out, CANARY_ADVANCE, "Step %zu of %zu is done; %.6g percent next.", at + 1, y->nsteps,
            y->steps[at + 1].percent);
        return;
    }
    if (y->promote_at_end) {
        say(out, CANARY_PROMOTE, "All %zu steps are done.", y->nsteps);
        return;
    }
    say(out, CANARY_HOLD, "All %zu steps are done; promotion waits for a call.", y->nsteps);
    out->ended = true;
}
