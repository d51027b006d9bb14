/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/bandit.h"

#include <pthread.h>

#include "check.h"
#include "draw.h"
#include "hash.h"
#include "made.h"

static const char *const names[] = {"a", "b", "c", "d"};

/* Pseudo-regret of `plays` plays, at given points, averaged over runs. */
static void regret(const struct bandit_config *config, const double *p, const unsigned *points,
                   size_t npoints, unsigned runs, double *out) {
    double best = 0;
    for (size_t i = 0; i < config->arms; i++)
        best = p[i] > best ? p[i] : best;
    for (size_t k = 0; k < npoints; k++)
        out[k] = 0;
    uint64_t chance = 42;
    for (unsigned r = 0; r < runs; r++) {
        struct bandit *b = bandit_new(config, names);
        double lost = 0;
        size_t k = 0;
        for (unsigned t = 1; k < npoints; t++) {
            struct bandit_pick pick = bandit_pick(b, 0, UINT32_MAX, chance_next(&chance), t);
            bandit_play(b, 0, pick.arm);
            bandit_reward(b, 0, pick.arm, hash_unit(chance_next(&chance)) < p[pick.arm], t);
            lost += best - p[pick.arm];
            if (t == points[k])
                out[k++] += lost / runs;
        }
        bandit_unref(b);
    }
}

static double kl(double p, double q) {
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q));
}

static const double arms2[] = {0.5, 0.7};
static const unsigned points[] = {1000, 10000, 20000};

static void test_ucb1_regret(void) {
    struct bandit_config c = {.kind = BANDIT_UCB1, .arms = 2, .exploration = 1};
    double r[3];
    regret(&c, arms2, points, 3, 20, r);
    printf("  UCB1: %.1f at 1000, %.1f at 10000, %.1f at 20000\n", r[0], r[1], r[2]);
    for (int i = 0; i < 3; i++) {
        /* Auer, Cesa-Bianchi and Fischer 2002, theorem 1. */
        double bound = 8 * log(points[i]) / 0.2 + (1 + M_PI * M_PI / 3) * 0.2;
        CHECK(r[i] < bound);
        CHECK(r[i] > (0.2 / kl(0.5, 0.7)) * log(points[i]) / 2); /* no free lunch */
    }
    /* As ln t: as much from 1000 to 10000 as ln grows; the root of t would give 3.2. */
    CHECK(r[1] / r[0] < 2.6 && r[1] > r[0]);
    CHECK(r[2] - r[1] < 0.35 * r[1]);
}

static void test_thompson_regret(void) {
    struct bandit_config c = {
        .kind = BANDIT_THOMPSON, .arms = 2, .prior_alpha = 1, .prior_beta = 1};
    double r[3];
    regret(&c, arms2, points, 3, 40, r);
    printf("  Thompson: %.1f at 1000, %.1f at 10000, %.1f at 20000\n", r[0], r[1], r[2]);
    /* Lai and Robbins: sum of gap / KL, times ln t, is where it tends to. */
    double slope = 0.2 / kl(0.5, 0.7);
    for (int i = 0; i < 3; i++)
        CHECK(r[i] > 0.4 * slope * log(points[i]) && r[i] < 2.5 * slope * log(points[i]));
    CHECK(r[1] / r[0] < 2.2);
    CHECK(r[2] - r[1] < 0.35 * r[1]);
}

static void test_epsilon_regret(void) {
    struct bandit_config c = {.kind = BANDIT_EPSILON_GREEDY, .arms = 2, .epsilon = 0.1};
    double r[3];
    regret(&c, arms2, points, 3, 20, r);
    printf("  epsilon-greedy: %.1f at 1000, %.1f at 10000, %.1f at 20000\n", r[0], r[1], r[2]);
    /* Linear: epsilon times the gap for each play, once the best is known. */
    CHECK_NEAR((r[2] - r[1]) / 10000, 0.1 * 0.2, 0.002);
    /* Without exploring it may stay with the worse arm for ever. */
    c.epsilon = 0;
    regret(&c, (const double[]){0.5, 0.7}, points, 3, 40, r);
    CHECK(r[2] > 100);
}

