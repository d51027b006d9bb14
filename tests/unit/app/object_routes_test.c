/* SPDX-License-Identifier: Apache-2.0 */
/* A row of a room whose things have permissions of their own asks for them, or says why not. */
#include <string.h>

#include "check.h"
#include "house.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/http/route.h"

static const struct {
    const char *id, *reason;
} exempt[] = {
    {"tracking.server_info", "tells of the server alone"},
    {"trace.unified", "is declared and empty"},
    {"trace.online_details", "is declared and empty"},
    {"artifact.gc", "is the administrators'"},
    {"artifact.proxy.part", "the signature is the permission, given to one who had it"},
    {"artifact.proxy.signed-get", "the signature is the permission, given to one who had it"},
    {"artifact.proxy.signed-put", "the signature is the permission, given to one who had it"},
};

static bool has_reason(const char *id) {
    for (size_t i = 0; i < ARRAY_LEN(exempt); i++)
        if (str_eq(exempt[i].id, id))
            return true;
    return false;
}

static void every_row_asks(void) {
    static const char *const rooms[] = {"tracking.", "registry.", "artifact.", "trace."};
    size_t seen = 0;
    for (const struct route_list *l = house_routes(); l->n; l++)
        for (size_t i = 0; i < l->n; i++) {
            const struct route *row = &l->rows[i];
            bool ours = false;
            for (size_t k = 0; k < ARRAY_LEN(rooms); k++)
                ours = ours || str_starts(row->id, rooms[k]);
            if (!ours)
                continue;
            seen++;
            if (!(row->flags & ROUTE_OBJECT) != has_reason(row->id))
                printf("%s: %s\n", row->id,
                       has_reason(row->id) ? "asks, so it needs no reason"
                                           : "neither asks nor has a reason");
            CHECK(!(row->flags & ROUTE_OBJECT) == has_reason(row->id));
        }
    CHECK(seen > 80);
}

static void reasons_name_rows(void) {
    for (size_t k = 0; k < ARRAY_LEN(exempt); k++) {
        bool found = false;
        for (const struct route_list *l = house_routes(); l->n; l++)
            for (size_t i = 0; i < l->n; i++)
                found = found || str_eq(l->rows[i].id, exempt[k].id);
        if (!found)
            printf("%s: no such row\n", exempt[k].id);
        CHECK(found);
    }
}

int main(void) {
    RUN(every_row_asks);
    RUN(reasons_name_rows);
    return CHECK_END();
}
