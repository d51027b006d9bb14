/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <string.h>

#include "quern/base/str.h"
#include "quern/net/net.h"

const char *net_answer_header(const struct net_answer *a, const char *lower_name) {
    const char *s = a->headers.data, *end = s + a->headers.len;
    while (s && s < end) {
        const char *value = s + strlen(s) + 1;
        if (strcmp(s, lower_name) == 0)
            return value;
        s = value + strlen(value) + 1;
    }
    return NULL;
}

int64_t net_retry_after_ms(const struct net_answer *a, int64_t now_ms) {
    const char *text = net_answer_header(a, "retry-after");
    int64_t seconds;
    if (!text)
        return -1;
    if (str_to_i64(text, &seconds))
        return seconds < 0 ? -1 : (seconds > 86400 ? 86400 : seconds) * 1000;
    int64_t at = (int64_t)curl_getdate(text, NULL);
    if (at < 0)
        return -1;
    int64_t wait = at * 1000 - now_ms;
    return wait < 0 ? 0 : wait > 86400000 ? 86400000 : wait;
}

void net_answer_free(struct net_answer *a) {
    buf_free(&a->body);
    buf_free(&a->headers);
}
