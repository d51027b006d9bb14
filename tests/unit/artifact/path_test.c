/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static int verdict(const char *path) {
    struct ctx c;
    ctx_begin(&c);
    int rc = artifact_check_path(&c, path);
    if (rc != 0)
        CHECK_STR(c.err.message, "Invalid path");
    ctx_end(&c);
    return rc;
}

static void good_names(void) {
    static const char *const good[] = {
        "a",
        "1/0123456789abcdef0123456789abcdef/artifacts/model/MLmodel",
        "mit Leerzeichen/ä ö/日本.txt",
        "100%.txt",
        "a%20b",
        "50%25",
        "...",
        "..a",
        "a..",
        "a/.hidden",
        "a;b",
        "a?b",
        "a:b",
        "~/x",
        "$HOME/x",
        "-rf",
        "a&b=c",
        "CON",
        "m-0123/x@y",
        "x%",
        "x%2",
        "x%zz",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (verdict(good[i]) != 0) {
            printf("refused: %s\n", good[i]);
            CHECK(false);
        }
}

/* Every way to say "up" that has been used against such servers, in several places of a path. */
static void traversal(void) {
    static const char *const up[] = {
        "..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "%25252e%252e",
        "%%32%65%%32%65",
        "..%2f",
        "..%2F..",
        "%2e%2e%2f",
        "..%5c",
        "..\\",
        "..\\..",
        "..%255c",
        "..%252f",
        "..%25252f..",
        "..%00",
        "%2e%2e%00",
        "#..",
        "..#",
        "%23..",
        ".",
        "%2e",
        "%252e",
        "\\",
        "%5c",
        "%5C..",
        "\x01",
        "%01",
        "%0a",
        "%7f",
        "\x7f",
        "%c0%ae%c0%ae",
        "\xc0\xae\xc0\xae",
        "\xe0\x80\xae",
        "%e0%80%ae",
        "\xff",
        "%ff",
        "\xc2\x85",
        "%c2%85",
        "..%c0%af",
        "..%252f..%252f",
        "%252e.",
        ".%252e",
        "%2525252e%2525252e",
    };
    static const char *const places[] = {"%s", "%s/etc/passwd", "a/%s", "a/%s/b", "a/%s/%s/%s/etc"};
    struct ctx c;
    int tried = 0;
    ctx_begin(&c);
    for (size_t i = 0; i < ARRAY_LEN(up); i++)
        for (size_t k = 0; k < ARRAY_LEN(places); k++) {
            char path[512] = "";
            size_t n = 0;
            for (const char *p = places[k]; *p; p++) {
                if (p[0] == '%' && p[1] == 's') {
                    n += (size_t)snprintf(path + n, sizeof path - n, "%s", up[i]);
                    p++;
                } else {
                    path[n++] = *p;
                }
            }
            path[n] = '\0';
            tried++;
            if (verdict(path) == 0) {
                printf("accepted: %s\n", path);
                CHECK(false);
            }
        }
    CHECK(tried >= 200);
    ctx_end(&c);
}

static void bad_forms(void) {
    static const char *const bad[] = {
        "",     "/",    "/etc/passwd", "//etc",  "a//b",     "a/",      "/a",
        "C:/x", "c:",   "c%3a/x",      "%2fetc", "%252fetc", "a#b",     "a%23b",
        "a\nb", "a\tb", "\\\\host\\x", "a%00b",  "a%2500b",  "a/./b",   "a/../b",
        "./a",  "../a", "a/..",        "a\\b",   "a%5cb",    "a%255cb",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (verdict(bad[i]) == 0) {
            printf("accepted: %s\n", bad[i]);
            CHECK(false);
        }
}

static void lengths(void) {
    char text[1400];
    memset(text, 'x', sizeof text);
    text[255] = '\0';
    CHECK_INT(verdict(text), 0);
    text[255] = 'x';
    text[256] = '\0';
    CHECK_INT(verdict(text), -ERR_INVALID);
    text[256] = 'x';
    for (size_t i = 100; i < sizeof text; i += 100)
        text[i] = '/';
    text[1024] = '\0';
    CHECK_INT(verdict(text), 0);
    text[1024] = 'x';
    text[1025] = '\0';
    CHECK_INT(verdict(text), -ERR_INVALID);
}

static void uris(void) {
    struct ctx c;
    ctx_begin(&c);
    CHECK_STR(artifact_uri_path(&c, "mlflow-artifacts:/1/r/artifacts"), "1/r/artifacts");
    CHECK_STR(artifact_uri_path(&c, "mlflow-artifacts:/1/r/artifacts/"), "1/r/artifacts");
    CHECK_STR(artifact_uri_path(&c, "mlflow-artifacts://host:5000/1/r"), "1/r");
    CHECK_STR(artifact_uri_path(&c, "mlflow-artifacts:///1/r"), "1/r");
    CHECK(artifact_uri_path(&c, "s3://bucket/x") == NULL);
    CHECK(artifact_uri_path(&c, "mlflow-artifacts:x") == NULL);
    CHECK(artifact_uri_path(&c, NULL) == NULL);
    CHECK_STR(artifact_decode_fully(&c, "a%2520b"), "a b");
    CHECK_STR(artifact_decode_fully(&c, "100%"), "100%");
    CHECK(artifact_decode_fully(&c, "a%2500") == NULL);
    CHECK_STR(artifact_content_type("a/MLmodel"), "text/plain");
    CHECK_STR(artifact_content_type("a/b.YAML"), "text/plain");
    CHECK_STR(artifact_content_type("b.png"), "image/png");
    CHECK_STR(artifact_content_type("b.html"), "text/html");
    CHECK_STR(artifact_content_type("model.pkl"), "application/octet-stream");
    CHECK_STR(artifact_content_type("a.d/none"), "application/octet-stream");
    ctx_end(&c);
}

int main(void) {
    RUN(good_names);
    RUN(traversal);
    RUN(bad_forms);
    RUN(lengths);
    RUN(uris);
    return CHECK_END();
}
