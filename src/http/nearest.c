/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "router.h"

/* The row that a mistyped path most likely meant: same number of segments, at most two edits in the
 * literal ones. Cheap enough to be asked by anybody: long segments are not compared. */

#define EDITS_MAX 2u
#define COMPARED_MAX 32u

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Letters to insert, drop or change; more than EDITS_MAX when it is not worth counting. */
static unsigned edits(const char *a, size_t na, const char *b, size_t nb) {
    if (na == nb && memcmp(a, b, na) == 0)
        return 0;
    size_t apart = na > nb ? na - nb : nb - na;
    if (apart > EDITS_MAX || na > COMPARED_MAX || nb > COMPARED_MAX || na <= EDITS_MAX ||
        nb <= EDITS_MAX)
        return EDITS_MAX + 1;
    unsigned row[COMPARED_MAX + 1];
    for (unsigned j = 0; j <= nb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= na; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= nb; j++) {
            unsigned above = row[j];
            unsigned change = corner + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above, row[j - 1]) + 1);
            corner = above;
        }
    }
    return row[nb];
}

static unsigned distance(const char *pattern, const struct segment *segments, size_t n) {
    unsigned total = 0;
    const char *p = pattern + 1;
    for (size_t i = 0; i < n && total <= EDITS_MAX; i++) {
        size_t len = strcspn(p, "/");
        if (*p != '{')
            total += edits(p, len, segments[i].text, segments[i].len);
        else if (memchr(p, '.', len) || p[len - 1] != '}')
            return EDITS_MAX + 1; /* "{path...}" and "{id}:verb" take too much for a guess */
        bool last = !p[len];
        if (last != (i + 1 == n))
            return EDITS_MAX + 1;
        p += len + 1;
    }
    return total;
}

const char *router_nearest(const struct router *r, struct arena *a, const char *path, size_t n) {
    struct segment segments[TARGET_SEGMENTS_MAX];
    int count = target_segments(a, path, n, segments, TARGET_SEGMENTS_MAX);
    if (count > 1 && segments[count - 1].len == 0)
        count--; /* "/a/" */
    if (count <= 0 || segments[0].len == 0)
        return NULL;
    const char *found = NULL;
    unsigned best = EDITS_MAX + 1;
    size_t rows;
    const struct entry *entries = router_entries(r, &rows);
    for (size_t i = 0; i < rows; i++) {
        unsigned d = distance(entries[i].row->path, segments, (size_t)count);
        if (d < best) {
            best = d;
            found = entries[i].row->path;
        }
    }
    return found;
}
