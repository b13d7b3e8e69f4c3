/* RECOVER.txt at the root of a store: what a person with nothing but the store needs to restore from it. Never sealed, no secrets. */
#ifndef OPS_RECOVER_H
#define OPS_RECOVER_H

#include "ops/ops.h"

#define RECOVER_KEY "RECOVER.txt"

/* Writes it anew, from what the store holds now. After the fact of what changed the store, so a failure is a note. */
void recover_write(struct op_env *env, struct store *s);

#endif
