/* The contract of a storage: keys and bytes. A storage author reads this page only.
 *
 * A storage is a const table of functions over private data that the core allocates (priv_size, zeroed). Keys are UTF-8, relative,
 * '/'-separated, without empty, "." or ".." components, at most 900 bytes; the core checks them. Every function may be called from
 * any thread, several at once on one instance; one put belongs to one thread at a time. Codes have fixed meanings: ST_NOT_FOUND
 * (proven absent), ST_DENIED (refused), ST_RETAINED (until when, in the text), ST_UNREACHABLE (nothing proven), ST_PRECONDITION
 * (a condition of put or delete did not hold), ST_NO_SPACE, ST_AUTH, else ST_IO. Every call ends by run's deadline or cancel, as far as the
 * kernel allows. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "core/settings.h"
#include "util/run.h"

enum storage_cap {
	STORAGE_ABSENT = 1u << 0,  /* put condition "absent" is atomic */
	STORAGE_MATCHES = 1u << 1, /* put and delete condition "matches token" are atomic */
	STORAGE_SPACE = 1u << 2,   /* free room is known */
	STORAGE_VERSIONS = 1u << 3, /* what was replaced or deleted may still be there, as a version */
};

/* How the store's copy was compared with what was sent. */
enum storage_proof {
	PROOF_LENGTH,    /* by length; what the storage itself promises beyond that */
	PROOF_MD5,       /* the store answered the MD5 of what was sent, or of its parts */
	PROOF_SHA256,    /* the same with SHA-256 */
	PROOF_READ_BACK, /* all of it was read again */
};
const char *storage_proof_name(enum storage_proof p); /* "length", "md5", "sha256", "read-back" */

#define STORAGE_KEY_MAX 900
#define STORAGE_TOKEN 72
struct storage_object {
	char *key; /* owned where it came from list, NULL from stat and put */
	uint64_t size;
	struct instant modified;   /* by the store's clock */
	/* Names this very content; compare only for equality. "" from the list of a storage that would have to read for it. */
	char token[STORAGE_TOKEN];
	enum storage_proof proof;  /* of put */
};
void storage_object_release(struct storage_object *o);

enum put_condition { PUT_ANY, PUT_ABSENT, PUT_MATCHES };
struct put_spec {
	const char *key;
	enum put_condition condition;
	const char *token;      /* PUT_MATCHES */
	uint64_t expected_size; /* 0: not known; for a room check before the first byte */
	bool bulk;              /* large and seldom read: may go where keeping is cheap and reading is not */
	/* Called from any thread while the store takes or confirms bytes or joins them, so that a slow write is not taken for a dead one; NULL: nobody asks. */
	void (*alive)(void *ctx);
	void *alive_ctx;
	bool retain;            /* keep it for the time that the store is configured to retain objects, where it is */
};

struct storage_listing {
	/* Called in byte order of keys; a failure ends the listing. o is released by the caller of fn, which may take o->key
	 * (set it NULL). */
	enum status (*fn)(void *ctx, struct storage_object *o, struct error *err);
	void *ctx;
};

/* One version of an object, in the listing of a store with STORAGE_VERSIONS. */
struct storage_version {
	char *key, *id;  /* owned */
	uint64_t size;
	struct instant modified;
	bool latest;     /* what get and stat see, or, of a marker, why they see nothing */
	bool marker;     /* no bytes: the object was deleted */
};
struct storage_versions {
	struct storage_version *item;
	size_t len, cap;
};
#define STORAGE_VERSIONS_INIT {0}
void storage_versions_release(struct storage_versions *l);

/* One of many deletions. */
struct storage_deletion {
	const char *key;  /* borrowed */
	struct error err; /* OK: deleted, or was not there; released by the caller */
};
#define STORAGE_DELETE_BATCH 1000

struct storage_put; /* private to the storage */

struct storage_ops {
	const char *name;          /* "local" */
	const char *const *schemes; /* URL schemes, NULL-terminated */
	/* rows of scope store that only this storage has; offsets into its params; ends by a row without key */
	const struct setting *settings;
	size_t params_size, priv_size;
	uint32_t caps;    /* that a store of this kind can have; storage_caps tells what an opened one has */
	size_t part_size; /* a put holds its bytes in memory in buffers of this size; 0: in none */
	/* Environment variables that give the storage its secrets, NULL-terminated; NULL: none */
	const char *const *variables;

	/* required */

