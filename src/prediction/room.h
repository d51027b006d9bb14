/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_ROOM_H
#define QUERN_PREDICTION_ROOM_H
/* Room: what the room was started with. */
struct ctx;
struct db;
struct dir;
struct lanes;

struct db *room_db(void);
struct dir *room_data(void);
struct lanes *room_lanes(void);
/* On a thread without a connection: ERR_NOT_FOUND when the project has no such endpoint. */
int room_endpoint(struct ctx *c, const char *name);
int room_endpoint_here(struct ctx *c, const char *name); /* with one */

#endif
