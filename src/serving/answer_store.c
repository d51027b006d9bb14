/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_store.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "tensor_pack.h"

#define SHARDS_MAX 16
#define SHARD_BYTES ((size_t)1 << 20) /* a store is split only into shards of as much */
#define BYTES_PER_SLOT ((size_t)1024) /* of budget: a table takes less than a hundredth */

struct item {
    struct item *next;          /* in its slot */
    struct item *newer, *older; /* by use */
    struct digest128 key;
    int64_t born_ns;
    size_t charge;
    atomic_uint refs;
    uint32_t arm, version; /* where their texts end, behind the item; 0: none */
    size_t packed;         /* where the tensors begin */
    char data[];
};

struct shard {
    pthread_mutex_t lock;
    struct item **slots; /* made with the first item */
    struct item *newest, *oldest;
    struct answers_figures figures;
};

struct answers {
    size_t budget; /* of a shard */
    size_t nslots; /* of a shard; power of two */
    size_t nshards;
    size_t charge; /* of this and the shards */
    struct shard shards[];
};

/* What the allocator takes for a block: usable bytes and a word before them. */
static size_t charge_of(void *block) {
    return malloc_usable_size(block) + sizeof(size_t);
}

struct answers *answers_new(size_t budget) {
    size_t n = 1;
    while (n < SHARDS_MAX && budget / (n * 2) >= SHARD_BYTES)
        n *= 2;
    struct answers *s = mem_alloc(sizeof *s + n * sizeof s->shards[0]);
    s->nshards = n;
    s->charge = charge_of(s);
    s->budget = (budget > s->charge ? budget - s->charge : 0) / n;
    s->nslots = 16;
    while (s->nslots < (1u << 20) && s->nslots * 2 * BYTES_PER_SLOT <= s->budget)
        s->nslots *= 2;
    for (size_t i = 0; i < n; i++)
        pthread_mutex_init(&s->shards[i].lock, NULL);
    return s;
}

static void item_unref(struct item *it) {
    if (atomic_fetch_sub_explicit(&it->refs, 1, memory_order_acq_rel) == 1)
        free(it);
}

static struct shard *shard_of(struct answers *s, struct digest128 key) {
    return &s->shards[key.hi & (s->nshards - 1)];
}

static struct item **slot_of(struct answers *s, struct shard *sh, struct digest128 key) {
    struct item **at = &sh->slots[key.lo & (s->nslots - 1)];
    while (*at && ((*at)->key.lo != key.lo || (*at)->key.hi != key.hi))
        at = &(*at)->next;
    return at;
}

static void use_link(struct shard *sh, struct item *it) {
    it->newer = NULL;
    it->older = sh->newest;
    *(sh->newest ? &sh->newest->newer : &sh->oldest) = it;
    sh->newest = it;
}

static void use_unlink(struct shard *sh, struct item *it) {
    *(it->newer ? &it->newer->older : &sh->newest) = it->older;
    *(it->older ? &it->older->newer : &sh->oldest) = it->newer;
}

static void give_up(struct shard *sh, struct item **at) {
    struct item *it = *at;
    *at = it->next;
    use_unlink(sh, it);
    sh->figures.items--;
    sh->figures.bytes -= it->charge;
    item_unref(it);
}

static void clear(struct answers *s, struct shard *sh) {
    while (sh->oldest)
        give_up(sh, slot_of(s, sh, sh->oldest->key));
}

void answers_clear(struct answers *s) {
    for (size_t i = 0; i < s->nshards; i++) {
        pthread_mutex_lock(&s->shards[i].lock);
        clear(s, &s->shards[i]);
        pthread_mutex_unlock(&s->shards[i].lock);
    }
}

void answers_free(struct answers *s) {
    for (size_t i = 0; s && i < s->nshards; i++) {
        clear(s, &s->shards[i]);
        free(s->shards[i].slots);
        pthread_mutex_destroy(&s->shards[i].lock);
    }
    free(s);
}

static void unpack(const struct item *it, struct arena *a, struct kept_answer *out) {
    *out = (struct kept_answer){.age_ns = clock_mono_ns() - it->born_ns};
    if (it->arm)
        out->arm = arena_strdup(a, it->data);
    if (it->version)
        out->version = arena_strdup(a, it->data + it->arm);
    out->outputs = tensor_unpack(a, it->data + it->packed, &out->n);
}

