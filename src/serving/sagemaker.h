/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SAGEMAKER_H
#define QUERN_SERVING_SAGEMAKER_H
/* Sagemaker: the headers by which SageMaker's runtime speaks to a container at /invocations. */
struct answer;
struct ctx;
struct request;

/* The endpoint that Target-Model names, NULL without it. */
const char *sagemaker_model(struct ctx *c);
/* Target-Variant chooses the arm; Inference-Id and Custom-Attributes go back with the answer.
 * ERR_BAD_REQUEST when they are longer than 1024 bytes or hold more than visible ASCII. */
int sagemaker_request(struct ctx *c, struct request *q);
/* Says which arm answered, to callers who used one of these headers. */
void sagemaker_answered(struct ctx *c, const struct answer *a);

#endif