/* Four arms: every algorithm finds the best. */
static void test_best_of_four(void) {
    static const double p[] = {0.1, 0.2, 0.6, 0.3};
    static const unsigned end[] = {5000};
    struct bandit_config c[] = {
        {.kind = BANDIT_UCB1, .arms = 4, .exploration = 1},
        {.kind = BANDIT_THOMPSON, .arms = 4, .prior_alpha = 1, .prior_beta = 1},
        {.kind = BANDIT_EPSILON_GREEDY, .arms = 4, .epsilon = 0.1},
    };
    for (int i = 0; i < 3; i++) {
        double r;
        regret(&c[i], p, end, 1, 5, &r);
        CHECK(r < 0.4 * 5000 * 0.3); /* by chance alone it is 0.3 a play */
    }
}

static void test_floor(void) {
    struct bandit_config c = {.kind = BANDIT_EPSILON_GREEDY, .arms = 4, .floor = 0.05};
    struct bandit *b = bandit_new(&c, names);
    for (int i = 0; i < 100; i++)
        bandit_reward(b, 0, 1, 1, 0);
    unsigned got[4] = {0}, explored = 0;
    for (int i = 0; i < 40000; i++) {
        struct bandit_pick pick = bandit_pick(b, 0, UINT32_MAX, made_random(), 0);
        got[pick.arm]++;
        explored += pick.explore;
    }
    for (int i = 0; i < 4; i++)
        CHECK_NEAR(got[i] / 40000.0, i == 1 ? 0.85 : 0.05, 0.006);
    CHECK_NEAR(explored / 40000.0, 0.2, 0.01);
    bandit_unref(b);
}

/* While no feedback has come, arms take turns. */
static void test_no_feedback(void) {
    struct bandit_config c[] = {
        {.kind = BANDIT_UCB1, .arms = 3, .exploration = 1},
        {.kind = BANDIT_THOMPSON, .arms = 3, .prior_alpha = 1, .prior_beta = 1},
        {.kind = BANDIT_EPSILON_GREEDY, .arms = 3, .epsilon = 0.1},
    };
    for (int k = 0; k < 3; k++) {
        struct bandit *b = bandit_new(&c[k], names);
        for (int i = 0; i < 3000; i++)
            bandit_play(b, 0, bandit_pick(b, 0, UINT32_MAX, made_random(), 0).arm);
        for (unsigned i = 0; i < 3; i++) {
            struct bandit_cell cell;
            bandit_read(b, 0, i, &cell);
            CHECK(cell.plays > 800 && cell.plays < 1200);
            CHECK(isnan(bandit_cell_mean(&cell)));
        }
        bandit_unref(b);
    }
}

static void test_forgets(void) {
    struct bandit_config c = {.kind = BANDIT_EPSILON_GREEDY, .arms = 2, .half_life_ms = 1000};
    struct bandit *b = bandit_new(&c, names);
    for (int i = 0; i < 1000; i++) {
        bandit_reward(b, 0, 0, 1, 0);
        bandit_reward(b, 0, 1, 0.6, 0);
    }
    CHECK_INT(bandit_pick(b, 0, 3, 1, 0).arm, 0);
    /* Ten half-lives later the thousand counts about as one. */
    for (int i = 0; i < 3; i++)
        bandit_reward(b, 0, 0, 0, 10000);
    struct bandit_cell cell;
    bandit_read(b, 0, 0, &cell);
    CHECK_NEAR(cell.weight, 1000.0 / 1024 + 3, 1e-9);
    CHECK_NEAR(cell.value, 1000.0 / 1024, 1e-9);
    CHECK_INT(cell.rewards, 1003);
    CHECK_NEAR(cell.reward_sum, 1000, 0);
    CHECK_INT(bandit_pick(b, 0, 3, 1, 10000).arm, 1);
    /* A reward with an older time adds to what is known now. */
    bandit_reward(b, 0, 0, 1, 5000);
    bandit_read(b, 0, 0, &cell);
    CHECK_INT(cell.then_ms, 10000);
    bandit_unref(b);
}

