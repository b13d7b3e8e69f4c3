/* Keys of sealed backups: making them, and which backups they open. */
#include "ops/keys.h"

#include "ops/internal.h"

/* ---- remembering ---- */

void key_remember(struct op_env *env, struct store *s, const struct catalog *c, const struct key_opened *o)
{
	CLEANUP(js_decref) json_t *detail = json_object();
	CLEANUP(error_release) struct error e = ERROR_INIT;
	struct instant now = run_now(env->run);

	if (!*o->recipient || strlist_has(&c->opened_with, o->recipient))
		return;
	js_set_str(detail, "opened_with", o->recipient);
	const struct evidence record = {
		.kind = "key",
		.source = o->source,
		.backup = o->backup,
		.outcome = EVIDENCE_GOOD,
		.started = now,
		.finished = now,
		.detail = detail,
	};
	if (evidence_write(env->run, s, &record, &e))
		notes_add(env->notes, "%s: that a key opens its backups could not be remembered in %s: %s", o->source, s->name, error_text(&e));
}

/* ---- check ---- */

void key_check_release(struct key_check_result *r)
{
	for (size_t i = 0; i < r->rows; i++) {
		free(r->row[i].source);
		free(r->row[i].opened_with);
		strlist_release(&r->row[i].recipients);
		error_release(&r->row[i].why);
	}
	free(r->row);
	*r = (struct key_check_result)KEY_CHECK_INIT;
}

struct key_checking {
	struct op_env *env;
	struct store *store;
	const struct seal_identities *ids;
	struct key_check_result *r;
	const char *source;
};

static bool is_sealed(const struct manifest *m) { return m->objects && m->recipients.len; }

/* The header of the first volume: the MAC in it proves that the key is the right one. why: what is wrong with this backup, or that no key
 * opens it. Fails where the store does. */
static enum status open_header(const struct key_checking *k, const struct manifest *m, size_t *identity, struct error *why, struct error *err)
{
	CLEANUP(cstr_release) char *key = catalog_key(k->source, "backup", m->object[0].key);
	CLEANUP(buf_release) struct buf head = BUF_INIT;
	CLEANUP(seal_stream_freep) struct seal_stream *stream = NULL;
	size_t n = (size_t)min_u64(SEAL_HEADER_MAX, m->object[0].size), len = 0;

	buf_reserve(&head, n);
	enum status st = storage_get(k->env->run, &k->store->storage, key, 0, head.data, n, why);
	if (st == ST_NOT_FOUND)
		why->code = ST_BAD; /* the manifest names it */
	else if (st && st != ST_BAD)
		return error_move(err, why);
	else if (!st && seal_open(k->ids, head.data, n, &stream, &len, identity, why) == ST_CANCELLED)
		return error_move(err, why);
	return ST_OK;
}

static enum status check_backup(struct key_checking *k, const struct catalog *c, const struct manifest *m, struct error *err)
{
	CLEANUP(error_release) struct error why = ERROR_INIT;
	size_t identity = 0;

	if (is_sealed(m) && open_header(k, m, &identity, &why, err))
		return err->code;
	k->r->row = xrealloc(k->r->row, (k->r->rows + 1) * sizeof(*k->r->row));
	struct key_check_row *row = &k->r->row[k->r->rows++];

	*row = (struct key_check_row){.source = xstrdup(k->source), .sealed = is_sealed(m)};
	memcpy(row->backup, m->id, sizeof(row->backup));
	for (size_t i = 0; i < m->recipients.len; i++)
		strlist_add(&row->recipients, m->recipients.item[i]);
	if (!row->sealed || why.code) {
		error_move(&row->why, &why);
		return ST_OK;
	}
	const char *recipient = seal_identity_recipient(k->ids, identity);

	row->opened_with = xstrdup(*recipient ? recipient : "passphrase");
	key_remember(k->env, k->store, c, &(struct key_opened){k->source, m->id, row->opened_with});
	return ST_OK;
}

static enum status check_source(struct key_checking *k, const char *source, struct error *err)
{
	CLEANUP(catalog_release) struct catalog c = CATALOG_INIT;

	k->source = source;
	if (catalog_read(k->env->run, k->store, source, &c, err))
		return err->code;
	for (size_t i = 0; i < c.backups; i++) {
		if (run_check(k->env->run, err) || check_backup(k, &c, &c.backup[i].manifest, err))
			return err->code;
		/* What one backup taught need not be written for the next. */
		const char *with = k->r->row[k->r->rows - 1].opened_with;

		if (with)
			strlist_add_once(&c.opened_with, with);
	}
	return ST_OK;
}

enum status op_key_check(struct op_env *env, const struct op_store *from, const char *source, struct key_check_result *r, struct error *err)
{
	CLEANUP(store_release) struct store s = STORE_INIT;
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct key_checking k = {.env = env, .store = &s, .r = r};

