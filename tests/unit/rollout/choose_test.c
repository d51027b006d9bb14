/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "hash.h"
#include "made.h"

static const char key_split[] = "{\"split\": {\"key\": {\"header\": \"X-User\"}}}";

/* Pearson's statistic; below `df + 8 sqrt(df)` or so in all but one case of many thousands. */
static double chi_square(const unsigned *got, const double *want, size_t n) {
    double x = 0;
    for (size_t i = 0; i < n; i++)
        x += (got[i] - want[i]) * (got[i] - want[i]) / want[i];
    return x;
}

static unsigned arm_of(const struct policy *p, const char *attributes, enum choice_reason *why) {
    struct policy_request q = made_request(attributes, made_random());
    struct choice ch;
    CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
    if (why)
        *why = ch.reason;
    return ch.arm;
}

/* Vectors of XXH64, and of assignments as docs/rollout.md has them. */
static void test_vectors(void) {
    CHECK(hash_bytes(0, "", 0) == 0xef46db3751d8e999u);
    CHECK(hash_bytes(0, "a", 1) == 0xd24ec4f1a98c6e5bu);
    CHECK(hash_bytes(12345, "abc", 3) == 0x1700e64f6f23509u);
    CHECK(hash_key(0, "iris", 4, "user-1") == 0xba93030931fa63edu);
    char k[101] = "";
    memset(k, 'k', 100);
    CHECK(hash_key(12345, "iris", 4, k) == 0xa157a295d4173b07u);
    static const char want[] = "mmmmnmnmmmnnmnnmmmmm";
    struct policy *p = NULL;
    CHECK_INT(made("main=80 next=20", key_split, NULL, &p), 0);
    for (int i = 1; i <= 20; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-user=user-%d", i);
        CHECK_INT(arm_of(p, a, NULL), want[i - 1] == 'n');
    }
    policy_unref(p);
}

static void test_shares(void) {
    static const double weights[] = {70, 0, 20, 10};
    static const char *const specs[] = {"{}", key_split};
    for (int by_key = 0; by_key < 2; by_key++) {
        struct policy *p = NULL;
        CHECK_INT(made("a=70 z=0 b=20 c=10", specs[by_key], NULL, &p), 0);
        unsigned got[4] = {0};
        for (int i = 0; i < 100000; i++) {
            char a[64];
            enum choice_reason why;
            snprintf(a, sizeof a, "header:x-user=%d", i);
            got[arm_of(p, a, &why)]++;
            CHECK(why == (by_key ? REASON_KEY : REASON_WEIGHT));
        }
        CHECK_INT(got[1], 0);
        unsigned seen[] = {got[0], got[2], got[3]};
        double want[] = {weights[0] * 1000, weights[2] * 1000, weights[3] * 1000};
        double x = chi_square(seen, want, 3);
        printf("  chi-square %.2f with 2 degrees\n", x);
        CHECK(x < 13.8); /* one in a thousand; the draws are always the same */
        policy_unref(p);
    }
}

/* A weight that grows brings keys to its arm and moves no others. */
static void test_monotone(void) {
    struct policy *p = NULL, *q = NULL, *r = NULL;
    CHECK_INT(made("a=50 b=30 c=20", key_split, NULL, &p), 0);
    CHECK_INT(made("a=50 b=30 c=40", key_split, NULL, &q), 0);
    CHECK_INT(made("c=20 a=50 b=30 d=0", key_split, NULL, &r), 0);
    int moved = 0, gone = 0;
    for (int i = 0; i < 20000; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-user=%d", i);
        unsigned was = arm_of(p, a, NULL), is = arm_of(q, a, NULL);
        CHECK(is == was || is == 2);
        moved += is != was;
        /* The arms' order does not matter, nor does an arm without a weight. */
        CHECK_STR(policy_arm_name(r, arm_of(r, a, NULL)), policy_arm_name(p, was));
        /* An arm that cannot answer gives up its keys alone. */
        struct policy_request t = made_request(a, 1);
        t.usable = ~2u;
        struct choice ch;
        CHECK_INT(policy_choose(p, &t, &ch), CHOICE_OK);
        CHECK(was == 1 ? ch.arm != 1 : ch.arm == was);
        gone += was == 1;
    }
    /* c grows from 20 of 100 to 40 of 120. */
    CHECK_NEAR(moved / 20000.0, 40 / 120.0 - 0.2, 0.01);
    CHECK_NEAR(gone / 20000.0, 0.3, 0.012);
    policy_unref(p);
    policy_unref(q);
    policy_unref(r);
}

