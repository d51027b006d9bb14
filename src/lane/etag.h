/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LANE_ETAG_H
#define QUERN_LANE_ETAG_H
/* Etag: versions of mutable things, without a column for them. The ETag of a thing is a digest of
 * the JSON that its GET answers; a change carries it in If-Match and is refused with 412 when the
 * thing has changed since. Both are looked at in the transaction of the change, so nothing slips in
 * between. "*" asks that the thing exists; If-None-Match: * that it does not. A row without a twin
 * has no ETag: there If-Match never holds. */
struct call;
struct route_list;

/* After a handler's success: fixes the answer of a GET as bytes and adds its ETag. */
void etag_answer(struct call *k);
/* With c->db, before the handler of a change: 0 to go on, or 412. */
int etag_check(struct call *k, const struct route_list *routes);

#endif
