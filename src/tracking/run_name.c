/* SPDX-License-Identifier: Apache-2.0 */
#include "run_name.h"

#include <stdint.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"

/* Lengths: at most 7 + 8 + 3 digits + 2 dashes = 20. */
static const char *const adjectives[] = {
    "able",    "amber",  "ample",  "bold",   "brave",  "bright", "brisk",  "calm",   "candid",
    "clear",   "clever", "coarse", "cosy",   "crisp",  "deep",   "eager",  "early",  "easy",
    "even",    "fair",   "fine",   "firm",   "fond",   "fresh",  "gentle", "glad",   "golden",
    "grand",   "green",  "hardy",  "honest", "humble", "keen",   "kind",   "large",  "light",
    "lively",  "loyal",  "lucid",  "merry",  "mild",   "modest", "neat",   "nimble", "noble",
    "patient", "plain",  "polite", "proud",  "quick",  "quiet",  "rapid",  "ready",  "round",
    "silver",  "smooth", "sober",  "solid",  "steady", "stout",  "swift",  "tidy",   "trusty",
    "warm",    "wise",
};
static const char *const nouns[] = {
    "acorn",  "anvil",  "apple",  "badger",  "barley",  "beacon", "birch",  "bobcat",
    "brook",  "cedar",  "clover", "comet",   "crane",   "dove",   "falcon", "fern",
    "finch",  "flint",  "gannet", "garnet",  "grain",   "hare",   "harbor", "hazel",
    "heron",  "hopper", "ibis",   "juniper", "kestrel", "lark",   "linden", "lynx",
    "magpie", "maple",  "marten", "meadow",  "mill",    "millet", "oak",    "oriole",
    "osprey", "otter",  "pebble", "plover",  "poplar",  "quail",  "raven",  "reed",
    "robin",  "rowan",  "rye",    "sable",   "sparrow", "spelt",  "spruce", "stoat",
    "stork",  "swan",   "thrush", "tulip",   "walnut",  "wheat",  "willow", "wren",
};

const char *run_name_random(struct ctx *c) {
    uint32_t r[3];
    id_random(r, sizeof r);
    return arena_printf(c->arena, "%s-%s-%u", adjectives[r[0] % ARRAY_LEN(adjectives)],
                        nouns[r[1] % ARRAY_LEN(nouns)], r[2] % 1000u);
}
