/* SPDX-License-Identifier: Apache-2.0 */
#include "run_watch.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "table.h"

enum {
    POLL_FIRST_MS = 50,
    POLL_MOST_MS = 1000,
    AWAY_MS = 60000, /* how long a server may be away (a restart) before we give up */
    LOG_PIECE = 1 << 18,
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signo) {
    (void)signo;
    interrupted = 1;
}

static const char *text(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

const char *run_path(struct invocation *inv, const char *run_id) {
    return arena_printf(inv->arena, RUNS_PATH "/%s", url_encode(inv->arena, run_id, false));
}

bool run_state_final(const char *state) {
    return str_eq(state, "succeeded") || str_eq(state, "failed") || str_eq(state, "cancelled");
}

int run_outcome(const json_t *run) {
    if (str_eq(text(run, "state"), "succeeded")) {
        return EXIT_OK;
    }
    size_t i;
    json_t *s;
    json_array_foreach(json_object_get(run, "steps"), i, s) {
        const bool gate = str_eq(text(s, "kind"), "gate") || json_object_get(s, "gate");
        if (gate && str_eq(text(s, "state"), "failed")) {
            return EXIT_GATE;
        }
    }
    return EXIT_ERROR;
}

/* Lines of "TIME s text" with their stamp cut to the text, or with a name in front. */
static void print_lines(const char *data, size_t n, const char *prefix) {
    while (n > 0) {
        const char *nl = memchr(data, '\n', n);
        const size_t len = nl ? (size_t)(nl - data) : n;
        const bool stamped = len >= 27 && data[23] == 'Z' && data[24] == ' ' && data[26] == ' ';
        if (prefix) {
            printf("%s | ", prefix);
        }
        if (stamped && data[25] == 'k') {
            fputs("[keeper] ", stdout);
        }
        fwrite(data + (stamped ? 27 : 0), 1, len - (stamped ? 27 : 0), stdout);
        putchar('\n');
        data += len + (nl ? 1 : 0);
        n -= len + (nl ? 1 : 0);
    }
    fflush(stdout);
}

/* One piece, on an arena of its own: a log may be long. */
static int output_piece(const struct invocation *whole, const char *run_id, const char *step,
                        const char *prefix, int64_t attempt, int64_t *offset, bool *more) {
    struct invocation inv = *whole;
    struct client_reply r = {0};
    inv.arena = arena_new();
    const char *which = attempt ? arena_printf(inv.arena, "&attempt=%lld", (long long)attempt) : "";
    const char *path = arena_printf(inv.arena, "%s/steps/%s/log?offset=%lld&max_bytes=%d%s",
                                    run_path(&inv, run_id), url_encode(inv.arena, step, false),
                                    (long long)*offset, LOG_PIECE, which);
    const int code = client_call(&inv, "GET", path, NULL, &r);
    *more = code == EXIT_OK && r.len > 0;
    if (*more) {
        print_lines(r.text, r.len, prefix);
        *offset = r.next_offset > *offset ? r.next_offset : *offset + (int64_t)r.len;
    }
    arena_free(inv.arena);
    return code;
}

int run_output(struct invocation *inv, const char *run_id, const char *step, const char *prefix,
               int64_t attempt, int64_t *offset) {
    bool more = true;
    int code = EXIT_OK;
    while (more && !interrupted) {
        code = output_piece(inv, run_id, step, prefix, attempt, offset, &more);
    }
    return code;
}

/* What was said of each step before: its state, its reason, how much of its output. */
struct step_seen {
    char state[32];
    int64_t attempt;
    int64_t offset;
    bool drained;
};

struct watching {
    struct invocation *inv;
    const char *run_id;
    const struct watch_options *o;
    struct map *steps;
};

static bool step_final(const char *state) {
    return !str_eq(state, "pending") && !str_eq(state, "queued") && !str_eq(state, "launching") &&
           !str_eq(state, "running");
}

static void tell_state(const struct watching *w, const json_t *s, const char *state) {
    const json_t *ms = json_object_get(s, "duration_ms");
    const char *reason = text(s, "reason");
    if (!w->o->states || str_eq(state, "pending") || str_eq(state, "queued") ||
        str_eq(state, "launching")) {
        return;
    }
    fprintf(stderr, "%-24s %s", text(s, "name"), state);
    if (step_final(state) && json_is_integer(ms)) {
        fprintf(stderr, " after %s", table_duration(w->inv->arena, json_integer_value(ms)));
    }
    fprintf(stderr, "%s%s\n", reason[0] ? ": " : "", reason);
}

static void look_at_step(struct watching *w, const json_t *s) {
    const char *name = text(s, "name");
    const char *state = text(s, "state");
    struct step_seen *seen = map_get(w->steps, name);
    if (!seen) {
        seen = mem_alloc(sizeof *seen);
        map_set(w->steps, name, seen);
    }
    const int64_t attempts = json_integer_value(json_object_get(s, "attempts"));
    const bool mine =
        !w->o->step || str_eq(w->o->step, name) || str_eq(w->o->step, text(s, "step"));
    const bool has_log = str_eq(text(s, "kind"), "run") && !str_eq(state, "launching");
    const char *prefix = w->o->step && str_eq(w->o->step, name) ? NULL : name;
    while (w->o->output && mine && has_log && attempts > 0 && !seen->drained && !interrupted) {
        if (seen->attempt == 0) {
            seen->attempt = 1;
        }
        if (run_output(w->inv, w->run_id, name, prefix, seen->attempt, &seen->offset) != EXIT_OK) {
            break;
        }
        if (seen->attempt < attempts) { /* a retry begins a log of its own */
            seen->attempt++;
            seen->offset = 0;
        } else {
            seen->drained = step_final(state);
            break;
        }
    }
    if (!str_eq(seen->state, state)) {
        tell_state(w, s, state);
        str_copy(seen->state, sizeof seen->state, state);
    }
}

static int sleep_interruptibly(int64_t ms) {
    for (; ms > 0 && !interrupted; ms -= 50) {
        clock_sleep_ms(ms < 50 ? ms : 50);
    }
    return interrupted ? EXIT_INTERRUPTED : EXIT_OK;
}

/* A daemon that restarts is no reason to stop watching: the run goes on by itself. */
static bool back_again(struct invocation *inv) {
    fputs("quern: waiting for the server to come back\n", stderr);
    for (const int64_t until = clock_mono_ms() + AWAY_MS;
         clock_mono_ms() < until && !interrupted;) {
        if (client_reachable(inv)) {
            return true;
        }
        sleep_interruptibly(500);
    }
    return false;
}

/* One look at the run, on an arena of its own: a run may take days. -1: it goes on. */
static int look(struct watching *w) {
    struct invocation inv = *w->inv;
    struct watching turn = *w;
    struct client_reply r = {0};
    inv.arena = arena_new();
    turn.inv = &inv;
    int code = client_call(&inv, "GET", run_path(&inv, w->run_id), NULL, &r);
    if (code == EXIT_UNAVAILABLE && !interrupted && back_again(&inv)) {
        code = -1;
    } else if (code == EXIT_OK) {
        size_t i;
        json_t *s;
        json_array_foreach(json_object_get(r.json, "steps"), i, s) {
            look_at_step(&turn, s);
        }
        code = run_state_final(text(r.json, "state")) ? run_outcome(r.json) : -1;
    }
    arena_free(inv.arena);
    return interrupted ? EXIT_INTERRUPTED : code;
}

static int watch(struct watching *w) {
    const int64_t began = clock_mono_ms();
    int64_t interval = POLL_FIRST_MS;
    for (;;) {
        const int code = look(w);
        if (code >= 0) {
            return code;
        }
        if (w->o->timeout_ms > 0 && clock_mono_ms() - began >= w->o->timeout_ms) {
            return EXIT_TIMEOUT;
        }
        if (sleep_interruptibly(interval)) {
            return EXIT_INTERRUPTED;
        }
        interval = interval * 3 / 2 < POLL_MOST_MS ? interval * 3 / 2 : POLL_MOST_MS;
    }
}

int run_watch(struct invocation *inv, const char *run_id, const struct watch_options *o,
              const json_t **last) {
    const struct sigaction act = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    struct watching w = {.inv = inv, .run_id = run_id, .o = o, .steps = map_new()};
    const int code = watch(&w);
    map_free(w.steps, free);
    struct client_reply r = {0};
    if (code != EXIT_UNAVAILABLE && code != EXIT_NOT_FOUND &&
        client_send(inv, "GET", run_path(inv, run_id), NULL, &r) == EXIT_OK && r.status == 200) {
        *last = r.json;
    }
    if (code == EXIT_TIMEOUT || code == EXIT_INTERRUPTED) {
        fprintf(stderr,
                "quern: %s; the run goes on. 'quern logs %s --follow' looks again, and\n"
                "  curl -X POST %s%s/cancel\nends it.\n",
                code == EXIT_TIMEOUT ? "no end within the time given" : "interrupted", run_id,
                client_url(inv), run_path(inv, run_id));
    }
    return code;
}
