#include "ops/recover.h"

#include "ops/stored_config.h"
#include "util/failpoint.h"

#define TRIES 3

/* A source and its newest good backup; no id: there is none. */
struct recoverable {
	char *name;
	struct manifest manifest;
};
struct recovery {
	struct store *store;
	struct recoverable *item;
	size_t n;
	bool sealed;      /* some backup or the configuration */
	char *config_key; /* newest stored configuration; NULL: none */
	bool config_by_passphrase;
};

static void recovery_release(struct recovery *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->item[i].name);
		manifest_release(&r->item[i].manifest);
	}
	free(r->item);
	free(r->config_key);
}

static bool is_sealed(const char *key)
{
	size_t n = strlen(key);

	return n > 4 && !strcmp(key + n - 4, ".age");
}

/* An age file begins with whom it is sealed for. One that cannot be read is no reason to write no text. */
static enum status look_at_config(struct op_env *env, struct recovery *r, struct error *err)
{
	static const char scrypt[] = "\n-> scrypt ";
	char head[100];

	r->sealed = r->config_key && is_sealed(r->config_key);
	if (!r->sealed)
		return ST_OK;
	if (!storage_get(env->run, &r->store->storage, r->config_key, 0, head, sizeof head, err))
		r->config_by_passphrase = memmem(head, sizeof head, scrypt, sizeof scrypt - 1) != NULL;
	else if (err->code != ST_BAD && err->code != ST_NOT_FOUND)
		return err->code;
	error_release(err);
	return ST_OK;
}

static enum status gather(struct op_env *env, struct recovery *r, struct error *err)
{
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;

	if (catalog_sources(env->run, r->store, &names, err) || stored_config_newest(env->run, r->store, NULL, &r->config_key, err) ||
	    look_at_config(env, r, err))
		return err->code;
	r->item = xcalloc(names.len + 1, sizeof *r->item);
	for (size_t i = 0; i < names.len; i++) {
		struct recoverable *one = &r->item[r->n++];

		one->name = xstrdup(names.item[i]);
		if (catalog_newest_good(env->run, r->store, &(struct newest_query){.source = one->name}, &one->manifest, err)) {
			if (err->code != ST_NOT_FOUND)
				return err->code;
			error_release(err);
			manifest_release(&one->manifest);
		}
		r->sealed = r->sealed || (one->manifest.objects && is_sealed(one->manifest.object[0].key));
	}
	return ST_OK;
}

/* ---- the text ---- */

/* A fingerprint is enough to find the key by, and short enough to compare. */
static void put_key(const char *key, struct buf *to)
{
	char print[SEAL_FINGERPRINT];

	if (!strcmp(key, "passphrase"))
		buf_puts(to, "      sealed with a passphrase\n");
	else
		buf_printf(to, "      sealed for %s (fingerprint %s)\n", key, seal_fingerprint(key, print));
}

static bool by_passphrase(const struct manifest *m) { return m->recipients.len && !strcmp(m->recipients.item[0], "passphrase"); }

static void put_table(const struct recovery *r, struct buf *to)
{
	buf_puts(to, "Sources, and the newest good backup of each\n\n");
	for (size_t i = 0; i < r->n; i++) {
		const struct manifest *m = &r->item[i].manifest;
		CLEANUP(buf_release) struct buf size = BUF_INIT;
		char time[INSTANT_TEXT];

		if (!m->objects) {
			buf_printf(to, "  %s: no good backup\n", r->item[i].name);
			continue;
		}
		size_print(m->stored, &size);
		buf_printf(to, "  %s: %s, %s %s, data of %s, %s\n", r->item[i].name, m->id, m->driver, m->server_version ? m->server_version : "",
			   instant_iso(m->data_time, time), buf_str(&size));
		for (size_t k = 0; k < m->recipients.len; k++)
			put_key(m->recipients.item[k], to);
	}
	if (!r->n)
		buf_puts(to, "  none yet\n");
}

/* "postgres://USER@HOST/" */
static void put_target(const struct manifest *m, struct buf *to)
{
	const struct driver *d = driver_named(m->driver);

	buf_printf(to, "%s://USER@HOST/", d ? d->schemes[0] : m->driver);
}

static void put_variables(const struct recovery *r, struct buf *to)
{
	const char *const *v = r->store->storage.ops->variables;

	if (!v || !*v)
		return;
	buf_puts(to, "\nThe access keys of the store are taken from the environment");
	for (size_t i = 0; v[i]; i++)
		buf_printf(to, "%s%s", i ? ", " : ": ", v[i]);
	buf_puts(to, ", as many as they have.\n");
}

