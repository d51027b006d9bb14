/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_PIN_H
#define QUERN_ARTIFACT_PRIVATE_PIN_H
/* Pin: which blobs somebody is about to refer to, and which the collection has doomed.
 *
 * The collection dooms a blob inside a write, having seen no reference, and removes the file after
 * the commit only if it is still doomed. Taking a pin, or naming the blob in a write, spares it.
 * Removal and sparing exclude each other by one lock, so a blob that is named is there. */
#include <stdbool.h>

void pin_open(void);
void pin_close(void);
void pin_take(const char *sha256);
void pin_drop(const char *sha256); /* one pin; none is fine */
bool pin_held(const char *sha256);
/* For a name about to be written: spares the blob and tells whether it is stored. */
bool pin_spare(const char *sha256);
bool pin_doom(const char *sha256);    /* false when pinned */
void pin_forgive(const char *sha256); /* the dooming transaction did not commit */
/* Removes the file if the blob is still doomed: 1 removed, 0 spared, or -errno. */
int pin_execute(const char *sha256, char trash[64]);

#endif
