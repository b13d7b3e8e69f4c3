#include "commands/cmd.h"

#include "core/log.h"

static void put_remarks(const struct catalog_backup *b, struct buf *to)
{
	const char *gap = "";

	if (b->bad) {
		buf_printf(to, "BAD: %s", b->bad_because ? b->bad_because : "damaged");
		gap = "; ";
	} else if (b->suspect) {
		buf_printf(to, "SUSPECT: %s", b->manifest.suspect_because ? b->manifest.suspect_because : "smaller than before");
		gap = "; ";
	}
	if (b->manifest.recipients.len) {
		buf_printf(to, "%sencrypted", gap);
		gap = "; ";
	}
	if (b->manifest.many_moments) {
		buf_printf(to, "%snot of one moment", gap);
		gap = "; ";
	}
	for (size_t i = 0; i < b->pins; i++, gap = "; ")
		buf_printf(to, "%spinned: %s", gap, b->pin[i].because);
	for (size_t i = 0; i < b->manifest.tags.len; i++, gap = " ")
		buf_printf(to, "%s%s", gap, b->manifest.tags.item[i]);
}

static void add_backup(struct cli *cli, struct table *t, const struct op_list_source *s, const char *store,
		       const struct catalog_backup *b)
{
	const struct manifest *m = &b->manifest;
	struct instant now = run_now(cli->run);
	CLEANUP(cstr_release) char *age = text_duration(instant_diff(now, m->data_time));
	CLEANUP(cstr_release) char *raw = text_size(m->raw), *stored = text_size(m->stored);
	CLEANUP(buf_release) struct buf remarks = BUF_INIT, proof = BUF_INIT;

	buf_puts(&proof, proof_name(b->level));
	if (b->level > PROOF_STORED && b->proven_at.us) {
		buf_putc(&proof, ' ');
		duration_print(instant_diff(now, b->proven_at), &proof);
		buf_puts(&proof, " ago");
	}
	put_remarks(b, &remarks);
	table_cell(t, s->name);
	table_cell(t, store);
	table_cell(t, m->id);
	table_cell(t, age);
	table_cellf(t, "%" PRIu64, m->tables);
	table_cellf(t, "%" PRIu64, m->rows);
	table_cell(t, raw);
	table_cell(t, stored);
	table_cell(t, buf_str(&proof));
	table_cell(t, buf_str(&remarks));
}

static json_t *backup_json(const struct catalog_backup *b)
{
	json_t *o = manifest_json(&b->manifest), *pins = json_array();

	js_set_str(o, "proof", proof_name(b->level));
	js_set_u64(o, "level", (uint64_t)b->level);
	js_set_time(o, "proven_at", b->proven_at);
	js_set_bool(o, "bad", b->bad);
	js_set_str(o, "bad_because", b->bad_because);
	js_set_bool(o, "suspect", b->suspect);
	for (size_t i = 0; i < b->pins; i++) {
		json_t *p = json_object();

		js_set_str(p, "who", b->pin[i].who);
		js_set_str(p, "because", b->pin[i].because);
		js_set_time(p, "from", b->pin[i].from);
		js_set_time(p, "until", b->pin[i].until);
		json_array_append_new(pins, p);
	}
	js_set_new(o, "pins", pins);
	return o;
}

static json_t *source_json(const struct op_list_source *s, const char *store)
{
	json_t *o = json_object(), *unreadable = json_array();

	js_set_str(o, "source", s->name);
	js_set_str(o, "store", store);
	js_set_str(o, "driver", s->info.driver);
	js_set_str(o, "identity", s->info.identity);
	for (size_t i = 0; i < s->catalog.unreadables; i++) {
		json_t *u = json_object();

		js_set_str(u, "key", s->catalog.unreadable[i].key);
		js_set_str(u, "why", s->catalog.unreadable[i].why);
		json_array_append_new(unreadable, u);
	}
	js_set_new(o, "unreadable", unreadable);
	return o;
}

