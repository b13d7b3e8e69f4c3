/* Sealing on the way to the stores: one age file per volume, once, above the fan-out, so that all stores hold the same bytes. */
#ifndef OPS_SEALER_H
#define OPS_SEALER_H

#include "seal/seal.h"
#include "util/hash.h"
#include "util/io.h"

/* One thread at a time, one file at a time. */
struct sealer;
/* to and run outlive it; out gets the sealed bytes. */
struct sealer *sealer_new(struct run *run, const struct seal_recipients *to, struct byte_sink out);
void sealer_freep(struct sealer **s);
/* Draws new keys and writes the header. */
enum status sealer_begin(struct sealer *s, struct error *err) MUST_CHECK;
enum status sealer_write(struct sealer *s, const void *p, size_t n, struct error *err) MUST_CHECK;
/* Writes the last chunk; size and sum are those of the sealed bytes. */
enum status sealer_end(struct sealer *s, uint64_t *size, struct sha256 *sum, struct error *err) MUST_CHECK;

#endif
