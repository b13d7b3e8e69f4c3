#include "commands/cmd.h"

static void print_backups(const struct cli *cli, const struct copy_result *r)
{
	static const char *const head[] = {"BACKUP", "WHAT", "STORED", "WHY"};
	static const char *const said[] = {"copied", "there", "left", "FAILED", "pending"};
	CLEANUP(table_release) struct table t = {0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	size_t shown = 0;

	table_init(&t, ARRAY_LEN(head), head);
	t.right = 1u << 2;
	for (size_t i = 0; i < r->backups; i++) {
		const struct copied_backup *b = &r->backup[i];
		CLEANUP(cstr_release) char *size = text_size(b->stored);

		if (b->action == COPY_THERE)
			continue;
		shown++;
		table_cell(&t, b->id);
		table_cell(&t, b->action == COPY_COPIED && cli->f.dry_run ? "copy" : said[b->action]);
		table_cell(&t, size);
		table_cell(&t, error_text(&b->err));
	}
	if (!shown)
		return;
	table_print(&t, &text);
	out_text(buf_str(&text));
}

static void print_result(const struct cli *cli, const struct copy_request *q, const struct copy_result *r)
{
	CLEANUP(cstr_release) char *bytes = text_size(r->bytes), *took = text_duration(r->took);
	uint64_t copied = 0, there = 0;

	if (cli->p.quiet)
		return;
	for (size_t i = 0; i < r->backups; i++) {
		copied += r->backup[i].action == COPY_COPIED;
		there += r->backup[i].action == COPY_THERE;
	}
	CLEANUP(cstr_release) char *backups = text_count(copied, "backup"), *others = text_count(r->others, "other object");

	print_backups(cli, r);
	out_printf("%s  %s to %s: %s%s (%s), %" PRIu64 " there already, %s, in %s\n", q->source ? q->source : "what belongs to no source", q->from->name,
		   q->to->name, cli->f.dry_run ? "would copy " : "", backups, bytes, there, others, took);
}

static enum status copy_source(struct cli *cli, const struct copy_request *q, struct error *err)
{
	CLEANUP(copy_result_release) struct copy_result r = {0};
	struct progress_display *bar = cmd_begin(cli, q->source);
	enum status st = op_copy(&cli->env, q, &r, err);

	cmd_end(cli, &bar);
	if ((!st || r.backups) && (q->source || r.others))
		print_result(cli, q, &r);
	return st;
}

static enum status named_sources(struct cli *cli, const struct op_store *from, struct strlist *names, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	struct picked_stores stores = {.item = (struct op_store *)(uintptr_t)from, .n = 1};

	if (cli->f.all && !cli->arg.len)
		return pick_names(cli, &stores, names, err);
	if (pick_sources(cli, true, &sources, err))
		return err->code;
	for (size_t i = 0; i < sources.n; i++)
		strlist_add(names, sources.item[i].name);
	return ST_OK;
}

static enum status copy_between(struct cli *cli, const struct op_store *from, const struct op_store *to, struct error *err)
{
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	CLEANUP(strlist_release) struct strlist names = STRLIST_INIT;
	struct copy_request q = {.from = from, .to = to, .which = cli->f.backup, .dry_run = cli->f.dry_run};

	if (named_sources(cli, from, &names, err))
		return err->code;
	for (size_t i = 0; i < names.len + cli->f.all; i++) {
		struct error one = ERROR_INIT;

		q.source = i < names.len ? names.item[i] : NULL;
		q.more = i + 1 < names.len + cli->f.all;
		if (copy_source(cli, &q, &one) == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, q.source ? q.source : "stored configurations", &one);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

static enum status reencrypt(struct cli *cli, const struct op_store *from, const struct op_store *to, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};

	if (cli->f.dry_run)
		return error_set(err, ST_USAGE, "--re-encrypt has no --dry-run");
	if (pick_sources(cli, true, &sources, err))
		return err->code;
	for (size_t i = 0; i < sources.n; i++) {
		const struct reencrypt_request q = {.source = &sources.item[i], .from = from, .to = to, .which = cli->f.backup};
		const struct copy_request shown = {.source = q.source->name, .from = from, .to = to};
		CLEANUP(copy_result_release) struct copy_result r = {0};
		struct progress_display *bar = cmd_begin(cli, shown.source);
		struct error one = ERROR_INIT;
		enum status st = op_reencrypt(&cli->env, &q, &r, &one);

		cmd_end(cli, &bar);
		if (!st || r.backups)
			print_result(cli, &shown, &r);
		if (st == ST_CANCELLED)
			return error_move(err, &one);
		op_outcomes_add(&outcomes, shown.source, &one);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

static enum status run_copy(struct cli *cli, struct error *err)
{
	CLEANUP(op_store_release) struct op_store from = {0}, to = {0};
	const struct bind bind = {&cli->config};

	if (!cli->f.from || cli->f.to.len != 1)
		return error_set(err, ST_USAGE, "copy needs --from STORE and --to STORE, one of each");
	if (cli->f.backup && (cli->f.all || cli->arg.len > 1))
		return error_set(err, ST_USAGE, "--backup goes with one source");
	if (bind_store(cli->run, &bind, cli->f.from, &from, err) || bind_store(cli->run, &bind, cli->f.to.item[0], &to, err))
		return err->code;
	return cli->f.re_encrypt ? reencrypt(cli, &from, &to, err) : copy_between(cli, &from, &to, err);
}

const struct command command_copy = {
	.name = "copy",
	.summary = "Copy backups from one store to another",
	.args = "SOURCE...|--all",
	.max_args = 1000,
	.bit = CMD_COPY,
	.needs = NEED_CONFIG,
	.about = "Copies what the other store does not have: backups, their evidence and marks, and\n"
		 "what status needs. --all means every source of the store. Bytes are compared with\n"
		 "the manifest on the way and at the end; sealed backups need no key. Repeat it at\n"
		 "will: what is there is left alone, what is damaged there is replaced.\n"
		 "--re-encrypt opens backups with --identity and encrypts them for the `encrypt_to`\n"
		 "of their source, also in one and the same store.\n",
	.examples = "  drtool copy shop --from local --to offsite\n  drtool copy --all --from /mnt/disk --to /var/backups/drtool --dry-run\n",
	.run = run_copy,
};