struct listing {
	struct table table;
	json_t *json;           /* of deleted ones */
	size_t sources;         /* printed as JSON */
	size_t backups;
};

/* Each backup goes out as it comes, in a line of its own: thousands of them as a tree are much memory. */
static void print_source(struct cli *cli, struct listing *l, const struct op_list_source *s, const char *store)
{
	CLEANUP(js_decref) json_t *head = source_json(s, store);
	CLEANUP(buf_release) struct buf b = BUF_INIT;
	const char *gap = "\n";

	buf_puts(&b, l->sources++ ? ",\n" : "[\n");
	js_write(head, false, &b);
	b.len -= strlen("}");
	buf_puts(&b, ",\"backups\":[");
	for (size_t i = 0; i < s->catalog.backups; i++) {
		CLEANUP(js_decref) json_t *one = NULL;

		if (!catalog_tags_match(&s->catalog.backup[i].manifest.tags, &cli->f.tags))
			continue;
		one = backup_json(&s->catalog.backup[i]);
		buf_puts(&b, gap);
		js_write(one, false, &b);
		out_text(buf_str(&b));
		buf_clear(&b);
		gap = ",\n";
		l->backups++;
	}
	buf_puts(&b, "]}");
	out_text(buf_str(&b));
}

static void add_rows(struct cli *cli, struct listing *l, const struct op_list_source *s, const char *store)
{
	for (size_t i = 0; i < s->catalog.backups; i++)
		if (catalog_tags_match(&s->catalog.backup[i].manifest.tags, &cli->f.tags)) {
			add_backup(cli, &l->table, s, store, &s->catalog.backup[i]);
			l->backups++;
		}
}

static void add_source(struct cli *cli, struct listing *l, const struct op_list_source *s, const char *store)
{
	if (cli->f.json)
		print_source(cli, l, s, store);
	else
		add_rows(cli, l, s, store);
	for (size_t i = 0; i < s->catalog.unreadables; i++)
		log_line(cli->run, LOG_WARN, "%s in store %s cannot be read: %s", s->catalog.unreadable[i].key, store,
			 s->catalog.unreadable[i].why);
}

static enum status list_store(struct cli *cli, struct listing *l, const struct op_store *from, const char *source,
			      struct error *err)
{
	CLEANUP(list_result_release) struct list_result r = {0};

	if (op_list(&cli->env, from, source, &r, err))
		return err->code;
	for (size_t i = 0; i < r.sources; i++)
		add_source(cli, l, &r.source[i], from->name);
	return ST_OK;
}

static enum status list_all(struct cli *cli, struct listing *l, struct error *err)
{
	CLEANUP(op_source_release) struct op_source source = {0};
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	bool named = cli->arg.len > 0;

	if ((named && pick_source(cli, cli->arg.item[0], true, &source, err)) || pick_from(cli, named ? &source : NULL, &from, err))
		return err->code;
	for (size_t i = 0; i < from.n; i++) {
		struct error one = ERROR_INIT;

		list_store(cli, l, &from.item[i], named ? source.name : NULL, &one);
		op_outcomes_add(&outcomes, from.item[i].name, &one);
	}
	/* Before the first backup there is no store: nothing to list, and nothing wrong. */
	for (size_t i = 0; !named && i < outcomes.n; i++)
		if (outcomes.item[i].err.code == ST_NOT_FOUND)
			error_release(&outcomes.item[i].err);
	outcomes_drop_absent(&outcomes);
	return outcomes_to_error(cli, &outcomes, err);
}

/* ---- --deleted ---- */

static void add_deleted(struct cli *cli, struct listing *l, const struct hidden_backup *b, const char *store)
{
	CLEANUP(cstr_release) char *age = text_duration(instant_diff(run_now(cli->run), b->deleted)), *size = text_size(b->size);
	const char *remark = b->listed ? "listed, but volumes are deleted" : b->manifest ? "" : "its manifest is gone for good";

	table_cell(&l->table, b->source);
	table_cell(&l->table, store);
	table_cell(&l->table, b->id);
	table_cellf(&l->table, "%s ago", age);
	table_cell(&l->table, size);
	table_cell(&l->table, remark);
	json_t *o = json_object();
	js_set_str(o, "source", b->source);
	js_set_str(o, "store", store);
	js_set_str(o, "backup", b->id);
	js_set_time(o, "deleted", b->deleted);
	js_set_u64(o, "stored", b->size);
	js_set_bool(o, "manifest", b->manifest || b->listed);
	json_array_append_new(l->json, o);
	l->backups++;
}

