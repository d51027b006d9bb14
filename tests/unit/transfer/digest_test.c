/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include "check.h"
#include "quern/crypto/crypto.h"

static bool same_models(const struct copy_measure *a, const struct copy_measure *b) {
    struct copy_model m = {.measures = (struct copy_measure *)a, .nmeasures = 1}, n = m;
    n.measures = (struct copy_measure *)b;
    struct digest x = digest_model(&m), y = digest_model(&n);
    return digest_equal(&x, &y);
}

/* The database keeps no sign of zero, so one that it was given must not count as another number. */
static void zero(void) {
    struct copy_measure a = {.key = "k", .run_id = "r", .value = 0.0}, b = a;
    b.value = -0.0;
    CHECK(same_models(&a, &b));
    b.value = 1;
    CHECK(!same_models(&a, &b));
    struct copy_point p = {.key = "k", .value = -0.0}, q = p;
    struct digest_points x, y;
    q.value = 0.0;
    digest_points_begin(&x);
    digest_points_begin(&y);
    CHECK_INT(digest_points_add(&x, &p, 1), 0);
    CHECK_INT(digest_points_add(&y, &q, 1), 0);
    struct digest dx = digest_points_end(&x), dy = digest_points_end(&y);
    CHECK(digest_equal(&dx, &dy));
}

/* Texts do not run together, and absent is not empty. */
static void texts(void) {
    struct pair ab[] = {{"ab", "c"}}, a_bc[] = {{"a", "bc"}};
    struct copy_experiment e = {.name = "n", .location = "l"}, f = e;
    struct digest x, y;
    e.tags = (struct pairs){ab, 1};
    f.tags = (struct pairs){a_bc, 1};
    x = digest_experiment(&e);
    y = digest_experiment(&f);
    CHECK(!digest_equal(&x, &y));
    f = e;
    f.location = NULL;
    e.location = "";
    x = digest_experiment(&e);
    y = digest_experiment(&f);
    CHECK(!digest_equal(&x, &y));
}

int main(void) {
    RUN(zero);
    RUN(texts);
    return CHECK_END();
}