static void test_contexts(void) {
    struct bandit_config c = {
        .kind = BANDIT_THOMPSON, .arms = 2, .contexts = true, .prior_alpha = 1, .prior_beta = 1};
    struct bandit *b = bandit_new(&c, names);
    CHECK_INT(bandit_context(b, "NO", false), 0);
    CHECK_INT(bandit_context(b, "NO", true), 1);
    CHECK_INT(bandit_context(b, "SE", true), 2);
    CHECK_INT(bandit_context(b, "NO", true), 1);
    CHECK_INT(bandit_context(b, NULL, true), 0);
    CHECK_STR(bandit_context_name(b, 2), "SE");
    CHECK_STR(bandit_context_name(b, 0), "other");
    /* Each segment learns by itself. */
    for (int i = 0; i < 200; i++) {
        bandit_reward(b, 1, 0, 1, 0);
        bandit_reward(b, 1, 1, 0, 0);
        bandit_reward(b, 2, 0, 0, 0);
        bandit_reward(b, 2, 1, 1, 0);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_INT(bandit_pick(b, 1, 3, made_random(), 0).arm, 0);
        CHECK_INT(bandit_pick(b, 2, 3, made_random(), 0).arm, 1);
    }
    char text[200];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof text, "segment-%d", i);
        CHECK_INT(bandit_context(b, text, true), i < 62 ? i + 3 : 0);
    }
    CHECK_INT(bandit_contexts(b), 65);
    bandit_unref(b);

    /* Long names are cut between code points. */
    b = bandit_new(&c, names);
    memset(text, 'x', 62);
    memcpy(text + 62, "\xc3\xa5tail", 7);
    CHECK_INT(bandit_context(b, text, true), 1);
    CHECK_INT(strlen(bandit_context_name(b, 1)), 62);

    /* What is learnt of one goes on with its name, be it cut. */
    bandit_reward(b, 1, 0, 1, 0);
    struct bandit_config other = c;
    other.prior_alpha = 2;
    struct bandit *heir = bandit_heir(b, &other, names);
    struct bandit_cell cell;
    CHECK_INT(bandit_context(heir, text, true), 1);
    bandit_read(heir, 1, 0, &cell);
    CHECK_INT(cell.rewards, 1);
    bandit_unref(heir);
    bandit_unref(b);
}

/* Of a context that brought nothing yet no row is stored: its number is free after a restart, and
 * those behind it stay whose they are. */
static void test_free_numbers(void) {
    struct bandit_config c = {
        .kind = BANDIT_THOMPSON, .arms = 2, .contexts = true, .prior_alpha = 1, .prior_beta = 1};
    struct bandit *b = bandit_new(&c, names);
    CHECK(bandit_restore(b, 3, "FI", 0, &(struct bandit_cell){.plays = 5}));
    CHECK_INT(bandit_contexts(b), 4);
    CHECK_INT(bandit_context(b, "FI", true), 3);
    CHECK(!bandit_context_used(b, 1) && !bandit_context_used(b, 2) && bandit_context_used(b, 3));
    struct bandit *heir = bandit_heir(b, &c, names);
    CHECK(!bandit_context_used(heir, 1) && bandit_context_used(heir, 3));
    CHECK_INT(bandit_context(heir, "NO", true), 1);
    CHECK_INT(bandit_context(heir, "SE", true), 2);
    CHECK_INT(bandit_context(heir, "DK", true), 4);
    CHECK_INT(bandit_context(heir, "FI", false), 3);
    CHECK_INT(bandit_context(heir, "IS", false), 0);
    bandit_unref(heir);
    bandit_unref(b);
}