	/* params is filled from settings; url is whole. Makes nothing in the store. After a failure close is not called. */
	enum status (*open)(struct run *run, void *priv, const char *url, const void *params, struct error *err);
	void (*close)(void *priv);
	/* Starts an object, visible only after finish. */
	enum status (*put_open)(struct run *run, void *priv, const struct put_spec *spec, struct storage_put **put,
		struct error *err);
	/* After a failure only put_abort follows. */
	enum status (*put_write)(struct run *run, struct storage_put *put, const void *p, size_t n, struct error *err);
	/* Durable, and length confirmed by the store, when it returns OK. Frees put in every case; after a failure nothing is
	 * visible. */
	enum status (*put_finish)(struct run *run, struct storage_put *put, struct storage_object *o, struct error *err);
	void (*put_abort)(struct storage_put *put); /* frees put; nothing is visible; NULL is fine */
	/* Exactly n bytes at offset, else ST_BAD (short object) or a code above. */
	enum status (*get)(struct run *run, void *priv, const char *key, uint64_t offset, void *to, size_t n, struct error *err);
	enum status (*stat)(struct run *run, void *priv, const char *key, struct storage_object *o, struct error *err);
	/* Keys that begin with prefix and are greater than start_after (NULL: all). Unfinished puts are not among them. */
	enum status (*list)(struct run *run, void *priv, const char *prefix, const char *start_after,
		const struct storage_listing *l, struct error *err);
	/* token NULL: whatever is there. Absent is ST_NOT_FOUND. Durable when it returns. */
	enum status (*delete)(struct run *run, void *priv, const char *key, const char *token, struct error *err);
	/* Puts below prefix that were never finished, as list; `abort_older` not NONE: those not modified since are removed
	 * (after fn). */
	enum status (*uncommitted)(struct run *run, void *priv, const char *prefix, struct instant abort_older,
		const struct storage_listing *l, struct error *err);

	/* STORAGE_SPACE */
	enum status (*space)(struct run *run, void *priv, uint64_t *free_bytes, uint64_t *total, struct error *err);

	/* STORAGE_VERSIONS: both. All versions below prefix, by key in byte order, the newest of a key first. */
	enum status (*versions)(struct run *run, void *priv, const char *prefix, struct storage_versions *to, struct error *err);
	/* Removes one version, or one marker, for good. ST_RETAINED, ST_NOT_FOUND. */
	enum status (*version_delete)(struct run *run, void *priv, const char *key, const char *id, struct error *err);

	/* optional, NULL where the default beside it does */

	/* The bits of caps that this store has, looked at once; default: all of them. */
	enum status (*caps_now)(struct run *run, void *priv, uint32_t *caps, struct error *err);
	/* The URL that opens this very store, in one spelling, without secrets; owned by the caller; default: as it was given. */
	char *(*url)(void *priv);
	/* Bytes of the largest object; default: no limit. */
	uint64_t (*object_max)(void *priv);
	/* How long put_spec.retain keeps objects; default: not at all. */
	struct duration (*retention)(void *priv);
	/* The most buffers of part_size that one put may have (at least 1), told before a put. */
	void (*put_parts)(void *priv, unsigned parts);
	/* A command of stock tools that writes the object to `file`, without end of line, from variables where there are secrets. */
	void (*fetch_line)(void *priv, const char *key, const char *file, struct buf *to);
	/* A whole small object of one moment, as storage_get_bytes; default: stat, get, stat. */
	enum status (*get_whole)(struct run *run, void *priv, const char *key, size_t max, struct buf *to, struct storage_object *o,
		struct error *err);
	/* At most STORAGE_DELETE_BATCH, in any order; a failure of one is told in its err, and err is of those that ended the whole;
	 * default: one after another. */
	enum status (*delete_many)(struct run *run, void *priv, struct storage_deletion *d, size_t n, struct error *err);
	/* Sentences for people about what the store can and cannot, for a look before the first backup; default: none. */
	enum status (*remarks)(struct run *run, void *priv, struct strlist *to, struct error *err);
};

/* An opened storage. Made by store_open or, in tests, by storage_open with a params literal. */
struct storage {
	const struct storage_ops *ops;
	void *priv;   /* owned */
	char *url;    /* without secrets, for messages; owned */
	bool stuck;   /* a thread hangs inside: calls are refused with ST_UNREACHABLE, and release leaves priv alone for ever */
};
#define STORAGE_INIT {0}
enum status storage_open(struct run *run, const struct storage_ops *ops, const char *url, const void *params,
	struct storage *s, struct error *err) MUST_CHECK;
