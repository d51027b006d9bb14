/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/trace/timestamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool digits(const char **p, int n, int *out) {
    *out = 0;
    for (int i = 0; i < n; i++) {
        char ch = *(*p)++;
        if (ch < '0' || ch > '9')
            return false;
        *out = *out * 10 + (ch - '0');
    }
    return true;
}

/* Behind the point: at most nine digits, the first three count. */
static bool fraction(const char **p, int64_t *ms) {
    int n = 0, value = 0;
    *ms = 0;
    if (**p != '.')
        return true;
    for ((*p)++; **p >= '0' && **p <= '9'; (*p)++, n++)
        if (n < 3)
            value = value * 10 + (**p - '0');
    for (int i = n; i < 3; i++)
        value *= 10;
    *ms = value;
    return n >= 1 && n <= 9;
}

static bool zone(const char **p, int64_t *seconds) {
    int hours = 0, minutes = 0;
    char sign = *(*p)++;
    *seconds = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !digits(p, 2, &hours) || *(*p)++ != ':' ||
        !digits(p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
    return true;
}

bool timestamp_parse(const char *text, int64_t *ms) {
    struct tm t = {0};
    int64_t part = 0, offset = 0;
    const char *p = text;
    if (strlen(text) < 20 || strlen(text) > 40)
        return false;
    bool good = digits(&p, 4, &t.tm_year) && *p++ == '-' && digits(&p, 2, &t.tm_mon) &&
                *p++ == '-' && digits(&p, 2, &t.tm_mday) && (*p == 'T' || *p == 't' || *p == ' ') &&
                p++ && digits(&p, 2, &t.tm_hour) && *p++ == ':' && digits(&p, 2, &t.tm_min) &&
                *p++ == ':' && digits(&p, 2, &t.tm_sec) && fraction(&p, &part) &&
                zone(&p, &offset) && !*p;
    if (!good || t.tm_year < 1 || t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 ||
        t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    *ms = ((int64_t)timegm(&t) - offset) * 1000 + part;
    return true;
}

void timestamp_format(int64_t ms, char out[32]) {
    int64_t seconds = ms / 1000, part = ms % 1000;
    struct tm t = {0};
    if (part < 0) {
        part += 1000;
        seconds--;
    }
    time_t at = (time_t)seconds;
    char text[32] = "1970-01-01T00:00:00";
    if (gmtime_r(&at, &t) && t.tm_year < 8100)
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
    if (part)
        snprintf(out, 32, "%.23s.%03dZ", text, (int)part);
    else
        snprintf(out, 32, "%.23sZ", text);
}

bool duration_parse(const char *text, int64_t *ms) {
    const char *p = text;
    bool negative = *p == '-';
    int64_t seconds = 0, part = 0;
    int n = 0;
    for (p += negative; *p >= '0' && *p <= '9' && n < 12; p++, n++)
        seconds = seconds * 10 + (*p - '0');
    if (!n || !fraction(&p, &part) || strcmp(p, "s") != 0)
        return false;
    *ms = (seconds * 1000 + part) * (negative ? -1 : 1);
    return true;
}

void duration_format(int64_t ms, char out[32]) {
    uint64_t whole = ms < 0 ? (uint64_t)0 - (uint64_t)ms : (uint64_t)ms;
    const char *sign = ms < 0 ? "-" : "";
    if (whole % 1000)
        snprintf(out, 32, "%s%llu.%03us", sign, (unsigned long long)(whole / 1000),
                 (unsigned)(whole % 1000));
    else
        snprintf(out, 32, "%s%llus", sign, (unsigned long long)(whole / 1000));
}
