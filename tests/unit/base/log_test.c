/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/log.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"

/* Standard error is a file for the time of one line. */
static char *line_of(enum log_format format, enum log_level least, enum log_level level,
                     const char *text) {
    static char out[70000];
    FILE *f = tmpfile();
    int keep = dup(2);
    dup2(fileno(f), 2);
    log_init(least, format);
    log_write(level, "test.event", "%s", text);
    dup2(keep, 2);
    close(keep);
    rewind(f);
    size_t n = fread(out, 1, sizeof out - 1, f);
    out[n] = '\0';
    fclose(f);
    return out;
}

static void json_form(void) {
    log_request_id("req-1");
    char *s = line_of(LOG_JSON, LOG_INFO, LOG_WARN, "a \"b\" \\ \n\x01 \xc3\xa9 \xff");
    CHECK_HAS(s, "{\"time\":\"20");
    CHECK_HAS(s, "Z\",\"level\":\"warn\",\"event\":\"test.event\",\"thread\":\"main\",");
    CHECK_HAS(s, "\"message\":\"a \\\"b\\\" \\\\ \\n\\u0001 \xc3\xa9 \xef\xbf\xbd\"");
    CHECK_HAS(s, ",\"request_id\":\"req-1\"}\n");
    log_request_id(NULL);
    CHECK(!strstr(line_of(LOG_JSON, LOG_INFO, LOG_INFO, "x"), "request_id"));
}

static void plain_form(void) {
    char *s = line_of(LOG_PLAIN, LOG_INFO, LOG_INFO, "two\nlines \x1b[31m");
    CHECK_INT(s[2], ':');
    CHECK_HAS(s, " info  test.event  two\\nlines \\x1b[31m\n");
    CHECK_INT(strcspn(s, "\n"), strlen(s) - 1);
}

static void levels(void) {
    CHECK_STR(line_of(LOG_PLAIN, LOG_WARN, LOG_INFO, "x"), "");
    CHECK_HAS(line_of(LOG_PLAIN, LOG_WARN, LOG_ERROR, "x"), " error ");
    CHECK_HAS(line_of(LOG_PLAIN, LOG_DEBUG, LOG_DEBUG, "x"), " debug ");
}

static void tokens_are_masked(void) {
    char *s =
        line_of(LOG_JSON, LOG_INFO, LOG_INFO, "Bearer qn_abcDEF123456 and qn_zyxwvu98765;qn_ok");
    CHECK(!strstr(s, "abcDEF") && !strstr(s, "zyxwvu"));
    CHECK_HAS(s, "Bearer qn_************ and qn_***********;qn_ok");
}

static void long_messages_are_cut(void) {
    char *big = malloc(60001);
    memset(big, 'x', 60000);
    big[60000] = '\0';
    char *s = line_of(LOG_PLAIN, LOG_INFO, LOG_INFO, big);
    CHECK(strlen(s) < 17000);
    CHECK(s[strlen(s) - 1] == '\n');
    free(big);
}

int main(void) {
    RUN(json_form);
    RUN(plain_form);
    RUN(levels);
    RUN(tokens_are_masked);
    RUN(long_messages_are_cut);
    return CHECK_END();
}
