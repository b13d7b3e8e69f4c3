/* The plain bytes of a sealed archive, by ranges: a range_source over another one. A read takes the chunks that it touches, opens and
 * copies them; the key of a volume is got from its header when the volume is first read. */
#ifndef OPS_OPENER_H
#define OPS_OPENER_H

#include "archive/manifest.h"
#include "seal/seal.h"
#include "util/io.h"

#define OPENER_BUFFER ((size_t)64 * SEAL_STORED_CHUNK) /* memory that a thread needs while it reads */

/* Any thread, several at once. */
struct opener;
/* stored gives the sealed volumes that the manifest names, of which it keeps its own list. ids and what stored reads from outlive it. */
struct opener *opener_new(const struct seal_identities *ids, const struct range_source *stored, const struct manifest *m);
void opener_freep(struct opener **o);
/* Opens the header of the last volume. ST_DENIED: no key opens it, and the text says which keys would and how to give one; or the store
 * denies the read, in its own words. */
enum status opener_prove(struct opener *o, struct error *err) MUST_CHECK;
/* The public key of the identity that opened the volume that was opened last, "passphrase", or NULL before. */
const char *opener_key(struct opener *o);
struct range_source opener_ranges(struct opener *o);

#endif
