/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's model repository extension: the endpoints are the repository. Load
 * brings an endpoint's models into memory, unload takes them out until they are asked back. */
#include <string.h>

#include "doors.h"
#include "json_scan.h"
#include "loader.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

#define UNLOAD_NS (5 * INT64_C(1000000000)) /* what an unload waits for the loader */

/* {"ready": bool}, or nothing. */
static int scan_index(struct ctx *c, bool *only_ready) {
    struct scan s;
    *only_ready = false;
    scan_init(&s, c, c->body, c->body_len);
    if (scan_peek(&s) == 0)
        return 0;
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc == 0)
            rc = bytes_eq(key, "ready") ? scan_bool(&s, only_ready) : scan_skip(&s);
    }
    return rc == 0 ? scan_end(&s) : rc;
}

static bool usable(const struct entry_arm *a) {
    return a->model || (a->idle && !a->parked);
}

static const char *state_of(const struct entry_arm *a) {
    if (usable(a))
        return "READY";
    if (a->parked)
        return "UNAVAILABLE";
    return strcmp(a->state, "loading") == 0 || strcmp(a->state, "pending") == 0 ? "LOADING"
                                                                                : "UNAVAILABLE";
}

/* One item per version, as arms of one endpoint are versions of what has its name. */
static void put_index(struct text *t, const struct entry *e, const struct entry_arm *a) {
    const char *reason = a->parked && !a->model ? "unloaded" : a->reason;
    text_puts(t, "{\"name\":");
    text_string(t, e->name, strlen(e->name));
    if (a->model) {
        text_puts(t, ",\"version\":");
        text_string(t, a->model->version_text, strlen(a->model->version_text));
    }
    text_puts(t, ",\"state\":\"");
    text_puts(t, state_of(a));
    text_puts(t, "\",\"reason\":");
    text_string(t, reason, strlen(reason));
    text_puts(t, "}");
}

int oip_index(struct ctx *c, const void *in, void *out) {
    struct text t;
    bool only_ready, first = true;
    (void)in;
    (void)out;
    int rc = scan_index(c, &only_ready);
    if (rc < 0)
        return rc;
    text_init(&t, c->arena, 1024);
    text_puts(&t, "[");
    const struct snapshot *s = snapshot_enter();
    for (size_t i = 0; s && i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        for (size_t k = 0; e->project == c->project && k < e->narms; k++) {
            if (only_ready && !usable(&e->arms[k]))
                continue;
            if (!first)
                text_puts(&t, ",");
            first = false;
            put_index(&t, e, &e->arms[k]);
        }
    }
    snapshot_leave();
    text_puts(&t, "]");
    reply_bytes(c, "application/json", t.data, t.len);
    return 0;
}

/* {"parameters": {...}} or nothing. What would replace the model or its configuration is refused:
 * models come from the registry, and policies are the endpoint's. */
static int scan_verb(struct ctx *c, bool load) {
    struct scan s;
    scan_init(&s, c, c->body, c->body_len);
    if (scan_peek(&s) == 0)
        return 0;
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0 || !bytes_eq(key, "parameters") || scan_peek(&s) != '{') {
            rc = rc < 0 ? rc : scan_skip(&s);
            continue;
        }
        rc = scan_enter(&s, '{');
        for (bool inner = true; rc == 0 && (rc = scan_more(&s, '}', &inner)) > 0;) {
            rc = scan_key(&s, &key);
            bool file = key.len > 5 && memcmp(key.data, "file:", 5) == 0;
            if (rc == 0 && load && (file || bytes_eq(key, "config")))
                rc = fail_field(c, ERR_INVALID, file ? "file" : "config",
                                "parameter %s is not taken: models come from the registry; bind "
                                "the endpoint with PUT /api/v1/endpoints/NAME",
                                file ? "file:..." : "config");
            rc = rc < 0 ? rc : scan_skip(&s);
        }
    }
    return rc == 0 ? scan_end(&s) : rc;
}

static void reply_done(struct ctx *c, const char *model, const char *verb) {
    struct text t;
    text_init(&t, c->arena, 64);
    text_puts(&t, "{\"name\":");
    text_string(&t, model, strlen(model));
    text_puts(&t, verb);
    reply_bytes(c, "application/json", t.data, t.len);
}

int oip_load(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    (void)out;
    int rc = scan_verb(c, true);
    if (rc == 0)
        rc = loader_warm(c, in->model, true);
    if (rc < 0)
        return rc;
    rc = door_find(c, snapshot_enter(), in->model, &e);
    snapshot_leave();
    if (rc == 0)
        reply_done(c, in->model, ",\"load\":true}");
    return rc;
}

static bool in_memory(const struct ctx *c, const char *model) {
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, model);
    bool yes = e && e->model;
    snapshot_leave();
    return yes;
}

/* Waits, so that who asks for readiness next is told the truth. */
int oip_unload(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    int64_t until = clock_mono_ns() + UNLOAD_NS;
    (void)out;
    int rc = scan_verb(c, false);
    if (rc == 0)
        rc = loader_park(c, in->model);
    if (rc < 0)
        return rc;
    while (in_memory(c, in->model) && clock_mono_ns() < until)
        clock_sleep_ms(1);
    reply_done(c, in->model, ",\"unload\":true}");
    return 0;
}
