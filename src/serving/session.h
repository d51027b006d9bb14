/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SESSION_H
#define QUERN_SERVING_SESSION_H
/* Session: what ONNX Runtime made of one model file, shared by the models of its digest. */

struct ctx;
struct onnx_session;

struct shared_session {
    struct onnx_session *session;
    char sha256[65]; /* "" when it is nobody else's */
    unsigned refs;
    struct shared_session *next;
};

/* Finds the session of that digest or loads the file. `sha256` NULL: always loads. */
int session_share(struct ctx *c, const char *path, const char *sha256, struct shared_session **out);
void session_release(struct shared_session *s); /* NULL is fine */

#endif
