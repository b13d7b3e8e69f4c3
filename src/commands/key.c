/* key generate, show, check. */
#include "commands/cmd.h"

#include <unistd.h>

#include "ops/keys.h"

/* ---- generate ---- */

/* A passphrase for a new file of keys: that of the settings, else typed twice. *text NULL: none is wanted. */
static enum status new_passphrase(struct cli *cli, char **text, struct error *err)
{
	CLEANUP(secret_text_release) char *again = NULL;

	*text = NULL;
	if (!cli->f.protect)
		return ST_OK;
	if (secret_read(cli->run, &cli->global.passphrase, text, err))
		return error_add(err, "passphrase");
	if (*text)
		return ST_OK;
	if (!cli->env.ask_secret) {
		error_set(err, ST_CONFIG, "nobody can be asked for a passphrase");
		return error_hint(err, "Give it by DRTOOL_PASSPHRASE_FILE or DRTOOL_PASSPHRASE_COMMAND.");
	}
	if (cli->env.ask_secret(cli, "Passphrase for the new key: ", text, err) ||
	    cli->env.ask_secret(cli, "The same again: ", &again, err))
		return err->code;
	return strcmp(*text, again) ? error_set(err, ST_CONFIG, "the two passphrases differ") : ST_OK;
}

/* What is told of a new key; to stderr where the key itself goes to stdout. */
static void tell_generated(const struct cli *cli, const struct key_made *k)
{
	char fingerprint[SEAL_FINGERPRINT];
	FILE *to = cli->f.output ? stdout : stderr;

	if (cli->p.quiet)
		return;
	fprintf(to, "public key   %s\nfingerprint  %s\n", buf_str(&k->recipient), seal_fingerprint(buf_str(&k->recipient), fingerprint));
	if (!cli->f.output || cli->f.form)
		return;
	fprintf(to, "secret key   %s\n\n"
		    "Write the public key into the configuration: encrypt_to: [%s]\n"
		    "Take the file away from this machine, and print it for a safe: drtool key show %s --form | lp\n"
		    "Without it the backups are lost. `drtool key check --identity FILE` says which ones it opens.\n",
		cli->f.output, buf_str(&k->recipient), cli->f.output);
}

static enum status key_generate(struct cli *cli, struct error *err)
{
	CLEANUP(secret_text_release) char *passphrase = NULL;
	CLEANUP(key_made_release) struct key_made k = KEY_MADE_INIT;
	CLEANUP(seal_text_wipe) struct buf form = BUF_INIT;

	if (cli->f.protect && !cli->f.output)
		return error_set(err, ST_USAGE, "--protect needs --output FILE");
	if (new_passphrase(cli, &passphrase, err) || op_key_make(&cli->env, passphrase, &k, err))
		return err->code;
	if (cli->f.output && op_key_write(&k, cli->f.output, err))
		return err->code;
	if (cli->f.form) {
		key_form(&cli->env, buf_str(&k.secret), buf_str(&k.recipient), &form);
		out_text(buf_str(&form));
	} else if (!cli->f.output) {
		out_text(buf_str(&k.file));
	}
	tell_generated(cli, &k);
	return ST_OK;
}

/* ---- show ---- */

static enum status key_show(struct cli *cli, struct error *err)
{
	const struct seal_identities *ids = NULL;
	size_t shown = 0;

	if (cli->arg.len > 1)
		strlist_add(&cli->global.identities, cli->arg.item[1]);
	if (op_identities(&cli->env, &ids, err))
		return err->code;
	for (size_t i = 0; i < seal_identities_count(ids); i++) {
		const char *recipient = seal_identity_recipient(ids, i);
		CLEANUP(seal_text_wipe) struct buf secret = BUF_INIT, form = BUF_INIT;
		char fingerprint[SEAL_FINGERPRINT];

		if (!*recipient)
			continue;
		if (cli->f.form) {
			seal_identity_secret(ids, i, &secret);
			key_form(&cli->env, buf_str(&secret), recipient, &form);
			out_printf("%s", shown ? "\f" : "");
			out_text(buf_str(&form));
		} else {
			out_printf("%s  %s\n", recipient, seal_fingerprint(recipient, fingerprint));
		}
		shown++;
	}
	if (shown)
		return ST_OK;
	error_set(err, ST_USAGE, "there is no key to show");
	return error_hint(err, "Name the file: drtool key show FILE");
}

/* ---- check ---- */

static void put_keys(struct buf *to, const struct strlist *recipients)
{
	for (size_t i = 0; i < recipients->len; i++) {
		char fingerprint[SEAL_FINGERPRINT];
		const char *key = recipients->item[i];

		buf_printf(to, "%s%s", i ? ", " : "", strcmp(key, "passphrase") ? seal_fingerprint(key, fingerprint) : key);
	}
}

static void add_row(struct table *t, const struct key_check_row *row, const char *store)
{
	CLEANUP(buf_release) struct buf keys = BUF_INIT;
	char fingerprint[SEAL_FINGERPRINT];
	const char *with = row->opened_with;

	put_keys(&keys, &row->recipients);
	table_cell(t, row->source);
	table_cell(t, store);
	table_cell(t, row->backup);
	table_cell(t, !row->sealed ? "not encrypted" : with ? "opens" : "DOES NOT OPEN");
	table_cell(t, with && strcmp(with, "passphrase") ? seal_fingerprint(with, fingerprint) : with ? with : "");
	table_cell(t, buf_str(&keys));
	table_cell(t, row->why.code ? error_text(&row->why) : "");
}