static void put_drtool(const struct recovery *r, struct buf *to)
{
	const char *url = r->store->storage.url;

	buf_puts(to, "\n\nWith drtool\n\n    drtool list --from ");
	buf_shell_word(to, url);
	buf_putc(to, '\n');
	for (size_t i = 0; i < r->n; i++) {
		const struct manifest *m = &r->item[i].manifest;

		if (!m->objects)
			continue;
		buf_printf(to, "    drtool restore %s --from ", r->item[i].name);
		buf_shell_word(to, url);
		buf_puts(to, " --into ");
		put_target(m, to);
		buf_puts(to, is_sealed(m->object[0].key) && !by_passphrase(m) ? " --identity KEYFILE\n" : "\n");
	}
	if (r->config_key) {
		buf_puts(to, "    drtool config fetch --output drtool.yaml --from ");
		buf_shell_word(to, url);
		buf_puts(to, is_sealed(r->config_key) && !r->config_by_passphrase ? " --identity KEYFILE\n" : "\n");
	}
	buf_puts(to, "\nA restore goes beside what is there and overwrites nothing; its last line says what comes next.\n");
}

/* Fetch, compare, unpack: one volume after the other, each of which is a whole tar file. */
static void put_volumes(const struct recovery *r, const struct recoverable *one, struct buf *to)
{
	const struct manifest *m = &one->manifest;
	char hex[SHA256_HEX];

	buf_printf(to, "\n%s, backup %s:\n\n", one->name, m->id);
	for (size_t i = 0; i < m->objects; i++) {
		CLEANUP(cstr_release) char *key = catalog_key(one->name, "backup", m->object[i].key);

		buf_puts(to, "    ");
		storage_fetch_line(&r->store->storage, key, m->object[i].key, to);
		buf_printf(to, "\n    echo '%s  %s' | sha256sum -c\n", sha256_hex(m->object[i].sha256, hex), m->object[i].key);
	}
	buf_printf(to, "    mkdir -p %s\n", one->name);
	for (size_t i = 0; i < m->objects; i++) {
		const char *file = m->object[i].key;

		if (is_sealed(file))
			buf_printf(to, "    age -d %s%s | tar xz -C %s\n", by_passphrase(m) ? "" : "-i KEYFILE ", file, one->name);
		else
			buf_printf(to, "    tar xzf %s -C %s\n", file, one->name);
	}
	buf_printf(to, "    less %s/RESTORE.txt\n", one->name);
}

static void put_stock(const struct recovery *r, struct buf *to)
{
	buf_puts(to, "\n\nWithout drtool\n\nEach backup is a tar file, or several; RESTORE.txt in it has the commands that load it.\n");
	for (size_t i = 0; i < r->n; i++)
		if (r->item[i].manifest.objects)
			put_volumes(r, &r->item[i], to);
	if (!r->config_key)
		return;
	const char *slash = strrchr(r->config_key, '/'), *name = slash ? slash + 1 : r->config_key;
	buf_puts(to, "\nThe configuration of the backup host, without secrets:\n\n    ");
	storage_fetch_line(&r->store->storage, r->config_key, name, to);
	if (is_sealed(r->config_key))
		buf_printf(to, "\n    age -d %s%s > drtool.yaml", r->config_by_passphrase ? "" : "-i KEYFILE ", name);
	buf_putc(to, '\n');
}

static void compose(struct op_env *env, const struct recovery *r, struct buf *to)
{
	char time[INSTANT_TEXT];

	buf_printf(to, "How to restore from this store\n\nIt holds backups of databases, written by drtool %s. This text is written anew after each change of\n"
		       "the store, the last time at %s.\n\n\n",
		   DRTOOL_VERSION, instant_iso(run_now(env->run), time));
	put_table(r, to);
	put_drtool(r, to);
	put_variables(r, to);
	put_stock(r, to);
	if (r->sealed)
		buf_puts(to, "\nKEYFILE is the file with the private key (AGE-SECRET-KEY-1...). It is not in this store; without it nothing sealed is opened.\n"
			     "What is sealed with a passphrase has no key: age asks for it, drtool takes it from the file that DRTOOL_PASSPHRASE_FILE names.\n");
}

/* Two runs that end together both write what they saw. Where the store compares, the one that saw less looks again. */
static enum status write_once(struct op_env *env, struct store *s, uint32_t caps, struct error *err)
{
	CLEANUP(recovery_release) struct recovery r = {.store = s};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	struct storage_object there = {0};
	struct put_spec put = {.key = RECOVER_KEY};

	if (caps & STORAGE_MATCHES) {
		put.condition = PUT_MATCHES;
		put.token = there.token;
		if (storage_stat(env->run, &s->storage, RECOVER_KEY, &there, err)) {
			if (err->code != ST_NOT_FOUND)
				return err->code;
			error_release(err);
			put.condition = PUT_ABSENT;
		}
	}
	if (gather(env, &r, err))
		return err->code;
	compose(env, &r, &text);
	if (failpoint("recover.put.before", err))
		return err->code;
	return storage_put_bytes(env->run, &s->storage, &put, buf_str(&text), text.len, NULL, err);
}

void recover_write(struct op_env *env, struct store *s)
{
	CLEANUP(error_release) struct error err = ERROR_INIT;
	uint32_t caps = 0;
	enum status st = storage_caps(env->run, &s->storage, &caps, &err);

	for (int i = 0; i < TRIES && (!i ? !st : st == ST_PRECONDITION); i++) {
		error_release(&err);
		st = write_once(env, s, caps, &err);
	}
	if (st && st != ST_PRECONDITION)
		notes_add(env->notes, "store %s: " RECOVER_KEY " was not written: %s", s->name, error_text(&err));
}