	if (op_identities(env, &k.ids, err))
		return err->code;
	if (!seal_identities_count(k.ids)) {
		error_set(err, ST_CONFIG, "there is no key to check");
		return error_hint(err, "Give --identity FILE, or DRTOOL_IDENTITY, DRTOOL_IDENTITY_FILE or DRTOOL_IDENTITY_COMMAND.");
	}
	if (store_open_one(env, from, &s, err))
		return err->code;
	if (source)
		strlist_add(&names, source);
	else if (catalog_sources(env->run, &s, &names, err))
		return err->code;
	for (size_t i = 0; i < names.len; i++)
		if (check_source(&k, names.item[i], err))
			return err->code;
	return ST_OK;
}

/* ---- generate ---- */

void key_made_release(struct key_made *k)
{
	seal_text_wipe(&k->file);
	seal_text_wipe(&k->secret);
	buf_release(&k->recipient);
}

/* The text of a file of keys, as every age program reads it. */
static void file_text(struct op_env *env, struct key_made *k)
{
	char at[INSTANT_TEXT];

	buf_reserve(&k->file, 512);
	buf_printf(&k->file, "# created: %s by drtool %s\n# public key: %s\n%s\n", instant_iso(run_now(env->run), at), DRTOOL_VERSION,
		   buf_str(&k->recipient), buf_str(&k->secret));
}

static enum status protect(struct op_env *env, struct key_made *k, const char *passphrase, struct error *err)
{
	CLEANUP(seal_recipients_freep) struct seal_recipients *to = NULL;
	struct buf sealed = BUF_INIT;

	if (seal_recipients_passphrase(passphrase, SEAL_WORK_KEY, &to, err) ||
	    seal_bytes(env->run, to, buf_str(&k->file), k->file.len, &sealed, err)) {
		buf_release(&sealed);
		return err->code;
	}
	seal_text_wipe(&k->file);
	k->file = sealed;
	return ST_OK;
}

enum status op_key_make(struct op_env *env, const char *passphrase, struct key_made *k, struct error *err)
{
	if (seal_key_generate(env->run, &k->secret, &k->recipient, err))
		return err->code;
	file_text(env, k);
	return passphrase ? protect(env, k, passphrase, err) : ST_OK;
}

enum status op_key_write(const struct key_made *k, const char *path, struct error *err)
{
	if (fs_write_new(path, buf_str(&k->file), k->file.len, err) == ST_REFUSED)
		error_hint(err, "The key in it may be the only one that opens a backup. Choose another name.");
	return err->code;
}

/* ---- the form ---- */

enum { GROUP = 4, GROUPS = 5 };

/* The secret in lines of five groups, each line with the first digits of its own SHA-256: a letter that was typed wrong is found in its
 * line. */
static void put_secret(struct buf *to, const char *secret)
{
	size_t n = strlen(secret), line = GROUP * GROUPS;

	for (size_t at = 0; at < n; at += line) {
		size_t len = min_size(line, n - at);
		char hex[SHA256_HEX];

		buf_printf(to, "    %zu.  ", at / line + 1);
		for (size_t i = 0; i < line; i++) {
			buf_putc(to, i < len ? secret[at + i] : ' ');
			if (i % GROUP == GROUP - 1)
				buf_putc(to, ' ');
		}
		sha256_hex(sha256_of(secret + at, len), hex);
		buf_printf(to, "   %.4s\n", hex);
	}
}

void key_form(struct op_env *env, const char *secret, const char *recipient, struct buf *to)
{
	char at[INSTANT_TEXT], fingerprint[SEAL_FINGERPRINT];

	buf_reserve(to, 4096);
	buf_printf(to,
		   "SECRET KEY OF BACKUPS                                     keep in a safe, apart from the backups\n"
		   "================================================================================\n\n"
		   "Printed       %s by drtool %s\n"
		   "Public key    %s\n"
		   "Fingerprint   %s\n\n"
		   "The secret key: %zu characters in groups of four. The four digits at the end of a line\n"
		   "are no part of it.\n\n",
		   instant_iso(run_now(env->run), at), DRTOOL_VERSION, recipient, seal_fingerprint(recipient, fingerprint), strlen(secret));
	put_secret(to, secret);
	buf_printf(to,
		   "\n"
		   "To use it: type it into a file as one line without blanks, then\n\n"
		   "    drtool key show FILE                      prints the public key above\n"
		   "    drtool key check --identity FILE          says which backups it opens\n"
		   "    drtool restore SOURCE --identity FILE\n\n"
		   "Without drtool, with age (age-encryption.org):\n\n"
		   "    age -d -i FILE BACKUP.tar.gz.age | tar xz\n\n"
		   "The four digits of a line: printf %%s 'THE LINE WITHOUT BLANKS' | sha256sum | cut -c1-4\n\n"
		   "Whoever has this page can read every backup that was sealed for this key. Without it,\n"
		   "and without another key that they were sealed for, nobody ever can.\n\n"
		   "Kept by ____________________  where ____________________  since ______________\n"
		   "Last tried (key check) ______________  ______________  ______________  _______\n");
}