struct counted {
	size_t sealed, opened, bad;
	struct table table;
};

static void counted_release(struct counted *c) { table_release(&c->table); }

static enum status check_store(struct cli *cli, const struct op_store *from, const char *source, struct counted *c, struct error *err)
{
	CLEANUP(key_check_release) struct key_check_result r = KEY_CHECK_INIT;

	/* A store that failed was looked at as far as the rows say. */
	enum status st = op_key_check(&cli->env, from, source, &r, err);
	for (size_t i = 0; i < r.rows; i++) {
		c->sealed += r.row[i].sealed;
		c->opened += r.row[i].opened_with != NULL;
		c->bad += r.row[i].why.code == ST_BAD;
		add_row(&c->table, &r.row[i], from->name);
	}
	return st;
}

static enum status judge(const struct counted *c, struct error *err)
{
	if (c->bad)
		return error_set(err, ST_BAD, "%zu of %zu encrypted backups are damaged", c->bad, c->sealed);
	if (!c->sealed)
		return error_set(err, ST_NOT_FOUND, "no backup is encrypted");
	if (c->opened < c->sealed)
		return error_set(err, c->opened ? ST_INCOMPLETE : ST_DENIED, "%zu of %zu encrypted backups do not open with %s",
				 c->sealed - c->opened, c->sealed, c->opened ? "these keys" : "this key");
	return ST_OK;
}

static enum status key_check(struct cli *cli, struct error *err)
{
	static const char *const head[] = {"SOURCE", "STORE", "BACKUP", "RESULT", "OPENED WITH", "ENCRYPTED FOR", "WHY"};
	const char *source = cli->arg.len > 1 ? cli->arg.item[1] : NULL;
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_source_release) struct op_source named = {0};
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	CLEANUP(counted_release) struct counted c = {0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if ((source && pick_source(cli, source, true, &named, err)) || pick_from(cli, source ? &named : NULL, &from, err))
		return err->code;
	table_init(&c.table, ARRAY_LEN(head), head);
	for (size_t i = 0; i < from.n; i++) {
		struct error one = ERROR_INIT;

		if (check_store(cli, &from.item[i], source ? named.name : NULL, &c, &one) == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, from.item[i].name, &one);
	}
	outcomes_drop_absent(&outcomes);
	if (c.table.cell.len > ARRAY_LEN(head) && !cli->p.quiet) {
		table_print(&c.table, &text);
		out_text(buf_str(&text));
	}
	if (outcomes_to_error(cli, &outcomes, err))
		return err->code;
	return judge(&c, err);
}

static const char *const words[] = {"generate", "show", "check", NULL};

static enum status run_key(struct cli *cli, struct error *err)
{
	static enum status (*const run[])(struct cli * cli, struct error * err) = {key_generate, key_show, key_check};
	const struct bind bind = {&cli->config};
	const char *word = cli->arg.item[0];

	for (size_t i = 0; words[i]; i++) {
		bool check = run[i] == key_check;

		if (strcmp(words[i], word))
			continue;
		if (cli->arg.len > 1 && run[i] == key_generate)
			return error_set(err, ST_USAGE, "key generate takes no further argument: the file is --output FILE");
		if ((cli->f.output || cli->f.protect) && run[i] != key_generate)
			return error_set(err, ST_USAGE, "--output and --protect go with key generate");
		if (cli->f.form && check)
			return error_set(err, ST_USAGE, "--form goes with key generate and key show");
		/* A key can be made and shown on a machine where no configuration is. */
		if (check &&
		    (config_load(&cli->schema, cli->p.config, &cli->config, err) || bind_global(&bind, &cli->global, err)))
			return err->code;
		return run[i](cli, err);
	}
	const char *near = nearest_name(word, words, ARRAY_LEN(words) - 1);

	error_set(err, ST_USAGE, "key knows generate, show and check, not \"%s\"", word);
	return near ? error_hint(err, "Did you mean `drtool key %s`?", near) : err->code;
}

const struct command command_key = {
	.name = "key",
	.summary = "Make keys for encrypted backups, show them, say what they open",
	.args = "generate|show [FILE]|check [SOURCE]",
	.min_args = 1,
	.max_args = 2,
	.bit = CMD_KEY,
	.about = "generate makes a key: the public half belongs into `encrypt_to`, the secret half\n"
		 "away from the machine that makes backups. show prints the public half and, with\n"
		 "--form, a page to print and keep in a safe. check opens the header of every backup\n"
		 "with the keys given and remembers in the store that they did: until then status\n"
		 "warns. The files are those of age: `age -d -i FILE` opens the backups, too.\n",
	.examples = "  drtool key generate --output shop.key\n  drtool key show shop.key --form | lp\n"
		    "  drtool key check --identity shop.key\n",
	.exits = "  0    every encrypted backup opens\n  1    none opens\n  3    some do not open, or a store failed\n"
		 "  4    an encrypted backup is damaged\n  5    no backup is encrypted\n",
	.words = words,
	.run = run_key,
};