static void test_salt(void) {
    struct policy *p = NULL, *q = NULL;
    CHECK_INT(made("a=1 b=1", key_split, NULL, &p), 0);
    CHECK_INT(made("a=1 b=1",
                   "{\"split\": {\"key\": {\"header\": \"x-user\"}, \"salt\": \"other\"}}", NULL,
                   &q),
              0);
    unsigned both[4] = {0};
    for (int i = 0; i < 20000; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-user=%d", i);
        both[arm_of(p, a, NULL) * 2 + arm_of(q, a, NULL)]++;
    }
    double want[] = {5000, 5000, 5000, 5000};
    CHECK(chi_square(both, want, 4) < 16.3);
    policy_unref(p);
    policy_unref(q);
}

static void test_missing(void) {
    struct policy *p = NULL, *q = NULL;
    enum choice_reason why;
    CHECK_INT(made("a=1 b=1",
                   "{\"split\": {\"key\": {\"parameter\": \"user\"}, \"missing\": \"b\"}}", NULL,
                   &p),
              0);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(arm_of(p, "header:user=7", &why), 1);
        CHECK(why == REASON_MISSING);
    }
    CHECK_INT(made("a=1 b=1", key_split, NULL, &q), 0);
    unsigned n = 0;
    for (int i = 0; i < 1000; i++)
        n += arm_of(q, "", &why);
    CHECK(why == REASON_MISSING && n > 400 && n < 600);
    policy_unref(p);
    policy_unref(q);
}

