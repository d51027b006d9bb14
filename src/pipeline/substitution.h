/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_SUBSTITUTION_H
#define QUERN_PIPELINE_SUBSTITUTION_H
/* Substitution: "${path}" in arguments, environment values and settings is replaced by the value at
 * that path; "$${" writes a literal "${". The result is data: no shell ever sees it, and what a
 * value contains is not looked at again. */
struct ctx;
struct json_t;
struct node;

/* Calls fn for each path in the text; ERR_INVALID where a "${" is not closed or holds no path. */
int substitution_paths(struct ctx *c, const char *text, int (*fn)(void *arg, const char *path),
                       void *arg);
/* ERR_INVALID "${x} has no value" where root (see json_walk) lacks a path. */
int substitute_text(struct ctx *c, const char *text, struct json_t *root, char **out);
/* A tree with every text substituted; text that is exactly one "${path}" keeps the value's type. */
int substitute_tree(struct ctx *c, struct json_t *tree, struct json_t *root, struct json_t **out);

#endif
