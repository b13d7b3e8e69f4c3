/* What a source has in a store: backups by their manifests, proofs, pins. It believes manifests and evidence objects only, never
 * names. */
#ifndef CATALOG_CATALOG_H
#define CATALOG_CATALOG_H

#include "archive/manifest.h"
#include "storage/store.h"

/* Levels of proof (design: proven is READ or more). */
enum proof_level { PROOF_STORED, PROOF_CHECKED, PROOF_STARTED, PROOF_READ, PROOF_COMPARED };
const char *proof_name(enum proof_level level); /* "stored" ... "compared" */
bool proof_parse(const char *name, enum proof_level *level);

struct catalog_pin {
	char *key, *who, *because;
	struct instant from, until; /* until NONE: until unpinned */
};

struct catalog_backup {
	struct manifest manifest;    /* but for its list of rows (shrink), which catalog_manifest reads */
	enum proof_level level;
	struct instant proven_at;    /* time of the evidence that gave the level */
	struct duration verify_took; /* of the newest verify; 0 none */
	bool bad;                    /* the newest conclusive check or verify says so */
	char *bad_because;
	bool bad_inside;             /* by a verify that counted differences: true of every copy of these bytes */
	bool suspect;                /* and not accepted */
	struct catalog_pin *pin;     /* those in force */
	size_t pins;
};
/* A manifest that cannot be read: kept, counted, reported. */
struct catalog_unreadable {
	char *key;
	char *why;
	bool newer; /* whole, but of a newer drtool, or encrypted in a way that this one does not know */
};
struct catalog {
	struct catalog_backup *backup; /* ascending id */
	size_t backups;
	struct catalog_unreadable *unreadable;
	size_t unreadables;
	size_t damaged; /* records of checks and the like that cannot be read: they decide nothing */
	struct strlist opened_with; /* public keys, or "passphrase", that were seen to open a backup of this source */
};
#define CATALOG_INIT {0}
/* Reads manifests, pins, accepts and evidence of one source. Any list or read error is an error; a damaged manifest is not. What
 * the store's listing names by a token and this machine has a copy of is not read again. */
enum status catalog_read(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err) MUST_CHECK;
/* The same for showing: a copy is believed by size and time alone where a listing has no tokens. */
enum status catalog_look(struct run *run, struct store *s, const char *source, struct catalog *c, struct error *err) MUST_CHECK;
/* Reads the manifest of one backup from the store itself, before something acts on what a copy said. ST_BAD and ST_NOT_FOUND: it is
 * not what the copy was, and another catalog_read tells what there is; after ST_BAD without the copies of the source. m is _INIT before,
 * and is released by the caller in every case. */
enum status catalog_manifest(struct run *run, struct store *s, const char *source, const char *id, struct manifest *m, struct error *err) MUST_CHECK;
/* The same, to know only. */
enum status catalog_confirm(struct run *run, struct store *s, const char *source, const char *id, struct error *err) MUST_CHECK;
/* The same, and it names the volumes that it did when it was read for a catalog: else ST_BAD. */
enum status catalog_confirm_volumes(struct run *run, struct store *s, const char *source, const struct manifest *was,
				    struct error *err) MUST_CHECK;
void catalog_release(struct catalog *c);
/* Adds those of the ids (ascending) that a pin holds now. */
enum status catalog_pinned(struct run *run, struct store *s, const char *source, const struct strlist *ids, struct strlist *pinned,
			   struct error *err) MUST_CHECK;
struct newest_query {
	const char *source;
	const char *identity, *kind; /* NULL: of any */
};
/* The manifest of the newest backup that is neither suspect nor known to be bad, without reading all of them. m is released by the
 * caller in every case. ST_NOT_FOUND. */
enum status catalog_newest_good(struct run *run, struct store *s, const struct newest_query *q, struct manifest *m, struct error *err) MUST_CHECK;
/* Names of sources in the store. */
enum status catalog_sources(struct run *run, struct store *s, struct strlist *to, struct error *err) MUST_CHECK;

/* "latest" (or NULL): newest not bad nor suspect; "latest-proven"; an id, also shortened where only one fits. tags: all must match.
 * A named one is found even when bad. ST_NOT_FOUND says what is there. *passed_over counts newer ones that were bad or suspect. */
struct catalog_query {
	const char *which;
	const struct strlist *tags;
};
enum status catalog_find(const struct catalog *c, const struct catalog_query *q, size_t *index, size_t *passed_over,
			 struct error *err) MUST_CHECK;

/* True where tags has all that are wanted (NULL: none): "k" is met by "k" and "k=v". */
bool catalog_tags_match(const struct strlist *tags, const struct strlist *wanted);

/* <source>/source.json */
struct catalog_source {
	char *driver, *identity, *url;
	struct duration expect_every, rpo, verify_every; /* 0: none */
	struct strlist uncovered; /* databases of the server that no source covers, as of the newest backup */
};
#define CATALOG_SOURCE_INIT {0}
/* ST_NOT_FOUND */
enum status catalog_source_read(struct run *run, struct store *s, const char *source, struct catalog_source *to,
				struct error *err) MUST_CHECK;
enum status catalog_source_write(struct run *run, struct store *s, const char *source, const struct catalog_source *from,
				 struct error *err) MUST_CHECK;
void catalog_source_release(struct catalog_source *s);

/* Raises *newest to the time of the newest id in the store, where that is not older than this second. */
enum status catalog_newest_id(struct run *run, struct store *s, const char *source, struct instant *newest, struct error *err) MUST_CHECK;
/* The next id: start in UTC and four hex digits; waits for a free second where the newest id has the same one or lies up to 5 s
 * ahead; further ahead is ST_REFUSED and names the clock. */
enum status catalog_new_id(struct run *run, const char *source, struct instant newest, char *id, struct instant *start,
			   struct error *err) MUST_CHECK;

char *catalog_key(const char *source, const char *folder, const char *name); /* "<source>/backup/<name>"; owned */
bool source_name_valid(const char *name); /* [a-z0-9][a-z0-9._-]*, at most 100; not evidence, recover or drtool */

/* Marks (who, when, until, because): pin, unpin (overwrites the pins in force), accept. Each writes its evidence record too. */
struct catalog_mark {
	const char *backup; /* id */
	const char *because, *who;
	struct instant until;
};
enum status catalog_pin_backup(struct run *run, struct store *s, const char *source, const struct catalog_mark *m,
			       struct error *err) MUST_CHECK;
enum status catalog_unpin_backup(struct run *run, struct store *s, const char *source, const struct catalog_mark *m,
				 struct error *err) MUST_CHECK;
enum status catalog_accept(struct run *run, struct store *s, const char *source, const struct catalog_mark *m,
			   struct error *err) MUST_CHECK;

#endif