static void test_fractions(void) {
    struct bandit_config c = {.kind = BANDIT_UCB1, .arms = 2, .exploration = 1};
    struct bandit *b = bandit_new(&c, names);
    for (int i = 0; i < 10; i++)
        CHECK(bandit_reward(b, 0, 0, 0.25, 0));
    CHECK(bandit_reward(b, 0, 0, 7, 0));  /* counts as 1 */
    CHECK(bandit_reward(b, 0, 0, -7, 0)); /* counts as 0 */
    CHECK(!bandit_reward(b, 0, 0, (double)NAN, 0));
    CHECK(!bandit_reward(b, 0, 2, 1, 0));
    struct bandit_cell cell;
    bandit_read(b, 0, 0, &cell);
    CHECK_INT(cell.rewards, 12);
    CHECK_NEAR(cell.reward_sum, 3.5, 0);
    bandit_unref(b);
}

static void test_restore(void) {
    struct bandit_config c = {.kind = BANDIT_THOMPSON,
                              .arms = 2,
                              .contexts = true,
                              .prior_alpha = 1,
                              .prior_beta = 1,
                              .half_life_ms = 5000};
    struct bandit *b = bandit_new(&c, names), *back = bandit_new(&c, names);
    unsigned x = bandit_context(b, "NO", true);
    for (int i = 0; i < 77; i++) {
        bandit_play(b, x, (unsigned)i % 2);
        bandit_reward(b, x, (unsigned)i % 2, i / 77.0, i * 100);
    }
    for (unsigned k = 0; k < 2; k++) {
        struct bandit_cell cell, again;
        bandit_read(b, x, k, &cell);
        CHECK(bandit_restore(back, x, bandit_context_name(b, x), k, &cell));
        bandit_read(back, x, k, &again);
        CHECK(memcmp(&cell, &again, sizeof cell) == 0);
    }
    CHECK_INT(bandit_context(back, "NO", false), x);
    for (uint64_t i = 0; i < 200; i++)
        CHECK_INT(bandit_pick(b, x, 3, i, 9000).arm, bandit_pick(back, x, 3, i, 9000).arm);
    struct bandit_cell cell = {.weight = (double)NAN};
    CHECK(!bandit_restore(back, 0, NULL, 0, &cell));
    CHECK(!bandit_restore(back, 65, "x", 0, &(struct bandit_cell){0}));
    CHECK(!bandit_restore(back, 1, "x", 2, &(struct bandit_cell){0}));
    bandit_unref(b);
    bandit_unref(back);
}

/* An endpoint's next policy goes on with what is known. */
static void test_policies_share(void) {
    static const char ucb[] = "{\"bandit\": {\"algorithm\": \"ucb1\"}}";
    struct live *live = live_new();
    struct policy *p = NULL, *q = NULL, *r = NULL;
    CHECK_INT(made("a=1 b=1", ucb, live, &p), 0);
    struct policy_request req = made_request("", 5);
    struct choice ch;
    CHECK_INT(policy_choose(p, &req, &ch), CHOICE_OK);
    CHECK(ch.bandit && ch.reason == REASON_EXPLORE);
    policy_played(p, &ch);
    CHECK(policy_reward(p, 1, 0, 0.5, 0));
    CHECK(!policy_reward(p, 7, 0, 0.5, 0));
    CHECK_INT(made("a=1 b=1", ucb, live, &q), 0);
    CHECK(policy_bandit(p) == policy_bandit(q));
    CHECK(policy_stats(p, 0) == policy_stats(q, 0));
    CHECK_INT(made("c=1 b=1 z=0", ucb, live, &r), 0);
    CHECK(policy_bandit(r) != policy_bandit(q));
    struct bandit_cell cell;
    bandit_read(policy_bandit(r), 0, 1, &cell);
    CHECK_INT(cell.rewards, 1);
    CHECK_NEAR(cell.reward_sum, 0.5, 0);
    bandit_read(policy_bandit(r), 0, 0, &cell);
    CHECK_INT(cell.plays, 0);
    policy_unref(p);
    policy_unref(q);
    policy_unref(r);
    live_unref(live);
}

