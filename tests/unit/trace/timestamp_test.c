/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/trace/timestamp.h"

#include "check.h"
#include "quern/base/arena.h"

static void times(void) {
    static const struct {
        const char *text;
        int64_t ms;
        const char *back;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
        {"2026-11-24T09:57:35.438Z", 1795514255438, "2026-11-24T09:57:35.438Z"},
        {"2026-11-24T09:57:35.438999999Z", 1795514255438, "2026-11-24T09:57:35.438Z"},
        {"2026-11-24T09:57:35.4Z", 1795514255400, "2026-11-24T09:57:35.400Z"},
        {"2026-11-24T11:57:35+02:00", 1795514255000, "2026-11-24T09:57:35Z"},
        {"2026-11-24T05:27:35-04:30", 1795514255000, "2026-11-24T09:57:35Z"},
        {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
        {"2024-02-29t00:00:00z", 1709164800000, "2024-02-29T00:00:00Z"},
    };
    static const char *const bad[] = {"",
                                      "2026-11-24",
                                      "2026-11-24T09:57:35",
                                      "2026-13-24T09:57:35Z",
                                      "2026-11-24T24:57:35Z",
                                      "2026-11-24T09:57:35.Z",
                                      "2026-11-24T09:57:35.1234567890Z",
                                      "2026-11-24T09:57:35Zx",
                                      "2026-11-24T09:57:35+0200",
                                      "yesterday at half past nine"};
    char out[32];
    int64_t ms;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CHECK(timestamp_parse(good[i].text, &ms));
        CHECK_INT(ms, good[i].ms);
        timestamp_format(ms, out);
        CHECK_STR(out, good[i].back);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!timestamp_parse(bad[i], &ms));
}

static void durations(void) {
    static const struct {
        const char *text;
        int64_t ms;
        const char *back;
    } good[] = {{"0s", 0, "0s"},
                {"1s", 1000, "1s"},
                {"0.632s", 632, "0.632s"},
                {"1.5s", 1500, "1.500s"},
                {"-1.250s", -1250, "-1.250s"},
                {"86400.000000001s", 86400000, "86400s"}};
    static const char *const bad[] = {"",    "s", "1", "1.s", "one s", "1.5 s", "1.0000000000s",
                                      "--1s"};
    char out[32];
    int64_t ms;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CHECK(duration_parse(good[i].text, &ms));
        CHECK_INT(ms, good[i].ms);
        duration_format(ms, out);
        CHECK_STR(out, good[i].back);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(!duration_parse(bad[i], &ms));
}

int main(void) {
    RUN(times);
    RUN(durations);
    return CHECK_END();
}
