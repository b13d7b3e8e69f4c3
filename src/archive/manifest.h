/* <id>.json: the manifest of a backup, at most 64 KiB, written last. A backup exists when its manifest does. Its last member is
 * "checksum": SHA-256 of all bytes before that member, so a cut or changed one is never believed. */
#ifndef ARCHIVE_MANIFEST_H
#define ARCHIVE_MANIFEST_H

#include "util/hash.h"
#include "util/json.h"

#define MANIFEST_MAX (64u * 1024)
#define MANIFEST_FORMAT 1
#define BACKUP_ID_LEN 21 /* 20261120T020000Z-7f3a */

/* A scope: what shares one snapshot (PostgreSQL: a database). */
struct manifest_scope {
	char *name;
	struct instant snapshot; /* when the snapshot was taken */
	char *position;          /* LSN, GTID ..., as the driver writes it; NULL none */
	bool log;                /* no database: a log by which the others are brought to one moment */
	uint64_t objects, rows, raw;
};
struct manifest_object {
	char *key; /* within the source's backup/ folder: file name only */
	uint64_t size;
	struct sha256 sha256;       /* of the stored bytes */
	/* Of a sealed one: of the archive's bytes in it; else size and sha256 once more. */
	uint64_t plain_size;
	struct sha256 plain_sha256;
};
struct manifest {
	char id[BACKUP_ID_LEN + 1];
	char *source, *driver;       /* "shop", "postgres" */
	char *kind;                  /* "dump" */
	char *url;                   /* without secret values */
	char *identity;              /* e.g. system identifier; never NULL in a valid manifest */
	char *server_version;        /* "15.20" */
	char *server_role;           /* "primary", or what the driver calls another: "standby", "replica"; "unknown" */
	char *tool_version;          /* drtool's */
	struct strlist client_tools; /* "pg_dump 15.20" */
	char *oldest_client;         /* oldest stock client that reads it */
	struct instant started, finished;
	struct instant data_time; /* the age of the backup is the age of this */
	struct manifest_scope *scope;
	size_t scopes;
	struct manifest_object *object; /* volumes in order */
	size_t objects;
	uint64_t tables, rows, raw, stored, members;
	uint64_t nonempty_tables;
	uint32_t chunk_size;
	char *compression;   /* engine and level */
	json_t *replication; /* object: what the server follows and how far it was; NULL */
	json_t *shrink;      /* object: "<scope>\t<name>" -> rows, of the largest tables, for the suspect rule; may be NULL */
	struct strlist recipients; /* of a sealed backup: public keys, or "passphrase"; else empty */
	char *hidden;              /* private: base64 of the whole manifest, sealed; the lists of this one lack all names. NULL: nothing is hidden */
	struct strlist tags; /* "k=v" */
	struct strlist notes;
	struct strlist proofs; /* "store=how": by what each store's copy was compared with what was sent */
	struct strlist not_contained; /* what the backup does not contain */
	bool has_password_hashes;
	bool many_moments; /* its objects are not of one moment */
	bool suspect;
	char *suspect_because;
	bool truncated; /* lists were cut to fit; whole in drtool/manifest.json */
};
#define MANIFEST_INIT {0}

/* The bytes, at most MANIFEST_MAX; lists that do not fit are cut at the end and counted. ST_FAILED: what cannot be cut, the volumes,
 * is too much. */
enum status manifest_write(const struct manifest *m, struct buf *to, struct error *err) MUST_CHECK;
/* The same with a limit of the caller's. */
enum status manifest_write_within(const struct manifest *m, size_t max, struct buf *to, struct error *err) MUST_CHECK;
/* The same as a JSON object without checksum, uncut: the head of drtool/manifest.json. */
json_t *manifest_json(const struct manifest *m);
/* ST_BAD: no manifest or a damaged one; ST_UNSUPPORTED: a later format or an unknown word in "requires". Unknown keys: ignored. */
enum status manifest_read(const void *p, size_t n, struct manifest *m, struct error *err) MUST_CHECK;
/* The same for the sealed part of a private manifest, which does not name the volumes: *m has no objects, whatever it says of some. */
enum status manifest_read_hidden(const void *p, size_t n, struct manifest *m, struct error *err) MUST_CHECK;
void manifest_release(struct manifest *m);

/* "20261120T020000Z-7f3a": start in UTC and four hex digits. */
bool backup_id_valid(const char *id);
void backup_id_make(struct instant start, uint16_t random, char *to); /* BACKUP_ID_LEN + 1 bytes */
struct instant backup_id_time(const char *id);

#endif
