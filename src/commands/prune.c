#include "commands/cmd.h"

static void print_backup(const struct cli *cli, const struct prune_backup *b, struct table *t)
{
	static const char *const said[] = {"keep", "remove", "retained", "pending"};
	CLEANUP(buf_release) struct buf why = BUF_INIT;
	CLEANUP(cstr_release) char *size = text_size(b->stored);

	for (size_t i = 0; i < b->reasons.len; i++)
		buf_printf(&why, "%s%s", i ? ", " : "", b->reasons.item[i]);
	if (b->until)
		buf_printf(&why, "%s%s", why.len ? ", " : "", b->until);
	table_cell(t, b->id);
	table_cell(t, b->action == PRUNE_REMOVED && !cli->f.dry_run ? "removed" : said[b->action]);
	table_cell(t, size);
	table_cell(t, buf_str(&why));
}

static void print_result(const struct cli *cli, const struct op_source *s, const struct op_store *from,
			 const struct prune_result *r)
{
	static const char *const head[] = {"BACKUP", "WHAT", "STORED", "WHY"};
	CLEANUP(table_release) struct table t = {0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;
	CLEANUP(cstr_release) char *freed = text_size(r->freed);

	if (cli->p.quiet)
		return;
	out_printf("%s in %s%s\n", s->name, from->name, from->own_keep ? ", by the rules of the store" : "");
	table_init(&t, ARRAY_LEN(head), head);
	t.right = 1u << 2;
	for (size_t i = 0; i < r->backups; i++)
		print_backup(cli, &r->backup[i], &t);
	if (r->backups) {
		table_print(&t, &text);
		out_text(buf_str(&text));
	}
	for (size_t i = 0; i < r->abandoned.len; i++)
		out_printf("%s %s, left behind by a run that failed\n", cli->f.dry_run ? "would remove" : "removed",
			   r->abandoned.item[i]);
	for (size_t i = 0; i < r->unreadable.len; i++)
		out_printf("kept %s, which cannot be read\n", r->unreadable.item[i]);
	for (size_t i = 0; i < r->notes.len; i++)
		cmd_print_lines(cli, r->notes.item[i]);
	out_printf("%" PRIu64 " %s, %s %s\n", r->removed, cli->f.dry_run ? "would be removed" : "removed", freed,
		   cli->f.dry_run ? "would be freed" : "freed");
}

static enum status prune_in(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	CLEANUP(prune_result_release) struct prune_result r = PRUNE_RESULT_INIT;
	struct prune_request q = {.source = s->name, .from = from, .policy = op_keep_of(from, s), .dry_run = cli->f.dry_run};
	struct progress_display *bar = cmd_begin(cli, s->name);
	enum status st = op_prune(&cli->env, &q, &r, err);

	cmd_end(cli, &bar);
	if (!st || r.backups)
		print_result(cli, s, from, &r);
	return st;
}

static enum status undelete_in(struct cli *cli, const struct op_source *s, const struct op_store *from, struct error *err)
{
	CLEANUP(strlist_release) struct strlist ids = STRLIST_INIT;
	const struct undelete_request q = {.source = s->name, .which = cli->f.undelete, .from = from, .dry_run = cli->f.dry_run};

	if (op_undelete(&cli->env, &q, &ids, err))
		return err->code;
	for (size_t i = 0; i < ids.len && !cli->p.quiet; i++)
		out_printf("%s  %s in %s: %s\n", s->name, ids.item[i], from->name, q.dry_run ? "would come back" : "is back");
	return ST_OK;
}

static enum status run_prune(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	const struct each_store each = {cli->f.undelete ? undelete_in : prune_in, &outcomes};

	if (cli->f.undelete && !cli->arg.len)
		return error_set(err, ST_USAGE, "--undelete needs a SOURCE: what was deleted is in no configuration");
	if (pick_sources(cli, true, &sources, err))
		return err->code;
	for (size_t i = 0; i < sources.n; i++) {
		struct error one = ERROR_INIT;

		if (each_store(cli, &sources.item[i], &each, &one) == ST_CANCELLED)
			return error_move(err, &one);
		if (one.code)
			op_outcomes_add(&outcomes, sources.item[i].name, &one);
	}
	return outcomes_to_error(cli, &outcomes, err);
}

const struct command command_prune = {
	.name = "prune",
	.summary = "Delete backups that no rule keeps",
	.args = "[SOURCE|--all]",
	.max_args = 1,
	.bit = CMD_PRUNE,
	.needs = NEED_CONFIG,
	.about = "Rules are those of the configuration and of the flags; a backup that any of them\n"
		 "keeps stays, and without a rule all stay. The last good and the newest proven\n"
		 "one always stay, as do pinned ones. What the store retains stays until then.\n",
	.examples = "  drtool prune shop --keep-last 3 --keep-daily 14 --dry-run\n"
		    "  drtool prune shop --undelete 20261120T020000Z-7f3a\n",
	.run = run_prune,
};
