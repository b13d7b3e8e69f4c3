/* Keys of sealed backups. */
#ifndef OPS_KEYS_H
#define OPS_KEYS_H

#include "ops/ops.h"

/* A new key. */
struct key_made {
	struct buf file;      /* what belongs in a file of keys, sealed where a passphrase was given */
	struct buf secret;    /* AGE-SECRET-KEY-1... */
	struct buf recipient; /* age1... */
};
#define KEY_MADE_INIT {BUF_INIT, BUF_INIT, BUF_INIT}
void key_made_release(struct key_made *k); /* wipes */
/* passphrase NULL: the file is not sealed. */
enum status op_key_make(struct op_env *env, const char *passphrase, struct key_made *k, struct error *err) MUST_CHECK;
/* Writes the file, 0600. ST_REFUSED where the path is there, whatever it is. */
enum status op_key_write(const struct key_made *k, const char *path, struct error *err) MUST_CHECK;
/* A page to print and keep: the secret key in groups, and how it is used. The caller wipes it. */
void key_form(struct op_env *env, const char *secret, const char *recipient, struct buf *to);

struct key_check_row {
	char *source;
	char backup[BACKUP_ID_LEN + 1];
	bool sealed;
	char *opened_with;         /* the public key, or "passphrase"; NULL: not opened */
	struct strlist recipients; /* whom it is sealed for, as its manifest says */
	struct error why;          /* not opened: why */
};
struct key_check_result {
	struct key_check_row *row;
	size_t rows;
};
#define KEY_CHECK_INIT {0}
/* Opens the header of every backup of a source (NULL: of all) with the keys of this run, and remembers in the store which key opened one.
 * That some cannot be opened is in the rows. */
enum status op_key_check(struct op_env *env, const struct op_store *from, const char *source, struct key_check_result *r,
			 struct error *err) MUST_CHECK;
void key_check_release(struct key_check_result *r);

#endif