static void test_rules(void) {
    struct policy *p = NULL;
    CHECK_INT(made("a=1 b=0 c=0",
                   "{\"rules\": ["
                   "{\"header\": \"X-Team\", \"in\": [\"red\", \"blue\", \"green\"], \"arm\": "
                   "\"b\"},"
                   "{\"header\": \"user-agent\", \"prefix\": \"test/\", \"arm\": \"c\"},"
                   "{\"field\": \"country\", \"equals\": \"NO\", \"arm\": \"b\"},"
                   "{\"parameter\": \"debug\", \"present\": true, \"arm\": \"c\"},"
                   "{\"header\": \"x-tenant\", \"present\": false, \"arm\": \"b\"}]}",
                   NULL, &p),
              0);
    static const struct {
        const char *attributes;
        unsigned arm;
        int rule;
    } cases[] = {
        {"header:x-tenant=1", 0, -1},
        {"header:x-tenant=1 header:x-team=blue", 1, 0},
        {"header:x-tenant=1 header:x-team=red", 1, 0},
        {"header:x-tenant=1 header:x-team=Blue", 0, -1},
        {"header:x-tenant=1 header:x-team=", 0, -1},
        {"header:x-tenant=1 header:user-agent=test/1", 2, 1},
        {"header:x-tenant=1 header:user-agent=tes", 0, -1},
        {"header:x-tenant=1 header:user-agent=test/1 header:x-team=green", 1, 0},
        {"header:x-tenant=1 field:country=NO", 1, 2},
        {"header:x-tenant=1 header:country=NO", 0, -1},
        {"header:x-tenant=1 parameter:debug=", 2, 3},
        {"", 1, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct policy_request q = made_request(cases[i].attributes, made_random());
        struct choice ch;
        CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
        CHECK_INT(ch.arm, cases[i].arm);
        CHECK(ch.reason == (cases[i].rule < 0 ? REASON_WEIGHT : REASON_RULE));
        if (cases[i].rule >= 0)
            CHECK_INT(ch.rule, cases[i].rule);
    }
    /* A rule whose arm cannot answer is passed over. */
    struct policy_request q = made_request("header:x-tenant=1 header:x-team=blue", 1);
    struct choice ch;
    q.usable = ~2u;
    CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
    CHECK_INT(ch.arm, 0);
    policy_unref(p);
}

static void test_rule_percent(void) {
    struct policy *p = NULL;
    CHECK_INT(made("a=1 b=0",
                   "{\"split\": {\"key\": {\"header\": \"x-user\"}}, \"rules\": [{\"header\": "
                   "\"x-beta\", \"equals\": \"1\", \"percent\": 25, \"arm\": \"b\"}]}",
                   NULL, &p),
              0);
    unsigned n = 0;
    for (int i = 0; i < 10000; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-beta=1 header:x-user=%d", i);
        unsigned arm = arm_of(p, a, NULL);
        n += arm;
        CHECK_INT(arm_of(p, a, NULL), arm);
    }
    CHECK_NEAR(n / 10000.0, 0.25, 0.02);
    policy_unref(p);
}

static void test_force(void) {
    struct policy *p = NULL, *q = NULL, *one = NULL;
    struct choice ch;
    CHECK_INT(made("a=1 b=0", "{\"rules\": [{\"percent\": 100, \"arm\": \"a\"}]}", NULL, &p), 0);
    struct policy_request r = made_request("", 1);
    r.forced = "b";
    CHECK_INT(policy_choose(p, &r, &ch), CHOICE_OK);
    CHECK(ch.arm == 1 && ch.reason == REASON_FORCED);
    r.usable = 1; /* the caller hears that it cannot answer; no other does in its place */
    CHECK_INT(policy_choose(p, &r, &ch), CHOICE_OK);
    CHECK_INT(ch.arm, 1);
    r.forced = "x";
    CHECK_INT(policy_choose(p, &r, &ch), CHOICE_NO_ARM);
    CHECK_INT(made("a=1 b=0", "{\"force\": false}", NULL, &q), 0);
    r.forced = "b";
    CHECK_INT(policy_choose(q, &r, &ch), CHOICE_NOT_FORCE);
    CHECK_INT(made("main=1", "{}", NULL, &one), 0);
    CHECK(policy_only(one));
    CHECK_INT(policy_choose(one, &r, &ch), CHOICE_NO_ARM);
    r.forced = NULL;
    CHECK_INT(policy_choose(one, &r, &ch), CHOICE_OK);
    CHECK(ch.arm == 0 && ch.reason == REASON_ONLY);
    r.usable = 0;
    CHECK_INT(policy_choose(one, &r, &ch), CHOICE_NONE);
    CHECK_INT(policy_choose(p, &r, &ch), CHOICE_NONE);
    policy_unref(p);
    policy_unref(q);
    policy_unref(one);
}

/* The holdout is a tenth of the keys whatever arm they had, and growing it adds keys only. */
static void test_holdout(void) {
    struct policy *p = NULL, *more = NULL, *split = NULL;
    CHECK_INT(made("a=1 b=1", key_split, NULL, &split), 0);
    CHECK_INT(made("a=1 b=1",
                   "{\"split\": {\"key\": {\"header\": \"x-user\"}}, \"holdout\": {\"percent\": "
                   "10, \"outputs\": [{\"name\": \"y\", \"datatype\": \"FP32\", \"shape\": [1], "
                   "\"data\": [0.5]}]}}",
                   NULL, &p),
              0);
    CHECK_INT(made("a=1 b=1",
                   "{\"split\": {\"key\": {\"header\": \"x-user\"}}, \"holdout\": {\"percent\": "
                   "20, \"arm\": \"a\"}}",
                   NULL, &more),
              0);
    CHECK_HAS(policy_holdout_outputs(p), "\"FP32\"");
    unsigned got[4] = {0};
    for (int i = 0; i < 40000; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-user=%d", i);
        struct policy_request q = made_request(a, made_random());
        struct choice ch;
        unsigned arm = arm_of(split, a, NULL);
        CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
        bool held = ch.reason == REASON_HOLDOUT;
        CHECK(held == ch.constant);
        if (!held)
            CHECK_INT(ch.arm, arm);
        got[arm * 2 + held]++;
        CHECK_INT(policy_choose(more, &q, &ch), CHOICE_OK);
        if (held)
            CHECK(ch.reason == REASON_HOLDOUT && ch.arm == 0 && !ch.constant);
    }
    double want[] = {18000, 2000, 18000, 2000};
    double x = chi_square(got, want, 4);
    printf("  chi-square %.2f with 3 degrees\n", x);
    CHECK(x < 16.3);
    policy_unref(p);
    policy_unref(more);
    policy_unref(split);
}

static void test_shadows(void) {
    struct policy *p = NULL;
    CHECK_INT(made("a=1 b=1 s=0 t=0",
                   "{\"shadows\": [{\"arm\": \"s\", \"percent\": 50}, {\"arm\": \"t\", "
                   "\"percent\": 50}, {\"arm\": \"a\"}]}",
                   NULL, &p),
              0);
    unsigned got[8] = {0};
    for (int i = 0; i < 40000; i++) {
        struct policy_request q = made_request("", made_random());
        struct choice ch;
        CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
        unsigned mask = 0;
        for (unsigned k = 0; k < ch.nshadows; k++) {
            CHECK(ch.shadows[k] != ch.arm);
            mask |= 1u << ch.shadows[k];
        }
        CHECK((mask & 1) == (ch.arm == 1)); /* a is always copied to, unless it answers */
        got[ch.arm * 4 + (mask >> 2)]++;
    }
    /* Arm and both shadows are independent of each other. */
    double want[8];
    for (int i = 0; i < 8; i++)
        want[i] = 5000;
    double x = chi_square(got, want, 8);
    printf("  chi-square %.2f with 7 degrees\n", x);
    CHECK(x < 24.3);
    policy_unref(p);
}

static int64_t at(int day, int hour, int minute) { /* of January 2026, whose 1st is a Thursday */
    return 1767225600000 + ((day - 1) * 24 * 60 + hour * 60 + minute) * 60000LL;
}

static void test_schedule(void) {
    struct policy *p = NULL;
    CHECK_INT(made("a=1 b=0 c=0",
                   "{\"schedule\": ["
                   "{\"from\": \"2026-01-10T00:00:00Z\", \"until\": \"2026-01-11T00:00:00Z\", "
                   "\"arm\": \"c\"},"
                   "{\"from\": \"22:00\", \"until\": \"06:00\", \"days\": [\"fri\"], \"offset\": "
                   "\"+02:00\", \"arm\": \"b\"},"
                   "{\"from\": \"12:00\", \"until\": \"13:00\", \"weights\": {\"b\": 1, \"c\": "
                   "1}}]}",
                   NULL, &p),
              0);
    static const struct {
        int day, hour, minute;
        const char *arms;
    } cases[] = {
        {9, 23, 59, "b"}, {10, 0, 0, "c"},  {10, 23, 59, "c"}, {11, 0, 0, "a"},   {2, 19, 59, "a"},
        {2, 20, 0, "b"},  {2, 23, 0, "b"},  {3, 3, 59, "b"},   {3, 4, 0, "a"},    {3, 20, 0, "a"},
        {2, 3, 0, "a"},   {1, 12, 0, "bc"}, {1, 11, 59, "a"},  {1, 12, 59, "bc"}, {1, 13, 0, "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned seen = 0;
        for (int k = 0; k < 50; k++) {
            struct policy_request q = made_request("", made_random());
            struct choice ch;
            q.now_ms = at(cases[i].day, cases[i].hour, cases[i].minute);
            CHECK_INT(policy_choose(p, &q, &ch), CHOICE_OK);
            CHECK((ch.reason == REASON_SCHEDULE) == (cases[i].arms[0] != 'a'));
            seen |= 1u << ch.arm;
        }
        unsigned want = 0;
        for (const char *s = cases[i].arms; *s; s++)
            want |= 1u << (*s - 'a');
        if (seen != want)
            printf("%d %02d:%02d\n", cases[i].day, cases[i].hour, cases[i].minute);
        CHECK_INT(seen, want);
    }
    policy_unref(p);
}

/* The canary's share: exact over keys, and each step only adds keys. */
static void test_canary_share(void) {
    static const char spec[] =
        "{\"split\": {\"key\": {\"header\": \"x-user\"}}, \"canary\": {\"arm\": \"c\", "
        "\"baseline\": \"a\", \"steps\": [{\"percent\": 5, \"seconds\": 1}, {\"percent\": 50, "
        "\"seconds\": 1}]}}";
    struct policy *p = NULL;
    struct live *live = live_new();
    CHECK_INT(made("a=75 b=25 c=0", spec, live, &p), 0);
    CHECK_NEAR(live_canary(live), 5, 0); /* a new canary begins with its first step */
    static const double shares[] = {0, 5, 20, 50, 99, 100};
    static bool was[20000];
    memset(was, 0, sizeof was);
    for (size_t s = 0; s < sizeof shares / sizeof shares[0]; s++) {
        unsigned got[3] = {0};
        live_canary_set(live, shares[s]);
        for (int i = 0; i < 20000; i++) {
            char a[64];
            enum choice_reason why;
            snprintf(a, sizeof a, "header:x-user=%d", i);
            unsigned arm = arm_of(p, a, &why);
            got[arm]++;
            CHECK((why == REASON_CANARY) == (arm == 2));
            CHECK(!was[i] || arm == 2);
            was[i] = arm == 2;
        }
        CHECK_NEAR(got[2] / 20000.0, shares[s] / 100, 0.012);
        CHECK_NEAR(got[0] / 20000.0, 0.75 * (1 - shares[s] / 100), 0.012);
    }
    live_canary_set(live, -1); /* over: the weights as they stand */
    CHECK_INT(arm_of(p, "header:x-user=1", NULL) == 2, 0);
    policy_unref(p);
    live_unref(live);
}

int main(void) {
    RUN(test_vectors);
    RUN(test_shares);
    RUN(test_monotone);
    RUN(test_salt);
    RUN(test_missing);
    RUN(test_rules);
    RUN(test_rule_percent);
    RUN(test_force);
    RUN(test_holdout);
    RUN(test_shadows);
    RUN(test_schedule);
    RUN(test_canary_share);
    ctx_end(&made_ctx);
    return CHECK_END();
}
