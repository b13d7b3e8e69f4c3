/* Private manifests: what names databases, tables and servers is in the sealed part only. */
#ifndef OPS_PRIVATE_H
#define OPS_PRIVATE_H

#include "archive/manifest.h"
#include "seal/seal.h"

/* The manifest as the stores get it: m without names, and all of m but its volumes sealed in it. */
enum status private_manifest_write(struct run *run, const struct manifest *m, const struct seal_recipients *to, struct buf *text,
				   struct error *err) MUST_CHECK;
/* Where m hides something: what is sealed in it takes the place of m, but for volumes and recipients, which stay. ST_DENIED: no key opens
 * it; ST_BAD: it is damaged or of another backup. Then m is as it was. */
enum status private_manifest_open(const struct seal_identities *ids, struct manifest *m, struct error *err) MUST_CHECK;

#endif