void storage_release(struct storage *s);
/* The one visible array, ended by NULL; and the one for a URL (ST_CONFIG where no scheme fits, naming those there are). A path that
 * begins with '/' is a URL of scheme file. */
extern const struct storage_ops *const storages[];
enum status storage_for_url(const char *url, const struct storage_ops **ops, struct error *err) MUST_CHECK;
/* ST_FAILED where a table's capabilities and pointers disagree; called once at start. */
enum status storage_check(const struct storage_ops *ops, struct error *err) MUST_CHECK;
/* ST_FAILED where the key breaks the rules above. */
enum status storage_key_check(const char *key, struct error *err) MUST_CHECK;

/* The functions of the table over an opened storage, with the key checked. */
enum status storage_put_open(struct run *run, struct storage *s, const struct put_spec *spec,
	struct storage_put **put, struct error *err) MUST_CHECK;
enum status storage_get(struct run *run, struct storage *s, const char *key, uint64_t offset, void *to, size_t n,
	struct error *err) MUST_CHECK;
enum status storage_stat(struct run *run, struct storage *s, const char *key, struct storage_object *o,
	struct error *err) MUST_CHECK;
enum status storage_delete(struct run *run, struct storage *s, const char *key, const char *token, struct error *err) MUST_CHECK;

/* Deletes any number, in any order. Fails only where it could not go on; each has its own outcome, and absent is OK. */
enum status storage_delete_many(struct run *run, struct storage *s, struct storage_deletion *d, size_t n,
	struct error *err) MUST_CHECK;
/* What the opened store can: bits of enum storage_cap. */
enum status storage_caps(struct run *run, struct storage *s, uint32_t *caps, struct error *err) MUST_CHECK;
/* UINT64_MAX: no limit. */
uint64_t storage_object_max(const struct storage *s);
struct duration storage_retention(const struct storage *s); /* 0: none */
void storage_fetch_line(const struct storage *s, const char *key, const char *file, struct buf *to);
/* Names the functions of STORAGE_VERSIONS; ST_UNSUPPORTED where the store has none. undelete removes the markers in front of the newest
 * version of key, so that it is there again; nothing to do is OK, no version at all ST_NOT_FOUND. */
enum status storage_list_versions(struct run *run, struct storage *s, const char *prefix, struct storage_versions *to,
	struct error *err) MUST_CHECK;
enum status storage_version_delete(struct run *run, struct storage *s, const char *key, const char *id,
	struct error *err) MUST_CHECK;
enum status storage_undelete(struct run *run, struct storage *s, const char *key, struct error *err) MUST_CHECK;

/* A whole listing in memory. */
struct storage_objects {
	struct storage_object *item;
	size_t len, cap;
};
#define STORAGE_OBJECTS_INIT {0}
enum status storage_list(struct run *run, struct storage *s, const char *prefix, const char *start_after,
	struct storage_objects *to, struct error *err) MUST_CHECK;
/* The first key of such a listing, owned; NULL: none. */
enum status storage_first(struct run *run, struct storage *s, const char *prefix, const char *start_after,
	char **key, struct error *err) MUST_CHECK;
/* As the table's function; `to` gets what was found, also what was removed. */
enum status storage_uncommitted(struct run *run, struct storage *s, const char *prefix, struct instant abort_older,
	struct storage_objects *to, struct error *err) MUST_CHECK;
void storage_objects_release(struct storage_objects *l);

/* Whole small objects. A get never mixes two versions of an object that is replaced meanwhile; more than max bytes is ST_BAD. */
enum status storage_put_bytes(struct run *run, struct storage *s, const struct put_spec *spec, const void *p,
	size_t n, struct storage_object *o, struct error *err) MUST_CHECK; /* o may be NULL */
enum status storage_get_bytes(struct run *run, struct storage *s, const char *key, size_t max, struct buf *to,
	struct storage_object *o, struct error *err) MUST_CHECK; /* o may be NULL */

#ifdef DRTOOL_TEST
/* Puts the fault wrapper in front of s with the rules of DRTOOL_STORE_FAULT (grammar: fault.c); storage_open does so wherever the
 * variable is set. Returns the new table. */
const struct storage_ops *storage_fault_wrap(struct storage *s);
#endif

#endif
