/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_STATE_H
#define QUERN_SERVING_CHILD_STATE_H
/* Child state: what the files about children share. One lock guards all children; it is never held
 * over I/O. A child is made by child_new and freed by the supervising thread alone, which so may
 * read a child without the lock where nobody else writes. */
#include <pthread.h>
#include <stdatomic.h>

#include "child.h"
#include "child_probe.h"
#include "quern/net/net.h"

struct arena;
struct watcher;

enum child_state { CHILD_STARTING, CHILD_READY, CHILD_WAITING, CHILD_IDLE, CHILD_FAILED };
enum child_protocol { CHILD_OIP, CHILD_MLFLOW, CHILD_SAGEMAKER, CHILD_VERTEX };

struct child {
    struct child *next;
    struct arena *arena;
    /* Fixed once made. */
    struct runtime_spec spec;
    enum child_protocol protocol;
    const char *model_folder, *model_name, *version;
    bool by_socket;
    char id[33];

    /* Under the lock. */
    pthread_cond_t changed; /* state, connections */
    unsigned refs;
    enum child_state state;
    char reason[512];
    bool wanted;  /* somebody waits for an idle one */
    bool suspect; /* a prediction took longer than it may */
    bool exited;  /* the watcher's word */
    unsigned in_flight, waiting;
    struct net_client **idle; /* connections that nobody uses */
    size_t nidle;
    uint64_t generation; /* of starts: what belongs to an earlier one is thrown away */
    int64_t last_use_ms, starts, row, ready_wall_ms;
    unsigned port;
    char socket[NET_SOCKET_MAX + 1];

    /* The supervising thread's. */
    bool running, ending;
    char folder[64]; /* of the attempt, below the children's */
    int64_t started_ms, ready_ms, next_ms, probe_ms;
    struct probe probe;
    size_t probe_path;
    unsigned misses;

    /* Written once by the loading thread, before anybody predicts. */
    bool known;
    bool binary; /* its OIP carries raw tensors */
    struct child_signature signature;
};

extern struct children {
    pthread_mutex_t lock;
    struct child *list;
    struct dir *work;
    struct watcher *watcher;
    struct json_t *pyfunc; /* array of texts, or NULL */
    char *pass;
    atomic_bool cancelled; /* calls end: the daemon stops */
} children;

void children_wake(void); /* the supervising thread */
void child_say(struct child *ch, enum child_state state, const char *reason); /* locked */
void child_drop_idle(struct child *ch); /* its unused connections; takes the lock */

/* Starts the command in a fresh folder with a fresh port or socket. Fails with a sentence. */
int child_launch(struct ctx *c, struct child *ch);
/* How the command ended, with the last line that it wrote. */
void child_epitaph(struct child *ch, char *out, size_t size);
/* The path to ask for health, the i-th to be tried; NULL: no more. */
const char *child_health_path(const struct child *ch, size_t i);

/* A connection of the child, in the caller's hand. */
struct child_call {
    struct child *ch;
    struct net_client *client;
    uint64_t generation;
    unsigned port;
    char socket[NET_SOCKET_MAX + 1];
};
/* ERR_NOT_READY, ERR_BUSY, ERR_DEADLINE. `until_ms` is monotonic. */
int child_call_begin(struct ctx *c, struct child *ch, int64_t until_ms, struct child_call *out);
/* `broken`: its connection is not used again. */
void child_call_end(struct child_call *call, bool broken, bool suspect);
/* One exchange on it; 0 with a status of the 200s, else a failure that tells what came. */
int child_send(struct ctx *c, struct child_call *call, struct net_local *r, int64_t until_ms,
               struct net_answer *a);
bool child_says_json(const struct net_answer *a); /* by its content type */
/* What a refusal's body says in its protocol, cut short; "" for nothing. */
const char *child_words(struct ctx *c, const struct net_answer *a);

struct child_request {
    const struct tensor *in;
    size_t nin;
    const char *const *wanted;
    int64_t until_ms;
};
int child_oip_infer(struct ctx *c, struct child_call *call, const struct child_request *q,
                    struct tensor **out, size_t *nout);
int child_scoring_infer(struct ctx *c, struct child_call *call, const struct child_request *q,
                        struct tensor **out, size_t *nout);
/* Reads what the tensors of a ready child are, into its arena. */
int child_oip_signature(struct ctx *c, struct child_call *call, int64_t until_ms);
int child_scoring_signature(struct ctx *c, struct child *ch);

#endif
