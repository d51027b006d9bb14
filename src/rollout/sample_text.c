/* SPDX-License-Identifier: Apache-2.0 */
#include "sample_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"

static void put_steps(struct buf *b, const struct arm_sample *s) {
    for (unsigned i = 0; i < ARM_STEPS; i++)
        if (s->steps[i])
            buf_printf(b, "%s%u:%" PRIu64, b->len ? " " : "", i, s->steps[i]);
}

static char *done(struct arena *a, struct buf *b) {
    char *text = arena_strndup(a, b->data ? b->data : "", b->len);
    buf_free(b);
    return text;
}

char *steps_text(struct arena *a, const struct arm_sample *s) {
    struct buf b = {0};
    put_steps(&b, s);
    return done(a, &b);
}

char *sample_text(struct arena *a, const struct arm_sample *s) {
    struct buf b = {0};
    buf_printf(&b, "%" PRIu64 " %" PRIu64 " %" PRIu64, s->requests, s->errors, s->nan);
    put_steps(&b, s);
    return done(a, &b);
}

static bool number(const char **p, uint64_t *out) {
    char *end;
    if (**p < '0' || **p > '9')
        return false;
    *out = strtoull(*p, &end, 10);
    *p = end;
    return true;
}

bool steps_parse(const char *text, struct arm_sample *s) {
    const char *p = text;
    memset(s->steps, 0, sizeof s->steps);
    while (*p) {
        uint64_t step, count;
        if (!number(&p, &step) || *p++ != ':' || !number(&p, &count) || step >= ARM_STEPS ||
            (*p && *p++ != ' ')) {
            memset(s->steps, 0, sizeof s->steps);
            return false;
        }
        s->steps[step] = count;
    }
    return true;
}

bool sample_parse(const char *text, struct arm_sample *s) {
    const char *p = text;
    *s = (struct arm_sample){0};
    if (number(&p, &s->requests) && *p++ == ' ' && number(&p, &s->errors) && *p++ == ' ' &&
        number(&p, &s->nan) && (!*p || *p++ == ' ') && steps_parse(p, s))
        return true;
    *s = (struct arm_sample){0};
    return false;
}