static enum status list_deleted(struct cli *cli, struct listing *l, struct error *err)
{
	CLEANUP(op_source_release) struct op_source source = {0};
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_outcomes_release) struct op_outcomes outcomes = {0};
	bool named = cli->arg.len > 0;

	if ((named && pick_source(cli, cli->arg.item[0], true, &source, err)) || pick_from(cli, named ? &source : NULL, &from, err))
		return err->code;
	for (size_t i = 0; i < from.n; i++) {
		CLEANUP(hidden_backups_release) struct hidden_backups hidden = HIDDEN_BACKUPS_INIT;
		struct error one = ERROR_INIT;

		if (!op_deleted(&cli->env, &from.item[i], named ? source.name : NULL, &hidden, &one))
			for (size_t k = 0; k < hidden.len; k++)
				add_deleted(cli, l, &hidden.item[k], from.item[i].name);
		op_outcomes_add(&outcomes, from.item[i].name, &one);
	}
	outcomes_drop_absent(&outcomes);
	return outcomes_to_error(cli, &outcomes, err);
}

static enum status run_deleted(struct cli *cli, struct error *err)
{
	static const char *const head[] = {"SOURCE", "STORE", "BACKUP", "DELETED", "STORED", "REMARKS"};
	struct listing l = {.json = json_array()};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	table_init(&l.table, ARRAY_LEN(head), head);
	l.table.right = 1u << 4;
	enum status st = list_deleted(cli, &l, err);

	if (cli->f.json) {
		out_json(l.json);
	} else if (l.backups && !cli->p.quiet) {
		table_print(&l.table, &text);
		out_text(buf_str(&text));
		out_text("`drtool prune SOURCE --undelete BACKUP` brings one back\n");
	} else if (!st && !cli->p.quiet) {
		out_text("no deleted backup\n");
	}
	table_release(&l.table);
	json_decref(l.json);
	return st;
}

static enum status run_list(struct cli *cli, struct error *err)
{
	static const char *const head[] = {"SOURCE", "STORE", "BACKUP", "AGE",   "TABLES",
					   "ROWS",   "SIZE",  "STORED", "PROOF", "REMARKS"};
	struct listing l = {.sources = 0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	if (cli->f.deleted)
		return run_deleted(cli, err);
	table_init(&l.table, ARRAY_LEN(head), head);
	l.table.right = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7;
	enum status st = list_all(cli, &l, err);

	if (cli->f.json) {
		out_text(l.sources ? "\n]\n" : "[]\n");
	} else if (l.backups && !cli->p.quiet) {
		table_print(&l.table, &text);
		out_text(buf_str(&text));
	}
	table_release(&l.table);
	if (!st && !l.backups && (cli->f.tags.len || cli->arg.len))
		return error_set(err, ST_NOT_FOUND, "no backup matches");
	if (!st && !l.backups && !cli->f.json && !cli->p.quiet)
		out_text("no backup yet\n");
	return st;
}

const struct command command_list = {
	.name = "list",
	.summary = "List backups, their age and how well they are proven",
	.args = "[SOURCE]",
	.max_args = 1,
	.bit = CMD_LIST,
	.needs = NEED_CONFIG,
	.about = "Reads manifests and evidence in the store; needs no database. PROOF is stored,\n"
		 "checked (every byte), started, read (restored) or compared (restored and equal).\n",
	.examples = "  drtool list shop\n  drtool list shop --deleted\n  drtool list --from file:///var/backups/drtool --json\n",
	.run = run_list,
};