bool answers_get(struct answers *s, struct digest128 key, int64_t max_age_ns, struct arena *a,
                 struct kept_answer *out) {
    struct shard *sh = shard_of(s, key);
    int64_t now = max_age_ns ? clock_mono_ns() : 0;
    pthread_mutex_lock(&sh->lock);
    struct item **at = sh->slots ? slot_of(s, sh, key) : NULL, *it = at ? *at : NULL;
    if (it && max_age_ns && now - it->born_ns >= max_age_ns) {
        give_up(sh, at);
        sh->figures.expired++;
        it = NULL;
    }
    if (it) {
        atomic_fetch_add_explicit(&it->refs, 1, memory_order_relaxed);
        use_unlink(sh, it);
        use_link(sh, it);
        sh->figures.hits++;
    } else {
        sh->figures.misses++;
    }
    pthread_mutex_unlock(&sh->lock);
    if (!it)
        return false;
    unpack(it, a, out);
    item_unref(it);
    return true;
}

static struct item *item_new(struct digest128 key, const struct kept_answer *kept, size_t packed) {
    size_t arm = kept->arm ? strlen(kept->arm) + 1 : 0;
    size_t version = kept->version ? strlen(kept->version) + 1 : 0;
    struct item *it = malloc(sizeof *it + arm + version + packed); /* filled at once */
    if (!it)
        mem_die();
    *it = (struct item){.key = key,
                        .born_ns = clock_mono_ns(),
                        .charge = charge_of(it),
                        .arm = (uint32_t)arm,
                        .version = (uint32_t)version,
                        .packed = arm + version};
    atomic_init(&it->refs, 1);
    if (arm)
        memcpy(it->data, kept->arm, arm);
    if (version)
        memcpy(it->data + arm, kept->version, version);
    tensor_pack(kept->outputs, kept->n, it->data + it->packed);
    return it;
}

/* False when the item alone is more than the shard keeps. */
static bool make_room(struct answers *s, struct shard *sh, size_t charge) {
    size_t table = s->nslots * sizeof(struct item *) + 2 * sizeof(size_t);
    if (table > s->budget || charge > s->budget - table)
        return false;
    if (!sh->slots) {
        sh->slots = mem_alloc(s->nslots * sizeof(struct item *));
        sh->figures.bytes += charge_of(sh->slots);
    }
    while (sh->oldest && sh->figures.bytes + charge > s->budget) {
        give_up(sh, slot_of(s, sh, sh->oldest->key));
        sh->figures.evicted++;
    }
    return sh->figures.bytes + charge <= s->budget;
}

bool answers_put(struct answers *s, struct digest128 key, const struct kept_answer *kept) {
    struct shard *sh = shard_of(s, key);
    size_t packed = tensor_packed(kept->outputs, kept->n);
    /* What does not fit is not even copied. */
    struct item *it = packed < s->budget ? item_new(key, kept, packed) : NULL;
    pthread_mutex_lock(&sh->lock);
    struct item **at = sh->slots ? slot_of(s, sh, key) : NULL;
    if (at && *at)
        give_up(sh, at); /* also when the new one does not fit: it is out of date */
    bool fits = it && make_room(s, sh, it->charge);
    if (fits) {
        at = slot_of(s, sh, key);
        it->next = *at;
        *at = it;
        use_link(sh, it);
        sh->figures.items++;
        sh->figures.bytes += it->charge;
        sh->figures.put++;
    } else {
        sh->figures.refused++;
    }
    pthread_mutex_unlock(&sh->lock);
    if (!fits)
        free(it);
    return fits;
}

struct answers_figures answers_figures(struct answers *s) {
    struct answers_figures sum = {.bytes = s->charge};
    for (size_t i = 0; i < s->nshards; i++) {
        struct shard *sh = &s->shards[i];
        pthread_mutex_lock(&sh->lock);
        struct answers_figures f = sh->figures;
        pthread_mutex_unlock(&sh->lock);
        sum.hits += f.hits;
        sum.misses += f.misses;
        sum.put += f.put;
        sum.refused += f.refused;
        sum.evicted += f.evicted;
        sum.expired += f.expired;
        sum.items += f.items;
        sum.bytes += f.bytes;
    }
    return sum;
}
