/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots under threads: readers look up and touch models without a pause while they are
 * replaced; a model that went too early shows under the sanitizers. */
#include "snapshot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"

#define ENDPOINTS 8

static atomic_bool stop;
static atomic_ulong looked, missing, torn;

static struct model *model_made(int64_t version) {
    struct model *m = mem_alloc(sizeof *m);
    m->arena = arena_new();
    m->name = arena_strdup(m->arena, "model");
    m->version = version;
    snprintf(m->version_text, sizeof m->version_text, "%lld", (long long)version);
    return m;
}

static void *reader(void *arg) {
    (void)arg;
    char name[16];
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        const struct snapshot *s = snapshot_enter();
        snprintf(name, sizeof name, "e%u", i % ENDPOINTS);
        const struct entry *e = snapshot_find(s, 1, name);
        if (!e || !e->model || strcmp(e->name, name) != 0)
            atomic_fetch_add(&missing, 1);
        else if (atoll(e->model->version_text) != e->model->version || *e->model->name != 'm')
            atomic_fetch_add(&torn, 1);
        snapshot_leave();
        atomic_fetch_add(&looked, 1);
    }
    return NULL;
}

static void *short_reader(void *arg) {
    snapshot_enter();
    snapshot_leave();
    return arg;
}

static void publish(struct model *const *models) {
    struct entry entries[ENDPOINTS];
    struct entry_arm arms[ENDPOINTS];
    char names[ENDPOINTS][16];
    for (int i = 0; i < ENDPOINTS; i++) {
        snprintf(names[i], sizeof names[i], "e%d", i);
        arms[i] =
            (struct entry_arm){.name = "main", .model = models[i], .state = "ready", .reason = ""};
        entries[i] = (struct entry){.project = 1,
                                    .name = names[i],
                                    .arms = &arms[i],
                                    .narms = 1,
                                    .state = "ready",
                                    .reason = ""};
    }
    snapshot_publish(snapshot_new(entries, ENDPOINTS, true));
}

static void swaps(void) {
    struct model *models[ENDPOINTS];
    pthread_t threads[3];
    for (int i = 0; i < ENDPOINTS; i++)
        models[i] = model_made(i);
    publish(models);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, reader, NULL);
    for (int64_t n = 0; n < 400; n++) {
        pthread_t passing;
        models[n % ENDPOINTS] = model_made(n + 100); /* the old one dies with its last snapshot */
        publish(models);
        pthread_create(&passing, NULL, short_reader, NULL);
        pthread_join(passing, NULL);
    }
    int64_t until = clock_mono_ms() + 5000;
    while (atomic_load(&looked) < 1000 && clock_mono_ms() < until)
        clock_sleep_ms(1);
    atomic_store(&stop, true);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&looked) >= 1000);
    CHECK_INT(atomic_load(&missing), 0);
    CHECK_INT(atomic_load(&torn), 0);
    snapshot_publish(NULL);
}

static void finds(void) {
    struct entry rows[] = {{.project = 2, .name = "b", .state = "failed", .reason = "why"},
                           {.project = 1, .name = "b", .state = "ready", .reason = ""},
                           {.project = 1, .name = "a", .state = "ready", .reason = ""}};
    struct snapshot *s = snapshot_new(rows, 3, false);
    CHECK_STR(s->entries[0].name, "a");
    CHECK_STR(snapshot_find(s, 2, "b")->reason, "why");
    CHECK_STR(snapshot_find(s, 1, "b")->state, "ready");
    CHECK(snapshot_find(s, 3, "b") == NULL && snapshot_find(s, 1, "") == NULL);
    CHECK(snapshot_find(NULL, 1, "a") == NULL);
    snapshot_publish(s);
    CHECK(snapshot_enter() == s);
    snapshot_leave();
    struct snapshot *none = snapshot_new(NULL, 0, true);
    CHECK(snapshot_find(none, 1, "a") == NULL);
    snapshot_publish(none);
    snapshot_publish(NULL);
}

static atomic_bool inside, leave;

static void *slow_reader(void *arg) {
    const struct snapshot *s = snapshot_enter();
    const struct entry *e = snapshot_find(s, 1, "e0");
    atomic_store(&inside, true);
    while (!atomic_load(&leave))
        clock_sleep_ms(1);
    arg = e && e->model && e->model->version == 7 ? NULL : arg; /* still there to be read */
    snapshot_leave();
    return arg;
}

/* One long prediction keeps what it uses, and holds up neither switches nor the memory of later
 * snapshots once it is over. */
static void held(void) {
    struct model *models[ENDPOINTS];
    pthread_t slow;
    void *bad;
    for (int i = 0; i < ENDPOINTS; i++)
        models[i] = model_made(7);
    publish(models);
    pthread_create(&slow, NULL, slow_reader, models);
    while (!atomic_load(&inside))
        clock_sleep_ms(1);
    int64_t began = clock_mono_ms();
    for (int n = 0; n < 3; n++) {
        for (int i = 0; i < ENDPOINTS; i++)
            models[i] = model_made(8 + n);
        publish(models);
        CHECK(snapshot_reclaim());
    }
    CHECK(clock_mono_ms() - began < 2000);
    atomic_store(&leave, true);
    pthread_join(slow, &bad);
    CHECK(bad == NULL);
    CHECK(!snapshot_reclaim());
    snapshot_publish(NULL);
}

int main(void) {
    RUN(finds);
    RUN(swaps);
    RUN(held);
    return CHECK_END();
}
