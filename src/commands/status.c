#include "commands/cmd.h"

#include "core/log.h"

static void add_row(struct table *t, const struct status_row *r)
{
	CLEANUP(cstr_release) char *age = text_duration(r->age), *stored = text_size(r->stored);
	CLEANUP(buf_release) struct buf why = BUF_INIT;

	for (size_t i = 0; i < r->because.len; i++)
		buf_printf(&why, "%s%s", i ? "; " : "", r->because.item[i]);
	if (r->locked)
		buf_printf(&why, "%sa backup is running", why.len ? "; " : "");
	table_cell(t, health_name(r->health));
	table_cell(t, r->source);
	table_cell(t, r->store);
	table_cell(t, r->backup);
	table_cell(t, *r->backup ? age : "");
	table_cell(t, *r->backup ? proof_name(r->level) : "");
	table_cellf(t, "%zu", r->good);
	table_cell(t, stored);
	table_cell(t, buf_str(&why));
}

static void print_table(const struct status_result *r)
{
	static const char *const head[] = {"HEALTH", "SOURCE", "STORE", "NEWEST GOOD", "AGE", "PROOF", "GOOD", "STORED", "WHY"};
	CLEANUP(table_release) struct table t = {0};
	CLEANUP(buf_release) struct buf text = BUF_INIT;

	table_init(&t, ARRAY_LEN(head), head);
	t.right = 1u << 4 | 1u << 6 | 1u << 7;
	for (size_t i = 0; i < r->rows; i++)
		add_row(&t, &r->row[i]);
	table_print(&t, &text);
	out_text(buf_str(&text));
}

static json_t *row_json(const struct status_row *r)
{
	json_t *o = json_object();

	js_set_str(o, "source", r->source);
	js_set_str(o, "store", r->store);
	js_set_str(o, "health", health_name(r->health));
	js_set_new(o, "because", js_list(&r->because));
	js_set_str(o, "backup", *r->backup ? r->backup : NULL);
	js_set_time(o, "data_time", r->data_time);
	if (*r->backup)
		json_object_set_new(o, "age_seconds", json_integer(r->age.us / 1000000));
	js_set_str(o, "proof", proof_name(r->level));
	js_set_u64(o, "level", (uint64_t)r->level);
	js_set_time(o, "proven_at", r->proven_at);
	js_set_u64(o, "good", r->good);
	js_set_u64(o, "bad", r->bad);
	js_set_u64(o, "suspect", r->suspect);
	js_set_u64(o, "unreadable", r->unreadable);
	js_set_u64(o, "stored", r->stored);
	js_set_bool(o, "locked", r->locked);
	js_set_new(o, "uncovered", js_list(&r->uncovered));
	return o;
}

static void print_json(const struct status_result *r)
{
	CLEANUP(js_decref) json_t *o = json_object();
	json_t *rows = json_array();

	js_set_str(o, "health", health_name(r->health));
	for (size_t i = 0; i < r->rows; i++)
		json_array_append_new(rows, row_json(&r->row[i]));
	js_set_new(o, "sources", rows);
	out_json(o);
}

/* With -q nothing where all is well; else one line for each row that is not. */
static void print_quiet(const struct status_result *r)
{
	for (size_t i = 0; i < r->rows; i++)
		if (r->row[i].health) {
			CLEANUP(buf_release) struct buf why = BUF_INIT;

			for (size_t k = 0; k < r->row[i].because.len; k++) {
				buf_puts(&why, k ? "; " : "");
				log_visible(&why, r->row[i].because.item[k]);
			}
			fprintf(stderr, "drtool: %s: %s in %s: %s. Next: `drtool status %s`.\n", health_name(r->row[i].health),
				r->row[i].source, r->row[i].store, buf_str(&why), r->row[i].source);
		}
}

static enum status report(struct cli *cli, const struct status_request *q, struct error *err)
{
	CLEANUP(status_result_release) struct status_result r = {0};

	if (op_status(&cli->env, q, &r, err))
		return err->code;
	if (cli->f.json)
		print_json(&r);
	else if (cli->p.quiet)
		print_quiet(&r);
	else if (r.rows)
		print_table(&r);
	else
		out_text("no source is known yet\n");
	cli->exit_code = r.rows ? (int)r.health : (int)HEALTH_UNKNOWN;
	return ST_OK;
}

static enum status pick_configured(struct cli *cli, const char *only, struct picked_sources *p, struct error *err)
{
	p->item = xcalloc(cli->config.sources + 1, sizeof(*p->item));
	for (size_t i = 0; i < cli->config.sources; i++) {
		if (only && strcmp(only, cli->config.source[i].name))
			continue;
		if (pick_source(cli, cli->config.source[i].name, true, &p->item[p->n], err))
			return err->code;
		p->n++;
	}
	return ST_OK;
}

static enum status run_status(struct cli *cli, struct error *err)
{
	CLEANUP(picked_sources_release) struct picked_sources sources = PICKED_INIT;
	CLEANUP(picked_stores_release) struct picked_stores from = PICKED_INIT;
	CLEANUP(op_source_release) struct op_source named = {0};
	bool only = cli->arg.len > 0;

	if ((only && pick_source(cli, cli->arg.item[0], true, &named, err)) ||
	    pick_configured(cli, only ? named.name : NULL, &sources, err) || pick_from(cli, only ? &named : NULL, &from, err))
		return err->code;
	const struct op_source **list = xcalloc(sources.n, sizeof(*list));

	for (size_t i = 0; i < sources.n; i++)
		list[i] = &sources.item[i];
	struct status_request q = {
		.from = from.list,
		.stores = from.n,
		.configured = list,
		.sources = sources.n,
		.source = only ? named.name : NULL,
		.max_age = cli->f.max_age,
	};
	enum status st = report(cli, &q, err);

	free(list);
	return st;
}

const struct command command_status = {
	.name = "status",
	.summary = "Say whether every source has a good, young and proven backup",
	.args = "[SOURCE]",
	.max_args = 1,
	.bit = CMD_STATUS,
	.needs = NEED_CONFIG,
	.about = "A source of the configuration without a good backup is critical, as is one whose\n"
		 "newest is older than expect_every, rpo or --max-age allow.\n",
	.exits =
		"  0               OK\n  1               warning\n"
		 "  2               critical, or wrong use or configuration\n  3               unknown\n",
	.examples = "  drtool status\n  drtool status shop --max-age 26h --json\n",
	.run = run_status,
};
