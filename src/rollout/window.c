/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <string.h>

#include "policy_form.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/trace/timestamp.h"

#define DAY_MS (24 * 60 * 60 * 1000LL)

/* "HH:MM" to milliseconds; 24:00 where `end`. */
static bool time_of_day(const char *s, bool end, int64_t *ms) {
    if (strlen(s) != 5 || !isdigit((unsigned char)s[0]) || !isdigit((unsigned char)s[1]) ||
        s[2] != ':' || !isdigit((unsigned char)s[3]) || !isdigit((unsigned char)s[4]))
        return false;
    int h = (s[0] - '0') * 10 + s[1] - '0', min = (s[3] - '0') * 10 + s[4] - '0';
    if (min > 59 || h > 24 || (h == 24 && (min || !end)))
        return false;
    *ms = (h * 60 + min) * 60000LL;
    return true;
}

static int make_daily(const struct making *m, const char *at, const struct window_spec *s,
                      struct window *w) {
    static const char *const names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
    if (w->from_ms == w->until_ms)
        return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/until", at),
                          "The window is empty");
    if (s->offset) {
        bool sign = s->offset[0] == '+' || s->offset[0] == '-';
        if (!str_eq(s->offset, "Z") &&
            (!sign || !time_of_day(s->offset + 1, false, &w->offset_ms) ||
             w->offset_ms > 14 * 60 * 60000LL))
            return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/offset", at),
                              "An offset is +HH:MM or -HH:MM, at most 14 hours");
        if (s->offset[0] == '-')
            w->offset_ms = -w->offset_ms;
    }
    for (size_t i = 0; i < s->days.n; i++) {
        unsigned day = 0;
        while (day < 7 && !str_eq(s->days.items[i], names[day]))
            day++;
        if (day == 7)
            return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/days/%zu", at, i),
                              "A day is mon, tue, wed, thu, fri, sat or sun");
        w->days |= 1u << day;
    }
    if (!s->days.n)
        w->days = 0x7f;
    return 0;
}

static int make_times(const struct making *m, const char *at, const struct window_spec *s,
                      struct window *w) {
    if (!s->from && !s->until)
        return fail_field(m->c, ERR_INVALID, at, "A window needs 'from', 'until' or both");
    if (s->from && s->until && time_of_day(s->from, false, &w->from_ms) &&
        time_of_day(s->until, true, &w->until_ms)) {
        w->daily = true;
        return make_daily(m, at, s, w);
    }
    w->from_ms = INT64_MIN;
    w->until_ms = INT64_MAX;
    if (s->from && !timestamp_parse(s->from, &w->from_ms))
        return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/from", at),
                          "A time is RFC 3339, as 2026-01-02T03:04:05Z, or both are HH:MM");
    if (s->until && !timestamp_parse(s->until, &w->until_ms))
        return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/until", at),
                          "A time is RFC 3339, as 2026-01-02T03:04:05Z, or both are HH:MM");
    if (s->days.n || s->offset)
        return fail_field(m->c, ERR_INVALID, at, "'days' and 'offset' belong to windows of HH:MM");
    if (w->from_ms >= w->until_ms)
        return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/until", at),
                          "The window ends before it begins");
    return 0;
}

static int make_weights(const struct making *m, const char *at, const struct window_spec *s,
                        struct window *w) {
    double sum = 0;
    for (size_t i = 0; i < s->weights.n; i++) {
        const struct fpair *pair = &s->weights.items[i];
        const char *here = arena_printf(m->c->arena, "%s/weights/%s", at, pair->key);
        unsigned arm = 0;
        int rc = make_arm(m, here, pair->key, &arm);
        if (rc < 0)
            return rc;
        if (!(pair->value >= 0 && pair->value <= 1e12))
            return fail_field(m->c, ERR_INVALID, here, "A weight is between 0 and 1e12, not %g",
                              pair->value);
        w->weights[arm] = pair->value;
        sum += pair->value;
    }
    if (!(sum > 0))
        return fail_field(m->c, ERR_INVALID, arena_printf(m->c->arena, "%s/weights", at),
                          "At least one arm needs a weight above 0");
    return 0;
}

int make_schedule(const struct making *m, const struct list *windows) {
    struct policy *p = m->p;
    const struct window_spec *s = windows->items;
    p->windows = ARENA_ARRAY(p->arena, struct window, windows->n);
    for (size_t i = 0; i < windows->n; i++) {
        struct window *w = &p->windows[i];
        const char *at = arena_printf(m->c->arena, "/schedule/%zu", i);
        int rc = make_times(m, at, &s[i], w);
        if (rc < 0)
            return rc;
        if ((s[i].arm != NULL) + (s[i].weights.n > 0) != 1)
            return fail_field(m->c, ERR_INVALID, at,
                              "Exactly one of 'arm' and 'weights' is needed");
        unsigned arm = 0;
        w->arm = -1;
        if (s[i].arm) {
            rc = make_arm(m, arena_printf(m->c->arena, "%s/arm", at), s[i].arm, &arm);
            w->arm = (int)arm;
        } else {
            rc = make_weights(m, at, &s[i], w);
        }
        if (rc < 0)
            return rc;
        p->nwindows = i + 1;
    }
    return 0;
}

static bool on_day(const struct window *w, int64_t day) {
    /* 1970-01-01 was a Thursday. */
    int64_t weekday = ((day + 3) % 7 + 7) % 7;
    return w->days >> weekday & 1;
}

bool window_holds(const struct window *w, int64_t now_ms) {
    if (!w->daily)
        return now_ms >= w->from_ms && now_ms < w->until_ms;
    int64_t local = now_ms + w->offset_ms;
    int64_t day = local >= 0 ? local / DAY_MS : (local - DAY_MS + 1) / DAY_MS;
    int64_t ms = local - day * DAY_MS;
    if (w->from_ms < w->until_ms)
        return ms >= w->from_ms && ms < w->until_ms && on_day(w, day);
    /* Over midnight: it belongs to the day on which it began. */
    return (ms >= w->from_ms && on_day(w, day)) || (ms < w->until_ms && on_day(w, day - 1));
}
