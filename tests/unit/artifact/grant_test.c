/* SPDX-License-Identifier: Apache-2.0 */
#include "grant.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "house.h"
#include "quern/artifact/grant.h"

static struct house h;

static void open_with(const char *public_url, bool tls, bool proxy) {
    struct buf error = {0};
    struct grant_options o = {
        .data = h.dir, .public_url = public_url, .tls = tls, .behind_proxy = proxy};
    CHECK_INT(grants_open(&o, &error), 0);
    buf_free(&error);
}

static const char *base_for(struct ctx *c, const char *host) {
    struct header *one = ARENA_ARRAY(c->arena, struct header, 1);
    *one = (struct header){"host", host};
    c->headers = one;
    c->header_count = host ? 1 : 0;
    return grant_base(c);
}

static void bases(void) {
    struct ctx c;
    ctx_begin(&c);
    open_with("", false, false);
    CHECK(grants_possible());
    CHECK_STR(base_for(&c, "localhost:7780"), "http://localhost:7780");
    CHECK_STR(base_for(&c, "[::1]:80"), "http://[::1]:80");
    CHECK_STR(base_for(&c, "a/b"), NULL);
    CHECK_STR(base_for(&c, "a@b"), NULL);
    CHECK_STR(base_for(&c, "a b"), NULL);
    CHECK_STR(base_for(&c, ""), NULL);
    CHECK_STR(base_for(&c, NULL), NULL);
    open_with("", true, false);
    CHECK_STR(base_for(&c, "models.example"), "https://models.example");
    open_with("", false, true); /* nobody knows what the proxy speaks */
    CHECK(!grants_possible());
    CHECK_STR(base_for(&c, "models.example"), NULL);
    open_with("https://models.example/q//", false, true);
    CHECK(grants_possible());
    CHECK_STR(base_for(&c, "other"), "https://models.example/q");
    ctx_end(&c);
}

static void signatures(void) {
    struct ctx c;
    ctx_begin(&c);
    open_with("", false, false);
    struct grant g = {.verb = "get",
                      .project = 1,
                      .path = "1/r/a",
                      .what = "sha",
                      .expires = c.now_ms / 1000 + 60};
    const char *mac = grant_sign(&c, &g);
    CHECK_INT(strlen(mac), 64);
    CHECK_INT(grant_check(&c, &g, mac), 0);
    struct grant others[] = {g, g, g, g, g};
    others[0].verb = "put";
    others[1].project = 2;
    others[2].path = "1/r/b";
    others[3].what = "shb";
    others[4].expires++;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        CHECK_INT(grant_check(&c, &others[i], mac), -ERR_FORBIDDEN);
        err_clear(&c);
    }
    char *text = arena_strdup(c.arena, mac);
    text[63] = text[63] == '0' ? '1' : '0';
    const char *bad[] = {"", "0", text, arena_printf(c.arena, "%s0", mac),
                         arena_strndup(c.arena, mac, 63)};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK_INT(grant_check(&c, &g, bad[i]), -ERR_FORBIDDEN);
        err_clear(&c);
    }
    g.expires = c.now_ms / 1000 - 1;
    CHECK_INT(grant_check(&c, &g, grant_sign(&c, &g)), -ERR_FORBIDDEN);
    CHECK_HAS(c.err.message, "expired");
    err_clear(&c);
    /* The key outlives the process; without it nothing fits. */
    g.expires += 100;
    mac = grant_sign(&c, &g);
    open_with("", false, false);
    CHECK_INT(grant_check(&c, &g, mac), 0);
    struct stat st;
    char path[128];
    snprintf(path, sizeof path, "%s/artifact-url.key", h.path);
    CHECK_INT(stat(path, &st), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    CHECK_INT(unlink(path), 0);
    open_with("", false, false);
    CHECK_INT(grant_check(&c, &g, mac), -ERR_FORBIDDEN);
    err_clear(&c);
    grants_close();
    CHECK_INT(grant_check(&c, &g, mac), -ERR_FORBIDDEN);
    ctx_end(&c);
}

int main(void) {
    house_open(&h, 0);
    RUN(bases);
    RUN(signatures);
    grants_close();
    house_end(&h);
    return CHECK_END();
}