/* The key's hash takes the place of chance. */
static void test_sticky(void) {
    struct policy *p = NULL;
    CHECK_INT(made("a=1 b=1",
                   "{\"bandit\": {\"algorithm\": \"thompson\", \"key\": {\"header\": "
                   "\"x-user\"}}}",
                   NULL, &p),
              0);
    unsigned n = 0;
    for (int i = 0; i < 500; i++) {
        char a[64];
        snprintf(a, sizeof a, "header:x-user=%d", i);
        struct policy_request q = made_request(a, made_random()), w = made_request(a, 9);
        struct choice x, y;
        policy_choose(p, &q, &x);
        policy_choose(p, &w, &y);
        CHECK_INT(x.arm, y.arm);
        n += x.arm;
    }
    CHECK(n > 200 && n < 300);
    policy_unref(p);
}

static struct bandit *shared;
static void *plays(void *arg) {
    uint64_t chance = *(uint64_t *)arg;
    char text[32];
    for (int i = 0; i < 30000; i++) {
        snprintf(text, sizeof text, "%d", i % 80);
        unsigned x = bandit_context(shared, text, true);
        struct bandit_pick pick = bandit_pick(shared, x, UINT32_MAX, chance_next(&chance), i);
        bandit_play(shared, x, pick.arm);
        bandit_reward(shared, x, pick.arm, 0.125, i);
    }
    return NULL;
}

static void test_threads(void) {
    struct bandit_config c = {.kind = BANDIT_THOMPSON,
                              .arms = 4,
                              .contexts = true,
                              .prior_alpha = 1,
                              .prior_beta = 1,
                              .half_life_ms = 1e6};
    shared = bandit_new(&c, names);
    pthread_t t[4];
    uint64_t seeds[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, plays, &seeds[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    uint64_t played = 0, rewards = 0;
    double sum = 0;
    for (unsigned x = 0; x <= BANDIT_CONTEXTS; x++)
        for (unsigned k = 0; k < 4; k++) {
            struct bandit_cell cell;
            bandit_read(shared, x, k, &cell);
            played += cell.plays;
            rewards += cell.rewards;
            sum += cell.reward_sum;
        }
    CHECK_INT(played, 120000);
    CHECK_INT(rewards, 120000);
    CHECK_NEAR(sum, 15000, 0);
    /* No text has two numbers. */
    for (unsigned x = 1; x < BANDIT_CONTEXTS; x++)
        for (unsigned y = x + 1; y <= BANDIT_CONTEXTS; y++)
            CHECK(strcmp(bandit_context_name(shared, x), bandit_context_name(shared, y)) != 0);
    bandit_unref(shared);
}

/* Means and variances of Beta, also with small shapes. */
static void test_beta(void) {
    static const double shapes[][2] = {{1, 1}, {3, 7}, {0.2, 0.5}, {200, 800}, {0.001, 0.001}};
    uint64_t chance = 7;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        double a = shapes[i][0], b = shapes[i][1], sum = 0, square = 0;
        enum { N = 100000 };
        for (int k = 0; k < N; k++) {
            double x = draw_beta(&chance, a, b);
            CHECK(x >= 0 && x <= 1);
            sum += x;
            square += x * x;
        }
        double mean = a / (a + b), var = a * b / ((a + b) * (a + b) * (a + b + 1));
        CHECK_NEAR(sum / N, mean, 5 * sqrt(var / N));
        CHECK_NEAR(square / N - sum / N * sum / N, var, 0.03 * var);
    }
}

int main(void) {
    RUN(test_beta);
    RUN(test_ucb1_regret);
    RUN(test_thompson_regret);
    RUN(test_epsilon_regret);
    RUN(test_best_of_four);
    RUN(test_floor);
    RUN(test_no_feedback);
    RUN(test_forgets);
    RUN(test_contexts);
    RUN(test_free_numbers);
    RUN(test_fractions);
    RUN(test_restore);
    RUN(test_policies_share);
    RUN(test_sticky);
    RUN(test_threads);
    ctx_end(&made_ctx);
    return CHECK_END();
}
