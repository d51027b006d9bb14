/* SPDX-License-Identifier: Apache-2.0 */
/* What a browser can be made to send, and what must come of it. */
#include "access_state.h"
#include "check.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

struct attempt {
    const char *method;
    const char *host, *origin, *site, *mode;
    bool loopback;
    const char *hosts, *origins;
    int want; /* 0 or ERR_FORBIDDEN */
};

static const struct attempt attempts[] = {
    {"GET", "localhost:7780", NULL, NULL, NULL, true, "", "", 0},
    {"POST", "LOCALHOST", NULL, NULL, NULL, true, "", "", 0},
    {"POST", "127.0.0.1:7780", NULL, NULL, NULL, true, "", "", 0},
    {"POST", "127.9.9.9", NULL, NULL, NULL, true, "", "", 0},
    {"POST", "[::1]:7780", NULL, NULL, NULL, true, "", "", 0},
    {"POST", NULL, NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "evil.example", NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "localhost.evil.example", NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "127.0.0.1.evil.example", NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "127.evil.example", NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "[::1].evil.example", NULL, NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"GET", "ml.example:443", NULL, NULL, NULL, true, "other, ml.example", "", 0},
    {"GET", "ml.example", NULL, NULL, NULL, false, "", "", 0},
    {"GET", "ml.example", NULL, NULL, NULL, false, "other.example", "", ERR_FORBIDDEN},
    {"POST", "localhost:7780", "http://localhost:7780", NULL, NULL, true, "", "", 0},
    {"POST", "localhost:7780", "http://localhost:9999", NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"POST", "localhost:7780", "http://evil.example", NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"DELETE", "localhost:7780", "null", NULL, NULL, true, "", "", ERR_FORBIDDEN},
    {"POST", "localhost:7780", "http://localhost:7780.evil.example", NULL, NULL, true, "", "",
     ERR_FORBIDDEN},
    {"POST", "localhost:7780", "https://app.example", NULL, NULL, true, "", "https://app.example",
     0},
    {"POST", "localhost:7780", "https://app.example", "cross-site", "cors", true, "",
     "https://app.example", 0},
    {"GET", "localhost:7780", NULL, "cross-site", "no-cors", true, "", "", ERR_FORBIDDEN},
    {"GET", "localhost:7780", NULL, "same-site", "cors", true, "", "", ERR_FORBIDDEN},
    {"GET", "localhost:7780", NULL, "cross-site", "navigate", true, "", "", 0},
    {"POST", "localhost:7780", NULL, "cross-site", "navigate", true, "", "", ERR_FORBIDDEN},
    {"POST", "localhost:7780", NULL, "same-origin", "cors", true, "", "", 0},
    {"GET", "localhost:7780", NULL, "none", "navigate", true, "", "", 0},
};

static void hosts_origins_and_sites(void) {
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        const struct attempt *t = &attempts[i];
        struct header headers[4];
        size_t n = 0;
        const char *pairs[4][2] = {{"host", t->host},
                                   {"origin", t->origin},
                                   {"sec-fetch-site", t->site},
                                   {"sec-fetch-mode", t->mode}};
        for (size_t k = 0; k < 4; k++) {
            if (pairs[k][1]) {
                headers[n++] = (struct header){pairs[k][0], pairs[k][1]};
            }
        }
        char hosts[64];
        char origins[64];
        snprintf(hosts, sizeof hosts, "%s", t->hosts);
        snprintf(origins, sizeof origins, "%s", t->origins);
        struct access a = {.options = {.loopback = t->loopback, .port = 7780},
                           .allowed_hosts = hosts,
                           .allowed_origins = origins};
        struct ctx c;
        ctx_begin(&c);
        c.method = t->method;
        c.headers = headers;
        c.header_count = n;
        int rc = host_check(&c, &a);
        if (-rc != t->want) {
            printf("attempt %zu: ", i);
        }
        CHECK_INT(-rc, t->want);
        ctx_end(&c);
    }
}

static void tokens_check_themselves(void) {
    char text[TOKEN_LEN + 1];
    for (int i = 0; i < 100; i++) {
        token_make(text);
        CHECK_INT(strlen(text), TOKEN_LEN);
        CHECK(token_well_formed(text));
        char *letter = &text[3 + i % 46];
        *letter = *letter == 'a' ? 'b' : 'a';
        CHECK(!token_well_formed(text));
    }
    CHECK(!token_well_formed(""));
    CHECK(!token_well_formed("qn_"));
}

int main(void) {
    RUN(hosts_origins_and_sites);
    RUN(tokens_check_themselves);
    return CHECK_END();
}
